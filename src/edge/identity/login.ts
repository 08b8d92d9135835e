import type { Login, LoginAnswer } from '../../contract/identity.ts'
import { isProblem, Problem } from '../../contract/problem.ts'
import { auditEntry } from '../audit/service.ts'
import type { Place } from '../platform/limiter/place.ts'
import { commit } from '../platform/outbox/outbox.ts'
import type { Scope } from '../platform/scope.ts'
import { type Attempt, accountCharge, admitAttempt, placeHash } from './attempt.ts'
import type { Device } from './device.ts'
import { type ShownDevice, shownDevice } from './known-device.ts'
import { hashPassword, verifyPassword } from './password.ts'
import { setPasswordHash } from './password-store.ts'
import { userAtDoor } from './place-store.ts'
import { signIn } from './sign-in.ts'
import type { users } from './tables.ts'

type User = typeof users.$inferSelect

interface Door {
  readonly known: Awaited<ReturnType<typeof userAtDoor>>[number] | undefined
  readonly attempt: Attempt
  readonly place: Place
  readonly device: Device
  readonly shown: ShownDevice
}

/**
 * Starts a session, or asks for the second factor. A right password is no failure, so its unit comes back.
 *
 * @throws Problem `credentials-invalid`, in the same time whether or not the address is known; `rate-limited`
 */
export async function login(
  scope: Scope,
  input: Login,
  { place, device }: { readonly place: Place; readonly device: Device },
): Promise<LoginAnswer> {
  const here = await placeHash(scope, place)
  const account = await accountCharge(scope, input.email)
  const shown = await shownDevice(input.deviceToken)
  const atDoor = { place: here, deviceHashes: shown.hashes, now: scope.now(), accountKey: account.key }
  const [known] = await userAtDoor(scope.db, input.email, atDoor)
  const attempt = await admitAttempt(scope, { email: input.email, place, account, lastSignInAt: known?.lastSignInAt ?? null })
  try {
    const answer = await enter(scope, input, { known, attempt, place, device, shown })
    // Only a session from a place that is known clears what its own attempt has counted.
    if ('factorRequired' in answer || place.isUnknown) attempt.giveBack()
    return answer
  } catch (error) {
    if (!isProblem(error) || error.slug !== 'credentials-invalid') attempt.giveBack()
    throw error
  }
}

async function enter(scope: Scope, input: Login, { known, attempt, place, device, shown }: Door): Promise<LoginAnswer> {
  const { keyring } = scope.config
  const verdict = await verifyPassword(keyring, input.password, known?.user.passwordHash)
  if (!known || verdict === 'wrong' || known.user.disabledAt !== null || attempt.isClosed) throw await refuse(scope, known?.user, attempt)
  const { user } = known
  const along =
    verdict === 'stale'
      ? [setPasswordHash(scope.db, user.id, { from: user.passwordHash, to: await hashPassword(keyring, input.password) })]
      : []
  const { mode, deviceName, trustToken } = input
  // What comes from a place that is new has just counted itself.
  const seen = { ...known, hasFailures: known.hasFailures || known.lastSignInAt === null }
  const answer = await signIn(scope, user, { methods: ['pwd'], mode, place, device, deviceName, trustToken, shown, along, seen })
  if (!answer) throw await refuse(scope, user, attempt)
  return answer
}

async function refuse(scope: Scope, user: User | undefined, { isClosing, limits }: Attempt): Promise<Problem> {
  const subject = user?.id ?? 'unknown'
  const closing = isClosing ? [auditEntry(scope, { action: 'password.close', subject, cause: 'failures', actorId: 'anonymous' })] : []
  await commit(scope, [auditEntry(scope, { action: 'session.refuse', subject, actorId: 'anonymous' }), ...closing])
  return new Problem('credentials-invalid', { limits })
}
