import { and, desc, eq, gt, isNull, lt, ne, or, sql } from 'drizzle-orm'
import type { HostId } from '../../contract/hosts.ts'
import type { UserId } from '../../contract/identity.ts'
import type { OrgId, OrgRole } from '../../contract/orgs.ts'
import { SHELLS_PER_USER_MAX, type ShellId, type ShellState } from '../../contract/shell.ts'
import { isAccessLiveSql } from '../identity/service.ts'
import { orgRoleSql } from '../orgs/service.ts'
import type { Db } from '../platform/db.ts'
import { reachSql } from './reach-sql.ts'
import { type CommandState, shellCommands as c, shells as s } from './tables.ts'
import { hasRoomSql, type ShellQuotas } from './usage-store.ts'

/** Something of an organisation, and the member who asks for it. */
export interface Ask<Id> {
  readonly id: Id
  readonly callerId: UserId
}

/** The caller's role in the organisation of the row; a stranger's NULL makes the row not be there. */
export const hostRole = (callerId: UserId) => orgRoleSql(sql`hosts.org_id`, callerId)
const shellRole = (callerId: UserId) => orgRoleSql(sql`shells.org_id`, callerId)
export const isMember = (role: ReturnType<typeof hostRole>) => sql`${role} IS NOT NULL`

/** Shells and waited commands of a user that hold, or may hold, a connection. */
const liveOf = (userId: UserId) => sql`
  ((SELECT count(*) FROM shells AS live WHERE live.user_id = ${userId} AND live.closed_at IS NULL) +
   (SELECT count(*) FROM shell_commands AS live WHERE live.user_id = ${userId} AND live.ended_at IS NULL))`

/** Role, reach and room in one statement: of parallel calls the one that would exceed the limit meets it. */
const mayStart = ({ userId, now, quotas }: { readonly userId: UserId; readonly now: number; readonly quotas: ShellQuotas }) =>
  sql`${hostRole(userId)} IN ('owner', 'operator') AND ${liveOf(userId)} < ${SHELLS_PER_USER_MAX}
    AND ${hasRoomSql({ orgId: sql`hosts.org_id`, hostId: sql`hosts.id` }, quotas, now)} AND ${reachSql({ userId, role: hostRole(userId), now })}`

/** One row when a user may start something on a host now. */
export const startable = (db: Db, of: { readonly hostId: HostId } & Parameters<typeof mayStart>[0]) =>
  db.all<{ readonly id: HostId }>(sql`SELECT hosts.id AS id FROM hosts WHERE hosts.id = ${of.hostId} AND ${mayStart(of)}`)

/** An interactive shell about to be opened. */
export interface NewShell {
  readonly id: ShellId
  readonly hostId: HostId
  readonly userId: UserId
  readonly now: number
  readonly quotas: ShellQuotas
}

export const insertShell = (db: Db, shell: NewShell) =>
  db.insert(s).select(
    sql`SELECT ${shell.id} AS id, hosts.org_id AS org_id, hosts.id AS host_id, ${shell.userId} AS user_id, 'connecting' AS state,
        NULL AS reason, 0 AS version, ${shell.now} AS created_at, ${shell.now} AS updated_at, NULL AS closed_at
      FROM hosts WHERE hosts.id = ${shell.hostId} AND ${mayStart(shell)}`,
  )

/** A command about to run. */
export interface NewCommand {
  readonly id: ShellId
  readonly hostId: HostId
  readonly userId: UserId
  readonly command: string
  readonly timeoutSeconds: number
  readonly now: number
  readonly quotas: ShellQuotas
}

export const insertCommand = (db: Db, command: NewCommand) =>
  db.insert(c).select(
    sql`SELECT ${command.id} AS id, hosts.org_id AS org_id, hosts.id AS host_id, ${command.userId} AS user_id, ${command.command} AS command,
        'running' AS state, NULL AS problem, NULL AS exit_code, NULL AS signal, NULL AS killed, NULL AS stdout_bytes, NULL AS stderr_bytes,
        NULL AS duration_ms, ${command.timeoutSeconds} AS timeout_seconds, ${command.now} AS started_at, NULL AS ended_at,
        'exec' AS kind, NULL AS shell_id, NULL AS recording_ms, NULL AS file_bytes, NULL AS file_sha256
      FROM hosts WHERE hosts.id = ${command.hostId} AND ${mayStart(command)}`,
  )

