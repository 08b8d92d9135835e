import { and, asc, desc, eq, gt, gte, lt, lte, type SQL, sql } from 'drizzle-orm'
import type { HostId } from '../../contract/hosts.ts'
import type { UserId } from '../../contract/identity.ts'
import type { OrgId, OrgRole } from '../../contract/orgs.ts'
import { OVERSIGHT_DEFAULT, type Oversight } from '../../contract/oversight.ts'
import type { RecordingKind } from '../../contract/recordings.ts'
import type { ShellId } from '../../contract/shell.ts'
import { orgRoleSql } from '../orgs/service.ts'
import type { Db } from '../platform/db.ts'
import type { Ask } from './store.ts'
import { recordingChunks as c, shellOversight as o, recordings as r } from './tables.ts'

/** A row of `recordings`. */
export type RecordingRow = typeof r.$inferSelect
/** A row of `shell_oversight`. */
export type OversightRow = typeof o.$inferSelect
/** A row of `recording_chunks`. */
export type ChunkRow = typeof c.$inferSelect

export const oversightOf = (db: Db, orgId: OrgId | SQL) => db.select().from(o).where(eq(o.orgId, orgId)).limit(1)

/** One row per organisation, while the caller owns it. */
export const putOversight = (db: Db, of: { readonly orgId: OrgId; readonly callerId: UserId; readonly now: number }, wanted: Oversight) =>
  db
    .insert(o)
    .select(
      sql`SELECT ${of.orgId} AS org_id, ${Number(wanted.isStrict)} AS is_strict, ${Number(wanted.recordsInput)} AS records_input,
        ${Number(wanted.isOpen)} AS is_open, ${wanted.retentionDays} AS retention_days, ${Number(wanted.needsWatcher)} AS needs_watcher,
        ${of.now} AS updated_at WHERE ${orgRoleSql(of.orgId, of.callerId)} = 'owner'`,
    )
    .onConflictDoUpdate({ target: o.orgId, set: { ...wanted, updatedAt: of.now } })

/** What begins with a shell or a command. */
export interface NewRecordingRow {
  readonly id: ShellId
  readonly kind: RecordingKind
  readonly columns: number
  readonly rows: number
  readonly now: number
}

/** Put right behind the statement that makes the row of the shell or command: without that row there is none of this. */
export const insertRecording = (db: Db, { id, kind, columns, rows, now }: NewRecordingRow) => {
  const from = kind === 'pty' ? sql`shells` : sql`shell_commands`
  return db.insert(r).select(
    sql`SELECT started.id AS id, started.org_id AS org_id, started.host_id AS host_id, started.user_id AS user_id, ${kind} AS kind,
        ${columns} AS columns, ${rows} AS rows, 0 AS bytes, 0 AS chunks, 0 AS gaps, 0 AS duration_ms, ${now} AS started_at, NULL AS ended_at,
        NULL AS hash, NULL AS signed
      FROM ${from} AS started WHERE started.id = ${id}`,
  )
}

/** A chunk in the index while its recording stands there; written again it replaces itself. The second statement tells whether it does. */
export const keepChunkRow = (
  db: Db,
  row: ChunkRow,
  whole: { readonly bytes: number; readonly gaps: number; readonly durationMs: number },
) =>
  [
    db
      .insert(c)
      .select(
        sql`SELECT id AS recording_id, ${row.seq} AS seq, ${row.atMs} AS at_ms, ${row.firstOffset} AS first_offset, ${row.bytes} AS bytes,
          ${row.prevHash} AS prev_hash, ${row.hash} AS hash, ${row.mac} AS mac FROM recordings WHERE id = ${row.recordingId}`,
      )
      .onConflictDoUpdate({ target: [c.recordingId, c.seq], set: row }),
    db
      .update(r)
      .set({ ...whole, chunks: row.seq + 1, hash: row.hash })
      .where(eq(r.id, row.recordingId)),
  ] as const

/** The end of a recording, with the statement about it. */
export const endRecording = (
  db: Db,
  id: ShellId,
  end: { readonly hash: string; readonly signed: string; readonly durationMs: number; readonly endedAt: number },
) => db.update(r).set(end).where(eq(r.id, id))

/** Everything that D1 holds of a recording. */
export const deleteRecording = (db: Db, id: ShellId) =>
  [db.delete(c).where(eq(c.recordingId, id)), db.delete(r).where(eq(r.id, id))] as const

const isOpen = sql`(SELECT open.is_open FROM shell_oversight AS open WHERE open.org_id = recordings.org_id)`
const recordingRole = (callerId: UserId) => orgRoleSql(sql`recordings.org_id`, callerId)

