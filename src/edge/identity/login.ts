import type { Login, SessionId, Tokens } from '../../contract/identity.ts'
import { isProblem, Problem } from '../../contract/problem.ts'
import { auditEntry } from '../audit/service.ts'
import type { Place } from '../platform/limiter/place.ts'
import { commit } from '../platform/outbox/outbox.ts'
import type { Scope } from '../platform/scope.ts'
import { type Attempt, admitAttempt, placeHash } from './attempt.ts'
import { hashPassword, verifyPassword } from './password.ts'
import { noteSignIn, resetFailures, userAtDoor } from './place-store.ts'
import { insertSession, setPasswordHash } from './store.ts'
import type { users } from './tables.ts'
import { tokensFor } from './tokens.ts'

interface Door {
  readonly user: typeof users.$inferSelect | undefined
  readonly attempt: Attempt
  /** Keyed hash of where they stand; nothing when nobody knows. */
  readonly here: string | null
}

/**
 * Starts a session.
 *
 * @throws Problem `credentials-invalid`, in the same time whether or not the address is known; `rate-limited`
 */
export async function login(scope: Scope, input: Login, { place }: { readonly place: Place }): Promise<Tokens> {
  const here = await placeHash(scope, place)
  const [known] = await userAtDoor(scope.db, input.email, here)
  const attempt = await admitAttempt(scope, { email: input.email, place, lastSignInAt: known?.lastSignInAt ?? null })
  try {
    return await enter(scope, input, { user: known?.user, attempt, here })
  } catch (error) {
    if (!isProblem(error) || error.slug !== 'credentials-invalid') attempt.giveBack()
    throw error
  }
}

async function enter(scope: Scope, input: Login, { user, attempt, here }: Door): Promise<Tokens> {
  const { keyring } = scope.config
  const verdict = await verifyPassword(keyring, input.password, user?.passwordHash)
  if (!user || verdict === 'wrong' || user.disabledAt !== null || attempt.isClosed) {
    await refuse(scope, user?.id ?? 'unknown', attempt)
    throw new Problem('credentials-invalid', { limits: attempt.limits })
  }
  const now = scope.now()
  const session = {
    id: scope.newId('ses') as SessionId,
    userId: user.id,
    mode: input.mode,
    counter: 0,
    createdAt: now,
    refreshedAt: now,
    idleExpiresAt: now + scope.config.sessionIdleSeconds * 1000,
    expiresAt: now + scope.config.sessionMaxSeconds * 1000,
  }
  const rehash =
    verdict === 'stale'
      ? [setPasswordHash(scope.db, user.id, { from: user.passwordHash, to: await hashPassword(keyring, input.password) })]
      : []
  const entry = auditEntry(scope, { action: 'session.start', subject: session.id, actorId: user.id })
  const learn = [
    resetFailures(scope.db, attempt.accountKey, session.id),
    ...(here === null ? [] : [noteSignIn(scope.db, session.id, here)]),
  ]
  await commit(scope, [insertSession(scope.db, session), entry, ...rehash, ...learn])
  return tokensFor(scope, session)
}

async function refuse(scope: Scope, subject: string, { isClosing }: Attempt): Promise<void> {
  const closing = isClosing ? [auditEntry(scope, { action: 'password.close', subject, cause: 'failures', actorId: 'anonymous' })] : []
  await commit(scope, [auditEntry(scope, { action: 'session.refuse', subject, actorId: 'anonymous' }), ...closing])
}
