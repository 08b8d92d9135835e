import { sql } from 'drizzle-orm'
import type { ManagedUser, ManagedUserDetail, UserQuery } from '../../contract/admin.ts'
import { toMoment } from '../../contract/id.ts'
import { UserId } from '../../contract/identity.ts'
import { type Permission, PlatformRole } from '../../contract/permission.ts'
import { Problem } from '../../contract/problem.ts'
import { SESSIONS_PER_USER_MAX } from '../../contract/sessions.ts'
import { auditIfChanged } from '../audit/service.ts'
import { eventAt } from '../platform/mail/message.ts'
import { mailEventIf } from '../platform/mail/outbox.ts'
import { afterKey, toPage } from '../platform/page.ts'
import type { Actor, Scope } from '../platform/scope.ts'
import { forgetEverySession } from './access-token.ts'
import {
  barBy,
  disableUserBy,
  enableUserBy,
  endBarred,
  isDisabledAt,
  type Mandate,
  managedUser,
  mayAct,
  usersBy,
  voidPasswordOfFactored,
} from './admin-store.ts'
import { endKeysIf } from './api-key-store.ts'
import { deleteFactorsSinceIf, enrolmentOf } from './factor-store.ts'
import { forgetDevicesIf } from './known-device-store.ts'
import { hashPassword } from './password.ts'
import { hasHash } from './password-store.ts'
import { deletePendingsIf } from './pending-store.ts'
import { drawToken } from './proof.ts'
import { grantRoleIf, isDispensable, revokeRoleIf } from './role-store.ts'
import { everybodysEnd, sessionEnd } from './session-end.ts'
import { endSessionsIf, liveSessionsOf } from './session-store.ts'
import { actingOf, toDevice } from './sessions.ts'
import { deleteTrustsIf } from './trust-store.ts'

type Row = Awaited<ReturnType<typeof usersBy>>[number]

const toManaged = ({ id, email, locale, roles, createdAt, disabledAt }: Row): ManagedUser => ({
  id,
  email,
  locale,
  roles,
  createdAt: toMoment(createdAt),
  disabledAt: disabledAt === null ? null : toMoment(disabledAt),
})

/** The users that a query finds. @throws Problem `invalid-request` */
export async function listUsers(scope: Scope, query: UserQuery) {
  const key = afterKey(query)
  const after = key === undefined ? undefined : UserId.safeParse(key)
  if (after?.success === false)
    throw new Problem('invalid-request', { errors: [{ detail: 'is not a cursor of this list', pointer: '#/query/cursor' }] })
  return toPage(await usersBy(scope.db, query, after?.data), query, { key: ({ id }) => id, item: toManaged })
}

/** One user in detail. @throws Problem `not-found` */
export async function getUser(scope: Scope, actor: Actor, userId: UserId): Promise<ManagedUserDetail> {
  const { db } = scope
  const by = mandateOf(scope, actor, 'users.read')
  const [[user], [enrolment], sessions] = await db.batch([
    managedUser(db, userId, by),
    enrolmentOf(db, userId),
    liveSessionsOf(db, { ...by, userId }, SESSIONS_PER_USER_MAX),
  ])
  if (!user || !enrolment) throw new Problem('not-found')
  const { hasPassword, hasTotp, passkeys, recoveryCodes } = enrolment
  return {
    ...toManaged(user),
    factors: { hasPassword: hasPassword > 0, hasTotp: hasTotp > 0, passkeys, recoveryCodesLeft: recoveryCodes },
    sessions: sessions.map(toDevice),
  }
}

type Managed = Awaited<ReturnType<typeof managedUser>>[number]

/** Why nothing was changed, if something was to be. @throws Problem `not-found`, `forbidden` or `last-admin` */
function demandChangeable(user: Managed | undefined, isAdminAtStake = false): asserts user is Managed {
  if (!user) throw new Problem('not-found')
  if (user.mayAct === 0) throw new Problem('forbidden')
  if (isAdminAtStake && user.isDispensable === 0) throw new Problem('last-admin')
}

/** A user, and whoever changes something about them. */
interface Target {
  readonly scope: Scope
  readonly actor: Actor
  readonly userId: UserId
}

const mandateOf = (scope: Scope, actor: Actor, permission: Permission): Mandate => ({ ...actingOf(scope, actor), permission })

/** Shuts a user out at once; again is fine. @throws Problem `not-found`, `forbidden` or `last-admin` */
export async function disableUser({ scope, actor, userId }: Target, reason: string): Promise<void> {
  const { db } = scope
  const by = mandateOf(scope, actor, 'users.manage')
  const isDone = isDisabledAt(userId, by.now)
  const end = await sessionEnd(scope, { userId, now: by.now })
  const [[before], disabled, , ended, , keys] = await db.batch([
    managedUser(db, userId, by),
    disableUserBy(db, userId, by),
    auditIfChanged(scope, { action: 'user.disable', subject: userId, cause: reason }),
    endSessionsIf(db, { userId, now: by.now, cause: 'disabled' }, isDone),
    auditIfChanged(scope, { action: 'session.end-all', subject: userId, cause: 'disabled' }),
    endKeysIf(db, { userId, now: by.now }, isDone),
    deletePendingsIf(db, userId, isDone),
    deleteTrustsIf(db, userId, isDone),
    forgetDevicesIf(db, { userId }, isDone),
    end.statement,
  ])
  if (disabled.meta.changes === 0) return demandChangeable(before, before?.disabledAt === null)
  end.tell([...ended, ...keys])
}

