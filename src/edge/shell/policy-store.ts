import { and, desc, eq, inArray, lt, or, type SQL, sql } from 'drizzle-orm'
import type { HostId } from '../../contract/hosts.ts'
import type { UserId } from '../../contract/identity.ts'
import type { OrgId, OrgRole } from '../../contract/orgs.ts'
import type { ShellId } from '../../contract/shell.ts'
import {
  ACCESS_REQUEST_HOURS,
  ACCESS_REQUESTS_MAX,
  type AccessRequestId,
  type HostUse,
  type PutShellPolicy,
} from '../../contract/shell-policy.ts'
import { orgRoleSql } from '../orgs/service.ts'
import type { Db } from '../platform/db.ts'
import { grantSql, ruleSql, useSql } from './reach-sql.ts'
import type { Ask } from './store.ts'
import { accessRequests as a, shellPolicies as p } from './tables.ts'

/** A row of `shell_policies`. */
export type PolicyRow = typeof p.$inferSelect
/** A row of `access_requests`. */
export type AccessRow = typeof a.$inferSelect

export const policyOf = (db: Db, orgId: OrgId | SQL) => db.select().from(p).where(eq(p.orgId, orgId)).limit(1)

/** The policy as a whole, while the caller owns the organisation and nobody changed it since version `before`; 0 is none yet. */
export const putPolicy = (
  db: Db,
  at: { readonly orgId: OrgId; readonly callerId: UserId; readonly before: number },
  { uses, stepUp, reach, allow, deny, alerts, fileRoots }: PutShellPolicy,
) => {
  const lists = [uses, reach, allow, deny, alerts, fileRoots].map((list) => (list === null ? null : JSON.stringify(list)))
  return db
    .insert(p)
    .select(
      sql`SELECT ${at.orgId} AS org_id, ${lists[0]} AS uses, ${stepUp ? 1 : 0} AS step_up, ${lists[1]} AS reach, ${lists[2]} AS allow,
          ${lists[3]} AS deny, ${lists[4]} AS alerts, ${at.before + 1} AS version, ${lists[5]} AS file_roots
        WHERE ${orgRoleSql(at.orgId, at.callerId)} = 'owner'
          AND coalesce((SELECT version FROM shell_policies WHERE org_id = ${at.orgId}), 0) = ${at.before}`,
    )
    .onConflictDoUpdate({
      target: p.orgId,
      set: Object.fromEntries(
        ['uses', 'step_up', 'reach', 'allow', 'deny', 'alerts', 'version', 'file_roots'].map((name) => [
          toField(name),
          sql.raw(`excluded.${name}`),
        ]),
      ),
    })
}

const toField = (name: string) => name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase())

interface Reach {
  readonly byRule: number
  readonly grantedUntil: number | null
}

interface Reacher {
  readonly hostId: HostId
  readonly userId: UserId
  readonly now: number
}

const reachColumns = ({ userId, now }: Reacher): SQL => sql`${ruleSql(userId, orgRoleSql(sql`hosts.org_id`, userId))} AS byRule,
  (SELECT max(expires_at) FROM access_requests AS granted WHERE ${grantSql(userId, now)}) AS grantedUntil`

/** How somebody reaches a host: by a rule, for as long as that stands; else by an approval, until then. */
export const reachOf = (db: Db, of: Reacher) => db.all<Reach>(sql`SELECT ${reachColumns(of)} FROM hosts WHERE hosts.id = ${of.hostId}`)

/** As {@link reachOf}, and whether the policy lets hosts be used in this way at all. */
export const useOf = (db: Db, of: Reacher & { readonly use: HostUse }) =>
  db.all<Reach & { readonly isUsed: number }>(
    sql`SELECT ${useSql(of.use)} AS isUsed, ${reachColumns(of)} FROM hosts WHERE hosts.id = ${of.hostId}`,
  )

/** Live shells of an organisation whose opener may not reach their host any more. A host that is gone is looked after elsewhere. */
export const stranded = (
  db: Db,
  orgId: OrgId,
  page: { readonly now: number; readonly after?: ShellId | undefined; readonly limit: number },
) => {
  const role = sql`(SELECT held.role FROM org_members AS held WHERE held.org_id = hosts.org_id AND held.user_id = shells.user_id)`
  const reaches = sql`(${ruleSql(sql`shells.user_id`, role)} OR EXISTS (SELECT 1 FROM access_requests AS granted WHERE ${grantSql(sql`shells.user_id`, page.now)}))`
  return db.all<{ readonly id: ShellId }>(
    sql`SELECT shells.id FROM shells JOIN hosts ON hosts.id = shells.host_id
      WHERE shells.org_id = ${orgId} AND shells.closed_at IS NULL AND NOT (${reaches} AND ${useSql('shell')}) AND shells.id > ${page.after ?? ''}
      ORDER BY shells.id LIMIT ${page.limit}`,
  )
}

