import type { UserId } from '../../contract/identity.ts'
import type { RoomRole } from '../../contract/rooms.ts'
import type { SocketHolder } from '../platform/live-sockets.ts'

/** How a user's seat stands at a version of the room's seats; no role means no seat. */
export interface SeatState {
  readonly userId: UserId
  readonly role: RoomRole | null
  readonly version: number
}

/** What the rest of the edge may ask a room object, besides a WebSocket upgrade through `fetch`. */
export interface RoomRpc extends Rpc.DurableObjectBranded, SocketHolder {
  /** Brings users' open sockets in line with their seats. States may come twice and in any order. */
  applySeats(states: readonly SeatState[]): Promise<void>
  /** Who has open sockets. */
  seated(): Promise<UserId[]>
  /** Forgets everything and closes every socket with `gone`. May come twice. */
  destroy(): Promise<void>
  /** Whether objects and their storage answer. */
  ping(): Promise<boolean>
}
