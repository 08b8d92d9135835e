import type { UserId } from '../../contract/identity.ts'
import type { DocumentFormat, DocumentPatch, RoomDocument, RoomVersion, TextDiff } from '../../contract/room-document.ts'
import type { LiveCursor } from '../../contract/room-live.ts'
import type { MessageAction, MessageEvent, MessagePage, MessageReceipt, MessageRetention } from '../../contract/room-messages.ts'
import type { RoomRole, RoomStats } from '../../contract/rooms.ts'
import type { SocketHolder } from '../platform/live-sockets.ts'
import type { Sealed } from '../platform/rpc.ts'
import type { Delivery, Held, Receipt, Report } from './leaf-words.ts'

/** How a user's seat stands at a version of the room's seats; no role means no seat. */
export interface SeatState {
  readonly userId: UserId
  readonly role: RoomRole | null
  readonly version: number
}

/** Who publishes, and what. */
export interface AuthorOrder {
  readonly author: { readonly userId: UserId; readonly role: RoomRole }
  readonly publication: { readonly cid: string; readonly action: MessageAction }
}

/** Which events to read: those after a cursor, the last before one, or the newest. */
export interface MessagesOrder {
  readonly since?: LiveCursor | undefined
  readonly before?: LiveCursor | undefined
  readonly limit: number
}

/** What the rest of the edge may ask a room object, besides a WebSocket upgrade through `fetch`. */
export interface RoomRpc extends Rpc.DurableObjectBranded, SocketHolder {
  /** Brings users' open sockets in line with their seats. States may come twice and in any order. */
  applySeats(states: readonly SeatState[]): Promise<void>
  /** Who has open sockets. */
  seated(): Promise<UserId[]>
  /** Forgets everything and closes every socket with `gone`. May come twice. */
  destroy(): Promise<void>
  /** Publishes for a caller without a socket; what was published before answers where it is. */
  publishMessage(order: AuthorOrder): Promise<Sealed<MessageReceipt>>
  /** Events of the messages. */
  readMessages(order: MessagesOrder): Promise<MessagePage>
  /** How long messages are kept. */
  messageRetention(): Promise<MessageRetention>
  /** Keeps messages this long, those already there included. */
  setMessageRetention(ttlSeconds: number | null): Promise<MessageRetention>
  /** What a user has written here. */
  messagesBy(userId: UserId): Promise<MessageEvent[]>
  /** Takes out what a user has written here, and their read marker. May come twice. */
  eraseAuthor(userId: UserId): Promise<void>
  /** The document as it is stored now. */
  readDocument(format: DocumentFormat): Promise<Sealed<RoomDocument>>
  /** Changes the document, for somebody who may; stored when it answers. */
  patchDocument(patch: DocumentPatch, traceparent: string): Promise<Sealed<RoomDocument>>
  listVersions(): Promise<readonly RoomVersion[]>
  keepVersion(name: string): Promise<Sealed<RoomVersion>>
  readVersion(id: string, format: DocumentFormat): Promise<Sealed<RoomDocument>>
  diffVersion(id: string): Promise<Sealed<TextDiff>>
  restoreVersion(id: string, traceparent: string): Promise<Sealed<RoomDocument>>
  /** Hears what a leaf has to tell. */
  relay(report: Report): Promise<void>
  /** What it costs and holds. */
  stats(): Promise<RoomStats>
  /** Whether objects and their storage answer. */
  ping(): Promise<boolean>
}

/** What a room may ask its leaf, besides the WebSocket upgrades that the Worker brings through `fetch`. */
export interface LeafRpc extends Rpc.DurableObjectBranded {
  /** Begins a link with what the leaf holds. */
  begin(link: number): Promise<readonly Held[]>
  /** Does as it is told, unless the call is of an older link or out of order. */
  deliver(delivery: Delivery): Promise<Receipt>
}
