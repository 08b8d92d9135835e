import { and, desc, eq, isNotNull, isNull, lt, type SQL, sql } from 'drizzle-orm'
import type { UserQuery } from '../../contract/admin.ts'
import type { UserId } from '../../contract/identity.ts'
import type { Permission } from '../../contract/permission.ts'
import type { Db } from '../platform/db.ts'
import { hasPasskey, hasRecoveryCodes } from './factor-store.ts'
import { forgetDevicesIf } from './known-device-store.ts'
import { deletePendingsIf } from './pending-store.ts'
import { hasPermission, isDispensable, rolesOf } from './role-store.ts'
import { type Acting, isActing, isBarredAt } from './session-store.ts'
import { apiKeys, notBefores, platformRoles, sessions, users, userWords } from './tables.ts'
import { deleteTrustsIf } from './trust-store.ts'

/** Drizzle leaves the table out where only one is selected from. */
const USER = sql.raw('users.id')

const managed = {
  id: users.id,
  email: users.email,
  locale: users.locale,
  createdAt: users.createdAt,
  disabledAt: users.disabledAt,
  roles: rolesOf(USER),
}

/** Behind every text that goes on from a beginning. */
const LAST_CHARACTER = '\u{10ffff}'

/** Users whose address, or a part of it behind a sign, begins so. A range of an index: it knows no pattern, and scans no table. */
const beginsWith = (text: string): SQL =>
  sql`${users.id} IN (SELECT user_id FROM ${userWords} WHERE word >= ${text} AND word < ${text + LAST_CHARACTER})`

/** The newest first. */
export const usersBy = (db: Db, { text, role, state, limit }: UserQuery, after: UserId | undefined) =>
  db
    .select(managed)
    .from(users)
    .where(
      and(
        after === undefined ? undefined : lt(users.id, after),
        text === undefined ? undefined : beginsWith(text),
        role === undefined ? undefined : sql`${users.id} IN (SELECT user_id FROM platform_roles WHERE role = ${role})`,
        state === undefined ? undefined : state === 'disabled' ? isNotNull(users.disabledAt) : isNull(users.disabledAt),
      ),
    )
    .orderBy(desc(users.id))
    .limit(limit + 1)

/** Who acts, and what they need for it. */
export interface Mandate extends Acting {
  readonly permission: Permission
}

/** Whether whoever acts is still signed in and still allowed to, at the very statement that asks. */
export const mayAct = (by: Mandate): SQL => sql`(${isActing(by)} AND ${hasPermission(by.userId, by.permission)})`

/** A user and what stands in the way of changing them. */
export const managedUser = (db: Db, id: UserId, by: Mandate) =>
  db
    .select({ ...managed, isDispensable: sql<number>`${isDispensable(id)}`, mayAct: sql<number>`${mayAct(by)}` })
    .from(users)
    .where(eq(users.id, id))
    .limit(1)

/** Shuts a user out, unless the platform would be left without an admin. */
export const disableUserBy = (db: Db, id: UserId, by: Mandate) =>
  db
    .update(users)
    .set({ disabledAt: by.now })
    .where(and(eq(users.id, id), isNull(users.disabledAt), isDispensable(id), mayAct(by)))

/** Whether the user has been shut out at this very moment. */
export const isDisabledAt = (id: UserId, at: number): SQL =>
  sql`EXISTS (SELECT 1 FROM users AS shut WHERE shut.id = ${id} AND shut.disabled_at = ${at})`

export const enableUserBy = (db: Db, id: UserId, by: Mandate) =>
  db
    .update(users)
    .set({ disabledAt: null })
    .where(and(eq(users.id, id), isNotNull(users.disabledAt), mayAct(by)))

/** Puts a password that nobody knows where a factor is enrolled; an enrolment that is not confirmed counts too. */
export const voidPasswordOfFactored = (db: Db, id: UserId, to: { readonly by: Mandate; readonly passwordHash: string }) =>
  db
    .update(users)
    .set({ passwordHash: to.passwordHash, passwordVersion: sql`${users.passwordVersion} + 1`, passwordIsShort: 0 })
    .where(
      and(
        eq(users.id, id),
        sql`(${hasPasskey(id)} OR EXISTS (SELECT 1 FROM totp_factors AS tf WHERE tf.user_id = ${id}) OR ${hasRecoveryCodes(id)})`,
        mayAct(to.by),
      ),
    )

/** Ends whatever began until now, of a user or (where empty) of everybody. A rule never goes back in time. */
export const barBy = (db: Db, userId: UserId | '', by: Mandate) =>
  db
    .insert(notBefores)
    .select(sql`SELECT ${userId} AS user_id, ${by.now} AS at WHERE ${mayAct(by)}`)
    .onConflictDoUpdate({ target: notBefores.userId, set: { at: sql`max(${notBefores.at}, excluded.at)` } })

/** Writes into the rows of a user what a rule of this very moment says. */
export const endBarred = (db: Db, { userId, now, cause }: { readonly userId: UserId; readonly now: number; readonly cause: string }) =>
  [
    db
      .update(sessions)
      .set({ endedAt: now, endCause: cause })
      .where(and(eq(sessions.userId, userId), isNull(sessions.endedAt), isBarredAt(userId, now)))
      .returning({ id: sessions.id }),
    db
      .update(apiKeys)
      .set({ endedAt: now })
      .where(and(eq(apiKeys.userId, userId), isNull(apiKeys.endedAt), isBarredAt(userId, now)))
      .returning({ id: apiKeys.id }),
    deletePendingsIf(db, userId, isBarredAt(userId, now)),
    deleteTrustsIf(db, userId, isBarredAt(userId, now)),
    forgetDevicesIf(db, { userId }, isBarredAt(userId, now)),
  ] as const

export const eraseAccess = (db: Db, userId: UserId) =>
  [
    db.delete(platformRoles).where(eq(platformRoles.userId, userId)),
    db.update(platformRoles).set({ grantedBy: 'erased' }).where(eq(platformRoles.grantedBy, userId)),
    db.delete(apiKeys).where(eq(apiKeys.userId, userId)),
    db.delete(notBefores).where(eq(notBefores.userId, userId)),
  ] as const