const commandRole = (callerId: UserId) => orgRoleSql(sql`shell_commands.org_id`, callerId)

/** A command that was run, and the caller's role where it ran. */
export const commandFor = (db: Db, ask: Ask<ShellId>) =>
  db
    .select({ command: c, role: commandRole(ask.callerId) })
    .from(c)
    .where(and(eq(c.id, ask.id), eq(c.kind, 'exec'), isMember(commandRole(ask.callerId))))
    .limit(1)

/** What the command log says of a command. */
export const commandOf = (db: Db, id: ShellId) => db.select().from(c).where(eq(c.id, id)).limit(1)

/** How a command ended. */
export interface CommandEnd {
  readonly state: Exclude<CommandState, 'running'>
  readonly problem?: string | null
  readonly exitCode?: number | null
  readonly signal?: string | null
  readonly killed?: 'confirmed' | 'unconfirmed' | null
  readonly stdoutBytes?: number
  readonly stderrBytes?: number
  readonly durationMs?: number
  readonly fileBytes?: number
  readonly fileSha256?: string
  readonly endedAt: number
}

/** The first word on an end stands. */
export const endCommand = (db: Db, id: ShellId, end: CommandEnd) =>
  db
    .update(c)
    .set(end)
    .where(and(eq(c.id, id), isNull(c.endedAt)))

/** Commands are recorded, transfers are not; a recording lives longer than what it shows. */
const useOfCommand = sql<'exec' | 'files'>`iif(EXISTS (SELECT 1 FROM recordings AS whole WHERE whole.id = ${c.id}), 'exec', 'files')`

/** Commands whose object must be dead: nobody ended them long after they should have. */
export const lostCommands = (db: Db, at: { readonly now: number; readonly slackMs: number }, limit: number) =>
  db
    .select({ id: c.id, orgId: c.orgId, use: useOfCommand })
    .from(c)
    .where(and(isNull(c.endedAt), sql`${c.startedAt} + ${c.timeoutSeconds} * 1000 + ${at.slackMs} < ${at.now}`))
    .orderBy(c.startedAt)
    .limit(limit)

/** Sees rows of members only, whatever id is asked for. */
export const shellOf = (db: Db, ask: Ask<ShellId>) =>
  db
    .select({ shell: s, role: shellRole(ask.callerId) })
    .from(s)
    .where(and(eq(s.id, ask.id), isMember(shellRole(ask.callerId))))
    .limit(1)

/** As {@link shellOf}, and whether the session that asks is still live. */
export const shellAtDoor = (db: Db, ask: Ask<ShellId> & { readonly sessionId: string; readonly now: number }) =>
  db
    .select({ shell: s, role: shellRole(ask.callerId), isSessionLive: isSessionLive(ask) })
    .from(s)
    .where(and(eq(s.id, ask.id), isMember(shellRole(ask.callerId))))
    .limit(1)

const isSessionLive = (of: { readonly sessionId: string; readonly callerId: UserId; readonly now: number }) =>
  sql<number>`${isAccessLiveSql({ id: of.sessionId, userId: of.callerId, now: of.now })}`

/** A user with one of their sessions. */
export interface Watcher {
  readonly userId: UserId
  readonly sessionId: string
}

/** How each of these people stands now: their role in the organisation and whether their session lives. */
export const standingOf = (db: Db, at: { readonly orgId: OrgId; readonly now: number }, people: readonly Watcher[]) =>
  db.all<{ readonly userId: UserId; readonly sessionId: string; readonly role: OrgRole | null; readonly isSessionLive: number }>(
    sql`SELECT asked.value ->> 'userId' AS userId, asked.value ->> 'sessionId' AS sessionId,
        (SELECT held.role FROM org_members AS held WHERE held.org_id = ${at.orgId} AND held.user_id = asked.value ->> 'userId') AS role,
        ${isAccessLiveSql({ id: sql`asked.value ->> 'sessionId'`, userId: sql`asked.value ->> 'userId'`, now: at.now })} AS isSessionLive
      FROM json_each(${JSON.stringify(people)}) AS asked`,
  )

export const shellsOf = (db: Db, userId: UserId, page: { readonly before?: ShellId | undefined; readonly limit: number }) =>
  db
    .select()
    .from(s)
    .where(and(eq(s.userId, userId), isMember(shellRole(userId)), page.before === undefined ? undefined : lt(s.id, page.before)))
    .orderBy(desc(s.id))
    .limit(page.limit)

