import type { SessionId, UserId } from '../../contract/identity.ts'
import type { LiveStream } from '../../contract/room-live.ts'
import type { RoomRole } from '../../contract/rooms.ts'
import type { Trace } from '../platform/trace.ts'
import type { Presence } from './awareness.ts'

/** Who sits behind a socket and what they may do. */
export interface Seat {
  readonly userId: UserId
  readonly sessionId: SessionId
  readonly role: RoomRole
  /** Version of the room's seats at which the role was read. */
  readonly version: number
  /** When the access token behind the socket expires, Unix milliseconds. */
  readonly expiresAt: number
  /** Whether the room is one for an audience. */
  readonly isBroadcast: boolean
}

/** What a socket of our own protocol takes part in. */
export interface LivePlace {
  readonly streams: readonly LiveStream[]
  /** What it shows of its user, as UTF-8 of JSON. */
  readonly state: Uint8Array | null
  /** When it said so, Unix milliseconds. */
  readonly stateAt: number
}

/** How a socket is spoken to. */
export interface Line {
  readonly framing: 'y' | 'hocuspocus' | 'live'
  /** How its Hocuspocus provider names itself; null while none is on the line. */
  readonly key: string | null
  /** What a socket of our own protocol takes part in. */
  readonly live: LivePlace | null
  /** Whether others are not to see that this socket is there. */
  readonly isIncognito: boolean
}

/** All that is known of a socket. Kept in its attachment (16 KiB at most), so hibernation forgets none of it. */
export interface Place extends Seat, Line {
  readonly trace: Trace
  readonly presence: Presence | null
  /** Whether the client was told that its changes are not accepted. */
  readonly isDenied: boolean
  /** When it was last asked for a fresh token and has not shown one since, Unix milliseconds. */
  readonly askedAt: number | null
  /** Whether it has left: a closed socket may still be listed until its peer answers. */
  readonly isGone: boolean
}

/** A seat on its way to the room's object. */
export interface Admission extends Seat {
  /** Set when a ticket opened the door: the object lets it through once. */
  readonly ticket: { readonly jti: string; readonly expiresAt: number } | null
  /** The subprotocol to answer with. */
  readonly subprotocol: string | null
  /** What the socket will speak. */
  readonly framing: 'y' | 'live'
  /** Whether others are not to see that the socket is there. */
  readonly isIncognito: boolean
}

/** Somebody at the door of a room, by an upgrade that reached its object or one of its leaves. */
export interface Arrival {
  /** None while the token is to come in a frame. */
  readonly admission: Admission | null
  readonly isIncognito: boolean
  readonly traceparent: string | null
}
