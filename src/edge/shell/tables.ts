import { integer, sqliteTable, text } from 'drizzle-orm/sqlite-core'
import type { UserId } from '../../contract/identity.ts'
import type { OrgId } from '../../contract/orgs.ts'
import type { Credential, HostId, HostKey, ShellId, ShellState } from '../../contract/shell.ts'

/** How a command stands. Unknown: its object died, so nobody saw the end; it is never run again. */
export type CommandState = 'running' | 'done' | 'timed-out' | 'failed' | 'unknown'

export const hosts = sqliteTable('hosts', {
  id: text('id').$type<HostId>().primaryKey(),
  orgId: text('org_id').$type<OrgId>().notNull(),
  name: text('name').notNull(),
  address: text('address').notNull(),
  port: integer('port').notNull(),
  user: text('user').notNull(),
  keys: text('keys', { mode: 'json' }).$type<HostKey[]>().notNull(),
  credentialKind: text('credential_kind').$type<Credential['kind']>().notNull(),
  /** An envelope of `credential.ts`: opened in the shell's object only, to be sealed to the relay. */
  credential: text('credential').notNull(),
  createdAt: integer('created_at').notNull(),
})

export const shells = sqliteTable('shells', {
  id: text('id').$type<ShellId>().primaryKey(),
  orgId: text('org_id').$type<OrgId>().notNull(),
  hostId: text('host_id').$type<HostId>().notNull(),
  userId: text('user_id').$type<UserId>().notNull(),
  state: text('state').$type<ShellState>().notNull(),
  reason: text('reason'),
  /** Of the object's own record; an older one never overwrites a newer one. */
  version: integer('version').notNull().default(0),
  createdAt: integer('created_at').notNull(),
  updatedAt: integer('updated_at').notNull(),
  /** Set exactly when the state is final. */
  closedAt: integer('closed_at'),
})

export const shellCommands = sqliteTable('shell_commands', {
  id: text('id').$type<ShellId>().primaryKey(),
  orgId: text('org_id').$type<OrgId>().notNull(),
  hostId: text('host_id').$type<HostId>().notNull(),
  userId: text('user_id').$type<UserId>(),
  command: text('command').notNull(),
  state: text('state').$type<CommandState>().notNull(),
  problem: text('problem'),
  exitCode: integer('exit_code'),
  signal: text('signal'),
  killed: text('killed').$type<'confirmed' | 'unconfirmed'>(),
  stdoutBytes: integer('stdout_bytes'),
  stderrBytes: integer('stderr_bytes'),
  durationMs: integer('duration_ms'),
  timeoutSeconds: integer('timeout_seconds').notNull(),
  startedAt: integer('started_at').notNull(),
  endedAt: integer('ended_at'),
})