/** Owners, whoever opened it while they are a member, and every member where the organisation is open. */
const mayWatch = (callerId: UserId) =>
  sql<number>`(${recordingRole(callerId)} IS NOT NULL AND
    (${recordingRole(callerId)} = 'owner' OR recordings.user_id = ${callerId} OR coalesce(${isOpen}, ${Number(OVERSIGHT_DEFAULT.isOpen)})))`

/** Seen by members only; whether they may watch it stands beside. */
export const recordingOf = (db: Db, ask: Ask<ShellId>) =>
  db
    .select({ recording: r, role: recordingRole(ask.callerId) as SQL<OrgRole>, mayWatch: mayWatch(ask.callerId) })
    .from(r)
    .where(and(eq(r.id, ask.id), sql`${recordingRole(ask.callerId)} IS NOT NULL`))
    .limit(1)

/** Which recordings are meant. */
export interface RecordingSelection {
  readonly hostId?: HostId | undefined
  readonly userId?: UserId | undefined
  readonly shellId?: ShellId | undefined
  readonly kind?: RecordingKind | undefined
  readonly from?: number | undefined
  readonly to?: number | undefined
}

/** Those that a caller may watch, newest first; `through` is the newest that is meant. */
export const recordingsOf = (
  db: Db,
  of: Ask<OrgId> & RecordingSelection,
  page: { readonly before?: ShellId | undefined; readonly through?: ShellId | undefined; readonly limit: number },
) =>
  db
    .select()
    .from(r)
    .where(
      and(
        eq(r.orgId, of.id),
        mayWatch(of.callerId),
        of.hostId === undefined ? undefined : eq(r.hostId, of.hostId),
        of.userId === undefined ? undefined : eq(r.userId, of.userId),
        of.shellId === undefined ? undefined : eq(r.id, of.shellId),
        of.kind === undefined ? undefined : eq(r.kind, of.kind),
        of.from === undefined ? undefined : gte(r.startedAt, of.from),
        of.to === undefined ? undefined : lt(r.startedAt, of.to),
        page.before === undefined ? undefined : lt(r.id, page.before),
        page.through === undefined ? undefined : lte(r.id, page.through),
      ),
    )
    .orderBy(desc(r.id))
    .limit(page.limit)

/** When what a recording shows ended, if it has. */
export const endOf = (db: Db, id: ShellId) =>
  db.all<{ readonly endedAt: number | null }>(
    sql`SELECT closed_at AS endedAt FROM shells WHERE id = ${id} UNION ALL SELECT ended_at AS endedAt FROM shell_commands WHERE id = ${id}`,
  )

/** Chunks from a place on, in order. */
export const chunksOf = (db: Db, id: ShellId, page: { readonly after: number; readonly limit: number }) =>
  db
    .select()
    .from(c)
    .where(and(eq(c.recordingId, id), gt(c.seq, page.after)))
    .orderBy(asc(c.seq))
    .limit(page.limit)

/** The chunk in which a moment lies. */
export const chunkAt = (db: Db, id: ShellId, atMs: number) =>
  db
    .select({ seq: c.seq })
    .from(c)
    .where(and(eq(c.recordingId, id), lte(c.atMs, atMs)))
    .orderBy(desc(c.seq))
    .limit(1)

/** A recording, whoever asks: for work that nobody sees. */
export const recordingById = (db: Db, id: ShellId) => db.select().from(r).where(eq(r.id, id)).limit(1)

/** Recordings whose retention is over; what still goes on is let be. */
export const expiredRecordings = (db: Db, now: number, limit: number) =>
  db
    .select({ id: r.id, orgId: r.orgId })
    .from(r)
    .leftJoin(o, eq(o.orgId, r.orgId))
    .where(
      sql`${r.startedAt} < ${now} - coalesce(${o.retentionDays}, ${OVERSIGHT_DEFAULT.retentionDays}) * 86400000
        AND NOT EXISTS (SELECT 1 FROM shells AS live WHERE live.id = ${r.id} AND live.closed_at IS NULL)
        AND NOT EXISTS (SELECT 1 FROM shell_commands AS live WHERE live.id = ${r.id} AND live.ended_at IS NULL)`,
    )
    .limit(limit)

/** The index of an organisation that is gone. */
export const deleteOrgRecordings = (db: Db, orgId: OrgId) =>
  [
    db.delete(c).where(sql`${c.recordingId} IN (SELECT id FROM recordings WHERE org_id = ${orgId})`),
    db.delete(r).where(eq(r.orgId, orgId)),
    db.delete(o).where(eq(o.orgId, orgId)),
  ] as const

export const recordingsBy = (db: Db, userId: UserId) => db.select().from(r).where(eq(r.userId, userId)).orderBy(desc(r.id))

/** The organisation's record of what happened on its hosts stays until its time; it names nobody any more. */
export const eraseRecorded = (db: Db, userId: UserId) => db.update(r).set({ userId: null }).where(eq(r.userId, userId))
