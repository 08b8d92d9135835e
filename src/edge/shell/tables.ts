import { integer, primaryKey, sqliteTable, text } from 'drizzle-orm/sqlite-core'
import type { FailMode, HookPoint } from '../../contract/hooks.ts'
import type { AlgorithmProfile, HostId, HostKey, HostKind } from '../../contract/hosts.ts'
import type { UserId } from '../../contract/identity.ts'
import type { OrgId } from '../../contract/orgs.ts'
import type { RecordingKind } from '../../contract/recordings.ts'
import type { RunId, RunState } from '../../contract/runs.ts'
import type { ShellId, ShellState } from '../../contract/shell.ts'
import type { AccessRequestId, AccessState, PutShellPolicy } from '../../contract/shell-policy.ts'
import type { SshCaKeyId } from '../../contract/ssh-ca.ts'
import type { WebhookId } from '../../contract/webhooks.ts'

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
  credentialKind: text('credential_kind').$type<'password' | 'private-key'>().notNull(),
  /** An envelope of `credential.ts`: opened in the shell's object only, to be sealed to the relay. */
  credential: text('credential').notNull(),
  createdAt: integer('created_at').notNull(),
  tags: text('tags', { mode: 'json' }).$type<string[]>().notNull(),
  algorithms: text('algorithms').$type<AlgorithmProfile>().notNull(),
  keepaliveSeconds: integer('keepalive_seconds').notNull(),
  idleTimeoutSeconds: integer('idle_timeout_seconds'),
  maxDurationSeconds: integer('max_duration_seconds'),
  jumpHostId: text('jump_host_id').$type<HostId>(),
  /** The way to log in where the older `credentialKind` has no word for it. */
  login: text('login').$type<'keyboard-interactive' | 'certificate'>(),
  secretVersion: integer('secret_version').notNull(),
  secretFault: integer('secret_fault'),
  kind: text('kind').$type<HostKind>().notNull().default('ssh'),
})

/** Authorities that sign user certificates; the oldest of an organisation is at work. */
export const sshCaKeys = sqliteTable('ssh_ca_keys', {
  id: text('id').$type<SshCaKeyId>().primaryKey(),
  orgId: text('org_id').$type<OrgId>().notNull(),
  publicKey: text('public_key').notNull(),
  privateKey: text('private_key').notNull(),
  secretVersion: integer('secret_version').notNull(),
  secretFault: integer('secret_fault'),
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
  /** Of the object that ran it; of a detected line, one of its own. */
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
  kind: text('kind').$type<'exec' | 'pty'>().notNull().default('exec'),
  /** The terminal in which a line was detected, and where in its recording. */
  shellId: text('shell_id').$type<ShellId>(),
  recordingMs: integer('recording_ms'),
  /** Of a file that was read or written, as far as that went. */
  fileBytes: integer('file_bytes'),
  fileSha256: text('file_sha256'),
})

export const shellOversight = sqliteTable('shell_oversight', {
  orgId: text('org_id').$type<OrgId>().primaryKey(),
  isStrict: integer('is_strict', { mode: 'boolean' }).notNull(),
  recordsInput: integer('records_input', { mode: 'boolean' }).notNull(),
  isOpen: integer('is_open', { mode: 'boolean' }).notNull(),
  retentionDays: integer('retention_days').notNull(),
  needsWatcher: integer('needs_watcher', { mode: 'boolean' }).notNull(),
  updatedAt: integer('updated_at').notNull(),
})

export const recordings = sqliteTable('recordings', {
  id: text('id').$type<ShellId>().primaryKey(),
  orgId: text('org_id').$type<OrgId>().notNull(),
  hostId: text('host_id').$type<HostId>().notNull(),
  userId: text('user_id').$type<UserId>(),
  kind: text('kind').$type<RecordingKind>().notNull(),
  columns: integer('columns').notNull(),
  rows: integer('rows').notNull(),
  bytes: integer('bytes').notNull().default(0),
  chunks: integer('chunks').notNull().default(0),
  gaps: integer('gaps').notNull().default(0),
  durationMs: integer('duration_ms').notNull().default(0),
  startedAt: integer('started_at').notNull(),
  /** Set with the signed statement. */
  endedAt: integer('ended_at'),
  hash: text('hash'),
  signed: text('signed'),
})

