import { and, desc, eq, gte, lt, sql } from 'drizzle-orm'
import type { HostId } from '../../contract/hosts.ts'
import type { UserId } from '../../contract/identity.ts'
import type { OrgId } from '../../contract/orgs.ts'
import type { ShellId } from '../../contract/shell.ts'
import { orgRoleSql } from '../orgs/service.ts'
import type { Db } from '../platform/db.ts'
import type { Ask } from './store.ts'
import { shellCommands as c } from './tables.ts'

/** A row of the command log. */
export type CommandRow = typeof c.$inferSelect

/** A place in the log: commands of one moment are told apart by their ids. */
export interface CommandPlace {
  readonly startedAt: number
  readonly id: string
}

/** Which commands are meant. */
export interface CommandSelection {
  readonly userId?: UserId | undefined
  readonly hostId?: HostId | undefined
  readonly shellId?: ShellId | undefined
  readonly kind?: 'exec' | 'pty' | undefined
  readonly exitCode?: number | undefined
  readonly text?: string | undefined
  readonly from?: number | undefined
  readonly to?: number | undefined
}

/** Owners, and every member where the organisation is open, know all; the others their own. */
const mayKnow = ({ id, callerId }: Ask<OrgId>) =>
  sql`(${orgRoleSql(id, callerId)} IS NOT NULL AND (${orgRoleSql(id, callerId)} = 'owner' OR ${c.userId} = ${callerId}
    OR coalesce((SELECT open.is_open FROM shell_oversight AS open WHERE open.org_id = ${id}), 0)))`

/** Those that a caller may know of, newest first. */
export const commandsIn = (
  db: Db,
  of: Ask<OrgId> & CommandSelection,
  page: { readonly before: CommandPlace | undefined; readonly limit: number },
) =>
  db
    .select()
    .from(c)
    .where(
      and(
        eq(c.orgId, of.id),
        mayKnow(of),
        of.userId === undefined ? undefined : eq(c.userId, of.userId),
        of.hostId === undefined ? undefined : eq(c.hostId, of.hostId),
        of.shellId === undefined ? undefined : sql`coalesce(${c.shellId}, ${c.id}) = ${of.shellId}`,
        of.kind === undefined ? undefined : eq(c.kind, of.kind),
        of.exitCode === undefined ? undefined : eq(c.exitCode, of.exitCode),
        of.text === undefined ? undefined : sql`instr(lower(${c.command}), lower(${of.text})) > 0`,
        of.from === undefined ? undefined : gte(c.startedAt, of.from),
        of.to === undefined ? undefined : lt(c.startedAt, of.to),
        page.before && sql`(${c.startedAt}, ${c.id}) < (${page.before.startedAt}, ${page.before.id})`,
      ),
    )
    .orderBy(desc(c.startedAt), desc(c.id))
    .limit(page.limit)

/** A line that a terminal showed when Enter was hit. */
export interface DetectedLine {
  readonly id: string
  readonly command: string
  readonly atMs: number
}

/** Lines of a terminal beside the commands that were run, each once. */
export const insertDetected = (db: Db, recordingId: ShellId, lines: readonly DetectedLine[]) =>
  db.insert(c).select(
    sql`SELECT line.value ->> 'id' AS id, whole.org_id AS org_id, whole.host_id AS host_id, whole.user_id AS user_id,
        line.value ->> 'command' AS command, 'done' AS state, NULL AS problem, NULL AS exit_code, NULL AS signal, NULL AS killed,
        NULL AS stdout_bytes, NULL AS stderr_bytes, NULL AS duration_ms, 0 AS timeout_seconds,
        whole.started_at + (line.value ->> 'atMs') AS started_at, whole.started_at + (line.value ->> 'atMs') AS ended_at, 'pty' AS kind,
        whole.id AS shell_id, line.value ->> 'atMs' AS recording_ms, NULL AS file_bytes, NULL AS file_sha256
      FROM recordings AS whole, json_each(${JSON.stringify(lines)}) AS line
      WHERE whole.id = ${recordingId} AND NOT EXISTS (SELECT 1 FROM shell_commands AS held WHERE held.id = line.value ->> 'id')`,
  )
