import type { ChangePassword } from '../../contract/passwords.ts'
import { Problem } from '../../contract/problem.ts'
import { auditEntry, auditIfChanged } from '../audit/service.ts'
import { chargeFor, spend, tooMany } from '../platform/limiter/limiter.ts'
import { eventAt } from '../platform/mail/message.ts'
import { mailEventIf } from '../platform/mail/outbox.ts'
import { commit } from '../platform/outbox/outbox.ts'
import type { Actor, Scope } from '../platform/scope.ts'
import { forgetSession } from './access-token.ts'
import { admitPassword, demandAnother } from './new-password.ts'
import { hashPassword, verifyPassword } from './password.ts'
import { hasHash, replacePassword } from './password-store.ts'
import { deleteOpenProofsIf } from './proof-store.ts'
import { endSessionsIf, liveSession } from './session-store.ts'
import { userById } from './store.ts'
import type { users } from './tables.ts'

const POINTER = '#/body/newPassword'

/**
 * Replaces the password of whoever knows it. Of calls that race, one wins; to the others their password is no longer the current one.
 *
 * @throws Problem `credentials-invalid` for a wrong current password, `invalid-request` for a new one that the policy refuses,
 * `session-ended` at once, `rate-limited` after too many wrong ones
 */
export async function changePassword(scope: Scope, actor: Actor, { currentPassword, newPassword }: ChangePassword): Promise<void> {
  const [[user], alive] = await scope.db.batch([userById(scope.db, actor.userId), liveSession(scope.db, actor.sessionId, scope.now())])
  if (!user || alive.length === 0) throw ended(actor)
  await prove(scope, user, currentPassword)
  demandAnother({ password: newPassword, pointer: POINTER }, currentPassword)
  const wish = { password: newPassword, email: user.email, pointer: POINTER, subject: user.id } as const
  const unchecked = await admitPassword(scope, wish)
  await put(scope, actor, { user, hash: await hashPassword(scope.config.keyring, newPassword), unchecked })
}

type User = typeof users.$inferSelect

/** Counts as failed until it succeeds, by the ladder of sign-ins: a stolen session must not become a place to guess the password at. */
async function prove(scope: Scope, user: User, password: string): Promise<void> {
  const charge = await chargeFor(scope, 'login', { subject: ['current-password', user.id] })
  const receipt = await spend(scope, { userId: user.id }, [charge])
  if (!receipt.isAdmitted) throw tooMany(scope, receipt)
  const verdict = await verifyPassword(scope.config.keyring, password, user.passwordHash).catch((error: unknown) => {
    receipt.giveBack()
    throw error
  })
  if (verdict !== 'wrong') return receipt.giveBack()
  await commit(scope, [auditEntry(scope, { action: 'password.refuse', subject: user.id, cause: 'current-password' })])
  throw new Problem('credentials-invalid')
}

function ended({ sessionId }: Actor): Problem {
  forgetSession(sessionId)
  return new Problem('session-ended')
}

interface Change {
  readonly user: User
  readonly hash: string
  readonly unchecked: Awaited<ReturnType<typeof admitPassword>>
}

/** The change, the end of all other sessions, the record and the notice: together or not at all. */
async function put(scope: Scope, actor: Actor, { user, hash, unchecked }: Change): Promise<void> {
  const { db } = scope
  const now = scope.now()
  const isDone = hasHash(user.id, hash)
  const notice = await mailEventIf(scope, { to: user.email, locale: user.locale, kind: 'password-changed', event: eventAt(now) }, isDone)
  const [alive, changed, , others] = await db.batch([
    liveSession(db, actor.sessionId, now),
    replacePassword(db, { ...actor, now }, { hash, fromVersion: user.passwordVersion }),
    auditIfChanged(scope, { action: 'password.change', subject: user.id }),
    endSessionsIf(db, { userId: user.id, except: actor.sessionId, now, cause: 'password-changed' }, isDone),
    auditIfChanged(scope, { action: 'session.end-others', subject: user.id, cause: 'password-changed' }),
    ...deleteOpenProofsIf(db, user.id, isDone),
    notice.statement,
    ...unchecked,
  ])
  if (alive.length === 0) throw ended(actor)
  if (changed.meta.changes === 0) throw new Problem('credentials-invalid')
  for (const { id } of others) forgetSession(id)
  scope.deliver([notice.id])
}
