import { ACCOUNT_FAULTS } from '../../contract/account-faults.ts'
import { TOTP_ENROLMENT_SECONDS, type TotpEnrolment } from '../../contract/factors.ts'
import { toMoment } from '../../contract/id.ts'
import { Problem } from '../../contract/problem.ts'
import { auditIfChanged } from '../audit/service.ts'
import type { Actor, Scope } from '../platform/scope.ts'
import { afterAdding, afterRemoving, shortPassword } from './enrolment.ts'
import { TOTP_PURPOSE, tryCode } from './factor-proof.ts'
import { confirmTotpFactor, deleteTotpFactor, hasTotpClaim, startTotpFactor, totpOf } from './factor-store.ts'
import { clearBudgetIf } from './password-store.ts'
import { standing } from './standing.ts'
import { drawTotpSecret, otpauthUri, stepOfCode, toBase32 } from './totp.ts'

const actingOf = (scope: Scope, { userId, sessionId }: Actor) => ({ userId, sessionId, now: scope.now() })

/** Draws the secret of an authenticator app, which counts for nothing yet. @throws Problem `conflict` when one is set up */
export async function startTotp(scope: Scope, actor: Actor): Promise<TotpEnrolment> {
  const { user } = await standing(scope, actor)
  const acting = actingOf(scope, actor)
  const secret = drawTotpSecret()
  const sealed = await scope.config.keyring.seal(TOTP_PURPOSE, user.id, secret)
  const started = await startTotpFactor(scope.db, acting, sealed)
  if (started.meta.changes === 0) throw new Problem('conflict', { detail: ACCOUNT_FAULTS.hasTotp })
  return {
    secret: toBase32(secret),
    uri: otpauthUri(secret, { issuer: scope.config.productName, account: user.email }),
    expiresAt: toMoment(acting.now + TOTP_ENROLMENT_SECONDS * 1000),
  }
}

/**
 * Makes the authenticator app count, once a code shows that it works.
 *
 * @throws Problem `code-invalid` when the code is wrong or there is nothing to confirm here, `rate-limited`
 */
export async function confirmTotp(scope: Scope, actor: Actor, code: string): Promise<{ recoveryCodes: string[] }> {
  const { user } = await standing(scope, actor)
  const use = (budget: string) => confirm(scope, actor, { user, code, budget })
  return { recoveryCodes: await tryCode(scope, user, { cause: 'totp', door: 'session', use }) }
}

interface Confirmation {
  readonly user: Awaited<ReturnType<typeof standing>>['user']
  readonly code: string
  readonly budget: string
}

/** Answers the recovery codes that came with it, or nothing when it was not to be confirmed. */
async function confirm(scope: Scope, actor: Actor, { user, code, budget }: Confirmation): Promise<string[] | undefined> {
  const { db } = scope
  const acting = actingOf(scope, actor)
  const [factor] = await totpOf(db, user.id)
  if (!factor) return undefined
  const step = await stepOfCode(await scope.config.keyring.open(TOTP_PURPOSE, user.id, factor.secret), code, acting.now)
  if (step === undefined) return undefined
  const claim = scope.newId('clm')
  const isDone = hasTotpClaim(user.id, claim)
  const after = await afterAdding(scope, { user, acting, factor: 'totp' }, { isDone, methods: ['otp'] })
  const [confirmed, , , ended, , brought] = await db.batch([
    confirmTotpFactor(db, acting, { secret: factor.secret, step, claim }),
    auditIfChanged(scope, { action: 'totp.add', subject: user.id }),
    ...after.statements,
    clearBudgetIf(db, budget, isDone),
  ])
  if (confirmed.meta.changes === 0) return undefined
  after.end.tell(ended)
  scope.deliver(after.noticeIds)
  return brought.meta.changes > 0 ? after.codes : []
}

/** Removes the authenticator app. @throws Problem `not-found`, or `conflict` while the password is too short to stand alone */
export async function removeTotp(scope: Scope, actor: Actor): Promise<void> {
  const { db } = scope
  const { user, enrolment } = await standing(scope, actor)
  if (enrolment.hasTotp === 0) throw new Problem('not-found')
  const acting = actingOf(scope, actor)
  const after = await afterRemoving(scope, { user, acting, factor: 'totp' })
  const [removed] = await db.batch([
    deleteTotpFactor(db, acting),
    auditIfChanged(scope, { action: 'totp.remove', subject: user.id }),
    ...after.statements,
  ])
  if (removed.meta.changes === 0) throw shortPassword()
  scope.deliver([after.noticeId])
}
