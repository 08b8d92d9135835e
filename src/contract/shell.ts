import * as z from 'zod'
import { DOOR_PROBLEMS, endpoint, socketEndpoint } from './endpoint.ts'
import { HostId } from './hosts.ts'
import { Moment, PageQuery, pageOf, prefixedId } from './id.ts'
import { Ticket, UserId } from './identity.ts'
import { RemoteCommand, RemoteEnv } from './krp.ts'
import { OrgId } from './orgs.ts'

/** Live shells of one user. */
export const SHELLS_PER_USER_MAX = 20
/** Longest command of `execCommand`, in UTF-16 units. */
export const COMMAND_CHARS_MAX = 32_768
/** Longest input of a waited command, in UTF-16 units: as UTF-8 it fits the credit that a command begins with. */
export const EXEC_STDIN_CHARS_MAX = 262_144
/** Longest wait for a command. */
export const EXEC_TIMEOUT_SECONDS_MAX = 300
/** Longest run of a streamed command. */
export const STREAM_TIMEOUT_SECONDS_MAX = 3600
/** Output of a streamed command; more ends it. */
export const STREAM_OUTPUT_BYTES_MAX = 1024 * 1024 * 1024
/** Output kept per stream of a waited command; the middle is dropped beyond it. */
export const EXEC_OUTPUT_BYTES_MAX = 262_144

/** Id of a shell. */
export const ShellId = prefixedId('shl', 'ShellId')
/** Id of a shell. */
export type ShellId = z.infer<typeof ShellId>

/** Connecting: the relay dials. Open: bytes flow. Detached: nobody watches, the PTY lives on in the relay. Closed and failed are final. */
export const ShellState = z.enum(['connecting', 'open', 'detached', 'closed', 'failed']).meta({ id: 'ShellState' })
/** Where a shell stands. */
export type ShellState = z.infer<typeof ShellState>

/** An interactive shell. */
export const Shell = z
  .object({
    id: ShellId,
    orgId: OrgId,
    hostId: HostId,
    userId: UserId,
    state: ShellState,
    reason: z.string().optional().meta({ description: 'Why it closed or failed, for people.' }),
    createdAt: Moment,
    closedAt: Moment.optional(),
  })
  .meta({ id: 'Shell' })
/** An interactive shell. */
export type Shell = z.infer<typeof Shell>

const OrgShellsPath = z.object({ orgId: OrgId })
const OrgShellsQuery = z.object({
  ...PageQuery.shape,
  live: z.stringbool().default(false).meta({ description: 'Those alone that are not over.' }),
})
/** Which shells of an organisation are listed. */
export type OrgShellsQuery = z.output<typeof OrgShellsQuery>

const Columns = z.int().min(1).max(1000)
const Rows = z.int().min(1).max(1000)
const Terminal = z.string().regex(/^[A-Za-z0-9.+_-]{1,64}$/)

/** What `openShell` takes. */
export const OpenShell = z
  .strictObject({ hostId: HostId, columns: Columns.default(80), rows: Rows.default(24), terminal: Terminal.default('xterm-256color') })
  .meta({ id: 'OpenShell' })
/** What `openShell` takes. */
export type OpenShell = z.output<typeof OpenShell>

/** What `execCommand` takes. The command goes to the host as data; no shell of ours sees it. */
export const ExecCommand = z
  .strictObject({
    command: RemoteCommand,
    timeoutSeconds: z.int().min(1).max(EXEC_TIMEOUT_SECONDS_MAX).default(30),
    env: RemoteEnv.default({}).meta({ description: 'Locale, time zone and `PARVIS_*`; the host takes what its `AcceptEnv` lets in.' }),
    stdin: z.string().max(EXEC_STDIN_CHARS_MAX).default('').meta({ description: 'What the command reads, as UTF-8; then its input ends.' }),
  })
  .meta({ id: 'ExecCommand' })
/** What `execCommand` takes. */
export type ExecCommand = z.output<typeof ExecCommand>

