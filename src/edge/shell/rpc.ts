import type { AlgorithmProfile, CredentialKind, HostId, HostKey } from '../../contract/hosts.ts'
import type { UserId } from '../../contract/identity.ts'
import type { HostKeyPin, Pty } from '../../contract/krp.ts'
import type { OrgId, OrgRole } from '../../contract/orgs.ts'
import type { Oversight } from '../../contract/oversight.ts'
import type { ExecResult, ShellId, ShellState } from '../../contract/shell.ts'
import type { SocketHolder } from '../platform/live-sockets.ts'
import type { Sealed } from '../platform/rpc.ts'

/** A host as an object goes there, and as whom. The credential is still in its envelope. */
export interface HostHop {
  readonly hostId: HostId
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
}

/** Run one command. */
export interface ExecOrder extends Order {
  readonly target: HostTarget
  readonly command: string
  readonly timeoutSeconds: number
  readonly env: Readonly<Record<string, string>>
  /** What the command reads; it then meets the end of its input. */
  readonly stdin: string
  /** Whether it must end when it cannot be recorded. */
  readonly isStrict: boolean
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
  runCommand(order: ExecOrder): Promise<Sealed<ExecResult>>
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
