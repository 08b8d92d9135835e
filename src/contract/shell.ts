import * as z from 'zod'
import { endpoint, socketEndpoint } from './endpoint.ts'
import { lineOf, Moment, PageQuery, pageOf, prefixedId } from './id.ts'
import { Ticket, UserId } from './identity.ts'
import { OrgId } from './orgs.ts'

/** Hosts of one organisation. */
export const HOSTS_PER_ORG_MAX = 1000
/** Pinned keys of one host: one per key type and a spare for a rotation. */
export const HOST_KEYS_MAX = 8
/** Live shells of one user. */
export const SHELLS_PER_USER_MAX = 20
/** Longest command of `execCommand`, in UTF-16 units. */
export const COMMAND_CHARS_MAX = 32_768
/** Longest wait for a command. */
export const EXEC_TIMEOUT_SECONDS_MAX = 300
/** Output kept per stream of a waited command; the middle is dropped beyond it. */
export const EXEC_OUTPUT_BYTES_MAX = 262_144
/** Longest secret of a credential: an RSA-4096 key in PEM with room to spare. */
export const SECRET_CHARS_MAX = 16_384

/** Id of an SSH host. */
export const HostId = prefixedId('hst', 'HostId')
/** Id of an SSH host. */
export type HostId = z.infer<typeof HostId>
/** Id of a shell. */
export const ShellId = prefixedId('shl', 'ShellId')
/** Id of a shell. */
export type ShellId = z.infer<typeof ShellId>

/** One host key: type, base64 blob as in `known_hosts`, and OpenSSH's SHA-256 fingerprint. */
export const HostKey = z
  .object({ type: z.string().max(64), key: z.base64().max(4096), fingerprint: z.string().regex(/^SHA256:[A-Za-z0-9+/]{43}$/) })
  .meta({ id: 'HostKey' })
/** One host key. */
export type HostKey = z.infer<typeof HostKey>

/** Host names (RFC 1123) and literal addresses; the relay checks what they resolve to. */
export const HostAddress = z
  .string()
  .min(1)
  .max(253)
  .regex(/^[A-Za-z0-9]([A-Za-z0-9.:-]*[A-Za-z0-9])?$|^[0-9a-fA-F:]+$/)
  .meta({ id: 'HostAddress', example: 'web-1.example.org' })

/** How to log in on the host: sealed to the relay before it leaves, never readable through any operation. */
export const Credential = z
  .discriminatedUnion('kind', [
    z.strictObject({ kind: z.literal('password'), password: z.string().min(1).max(SECRET_CHARS_MAX) }),
    z.strictObject({
      kind: z.literal('private-key'),
      privateKey: z.string().min(1).max(SECRET_CHARS_MAX),
      passphrase: z.string().min(1).max(1024).optional(),
    }),
  ])
  .meta({ id: 'Credential' })
/** How to log in on the host. */
export type Credential = z.output<typeof Credential>

/** An SSH host of an organisation. */
export const Host = z
  .object({
    id: HostId,
    orgId: OrgId,
    name: z.string(),
    address: z.string(),
    port: z.int(),
    user: z.string(),
    keys: z.array(HostKey),
    credentialKind: z.enum(['password', 'private-key']),
    createdAt: Moment,
  })
  .meta({ id: 'Host' })
/** An SSH host of an organisation. */
export type Host = z.infer<typeof Host>

const SshPort = z.int().min(1).max(65_535)
const SshUser = z.string().regex(/^[A-Za-z0-9_][A-Za-z0-9_.@-]{0,63}$/)

/** What `createHost` takes. `keys` are the ones a person compared and accepted, from `scanHost` or `known_hosts`. */
export const CreateHost = z
  .strictObject({
    name: lineOf(80),
    address: HostAddress,
    port: SshPort.default(22),
    user: SshUser,
    keys: z
      .array(HostKey.pick({ type: true, key: true }).strict())
      .min(1)
      .max(HOST_KEYS_MAX),
    credential: Credential,
  })
  .meta({ id: 'CreateHost' })
/** What `createHost` takes. */
export type CreateHost = z.output<typeof CreateHost>

/** Where `scanHost` looks. */
export const ScanHost = z.strictObject({ address: HostAddress, port: SshPort.default(22) }).meta({ id: 'ScanHost' })
/** Where `scanHost` looks. */
export type ScanHost = z.output<typeof ScanHost>

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
    command: z.string().min(1).max(COMMAND_CHARS_MAX),
    timeoutSeconds: z.int().min(1).max(EXEC_TIMEOUT_SECONDS_MAX).default(30),
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
    killed: z.enum(['confirmed', 'unconfirmed']).nullable().meta({ description: 'After a timeout: whether the host confirmed the end.' }),
    durationMs: z.int(),
  })
  .meta({ id: 'ExecResult' })
