import { type SQL, sql } from 'drizzle-orm'
import type { UserId } from '../../contract/identity.ts'
import { PERMISSIONS, type Permission, type PlatformRole } from '../../contract/permission.ts'
import type { Db } from '../platform/db.ts'
import { platformRoles } from './tables.ts'

/** The roles of a user, as one column. */
export const rolesOf = (userId: SQL) =>
  sql`(SELECT json_group_array(held.role) FROM platform_roles AS held WHERE held.user_id = ${userId})`
    .mapWith((json: string) => JSON.parse(json) as PlatformRole[])
    .as('roles')

/** Whether a user who is not disabled holds a role that allows this. */
export const hasPermission = (userId: UserId, permission: Permission): SQL =>
  sql`EXISTS (SELECT 1 FROM platform_roles AS own JOIN users AS holder ON holder.id = own.user_id
    WHERE own.user_id = ${userId} AND holder.disabled_at IS NULL
    AND own.role IN (SELECT value FROM json_each(${JSON.stringify(PERMISSIONS[permission])})))`

/** Whether the platform has an admin who can act even without this user. */
export const isDispensable = (userId: UserId): SQL =>
  sql`(NOT EXISTS (SELECT 1 FROM platform_roles AS own WHERE own.user_id = ${userId} AND own.role = 'admin')
    OR EXISTS (SELECT 1 FROM platform_roles AS other JOIN users AS peer ON peer.id = other.user_id
      WHERE other.role = 'admin' AND other.user_id <> ${userId} AND peer.disabled_at IS NULL))`

/** A role of a user, and whoever gives or takes it. */
export interface RoleChange {
  readonly userId: UserId
  readonly role: PlatformRole
  readonly by: string
  readonly now: number
}

export const grantRoleIf = (db: Db, { userId, role, by, now }: RoleChange, condition: SQL) =>
  db
    .insert(platformRoles)
    .select(
      sql`SELECT id AS user_id, ${role} AS role, ${by} AS granted_by, ${now} AS granted_at FROM users WHERE id = ${userId} AND ${condition}`,
    )
    .onConflictDoNothing()

export const revokeRoleIf = (db: Db, { userId, role }: RoleChange, condition: SQL) =>
  db.delete(platformRoles).where(sql`${platformRoles.userId} = ${userId} AND ${platformRoles.role} = ${role} AND ${condition}`)

export const roleRowsOf = (db: Db, userId: UserId) => db.select().from(platformRoles).where(sql`${platformRoles.userId} = ${userId}`)
