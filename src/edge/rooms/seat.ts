import type { SessionId, UserId } from '../../contract/identity.ts'
import type { LiveStream } from '../../contract/room-live.ts'
import type { RoomRole } from '../../contract/rooms.ts'
import type { Admission as DoorAdmission } from '../platform/admission.ts'

/** Who sits behind a socket and what they may do. */
export interface Seat {
  readonly userId: UserId
  readonly sessionId: SessionId
  readonly role: RoomRole
  /** Version of the room's seats at which the role was read. */
  readonly version: number
  /** When the access token behind the socket expires, Unix milliseconds. */
  readonly expiresAt: number
}

/** What a socket of our own protocol takes part in. */
export interface LivePlace {
  readonly streams: readonly LiveStream[]
  /** What it shows of its user, as UTF-8 of JSON. */
  readonly state: Uint8Array | null
  /** When it said so, Unix milliseconds. */
  readonly stateAt: number
}

/** Where a socket of our own protocol begins. */
export const NEW_LIVE_PLACE: LivePlace = { streams: [], state: null, stateAt: 0 }

/** Nobody yet: the seat of a socket that is to authenticate by its first frame. */
export const nobodysSeat = (expiresAt: number): Seat => ({
  userId: '' as UserId,
  sessionId: '' as SessionId,
  role: 'viewer',
  version: Number.MAX_SAFE_INTEGER,
  expiresAt,
})

/** Whether a seat is nobody's yet. */
export const isNobody = ({ userId }: Pick<Seat, 'userId'>): boolean => userId === ''

/** A seat on its way to the room's object. */
export interface Admission extends Seat, DoorAdmission {
  /** What the socket will speak. */
  readonly framing: 'y' | 'live'
  /** Whether others are not to see that the socket is there. */
  readonly isIncognito: boolean
}

/** An upgrade whose token will come in a frame: it names nobody. */
export const unannouncedUpgrade = (traceparent: string, isIncognito: boolean): Request =>
  new Request(`https://room/unannounced${isIncognito ? '?incognito=1' : ''}`, { headers: { upgrade: 'websocket', traceparent } })

/** Whether an upgrade asks not to be seen: `?incognito=1`. */
export const isIncognito = ({ url }: Pick<Request, 'url'>): boolean => new URL(url).searchParams.get('incognito') === '1'

/** Whether the token of an upgrade is still to come. */
export const isUnannounced = (request: Request): boolean => new URL(request.url).pathname === '/unannounced'