/** What a command did. */
export type ExecResult = z.infer<typeof ExecResult>

const OrgPath = z.strictObject({ orgId: OrgId })
const HostPath = z.strictObject({ hostId: HostId })
const ShellPath = z.strictObject({ shellId: ShellId })

const RELAY_PROBLEMS = ['target-forbidden', 'host-unreachable', 'host-key-unknown', 'host-key-mismatch', 'host-refused'] as const

/** The host and shell operations. */
export const shellEndpoints = {
  scanHost: endpoint({
    id: 'scanHost',
    method: 'POST',
    path: '/v1/orgs/:orgId/hosts/scan',
    tag: 'shells',
    access: 'user',
    summary: 'Ask a host for its key, to compare before accepting it. Owners only; nothing is kept.',
    params: OrgPath,
    body: ScanHost,
    success: 200,
    response: z.object({ keys: z.array(HostKey) }).meta({ id: 'HostScan' }),
    problems: ['not-found', 'forbidden', 'target-forbidden', 'host-unreachable'],
  }),
  createHost: endpoint({
    id: 'createHost',
    method: 'POST',
    path: '/v1/orgs/:orgId/hosts',
    tag: 'shells',
    access: 'user',
    summary: 'Register an SSH host with its accepted keys and its credential. Owners only.',
    params: OrgPath,
    body: CreateHost,
    success: 201,
    response: Host,
    problems: ['not-found', 'forbidden', 'limit-reached'],
  }),
  listHosts: endpoint({
    id: 'listHosts',
    method: 'GET',
    path: '/v1/orgs/:orgId/hosts',
    tag: 'shells',
    access: 'user',
    summary: 'The hosts of an organisation, newest first.',
    params: OrgPath,
    query: PageQuery,
    success: 200,
    response: pageOf(Host, 'HostPage'),
    problems: ['not-found'],
  }),
  getHost: endpoint({
    id: 'getHost',
    method: 'GET',
    path: '/v1/hosts/:hostId',
    tag: 'shells',
    access: 'user',
    summary: 'One host of an organisation you belong to.',
    params: HostPath,
    success: 200,
    response: Host,
    problems: ['not-found'],
  }),
  deleteHost: endpoint({
    id: 'deleteHost',
    method: 'DELETE',
    path: '/v1/hosts/:hostId',
    tag: 'shells',
    access: 'user',
    summary: 'Forget a host and its credential. Owners only; live shells close.',
    params: HostPath,
    success: 204,
    response: z.undefined(),
    problems: ['not-found', 'forbidden'],
  }),
  execCommand: endpoint({
    id: 'execCommand',
    method: 'POST',
    path: '/v1/hosts/:hostId/exec',
    tag: 'shells',
    access: 'user',
    summary: 'Run one command and wait for its end. Owners and operators.',
    params: HostPath,
    body: ExecCommand,
    success: 200,
    response: ExecResult,
    problems: ['not-found', 'forbidden', 'limit-reached', ...RELAY_PROBLEMS],
  }),
  openShell: endpoint({
    id: 'openShell',
    method: 'POST',
    path: '/v1/shells',
    tag: 'shells',
    access: 'user',
    summary: 'Open an interactive shell with a PTY. Owners and operators.',
    body: OpenShell,
    success: 201,
    response: Shell,
    problems: ['not-found', 'forbidden', 'limit-reached', ...RELAY_PROBLEMS],
  }),
  listShells: endpoint({
    id: 'listShells',
    method: 'GET',
    path: '/v1/shells',
    tag: 'shells',
    access: 'user',
    summary: 'Your shells, newest first.',
    query: PageQuery,
    success: 200,
    response: pageOf(Shell, 'ShellPage'),
    problems: [],
  }),
  getShell: endpoint({
    id: 'getShell',
    method: 'GET',
    path: '/v1/shells/:shellId',
    tag: 'shells',
    access: 'user',
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
    summary: 'A single-use pass, valid 30 seconds, to watch the shell over a WebSocket.',
    params: ShellPath,
    success: 201,
    response: Ticket,
    problems: ['not-found'],
  }),
}

/** The WebSocket doors of shells. */
export const shellSockets = {
  viewShell: socketEndpoint({
    id: 'viewShell',
    path: '/v1/shells/:shellId/view',
    tag: 'shells',
    summary:
      'Watch a shell and, for its opener, type into it. Frames: `ViewerFrame` and `ShellFrame`, output as binary with a 64-bit offset.',
    params: ShellPath,
    problems: ['unauthenticated', 'session-ended', 'ticket-invalid', 'origin-untrusted', 'not-found', 'limit-reached', 'upgrade-required'],
  }),
}