/** What a command did. Output is UTF-8 with replacement; `truncated` says the middle was dropped. */
export const ExecResult = z
  .object({
    shellId: ShellId,
    exitCode: z.int().nullable(),
    signal: z.string().nullable(),
    stdout: z.string(),
    stderr: z.string(),
    truncated: z.boolean(),
    timedOut: z.boolean(),
    killed: z
      .enum(['confirmed', 'unconfirmed'])
      .nullable()
      .meta({ description: 'When it did not end by itself (a timeout, a stop, too much output): whether the host confirmed the end.' }),
    durationMs: z.int(),
  })
  .meta({ id: 'ExecResult' })
/** What a command did. */
export type ExecResult = z.infer<typeof ExecResult>

/** What `streamCommand` takes: as `execCommand`, for longer. */
export const StreamCommand = ExecCommand.extend({ timeoutSeconds: z.int().min(1).max(STREAM_TIMEOUT_SECONDS_MAX).default(600) }).meta({
  id: 'StreamCommand',
})
/** What `streamCommand` takes. */
export type StreamCommand = z.output<typeof StreamCommand>

/** How a streamed command ended; `truncated`: it said more than it may, and was stopped. */
export const CommandEnd = ExecResult.omit({ stdout: true, stderr: true }).extend({ type: z.literal('end') })
/** How a streamed command ended. */
export type CommandEnd = z.infer<typeof CommandEnd>

/** A streamed command, piece by piece: that it runs, its output as it comes (UTF-8 with replacement), and how it ended. */
export const CommandPart = z
  .discriminatedUnion('type', [
    z.object({ type: z.literal('started'), shellId: ShellId }),
    z.object({ type: z.literal('stdout'), text: z.string() }),
    z.object({ type: z.literal('stderr'), text: z.string() }),
    CommandEnd,
  ])
  .meta({ id: 'CommandPart' })
/** A streamed command, piece by piece. */
export type CommandPart = z.infer<typeof CommandPart>

/** How `stopCommand` went. */
export const StoppedCommand = z
  .object({
    killed: z
      .enum(['confirmed', 'unconfirmed'])
      .nullable()
      .meta({ description: 'Whether the host confirmed the end; null where nothing ran any more.' }),
  })
  .meta({ id: 'StoppedCommand' })
/** How `stopCommand` went. */
export type StoppedCommand = z.infer<typeof StoppedCommand>

const HostPath = z.strictObject({ hostId: HostId })
const ShellPath = z.strictObject({ shellId: ShellId })

const BEGIN_PROBLEMS = [
  'not-found',
  'forbidden',
  'step-up-required',
  'access-required',
  'limit-reached',
  'quota-reached',
  'hook-refused',
  'hook-failed',
] as const
const RELAY_PROBLEMS = ['target-forbidden', 'host-unreachable', 'host-key-unknown', 'host-key-mismatch', 'host-refused'] as const
const COMMAND_PROBLEMS = [...BEGIN_PROBLEMS, 'command-forbidden', 'host-unsuited', ...RELAY_PROBLEMS] as const