export const recordingChunks = sqliteTable(
  'recording_chunks',
  {
    recordingId: text('recording_id').$type<ShellId>().notNull(),
    seq: integer('seq').notNull(),
    atMs: integer('at_ms').notNull(),
    firstOffset: integer('first_offset').notNull(),
    bytes: integer('bytes').notNull(),
    prevHash: text('prev_hash').notNull(),
    hash: text('hash').notNull(),
    mac: text('mac').notNull(),
  },
  (t) => [primaryKey({ columns: [t.recordingId, t.seq] })],
)
export const runs = sqliteTable('runs', {
  id: text('id').$type<RunId>().primaryKey(),
  orgId: text('org_id').$type<OrgId>().notNull(),
  userId: text('user_id').$type<UserId>(),
  command: text('command').notNull(),
  parallel: integer('parallel').notNull(),
  stopOnFailure: integer('stop_on_failure', { mode: 'boolean' }).notNull(),
  state: text('state').$type<RunState>().notNull(),
  hosts: integer('hosts').notNull(),
  succeeded: integer('succeeded').notNull(),
  failed: integer('failed').notNull(),
  createdAt: integer('created_at').notNull(),
  endedAt: integer('ended_at'),
})

export const shellPolicies = sqliteTable('shell_policies', {
  orgId: text('org_id').$type<OrgId>().primaryKey(),
  uses: text('uses', { mode: 'json' }).$type<PutShellPolicy['uses']>().notNull(),
  stepUp: integer('step_up', { mode: 'boolean' }).notNull(),
  reach: text('reach', { mode: 'json' }).$type<PutShellPolicy['reach']>(),
  allow: text('allow', { mode: 'json' }).$type<PutShellPolicy['allow']>(),
  deny: text('deny', { mode: 'json' }).$type<PutShellPolicy['deny']>().notNull(),
  alerts: text('alerts', { mode: 'json' }).$type<PutShellPolicy['alerts']>().notNull(),
  version: integer('version').notNull(),
  fileRoots: text('file_roots', { mode: 'json' }).$type<PutShellPolicy['fileRoots']>(),
})

/** Whom an organisation asks or tells, at most one at each point. */
export const shellHooks = sqliteTable(
  'shell_hooks',
  {
    orgId: text('org_id').$type<OrgId>().notNull(),
    point: text('point').$type<HookPoint>().notNull(),
    /** Of the two one is set. A webhook that is gone stays named. */
    webhookId: text('webhook_id').$type<WebhookId>(),
    module: text('module'),
    /** Set where the point decides, as is the mode. */
    deadlineMs: integer('deadline_ms'),
    failMode: text('fail_mode').$type<FailMode>(),
    updatedAt: integer('updated_at').notNull(),
  },
  (t) => [primaryKey({ columns: [t.orgId, t.point] })],
)

/** What an organisation's shells used in a month. */
export const shellUsage = sqliteTable(
  'shell_usage',
  {
    orgId: text('org_id').$type<OrgId>().notNull(),
    /** As 202611, UTC. */
    month: integer('month').notNull(),
    seconds: integer('seconds').notNull(),
    bytes: integer('bytes').notNull(),
  },
  (t) => [primaryKey({ columns: [t.orgId, t.month] })],
)

/** What hooks answered in a day. */
export const shellHookDays = sqliteTable(
  'shell_hook_days',
  {
    /** Unix days. */
    day: integer('day').notNull(),
    point: text('point').$type<HookPoint>().notNull(),
    outcome: text('outcome').notNull(),
    asked: integer('asked').notNull(),
  },
  (t) => [primaryKey({ columns: [t.day, t.point, t.outcome] })],
)

export const accessRequests = sqliteTable('access_requests', {
  id: text('id').$type<AccessRequestId>().primaryKey(),
  orgId: text('org_id').$type<OrgId>().notNull(),
  hostId: text('host_id').$type<HostId>().notNull(),
  userId: text('user_id').$type<UserId>().notNull(),
  reason: text('reason').notNull(),
  seconds: integer('seconds').notNull(),
  state: text('state').$type<AccessState>().notNull(),
  decidedBy: text('decided_by').$type<UserId>(),
  createdAt: integer('created_at').notNull(),
  expiresAt: integer('expires_at').notNull(),
})
