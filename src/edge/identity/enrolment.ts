import { type SQL, sql } from 'drizzle-orm'
import { ACCOUNT_RESTORE_SECONDS } from '../../contract/account.ts'
import { ACCOUNT_FAULTS } from '../../contract/account-faults.ts'
import type { AuthMethod } from '../../contract/identity.ts'
import { MAILED_PAGES } from '../../contract/mailed-link.ts'
import { Problem } from '../../contract/problem.ts'
import { auditIfChanged } from '../audit/service.ts'
import { eventAt, type MailedFactor } from '../platform/mail/message.ts'
import { mailEventIf } from '../platform/mail/outbox.ts'
import type { Scope } from '../platform/scope.ts'
import {
  deleteRecoveryCodesIf,
  hasOneFactor,
  hasRecoveryCodes,
  hasSecondFactor,
  insertRecoveryCodesIf,
  isSingleFactor,
  raiseSession,
} from './factor-store.ts'
import { drawToken, pageLink, tokenHash } from './proof.ts'
import { newRecoverySet } from './recovery-set.ts'
import { sessionEnd } from './session-end.ts'
import { type Acting, endSessionsIf } from './session-store.ts'
import type { users } from './tables.ts'
import { deleteTrustsIf } from './trust-store.ts'
import { insertFactorWayBackIf } from './way-back-store.ts'

type User = typeof users.$inferSelect

/** A change of a user's factors, as the batch that makes it knows it. */
interface Change {
  readonly user: User
  readonly acting: Acting
  readonly factor: MailedFactor
}

/** A password that only a second factor made long enough. */
export const shortPassword = (): Problem => new Problem('conflict', { detail: ACCOUNT_FAULTS.passwordAlone })

/**
 * What follows from a factor that was added, where `isDone` holds: the session that acts has proven it, those that proved less end,
 * no device is trusted any more, the first one brings recovery codes, and the owner is told.
 */
export async function afterAdding(scope: Scope, change: Change, by: { readonly isDone: SQL; readonly methods: readonly AuthMethod[] }) {
  const { db } = scope
  const { user, acting } = change
  const { isDone, methods } = by
  const { codes, set } = await newRecoverySet(scope, user)
  const told = await tellAdded(scope, change, isDone)
  const others = { userId: user.id, except: acting.sessionId, now: acting.now, cause: 'factor-added' } as const
  const end = await sessionEnd(scope, acting)
  const statements = [
    raiseSession(db, acting, { methods: [...methods, 'mfa'], condition: isDone }),
    endSessionsIf(db, others, sql`${isDone} AND ${isSingleFactor}`),
    auditIfChanged(scope, { action: 'session.end-others', subject: user.id, cause: 'factor-added' }),
    insertRecoveryCodesIf(db, set, sql`${isDone} AND NOT ${hasRecoveryCodes(user.id)}`),
    deleteTrustsIf(db, user.id, isDone),
    ...told.statements,
    end.statement,
  ] as const
  return { statements, codes, noticeIds: told.ids, end }
}

/**
 * A mail of what was added. The only factor comes with a way back: whoever stole the password may have added it, and then its owner could
 * neither sign in nor remove it, however often they choose a new password.
 */
async function tellAdded(scope: Scope, { user, acting, factor }: Change, isDone: SQL) {
  const { id: userId, email, locale } = user
  const isOnly = sql`${isDone} AND ${hasOneFactor(userId)}`
  const token = drawToken()
  const expiresAt = acting.now + ACCOUNT_RESTORE_SECONDS * 1000
  const row = { restoreHash: await tokenHash(token), userId, email, addedAt: acting.now, expiresAt }
  const back = {
    link: pageLink(MAILED_PAGES['account-restore'], locale, token),
    app: scope.config.restoreApp,
    minutes: ACCOUNT_RESTORE_SECONDS / 60,
  }
  const mail = { to: email, locale, factor, event: eventAt(acting.now) }
  const [first, more] = await Promise.all([
    mailEventIf(scope, { ...mail, ...back, kind: 'first-factor-added' }, isOnly),
    mailEventIf(scope, { ...mail, kind: 'factor-added' }, sql`${isDone} AND NOT ${hasOneFactor(userId)}`),
  ])
  return { statements: [insertFactorWayBackIf(scope.db, row, isOnly), first.statement, more.statement] as const, ids: [first.id, more.id] }
}

/**
 * What follows from a factor that the statement and the entry right before have removed: no device is trusted any more, recovery codes
 * without a factor to stand in for go, and the owner is told.
 */
export async function afterRemoving(scope: Scope, { user, acting, factor }: Change) {
  const hasChanged = sql`changes() > 0`
  const mail = { to: user.email, locale: user.locale, kind: 'factor-removed', factor, event: eventAt(acting.now) } as const
  const notice = await mailEventIf(scope, mail, hasChanged)
  const statements = [
    notice.statement,
    deleteTrustsIf(scope.db, user.id, hasChanged),
    deleteRecoveryCodesIf(scope.db, user.id, sql`NOT ${hasSecondFactor(user.id)}`),
  ] as const
  return { statements, noticeId: notice.id }
}