/** Lets a disabled user sign in again; again is fine. @throws Problem `not-found` or `forbidden` */
export async function enableUser({ scope, actor, userId }: Target, reason: string): Promise<void> {
  const by = mandateOf(scope, actor, 'users.manage')
  const [[before]] = await scope.db.batch([
    managedUser(scope.db, userId, by),
    enableUserBy(scope.db, userId, by),
    auditIfChanged(scope, { action: 'user.enable', subject: userId, cause: reason }),
  ])
  demandChangeable(before)
}

/** Ends all that a user has begun until now, and what is being begun. @throws Problem `not-found` or `forbidden` */
export async function endUserSessions({ scope, actor, userId }: Target): Promise<void> {
  const { db } = scope
  const by = mandateOf(scope, actor, 'users.manage')
  const end = await sessionEnd(scope, { userId, now: by.now })
  const [[before], , , sessions, keys] = await db.batch([
    managedUser(db, userId, by),
    barBy(db, userId, by),
    auditIfChanged(scope, { action: 'session.end-all', subject: userId, cause: 'admin' }),
    ...endBarred(db, { userId, now: by.now, cause: 'admin' }),
    end.statement,
  ])
  demandChangeable(before)
  end.tell([...sessions, ...keys])
}

/**
 * Frees a user of the factors that they have lost. Their password goes too: who talked an admin into this must still read the mailbox.
 * Again is fine.
 *
 * @throws Problem `not-found` or `forbidden`
 */
export async function removeUserFactors({ scope, actor, userId }: Target, reason: string): Promise<void> {
  const { db } = scope
  const by = mandateOf(scope, actor, 'users.manage')
  const [before] = await managedUser(db, userId, by)
  demandChangeable(before)
  const passwordHash = await hashPassword(scope.config.keyring, drawToken())
  const isDone = hasHash(userId, passwordHash)
  const mail = { to: before.email, locale: before.locale, kind: 'factors-removed', event: eventAt(by.now) } as const
  const [end, notice] = await Promise.all([sessionEnd(scope, { userId, now: by.now }), mailEventIf(scope, mail, isDone)])
  const [[now], removed, , ended] = await db.batch([
    managedUser(db, userId, by),
    voidPasswordOfFactored(db, userId, { by, passwordHash }),
    auditIfChanged(scope, { action: 'factors.remove', subject: userId, cause: reason }),
    endSessionsIf(db, { userId, now: by.now, cause: 'factors-removed' }, isDone),
    auditIfChanged(scope, { action: 'session.end-all', subject: userId, cause: 'factors-removed' }),
    ...deleteFactorsSinceIf(db, userId, { since: 0, condition: isDone }),
    deletePendingsIf(db, userId, isDone),
    deleteTrustsIf(db, userId, isDone),
    forgetDevicesIf(db, { userId }, isDone),
    notice.statement,
    end.statement,
  ])
  if (removed.meta.changes === 0) return demandChangeable(now)
  end.tell(ended)
  scope.deliver([notice.id])
}

/** Ends all that anybody has begun until now. @throws Problem `forbidden` */
export async function endAllSessions(scope: Scope, actor: Actor): Promise<void> {
  const by = mandateOf(scope, actor, 'users.manage')
  const end = await everybodysEnd(scope, by.now)
  const [barred] = await scope.db.batch([
    barBy(scope.db, '', by),
    auditIfChanged(scope, { action: 'session.end-all', subject: 'everybody', cause: 'admin' }),
    end.statement,
  ])
  if (barred.meta.changes === 0) throw new Problem('forbidden')
  forgetEverySession()
  scope.deliver([end.id])
}

/** Gives a user these roles and no others: all of the change or nothing. @throws Problem `not-found`, `forbidden` or `last-admin` */
export async function setUserRoles({ scope, actor, userId }: Target, roles: readonly PlatformRole[]): Promise<ManagedUser> {
  const { db } = scope
  const by = mandateOf(scope, actor, 'roles.assign')
  const staysAdmin = roles.includes('admin')
  const condition = staysAdmin ? mayAct(by) : sql`${mayAct(by)} AND ${isDispensable(userId)}`
  const given = PlatformRole.options.filter((role) => roles.includes(role))
  // The role that allows this goes last: an admin may lay down their own.
  const taken = PlatformRole.options.filter((role) => !roles.includes(role)).reverse()
  const change = (role: PlatformRole) => ({ userId, role, by: actor.userId, now: by.now })
  const [[before]] = await db.batch([
    managedUser(db, userId, by),
    ...given.flatMap((role) => [
      grantRoleIf(db, change(role), condition),
      auditIfChanged(scope, { action: 'role.grant', subject: userId, cause: role }),
    ]),
    ...taken.flatMap((role) => [
      revokeRoleIf(db, change(role), condition),
      auditIfChanged(scope, { action: 'role.revoke', subject: userId, cause: role }),
    ]),
  ])
  demandChangeable(before, !staysAdmin)
  return toManaged({ ...before, roles: given })
}
