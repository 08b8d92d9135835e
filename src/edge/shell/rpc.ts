import type { UserId } from '../../contract/identity.ts'
import type { HostKeyPin, Pty } from '../../contract/krp.ts'
import type { OrgId, OrgRole } from '../../contract/orgs.ts'
import type { ExecResult, HostId, HostKey, ShellId } from '../../contract/shell.ts'
import type { SocketHolder } from '../platform/live-sockets.ts'
import type { Sealed } from '../platform/rpc.ts'

/** Where an object may go and as whom. The credential is still in its envelope. */
export interface HostTarget {
  readonly hostId: HostId
  readonly address: string
  readonly port: number
  readonly user: string
  readonly pins: readonly HostKeyPin[]
  readonly credential: string
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
}

/** Run one command. */
export interface ExecOrder extends Order {
  readonly target: HostTarget
  readonly command: string
  readonly timeoutSeconds: number
}

/** Ask a host for its key. */
export interface ScanOrder extends Order {
  readonly address: string
  readonly port: number
}

/** Why a shell is ended, and by whom when it was a person. */
export interface EndOrder {
  readonly reason: string
  readonly actorId: UserId | null
}

/** What the rest of the edge may ask a shell's object, besides a WebSocket upgrade through `fetch`. */
export interface ShellRpc extends Rpc.DurableObjectBranded, SocketHolder {
  openShell(order: OpenOrder): Promise<Sealed<void>>
  runCommand(order: ExecOrder): Promise<Sealed<ExecResult>>
  scanHost(order: ScanOrder): Promise<Sealed<HostKey[]>>
  /** Ends the remote process and tells everybody. Ending an ended shell is fine. */
  endShell(order: EndOrder): Promise<void>
  /** Brings a member's sockets in line with their role; may come twice. */
  applyMember(member: { readonly userId: UserId; readonly role: OrgRole | null }): Promise<void>
  /** Writes its state to D1 if that is not done yet. Answers whether it knows of a shell at all. */
  reportState(): Promise<boolean>
  /** Ends the shell and forgets its output. */
  forgetShell(): Promise<void>
}
