import { and, desc, eq, isNull, lt, sql } from 'drizzle-orm'
import type { HostId, HostKind } from '../../contract/hosts.ts'
import type { UserId } from '../../contract/identity.ts'
import type { OrgId } from '../../contract/orgs.ts'
import { RUN_HOSTS_MAX, RUNS_PER_USER_MAX, type RunId, type RunState, type StartRun } from '../../contract/runs.ts'
import { isAccessLiveSql } from '../identity/service.ts'
import { orgRoleSql } from '../orgs/service.ts'
import type { Db } from '../platform/db.ts'
import type { RunOrder } from './rpc.ts'
import type { Ask } from './store.ts'
import { runs as r } from './tables.ts'

/** A row of `runs`. */
export type RunRow = typeof r.$inferSelect

/** The hosts a run is for, one more than it may have: of this organisation only, by name or by tag. */
export const hostsFor = (db: Db, at: { readonly orgId: OrgId; readonly on: StartRun['on'] }) =>
  db.all<{ readonly id: HostId; readonly name: string; readonly kind: HostKind }>(
    'tag' in at.on
      ? sql`SELECT id, name, kind FROM hosts WHERE org_id = ${at.orgId} AND kind = 'ssh'
          AND EXISTS (SELECT 1 FROM json_each(hosts.tags) WHERE json_each.value = ${at.on.tag}) ORDER BY id LIMIT ${RUN_HOSTS_MAX + 1}`
      : sql`SELECT hosts.id, hosts.name, hosts.kind FROM json_each(${JSON.stringify(at.on.hostIds)}) AS wanted JOIN hosts ON hosts.id = wanted.value
          WHERE hosts.org_id = ${at.orgId} ORDER BY wanted.key`,
  )

/** One row while the caller may act on hosts and has room for a run. */
export const insertRun = (db: Db, run: RunOrder) =>
  db.insert(r).select(
    sql`SELECT ${run.runId} AS id, ${run.orgId} AS org_id, ${run.userId} AS user_id, ${run.command} AS command, ${run.parallel} AS parallel,
        ${run.stopOnFailure ? 1 : 0} AS stop_on_failure, 'running' AS state, ${run.hosts.length} AS hosts, 0 AS succeeded, 0 AS failed,
        ${run.createdAt} AS created_at, NULL AS ended_at
      WHERE ${orgRoleSql(run.orgId, run.userId)} IN ('owner', 'operator')
        AND (SELECT count(*) FROM runs AS live WHERE live.user_id = ${run.userId} AND live.ended_at IS NULL) < ${RUNS_PER_USER_MAX}`,
  )

/** What a run says of itself; its last word stands. */
export const reportRun = (
  db: Db,
  {
    id,
    ...report
  }: { readonly id: RunId; readonly state: RunState; readonly succeeded: number; readonly failed: number; readonly endedAt: number | null },
) =>
  db
    .update(r)
    .set(report)
    .where(and(eq(r.id, id), isNull(r.endedAt)))

const runRole = (callerId: UserId) => orgRoleSql(sql`runs.org_id`, callerId)

/** What ran is shown as its recording is: to owners, to who ran it, and to all members where the organisation says so. */
const mayRead = (callerId: UserId) => sql<number>`(coalesce(${runRole(callerId)}, '') = 'owner' OR runs.user_id = ${callerId}
  OR EXISTS (SELECT 1 FROM shell_oversight AS seen WHERE seen.org_id = runs.org_id AND seen.is_open))`

export const runOf = (db: Db, ask: Ask<RunId>) =>
  db
    .select({ run: r, role: runRole(ask.callerId), mayRead: mayRead(ask.callerId) })
    .from(r)
    .where(and(eq(r.id, ask.id), sql`${runRole(ask.callerId)} IS NOT NULL`))
    .limit(1)

export const isRunThere = (db: Db, id: RunId) => db.select({ id: r.id }).from(r).where(eq(r.id, id)).limit(1)

export const runsIn = (
  db: Db,
  at: { readonly orgId: OrgId; readonly callerId: UserId },
  page: { readonly before?: RunId | undefined; readonly limit: number },
) =>
  db
    .select()
    .from(r)
    .where(
      and(eq(r.orgId, at.orgId), sql`${runRole(at.callerId)} IS NOT NULL`, page.before === undefined ? undefined : lt(r.id, page.before)),
    )
    .orderBy(desc(r.id))
    .limit(page.limit)

export const runsOf = (db: Db, userId: UserId) => db.select().from(r).where(eq(r.userId, userId)).orderBy(desc(r.id))

export const eraseRunner = (db: Db, userId: UserId) => db.update(r).set({ userId: null }).where(eq(r.userId, userId))

export const runsOfOrg = (db: Db, orgId: OrgId, limit: number) => db.select({ id: r.id }).from(r).where(eq(r.orgId, orgId)).limit(limit)

export const deleteOrgRuns = (db: Db, orgId: OrgId, ids: readonly RunId[]) =>
  db.delete(r).where(and(eq(r.orgId, orgId), sql`${r.id} IN (SELECT value FROM json_each(${JSON.stringify(ids)}))`))

/** Whether the access with which a run was started still stands. */
export const accessOf = (db: Db, of: { readonly sessionId: string; readonly userId: UserId; readonly now: number }) =>
  db.select({ isLive: sql<number>`${isAccessLiveSql({ id: of.sessionId, userId: of.userId, now: of.now })}` }).from(sql`(SELECT 1)`)
