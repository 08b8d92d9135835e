import type { ApiKeyId } from '../../contract/api-keys.ts'
import type { FileList, WrittenFile } from '../../contract/files.ts'
import type { AlgorithmProfile, CredentialKind, HostId, HostKey, HostKind } from '../../contract/hosts.ts'
import type { SessionId, UserId } from '../../contract/identity.ts'
import type { HostKeyPin, Pty } from '../../contract/krp.ts'
import type { OrgId, OrgRole } from '../../contract/orgs.ts'
import type { Oversight } from '../../contract/oversight.ts'
import type { Run, RunHost, RunId, StartRun } from '../../contract/runs.ts'
import type { ExecResult, ShellId, ShellState, StoppedCommand } from '../../contract/shell.ts'
import type { AlertRule } from '../../contract/shell-policy.ts'
import type { SocketHolder } from '../platform/live-sockets.ts'
import type { Sealed } from '../platform/rpc.ts'

/** A host as an object goes there, and as whom. The credential is still in its envelope. */
export interface HostHop {
  readonly hostId: HostId
  readonly name: string
  readonly kind: HostKind
  readonly address: string
  readonly port: number
  readonly user: string
  readonly pins: readonly HostKeyPin[]
  readonly algorithms: AlgorithmProfile
  readonly keepaliveSeconds: number
  readonly credentialKind: CredentialKind
  readonly credential: string
}

/** A host and the hosts before it, the first that the relay dials first. */
export interface HostTarget extends HostHop {
  readonly jumps: readonly HostHop[]
  readonly idleSeconds: number | null
  readonly lifeSeconds: number | null
}

/** What every order to an object carries. */
export interface Order {
  readonly shellId: ShellId
  readonly orgId: OrgId
  readonly userId: UserId
  readonly traceparent: string
}

/** Open an interactive shell. */
export interface OpenOrder extends Order {
  readonly target: HostTarget
  readonly pty: Pty
  readonly oversight: Oversight
  /** Words to raise an alert for. */
  readonly alerts: readonly AlertRule[]
  /** The session that has proven who it is, where that is asked for. */
  readonly provenSession?: SessionId | ApiKeyId
}

/** What every order to do one thing on a host carries. */
export interface HostOrder extends Order {
  /** The access with which it was asked for: it ends with that. */
  readonly sessionId: SessionId | ApiKeyId
  readonly target: HostTarget
  /** Whether somebody wants to hear when the host has let us in. */
  readonly isConnectTold: boolean
}

/** Run one command. */
export interface ExecOrder extends HostOrder {
  readonly command: string
  readonly timeoutSeconds: number
  readonly env: Readonly<Record<string, string>>
  /** What the command reads; it then meets the end of its input. */
  readonly stdin: string
  /** Whether it must end when it cannot be recorded. */
  readonly isStrict: boolean
}

/** Resolves when a command is on record; a problem means that it is not, and is not to begin. */
export type Begun = () => Promise<Sealed<void>>

/** List, read or write one file. */
export interface FileOrder extends HostOrder {
  readonly op: 'list' | 'read' | 'write'
  readonly path: string
  readonly roots: readonly string[]
  readonly bytesMax: number
  readonly overwrite: boolean
}

/** Ask a host for its key. */
export interface ScanOrder extends Order {
  readonly address: string
  readonly port: number
  readonly algorithms: AlgorithmProfile
  readonly jumps: readonly HostHop[]
}

/** Why a shell is ended, and by whom when it was a person. */
export interface EndOrder {
  readonly reason: string
  readonly actorId: UserId | null
}

/** What the rest of the edge may ask a shell's object, besides a WebSocket upgrade through `fetch`. */
export interface ShellRpc extends Rpc.DurableObjectBranded, SocketHolder {
  /** Answers `open`, or `connecting` while the host waits for a person's answer. */
  openShell(order: OpenOrder): Promise<Sealed<ShellState>>
  /** Without `begun` the command is on record already. */
  runCommand(order: ExecOrder, begun?: Begun): Promise<Sealed<ExecResult>>
  /** The parts of a command as JSON Lines, once it has begun; whoever lets them go ends it. */
  streamCommand(order: ExecOrder, begun?: Begun): Promise<Sealed<ReadableStream<Uint8Array>>>
  /** Ends the command that runs here, and waits for its end. */
  stopCommand(): Promise<StoppedCommand>
  /** The command that runs or ran here, for a caller that was lost; null when this memory knows of none, and then none is taken any more. */
  awaitCommand(): Promise<Sealed<ExecResult> | null>
  listFiles(order: FileOrder): Promise<Sealed<FileList>>
  /** The bytes come as they are taken. */
  readFile(order: FileOrder): Promise<Sealed<{ readonly bytes: number; readonly body: ReadableStream<Uint8Array> }>>
  writeFile(order: FileOrder, body: ReadableStream<Uint8Array>): Promise<Sealed<WrittenFile>>
  scanHost(order: ScanOrder): Promise<Sealed<HostKey[]>>
  /** Ends the remote process and tells everybody. Ending an ended shell is fine. */
  endShell(order: EndOrder): Promise<void>
  /** Brings a member's sockets in line with their role; may come twice. */
  applyMember(member: { readonly userId: UserId; readonly role: OrgRole | null }): Promise<void>
  /** Writes its state to D1 if that is not done yet. Answers whether it knows of a shell at all. */
  reportState(): Promise<boolean>
  /** Ends the shell and forgets its output, once the recording is in storage or nobody will want it. */
  forgetShell(of: { readonly recording: 'keep' | 'drop' }): Promise<void>
}

/** What a run is to do, and for whom. */
export interface RunOrder extends Omit<StartRun, 'on'> {
  readonly runId: RunId
  readonly orgId: OrgId
  readonly userId: UserId
  /** The access it was started with: when that ends, nothing more is begun. */
  readonly sessionId: SessionId | ApiKeyId
  readonly hosts: readonly { readonly id: HostId; readonly name: string }[]
  readonly createdAt: number
  readonly traceparent: string
}

/** What the rest of the edge may ask a run's object; `fetch` answers its events. */
export interface RunRpc extends Rpc.DurableObjectBranded {
  startRun(order: RunOrder): Promise<Sealed<Run>>
  /** Null when its results are forgotten. */
  readRun(): Promise<Run | null>
  /** Hosts after a place in their order. */
  readHosts(page: { readonly after: number; readonly limit: number }): Promise<readonly RunHost[] | null>
  cancelRun(): Promise<Run | null>
  /** Cancels what is left and forgets who started it. */
  forgetRunner(): Promise<void>
  forgetRun(): Promise<void>
}
