import { eq, lt, type SQL, sql } from 'drizzle-orm'
import type { OrgId } from '../../contract/orgs.ts'
import type { ShellId } from '../../contract/shell.ts'
import type { Db } from '../platform/db.ts'
import { shellHookDays as d, shellUsage as u } from './tables.ts'

/** How much of shells one organisation may have; undefined bounds nothing. */
export interface ShellQuotas {
  readonly liveMax: number
  readonly hostLiveMax: number
  readonly minutesMax: number | undefined
  readonly bytesMax: number | undefined
}

/** The month of a moment in UTC, as 202611. */
export function monthOf(at: number): number {
  const date = new Date(at)
  return date.getUTCFullYear() * 100 + date.getUTCMonth() + 1
}

const liveSql = (orgId: SQL) => sql`
  ((SELECT count(*) FROM shells AS live WHERE live.org_id = ${orgId} AND live.closed_at IS NULL) +
   (SELECT count(*) FROM shell_commands AS live WHERE live.org_id = ${orgId} AND live.ended_at IS NULL))`

const liveOnHostSql = (hostId: SQL) => sql`
  ((SELECT count(*) FROM shells AS live WHERE live.host_id = ${hostId} AND live.closed_at IS NULL) +
   (SELECT count(*) FROM shell_commands AS live WHERE live.host_id = ${hostId} AND live.ended_at IS NULL))`

const secondsSql = (orgId: SQL, now: number) => sql`
  (coalesce((SELECT used.seconds FROM shell_usage AS used WHERE used.org_id = ${orgId} AND used.month = ${monthOf(now)}), 0) +
   coalesce((SELECT CAST(sum(${now} - live.created_at) / 1000 AS INTEGER) FROM shells AS live WHERE live.org_id = ${orgId} AND live.closed_at IS NULL), 0))`

const bytesSql = (orgId: SQL, now: number) =>
  sql`coalesce((SELECT used.bytes FROM shell_usage AS used WHERE used.org_id = ${orgId} AND used.month = ${monthOf(now)}), 0)`

interface Place {
  readonly orgId: SQL
  readonly hostId: SQL
}

/** Whether an organisation, and this host of it, have room for one more. */
export const hasRoomSql = ({ orgId, hostId }: Place, { liveMax, hostLiveMax, minutesMax, bytesMax }: ShellQuotas, now: number): SQL =>
  sql.join(
    [
      sql`${liveSql(orgId)} < ${liveMax}`,
      sql`${liveOnHostSql(hostId)} < ${hostLiveMax}`,
      ...(minutesMax === undefined ? [] : [sql`${secondsSql(orgId, now)} < ${minutesMax * 60}`]),
      ...(bytesMax === undefined ? [] : [sql`${bytesSql(orgId, now)} < ${bytesMax}`]),
    ],
    sql` AND `,
  )

/** What an organisation uses now. */
export const usageOf = (db: Db, orgId: OrgId, now: number) =>
  db.all<{ readonly live: number; readonly seconds: number; readonly bytes: number }>(
    sql`SELECT ${liveSql(sql`${orgId}`)} AS live, ${secondsSql(sql`${orgId}`, now)} AS seconds, ${bytesSql(sql`${orgId}`, now)} AS bytes`,
  )

const add = (db: Db, used: SQL) =>
  db
    .insert(u)
    .select(used)
    .onConflictDoUpdate({
      target: [u.orgId, u.month],
      set: { seconds: sql`${u.seconds} + excluded.seconds`, bytes: sql`${u.bytes} + excluded.bytes` },
    })

/** What a shell used, if the statement right before in the batch has ended it. */
export const addShellUsage = (db: Db, { id, now, bytes }: { readonly id: ShellId; readonly now: number; readonly bytes: number }) =>
  add(
    db,
    sql`SELECT ended.org_id AS org_id, ${monthOf(now)} AS month, CAST(max(0, ${now} - ended.created_at) / 1000 AS INTEGER) AS seconds, ${bytes} AS bytes
      FROM shells AS ended WHERE ended.id = ${id} AND changes() > 0`,
  )

/** As {@link addShellUsage}, of a command or a transfer. */
export const addCommandUsage = (db: Db, { id, now }: { readonly id: ShellId; readonly now: number }) =>
  add(
    db,
    sql`SELECT ended.org_id AS org_id, ${monthOf(now)} AS month, CAST(max(0, ${now} - ended.started_at) / 1000 AS INTEGER) AS seconds,
        coalesce(ended.stdout_bytes, 0) + coalesce(ended.stderr_bytes, 0) AS bytes
      FROM shell_commands AS ended WHERE ended.id = ${id} AND changes() > 0`,
  )

/** Part of forgetting an organisation that is gone. */
export const deleteOrgUsage = (db: Db, orgId: OrgId) => db.delete(u).where(eq(u.orgId, orgId))

/** One more answer of a hook today. */
export const countAnswer = (db: Db, answer: Pick<typeof d.$inferSelect, 'day' | 'point' | 'outcome'>) =>
  db
    .insert(d)
    .values({ ...answer, asked: 1 })
    .onConflictDoUpdate({ target: [d.day, d.point, d.outcome], set: { asked: sql`${d.asked} + 1` } })

export const answersOf = (db: Db, day: number) => db.select().from(d).where(eq(d.day, day))

export const deleteOldAnswers = (db: Db, before: number) => db.delete(d).where(lt(d.day, before))

/** How shells stand in the whole deployment. */
export const standing = (db: Db, month: number) =>
  [
    db.all<{ readonly state: string; readonly n: number }>(
      sql`SELECT state, count(*) AS n FROM shells WHERE closed_at IS NULL GROUP BY state`,
    ),
    db.all<{ readonly commands: number; readonly runs: number; readonly seconds: number; readonly bytes: number }>(
      sql`SELECT (SELECT count(*) FROM shell_commands WHERE ended_at IS NULL) AS commands, (SELECT count(*) FROM runs WHERE ended_at IS NULL) AS runs,
          (SELECT coalesce(sum(seconds), 0) FROM shell_usage WHERE month = ${month}) AS seconds,
          (SELECT coalesce(sum(bytes), 0) FROM shell_usage WHERE month = ${month}) AS bytes`,
    ),
  ] as const