/** The shell operations. */
export const shellEndpoints = {
  execCommand: endpoint({
    id: 'execCommand',
    method: 'POST',
    path: '/v1/hosts/:hostId/exec',
    tag: 'shells',
    access: 'user',
    isSensitive: true,
    looksItself: true,
    scope: 'shells:write',
    summary: 'Run one command and wait for its end. `streamCommand` tells its output as it comes. Owners and operators.',
    params: HostPath,
    body: ExecCommand,
    success: 200,
    response: ExecResult,
    problems: COMMAND_PROBLEMS,
  }),
  streamCommand: endpoint({
    id: 'streamCommand',
    method: 'POST',
    path: '/v1/hosts/:hostId/exec/stream',
    tag: 'shells',
    access: 'user',
    isSensitive: true,
    looksItself: true,
    scope: 'shells:write',
    summary: 'Run one command and take its output as it comes. Whoever goes away ends it. Owners and operators.',
    params: HostPath,
    body: StreamCommand,
    success: 200,
    response: CommandPart,
    stream: 'lines',
    problems: COMMAND_PROBLEMS,
  }),
  stopCommand: endpoint({
    id: 'stopCommand',
    method: 'POST',
    path: '/v1/commands/:shellId/stop',
    tag: 'shells',
    access: 'user',
    scope: 'shells:write',
    summary: 'End a command that runs: TERM, and KILL if it stays. Whoever ran it, and owners.',
    params: ShellPath,
    success: 200,
    response: StoppedCommand,
    problems: ['not-found', 'forbidden'],
  }),
  openShell: endpoint({
    id: 'openShell',
    method: 'POST',
    path: '/v1/shells',
    tag: 'shells',
    access: 'user',
    isSensitive: true,
    scope: 'shells:write',
    summary:
      'Open an interactive shell with a PTY. It is still `connecting` when the host asks something: watch it and answer. Owners and operators.',
    body: OpenShell,
    success: 201,
    response: Shell,
    problems: [...BEGIN_PROBLEMS, ...RELAY_PROBLEMS],
  }),
  listShells: endpoint({
    id: 'listShells',
    method: 'GET',
    path: '/v1/shells',
    tag: 'shells',
    access: 'user',
    scope: 'shells:read',
    summary: 'Your shells, newest first.',
    query: PageQuery,
    success: 200,
    response: pageOf(Shell, 'ShellPage'),
    problems: [],
  }),
  listOrgShells: endpoint({
    id: 'listOrgShells',
    method: 'GET',
    path: '/v1/orgs/:orgId/shells',
    tag: 'shells',
    access: 'user',
    scope: 'shells:read',
    summary: 'The shells of an organisation you belong to, newest first: what there is to watch, and what there was.',
    params: OrgShellsPath,
    query: OrgShellsQuery,
    success: 200,
    response: pageOf(Shell, 'OrgShellPage'),
    problems: ['not-found'],
  }),
  getShell: endpoint({
    id: 'getShell',
    method: 'GET',
    path: '/v1/shells/:shellId',
    tag: 'shells',
    access: 'user',
    scope: 'shells:read',
    summary: 'One shell of an organisation you belong to.',
    params: ShellPath,
    success: 200,
    response: Shell,
    problems: ['not-found'],
  }),
  closeShell: endpoint({
    id: 'closeShell',
    method: 'DELETE',
    path: '/v1/shells/:shellId',
    tag: 'shells',
    access: 'user',
    scope: 'shells:write',
    summary: 'End a shell and its remote process. Its opener and owners.',
    params: ShellPath,
    success: 204,
    response: z.undefined(),
    problems: ['not-found', 'forbidden'],
  }),
  createShellTicket: endpoint({
    id: 'createShellTicket',
    method: 'POST',
    path: '/v1/shells/:shellId/tickets',
    tag: 'shells',
    access: 'user',
    scope: 'shells:write',
    summary: 'A single-use pass, valid 30 seconds, to watch the shell over a WebSocket.',
    params: ShellPath,
    success: 201,
    response: Ticket,
    problems: ['not-found'],
  }),
}

/** The WebSocket doors of shells. */
export const shellSockets = {
  liveShells: socketEndpoint({
    id: 'liveShells',
    path: '/v1/live/shells',
    tag: 'shells',
    summary: 'Connect first, then say by frames who you are (`authenticate`) and which shell you watch (`subscribe_session`).',
    params: z.strictObject({}),
    scope: 'shells:write',
    isOpen: true,
    problems: ['origin-untrusted', 'upgrade-required'],
  }),
  viewShell: socketEndpoint({
    id: 'viewShell',
    path: '/v1/shells/:shellId/view',
    tag: 'shells',
    summary:
      'Watch a shell and, for its opener, type into it. Frames: `ViewerFrame` and `ShellFrame`, output as binary with a 64-bit offset.',
    params: ShellPath,
    scope: 'shells:write',
    problems: DOOR_PROBLEMS,
  }),
}
