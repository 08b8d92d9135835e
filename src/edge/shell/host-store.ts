import { and, desc, eq, lt, type SQL, sql } from 'drizzle-orm'
import { HOSTS_PER_ORG_MAX, type HostId } from '../../contract/hosts.ts'
import type { UserId } from '../../contract/identity.ts'
import { JUMPS_MAX } from '../../contract/krp.ts'
import type { OrgId } from '../../contract/orgs.ts'
import { orgRoleSql } from '../orgs/service.ts'
import type { Db } from '../platform/db.ts'
import { type Ask, hostRole, isMember } from './store.ts'
import { hosts as h } from './tables.ts'

/** A row of `hosts`. */
export type HostRow = typeof h.$inferSelect

/** The hosts from this one on towards the relay, each with how many lie before it; a cycle ends by itself. */
const wayFrom = (start: HostId | SQL | null) => sql`
  WITH RECURSIVE way (id, org_id, kind, jump_host_id, depth) AS (
    SELECT id, org_id, kind, jump_host_id, 1 FROM hosts WHERE id = ${start}
    UNION ALL SELECT next.id, next.org_id, next.kind, next.jump_host_id, way.depth + 1 FROM hosts AS next JOIN way ON next.id = way.jump_host_id
      WHERE way.depth <= ${JUMPS_MAX})`

/** How many hosts deep others are reached through this one. */
const burdenOf = (id: HostId) => sql`
  (WITH RECURSIVE behind (id, depth) AS (
    SELECT id, 1 FROM hosts WHERE jump_host_id = ${id}
    UNION ALL SELECT next.id, behind.depth + 1 FROM hosts AS next JOIN behind ON next.jump_host_id = behind.id WHERE behind.depth <= ${JUMPS_MAX})
  SELECT coalesce(max(depth), 0) FROM behind)`

/** Whether a host may be reached through this one: of the same organisation, by SSH, not through itself, and never over too many. */
const isSoundWay = (host: { readonly id: HostId; readonly orgId: OrgId }, jumpHostId: HostId | null): SQL =>
  jumpHostId === null
    ? sql`1`
    : sql`(${wayFrom(jumpHostId)} SELECT count(*) > 0 AND count(*) + ${burdenOf(host.id)} <= ${JUMPS_MAX}
        AND sum(way.id = ${host.id}) = 0 AND sum(way.org_id <> ${host.orgId}) = 0 AND sum(way.kind <> 'ssh') = 0 FROM way)`

/** One row while the caller owns the organisation, there is room, and the way there is sound. */
export const insertHost = (db: Db, callerId: UserId, host: HostRow) =>
  db.insert(h).select(
    sql`SELECT ${host.id} AS id, ${host.orgId} AS org_id, ${host.name} AS name, ${host.address} AS address, ${host.port} AS port,
        ${host.user} AS user, ${JSON.stringify(host.keys)} AS keys, ${host.credentialKind} AS credential_kind,
        ${host.credential} AS credential, ${host.createdAt} AS created_at, ${JSON.stringify(host.tags)} AS tags, ${host.algorithms} AS algorithms,
        ${host.keepaliveSeconds} AS keepalive_seconds, ${host.idleTimeoutSeconds} AS idle_timeout_seconds,
        ${host.maxDurationSeconds} AS max_duration_seconds, ${host.jumpHostId} AS jump_host_id, ${host.login} AS login,
        ${host.secretVersion} AS secret_version, NULL AS secret_fault, ${host.kind} AS kind
      WHERE ${orgRoleSql(host.orgId, callerId)} = 'owner'
        AND (SELECT count(*) FROM hosts AS held WHERE held.org_id = ${host.orgId}) < ${HOSTS_PER_ORG_MAX}
        AND ${isSoundWay(host, host.jumpHostId)}`,
  )

/** A change while the caller owns the organisation, nobody changed the way or the credential meanwhile, and the new way is sound. */
export const updateHost = (db: Db, of: { readonly before: HostRow; readonly callerId: UserId }, change: Partial<HostRow>) => {
  const { before, callerId } = of
  return db
    .update(h)
    .set(change)
    .where(
      and(
        eq(h.id, before.id),
        sql`${hostRole(callerId)} = 'owner'`,
        sql`hosts.address = ${before.address} AND hosts.port = ${before.port} AND hosts.jump_host_id IS ${before.jumpHostId}`,
        change.jumpHostId === undefined ? undefined : isSoundWay(before, change.jumpHostId),
      ),
    )
}

export const hostsIn = (
  db: Db,
  at: { readonly orgId: OrgId; readonly callerId: UserId; readonly tag?: string | undefined },
  page: { readonly before?: HostId | undefined; readonly limit: number },
) =>
  db
    .select()
    .from(h)
    .where(
      and(
        eq(h.orgId, at.orgId),
        isMember(hostRole(at.callerId)),
        page.before === undefined ? undefined : lt(h.id, page.before),
        at.tag === undefined ? undefined : sql`EXISTS (SELECT 1 FROM json_each(hosts.tags) WHERE json_each.value = ${at.tag})`,
      ),
    )
    .orderBy(desc(h.id))
    .limit(page.limit)

export const hostOf = (db: Db, ask: Ask<HostId>) =>
  db
    .select({ host: h, role: hostRole(ask.callerId) })
    .from(h)
    .where(and(eq(h.id, ask.id), isMember(hostRole(ask.callerId))))
    .limit(1)

/** The hosts before this one, the first that the relay dials first; of one organisation only. */
export const jumpsTo = (db: Db, host: { readonly orgId: OrgId | SQL; readonly jumpHostId: HostId | SQL | null }) =>
  db
    .select()
    .from(h)
    .where(and(eq(h.orgId, host.orgId), sql`hosts.id IN (${wayFrom(host.jumpHostId)} SELECT id FROM way)`))

/** Gone while the caller owns the organisation and no host is reached through it. */
export const deleteHost = (db: Db, ask: Ask<HostId>) =>
  db
    .delete(h)
    .where(
      and(
        eq(h.id, ask.id),
        sql`${hostRole(ask.callerId)} = 'owner'`,
        sql`NOT EXISTS (SELECT 1 FROM hosts AS behind WHERE behind.jump_host_id = ${ask.id})`,
      ),
    )

/** Nothing is there under this id any more. */
export const isHostGone = (id: HostId): SQL => sql`NOT EXISTS (SELECT 1 FROM hosts WHERE id = ${id})`