/** Shells of an organisation while the caller is a member. */
export const orgShells = (
  db: Db,
  ask: Ask<OrgId>,
  page: { readonly before?: ShellId | undefined; readonly isLive: boolean; readonly limit: number },
) =>
  db
    .select()
    .from(s)
    .where(
      and(
        eq(s.orgId, ask.id),
        isMember(shellRole(ask.callerId)),
        page.isLive ? isNull(s.closedAt) : undefined,
        page.before === undefined ? undefined : lt(s.id, page.before),
      ),
    )
    .orderBy(desc(s.id))
    .limit(page.limit)

/** What a shell's object says of itself. */
export interface ShellReport {
  readonly id: ShellId
  readonly state: ShellState
  readonly reason: string | null
  readonly version: number
  readonly now: number
}

/** A report that was overtaken changes nothing, so reports may come twice and in any order. */
export const reportShell = (db: Db, { id, state, reason, version, now }: ShellReport) => {
  const closedAt = state === 'closed' || state === 'failed' ? now : null
  return db
    .update(s)
    .set({ state, reason, version, updatedAt: now, closedAt })
    .where(and(eq(s.id, id), lt(s.version, version)))
}

export const liveShellsOnHost = (db: Db, hostId: HostId, page: { readonly after?: ShellId | undefined; readonly limit: number }) =>
  db
    .select({ id: s.id })
    .from(s)
    .where(and(eq(s.hostId, hostId), isNull(s.closedAt), page.after === undefined ? undefined : gt(s.id, page.after)))
    .orderBy(s.id)
    .limit(page.limit)

export const liveShellsInOrg = (db: Db, orgId: OrgId, page: { readonly after?: ShellId | undefined; readonly limit: number }) =>
  db
    .select({ id: s.id })
    .from(s)
    .where(and(eq(s.orgId, orgId), isNull(s.closedAt), page.after === undefined ? undefined : gt(s.id, page.after)))
    .orderBy(s.id)
    .limit(page.limit)

/** Live rows that nobody has touched for too long, each kind with its own patience. */
export const staleShells = (db: Db, before: { readonly connecting: number; readonly others: number }, limit: number) =>
  db
    .select({ id: s.id, orgId: s.orgId, version: s.version })
    .from(s)
    .where(
      and(
        isNull(s.closedAt),
        or(
          and(eq(s.state, 'connecting'), lt(s.updatedAt, before.connecting)),
          and(ne(s.state, 'connecting'), lt(s.updatedAt, before.others)),
        ),
      ),
    )
    .orderBy(s.updatedAt)
    .limit(limit)

/** Somebody has looked: the row waits its turn again. */
export const touchShell = (db: Db, id: ShellId, now: number) => db.update(s).set({ updatedAt: now }).where(eq(s.id, id))

export const commandsOf = (db: Db, userId: UserId) => db.select().from(c).where(eq(c.userId, userId)).orderBy(desc(c.id))

export const eraseShells = (db: Db, userId: UserId, ids: readonly ShellId[]) =>
  db.delete(s).where(and(eq(s.userId, userId), sql`${s.id} IN (SELECT value FROM json_each(${JSON.stringify(ids)}))`))

/** The organisation's record of what ran on its hosts stays; it names nobody any more. */
export const eraseCommander = (db: Db, userId: UserId) => db.update(c).set({ userId: null }).where(eq(c.userId, userId))

export const allShellsOf = (db: Db, userId: UserId, limit: number) =>
  db.select().from(s).where(eq(s.userId, userId)).orderBy(desc(s.id)).limit(limit)

export const shellsOfOrg = (db: Db, orgId: OrgId, limit: number) => db.select({ id: s.id }).from(s).where(eq(s.orgId, orgId)).limit(limit)

/** Part of forgetting an organisation that is gone. */
export const deleteOrgShells = (db: Db, orgId: OrgId, ids: readonly ShellId[]) =>
  db.delete(s).where(and(eq(s.orgId, orgId), sql`${s.id} IN (SELECT value FROM json_each(${JSON.stringify(ids)}))`))

export const deleteOrgCommands = (db: Db, orgId: OrgId) => db.delete(c).where(eq(c.orgId, orgId))