/** A request while its asker is an operator there and does not ask without end. */
export const insertRequest = (
  db: Db,
  request: Pick<AccessRow, 'id' | 'hostId' | 'userId' | 'reason' | 'seconds'> & { readonly now: number },
) =>
  db.insert(a).select(
    sql`SELECT ${request.id} AS id, hosts.org_id AS org_id, hosts.id AS host_id, ${request.userId} AS user_id, ${request.reason} AS reason,
        ${request.seconds} AS seconds, 'pending' AS state, NULL AS decided_by, ${request.now} AS created_at,
        ${request.now + ACCESS_REQUEST_HOURS * 3_600_000} AS expires_at
      FROM hosts WHERE hosts.id = ${request.hostId} AND ${orgRoleSql(sql`hosts.org_id`, request.userId)} IN ('owner', 'operator')
        AND (SELECT count(*) FROM access_requests AS open WHERE open.user_id = ${request.userId} AND open.state = 'pending'
          AND open.expires_at > ${request.now}) < ${ACCESS_REQUESTS_MAX}`,
  )

const accessRole = (callerId: UserId) => orgRoleSql(sql`access_requests.org_id`, callerId)

/** Those that the caller may see: an owner every one, whoever asked their own. */
export const requestOf = (db: Db, ask: Ask<AccessRequestId>) =>
  db
    .select({ request: a, role: accessRole(ask.callerId) })
    .from(a)
    .where(
      and(
        eq(a.id, ask.id),
        or(sql`${accessRole(ask.callerId)} = 'owner'`, and(eq(a.userId, ask.callerId), sql`${accessRole(ask.callerId)} IS NOT NULL`)),
      ),
    )
    .limit(1)

export const requestsIn = (
  db: Db,
  at: { readonly orgId: OrgId; readonly callerId: UserId; readonly role: OrgRole },
  page: { readonly before?: AccessRequestId | undefined; readonly limit: number },
) =>
  db
    .select()
    .from(a)
    .where(
      and(
        eq(a.orgId, at.orgId),
        at.role === 'owner' ? undefined : eq(a.userId, at.callerId),
        page.before === undefined ? undefined : lt(a.id, page.before),
      ),
    )
    .orderBy(desc(a.id))
    .limit(page.limit)

/** One decision, by an owner who did not ask, while it waits. */
export const decideRequest = (db: Db, ask: Ask<AccessRequestId>, to: { readonly isApproved: boolean; readonly now: number }) =>
  db
    .update(a)
    .set({
      state: to.isApproved ? 'approved' : 'denied',
      decidedBy: ask.callerId,
      ...(to.isApproved ? { expiresAt: sql`${to.now} + ${a.seconds} * 1000` } : {}),
    })
    .where(and(eq(a.id, ask.id), isWaiting(to.now), sql`${a.userId} <> ${ask.callerId}`, sql`${accessRole(ask.callerId)} = 'owner'`))

const isWaiting = (now: number): SQL => sql`${a.state} = 'pending' AND ${a.expiresAt} > ${now}`

export const endRequest = (db: Db, ask: Ask<AccessRequestId>) =>
  db
    .update(a)
    .set({ state: 'ended' })
    .where(
      and(
        eq(a.id, ask.id),
        inArray(a.state, ['pending', 'approved']),
        or(eq(a.userId, ask.callerId), sql`${accessRole(ask.callerId)} = 'owner'`),
      ),
    )

export const requestsOf = (db: Db, userId: UserId) => db.select().from(a).where(eq(a.userId, userId)).orderBy(desc(a.id))

/** Part of erasing a user: what they asked for goes, what they decided names them no more, and no rule does. */
export const erasePolicyTraces = (db: Db, userId: UserId) =>
  [
    db.delete(a).where(eq(a.userId, userId)),
    db.update(a).set({ decidedBy: null }).where(eq(a.decidedBy, userId)),
    db
      .update(p)
      .set({
        reach: sql`(SELECT json_group_array(json(rule.value)) FROM json_each(shell_policies.reach) AS rule
          WHERE rule.value ->> '$.to.userId' IS NOT ${userId})`,
        version: sql`${p.version} + 1`,
      })
      .where(sql`EXISTS (SELECT 1 FROM json_each(shell_policies.reach) AS rule WHERE rule.value ->> '$.to.userId' = ${userId})`),
  ] as const

/** Part of forgetting an organisation that is gone. */
export const deleteOrgPolicy = (db: Db, orgId: OrgId) =>
  [db.delete(a).where(eq(a.orgId, orgId)), db.delete(p).where(eq(p.orgId, orgId))] as const
