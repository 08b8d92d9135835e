import type { SessionId, UserId } from '../../contract/identity.ts'
import type { LiveStream } from '../../contract/room-live.ts'
import type { RoomRole } from '../../contract/rooms.ts'

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
export interface Admission extends Seat {
  /** Set when a ticket opened the door: the object lets it through once. */
  readonly ticket: { readonly jti: string; readonly expiresAt: number } | null
  /** What the socket will speak. */
  readonly framing: 'y' | 'live'
  /** Whether others are not to see that the socket is there. */
  readonly isIncognito: boolean
  /** The subprotocol to answer with. */
  readonly subprotocol: string | null
}

const ADMISSION_HEADER = 'parvis-admission'
const REFUSAL_HEADER = 'parvis-refusal'

/**
 * The upgrade as the object sees it: made afresh, so nothing a client sent comes along, neither a header
 * that names a seat nor an offer to compress.
 */
export const upgradeFor = (admission: Admission, traceparent: string): Request =>
  new Request('https://room/', { headers: { upgrade: 'websocket', traceparent, [ADMISSION_HEADER]: JSON.stringify(admission) } })

/** An upgrade whose token will come in a frame: it names nobody. */
export const unannouncedUpgrade = (traceparent: string): Request =>
  new Request('https://room/unannounced', { headers: { upgrade: 'websocket', traceparent } })

/** Whether the token of an upgrade is still to come. */
export const isUnannounced = (request: Request): boolean => new URL(request.url).pathname === '/unannounced'

/** The admission of an upgrade. Only the Worker can reach an object, so what it says is true. */
export function admissionOf(request: Request): Admission {
  const header = request.headers.get(ADMISSION_HEADER)
  if (header === null) throw new Error('an upgrade without admission')
  return JSON.parse(header) as Admission
}

/** How an object declines an upgrade. */
export const declined = (slug: string): Response => new Response(null, { status: 409, headers: { [REFUSAL_HEADER]: slug } })

/** Why an object declined, if it did. */
export const refusalOf = (response: Response): string | null => response.headers.get(REFUSAL_HEADER)
