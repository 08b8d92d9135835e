import { sql } from 'drizzle-orm'
import { ACCOUNT_FAULTS } from '../../contract/account-faults.ts'
import type { ChangePassword } from '../../contract/passwords.ts'
import { Problem } from '../../contract/problem.ts'
import { auditIfChanged } from '../audit/service.ts'
import { eventAt } from '../platform/mail/message.ts'
import { mailEventIf } from '../platform/mail/outbox.ts'
import type { Actor, Scope } from '../platform/scope.ts'
import { forgetSession } from './access-token.ts'
import { provePassword } from './current-password.ts'
import { hasSecond } from './factor-policy.ts'
import { forgetDevicesIf } from './known-device-store.ts'
import { admitPassword, demandAnother, demandLength } from './new-password.ts'
import { removePasswordHash } from './passkey-store.ts'
import { hashPassword } from './password.ts'
import { hasHash, type NewHash, replacePassword } from './password-store.ts'
import { deleteOpenProofsIf } from './proof-store.ts'
import { sessionEnd } from './session-end.ts'
import { endSessionsIf, liveSession } from './session-store.ts'
import { demandStepUp, standing } from './standing.ts'
import type { users } from './tables.ts'
import { deleteTrustsIf } from './trust-store.ts'

const POINTER = '#/body/newPassword'

/**
 * Replaces the password of whoever knows it, and with a second factor or without a password of whoever has just proven themselves.
 * Of calls that race, one wins; to the others their password is no longer the current one.
 *
 * @throws Problem `credentials-invalid` for a wrong current password, `step-up-required`, `invalid-request` for a new one that the
 * policy refuses, `session-ended` at once, `rate-limited` after too many wrong ones
 */
export async function changePassword(scope: Scope, actor: Actor, { currentPassword, newPassword }: ChangePassword): Promise<void> {
  const at = await standingOf(scope, actor)
  const { user, enrolment } = at
  if (hasSecond(enrolment) || enrolment.hasPassword === 0) demandStepUp(scope, at)
  const wish = { password: newPassword, email: user.email, pointer: POINTER, subject: user.id } as const
  if (enrolment.hasPassword > 0) {
    await provePassword(scope, user, currentPassword ?? '')
    demandAnother(wish, currentPassword ?? '')
  }
  const isShort = demandLength(wish, hasSecond(enrolment))
  const unchecked = await admitPassword(scope, wish)
  const hash = await hashPassword(scope.config.keyring, newPassword)
  await put(scope, actor, { user, wanted: { hash, isShort }, unchecked })
}

const standingOf = (scope: Scope, actor: Actor) =>
  standing(scope, actor).catch((error: unknown) => {
    forgetSession(actor.sessionId)
    throw error
  })

type User = typeof users.$inferSelect

function ended({ sessionId }: Actor): Problem {
  forgetSession(sessionId)
  return new Problem('session-ended')
}

interface Change {
  readonly user: User
  readonly wanted: NewHash
  readonly unchecked: Awaited<ReturnType<typeof admitPassword>>
}

/** The change, the end of all other sessions, the record and the notice: together or not at all. */
async function put(scope: Scope, actor: Actor, { user, wanted, unchecked }: Change): Promise<void> {
  const { db } = scope
  const now = scope.now()
  const isDone = hasHash(user.id, wanted.hash)
  const notice = await mailEventIf(scope, { to: user.email, locale: user.locale, kind: 'password-changed', event: eventAt(now) }, isDone)
  const end = await sessionEnd(scope, { userId: user.id, now })
  const [alive, changed, , others] = await db.batch([
    liveSession(db, actor.sessionId, now),
    replacePassword(db, { ...actor, now }, { ...wanted, fromVersion: user.passwordVersion }),
    auditIfChanged(scope, { action: 'password.change', subject: user.id }),
    endSessionsIf(db, { userId: user.id, except: actor.sessionId, now, cause: 'password-changed' }, isDone),
    auditIfChanged(scope, { action: 'session.end-others', subject: user.id, cause: 'password-changed' }),
    ...deleteOpenProofsIf(db, user.id, isDone),
    deleteTrustsIf(db, user.id, isDone),
    forgetDevicesIf(db, { userId: user.id, except: actor.sessionId }, isDone),
    notice.statement,
    end.statement,
    ...unchecked,
  ])
  if (alive.length === 0) throw ended(actor)
  if (changed.meta.changes === 0) throw new Problem('credentials-invalid')
  end.tell(others)
  scope.deliver([notice.id])
}

/**
 * Takes the password away from an account that signs in by passkey. All other sessions end.
 *
 * @throws Problem `conflict` without a passkey or without a password, `session-ended`
 */
export async function removePassword(scope: Scope, actor: Actor): Promise<void> {
  const { db } = scope
  const { user } = await standingOf(scope, actor)
  const now = scope.now()
  const isDone = sql`EXISTS (SELECT 1 FROM users AS holder WHERE holder.id = ${user.id} AND holder.password_hash = ''
    AND holder.password_version = ${user.passwordVersion + 1})`
  const notice = await mailEventIf(scope, { to: user.email, locale: user.locale, kind: 'password-removed', event: eventAt(now) }, isDone)
  const end = await sessionEnd(scope, { userId: user.id, now })
  const [removed, , others] = await db.batch([
    removePasswordHash(db, { ...actor, now }),
    auditIfChanged(scope, { action: 'password.remove', subject: user.id }),
    endSessionsIf(db, { userId: user.id, except: actor.sessionId, now, cause: 'password-removed' }, isDone),
    auditIfChanged(scope, { action: 'session.end-others', subject: user.id, cause: 'password-removed' }),
    ...deleteOpenProofsIf(db, user.id, isDone),
    deleteTrustsIf(db, user.id, isDone),
    forgetDevicesIf(db, { userId: user.id, except: actor.sessionId }, isDone),
    notice.statement,
    end.statement,
  ])
  if (removed.meta.changes === 0) throw new Problem('conflict', { detail: ACCOUNT_FAULTS.noPasskey })
  end.tell(others)
  scope.deliver([notice.id])
}
