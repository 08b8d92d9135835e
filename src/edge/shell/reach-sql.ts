import { type SQL, sql } from 'drizzle-orm'
import type { UserId } from '../../contract/identity.ts'
import type { HostUse } from '../../contract/shell-policy.ts'

/** Whether owners, rules, or the want of any rule let a user reach the host of the row `hosts`. */
export const ruleSql = (userId: SQL | UserId, role: SQL): SQL => sql`(${role} = 'owner' OR (
  NOT EXISTS (SELECT 1 FROM shell_policies AS bound WHERE bound.org_id = hosts.org_id AND bound.reach IS NOT NULL)
  OR EXISTS (SELECT 1 FROM shell_policies AS bound, json_each(bound.reach) AS rule, json_each(rule.value, '$.tags') AS tag
    WHERE bound.org_id = hosts.org_id AND (rule.value ->> '$.to.userId' = ${userId} OR rule.value ->> '$.to.role' = ${role})
      AND (tag.value = '*' OR EXISTS (SELECT 1 FROM json_each(hosts.tags) AS own WHERE own.value = tag.value)))))`

/** Whether the organisation of the row `hosts` lets hosts be used in this way at all. */
export const useSql = (use: HostUse): SQL => sql`NOT EXISTS (SELECT 1 FROM shell_policies AS bound WHERE bound.org_id = hosts.org_id
  AND bound.uses IS NOT NULL AND NOT EXISTS (SELECT 1 FROM json_each(bound.uses) AS allowed WHERE allowed.value = ${use}))`

/** The approvals that let a user reach the host of the row `hosts` now; of `access_requests` under the name `granted`. */
export const grantSql = (userId: SQL | UserId, now: number): SQL => sql`granted.host_id = hosts.id AND granted.org_id = hosts.org_id
  AND granted.user_id = ${userId} AND granted.state = 'approved' AND granted.expires_at > ${now}`

/** Whether a user may reach the host of the row `hosts` now. */
export const reachSql = (of: { readonly userId: UserId; readonly role: SQL; readonly now: number }): SQL =>
  sql`(${ruleSql(of.userId, of.role)} OR EXISTS (SELECT 1 FROM access_requests AS granted WHERE ${grantSql(of.userId, of.now)}))`
