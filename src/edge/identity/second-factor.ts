import type { FinishedLogin, FinishLogin, TrustedDeviceId } from '../../contract/factors.ts'
import type { PendingId, TokenMode } from '../../contract/identity.ts'
import { Problem } from '../../contract/problem.ts'
import type { PasskeyRequestOptions } from '../../contract/webauthn.ts'
import { auditIfChanged } from '../audit/service.ts'
import type { Scope } from '../platform/scope.ts'
import { drawChallenge, requestOptions } from './ceremony.ts'
import { proveFactor } from './factor-proof.ts'
import { type DeviceMark, shownDevice } from './known-device.ts'
import { passkeysOf } from './passkey-store.ts'
import { closePending, isPending, openPending, takeTry } from './pending-store.ts'
import { knownPlace } from './place-store.ts'
import { markOf, newSession, startSession } from './sign-in.ts'
import { userById } from './store.ts'
import type { pendingSignIns } from './tables.ts'
import { tokensFor } from './tokens.ts'
import { drawTrustToken, trustExpiry, trustHash } from './trust.ts'
import { insertTrust } from './trust-store.ts'

const purposeOf = (id: PendingId) => ({ ceremony: 'factor', binding: id }) as const

/** What a passkey must sign to be the second factor. @throws Problem `sign-in-ended` */
export async function startFactorPasskey(scope: Scope, id: PendingId): Promise<PasskeyRequestOptions> {
  const [pending] = await openPending(scope.db, id, scope.now())
  if (!pending) throw new Problem('sign-in-ended')
  const challenge = await drawChallenge(scope, purposeOf(id))
  return requestOptions(scope, challenge, await passkeysOf(scope.db, pending.userId))
}

/** What came of a sign-in, and how its tokens travel. */
export interface Finished {
  readonly answer: FinishedLogin
  readonly mode: TokenMode
}

/**
 * Finishes a sign-in with its second factor. A try is taken before anything is compared; of calls that race, one starts the session.
 *
 * @throws Problem `code-invalid`, `passkey-invalid`, `rate-limited`, or `sign-in-ended` when there is nothing left to finish
 */
export async function finishLogin(
  scope: Scope,
  { pendingId: id, proof, trustDevice, deviceToken }: FinishLogin,
  deviceCookie: string | undefined,
): Promise<Finished> {
  const [pending] = await takeTry(scope.db, id, scope.now())
  if (!pending) throw new Problem('sign-in-ended')
  const [[user], [known]] = await scope.db.batch([userById(scope.db, pending.userId), knownPlace(scope.db, pending)])
  if (!user) throw new Problem('sign-in-ended')
  const door = known ? { knownPlace: known.place } : 'anywhere'
  const methods = await proveFactor(scope, user, { proof, purpose: purposeOf(id), door })
  const session = newSession(scope, user, {
    mode: pending.mode,
    device: { browser: pending.browser, system: pending.system, country: pending.country, city: pending.city },
    deviceName: pending.name ?? undefined,
    amr: [...new Set([...pending.amr.split(' '), ...methods])].join(' '),
  })
  const trust = trustDevice ? drawTrustToken() : undefined
  const shown = await shownDevice(pending.mode === 'cookie' ? deviceCookie : deviceToken)
  const mark = await markOf(scope, session, { shown })
  await start(scope, { pending, user, session, trust, mark })
  const tokens = { ...(await tokensFor(scope, session)), deviceToken: mark.deviceToken }
  return { answer: { ...tokens, ...(trust !== undefined && { trustToken: trust }) }, mode: pending.mode }
}

interface Finish {
  readonly pending: typeof pendingSignIns.$inferSelect
  readonly user: Parameters<typeof startSession>[1]
  readonly session: ReturnType<typeof newSession>
  readonly trust: string | undefined
  readonly mark: DeviceMark
}

async function start(scope: Scope, { pending, user, session, trust, mark }: Finish): Promise<void> {
  const { db } = scope
  const now = session.createdAt
  const trusting =
    trust === undefined
      ? []
      : [
          insertTrust(db, session, {
            id: scope.newId('trd') as TrustedDeviceId,
            tokenHash: await trustHash(trust),
            expiresAt: trustExpiry(now),
          }),
          auditIfChanged(scope, { action: 'trust.start', subject: session.id, actorId: session.userId }),
        ]
  const isStarted = await startSession(
    scope,
    // A password that was replaced since the first factor was proven ends the sign-in.
    { ...user, passwordVersion: pending.passwordVersion },
    {
      session,
      place: pending.place,
      mark,
      condition: isPending(pending.id, now),
      along: [closePending(db, pending.id, session.id), ...trusting],
    },
  )
  if (!isStarted) throw new Problem('sign-in-ended')
}
