import { sql } from 'drizzle-orm'
import { ACCOUNT_FAULTS } from '../../contract/account-faults.ts'
import { Problem } from '../../contract/problem.ts'
import { auditIfChanged } from '../audit/service.ts'
import { eventAt } from '../platform/mail/message.ts'
import { mailEventIf } from '../platform/mail/outbox.ts'
import type { Actor, Scope } from '../platform/scope.ts'
import { hasSecond } from './factor-policy.ts'
import { deleteRecoveryCodesIf, insertRecoveryCodesIf } from './factor-store.ts'
import { drawRecoveryCodes, formatRecoveryCode, recoveryMac } from './recovery.ts'
import { isActing } from './session-store.ts'
import { standing } from './standing.ts'
import type { users } from './tables.ts'

/** A set of recovery codes: as it is shown once, and as it is kept. */
export async function newRecoverySet(scope: Scope, { id }: Pick<typeof users.$inferSelect, 'id'>) {
  const codes = drawRecoveryCodes()
  const macs = await Promise.all(codes.map((code) => recoveryMac(scope.config.keyring, { userId: id, code })))
  return { codes: codes.map(formatRecoveryCode), set: { userId: id, macs, now: scope.now() } }
}

/** Makes a new set of recovery codes; the old one is void. @throws Problem `conflict` without a second factor to stand in for */
export async function makeRecoveryCodes(scope: Scope, actor: Actor): Promise<{ codes: string[] }> {
  const { db } = scope
  const { user, enrolment } = await standing(scope, actor)
  if (!hasSecond(enrolment)) throw new Problem('conflict', { detail: ACCOUNT_FAULTS.noFactor })
  const acting = { userId: actor.userId, sessionId: actor.sessionId, now: scope.now() }
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
