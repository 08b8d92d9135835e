import { sql } from 'drizzle-orm'
import { TOTP_ENROLMENT_SECONDS, type TotpEnrolment } from '../../contract/factors.ts'
import { toMoment } from '../../contract/id.ts'
import { Problem } from '../../contract/problem.ts'
import { auditIfChanged } from '../audit/service.ts'
import { chargeFor, spendInD1, tooMany } from '../platform/limiter/limiter.ts'
import { eventAt } from '../platform/mail/message.ts'
import { mailEventIf } from '../platform/mail/outbox.ts'
import type { Actor, Scope } from '../platform/scope.ts'
import { afterAdding, afterRemoving, newRecoverySet } from './enrolment.ts'
import { hasSecond } from './factor-policy.ts'
import { TOTP_PURPOSE } from './factor-proof.ts'
import {
  confirmTotpFactor,
  deleteRecoveryCodesIf,
  deleteTotpFactor,
  hasTotpClaim,
  insertRecoveryCodesIf,
  startTotpFactor,
  totpOf,
} from './factor-store.ts'
import { reopenPasswordIf } from './password-store.ts'
import { isActing } from './session-store.ts'
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
  if (started.meta.changes === 0) throw new Problem('conflict', { detail: 'Remove the authenticator app that is set up first.' })
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
  const { db } = scope
  const { user } = await standing(scope, actor)
  const charge = await chargeFor(scope, 'factor', { subject: [user.id] })
  const receipt = await spendInD1(scope, [charge])
  if (!receipt.isAdmitted) throw tooMany(scope, receipt)
  const acting = actingOf(scope, actor)
  const [factor] = await totpOf(db, user.id)
  if (!factor) throw new Problem('code-invalid')
  const step = await stepOfCode(await scope.config.keyring.open(TOTP_PURPOSE, user.id, factor.secret), code, acting.now)
  if (step === undefined) throw new Problem('code-invalid')
  const claim = scope.newId('clm')
  const isDone = hasTotpClaim(user.id, claim)
  const after = await afterAdding(scope, { user, acting, factor: 'totp' }, { isDone, methods: ['otp'] })
  const [confirmed, , , ended, , brought] = await db.batch([
    confirmTotpFactor(db, acting, { secret: factor.secret, step, claim }),
    auditIfChanged(scope, { action: 'totp.add', subject: user.id }),
    ...after.statements,
    reopenPasswordIf(db, charge.key, isDone),
  ])
  if (confirmed.meta.changes === 0) throw new Problem('code-invalid')
  after.end.tell(ended)
  scope.deliver([after.noticeId])
  return { recoveryCodes: brought.meta.changes > 0 ? after.codes : [] }
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

/** A password that only a second factor made long enough. */
export const shortPassword = (): Problem =>
  new Problem('conflict', { detail: 'Your password is too short to stand alone: choose a longer one first.' })

/** Makes a new set of recovery codes; the old one is void. @throws Problem `conflict` without a second factor to stand in for */
export async function makeRecoveryCodes(scope: Scope, actor: Actor): Promise<{ codes: string[] }> {
  const { db } = scope
  const { user, enrolment } = await standing(scope, actor)
  if (!hasSecond(enrolment)) throw new Problem('conflict', { detail: 'Set up an authenticator app or a passkey first.' })
  const acting = actingOf(scope, actor)
  const { codes, set } = await newRecoverySet(scope, user)
  const mail = { to: user.email, locale: user.locale, kind: 'factor-added', factor: 'recovery-codes', event: eventAt(acting.now) } as const
  const notice = await mailEventIf(scope, mail, sql`changes() > 0`)
  const [, made] = await db.batch([
    deleteRecoveryCodesIf(db, user.id, isActing(acting)),
    insertRecoveryCodesIf(db, set, isActing(acting)),
    auditIfChanged(scope, { action: 'recovery-codes.make', subject: user.id }),
    notice.statement,
  ])
  if (made.meta.changes === 0) throw new Problem('session-ended')
  scope.deliver([notice.id])
  return { codes }
}
