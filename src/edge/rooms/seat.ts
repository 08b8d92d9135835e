import type { SessionId, UserId } from '../../contract/identity.ts'
import { admissionOf } from '../platform/admission.ts'
import type { Admission, Arrival, LivePlace, Seat } from './place.ts'
import { mayWrite } from './policy.ts'

/** Where a socket of our own protocol begins. */
export const NEW_LIVE_PLACE: LivePlace = { streams: [], state: null, stateAt: 0 }

/** Nobody yet: the seat of a socket that is to authenticate by its first frame. */
export const nobodysSeat = ({ expiresAt, isBroadcast }: Pick<Seat, 'expiresAt' | 'isBroadcast'>): Seat => ({
  userId: '' as UserId,
  sessionId: '' as SessionId,
  role: 'viewer',
  version: Number.MAX_SAFE_INTEGER,
  expiresAt,
  isBroadcast,
})

/** Whether a seat is nobody's yet. */
export const isNobody = ({ userId }: Pick<Seat, 'userId'>): boolean => userId === ''

/** Whether somebody only watches a room for an audience: nothing of them is told to the others. */
export const isAudience = ({ isBroadcast, role }: Pick<Seat, 'isBroadcast' | 'role'>): boolean => isBroadcast && !mayWrite(role)

/** An upgrade whose token will come in a frame: it names nobody. */
export const unannouncedUpgrade = (traceparent: string, isIncognito: boolean): Request =>
  new Request(`https://room/unannounced${isIncognito ? '?incognito=1' : ''}`, { headers: { upgrade: 'websocket', traceparent } })

/** Whether an upgrade asks not to be seen: `?incognito=1`. */
export const isIncognito = ({ url }: Pick<Request, 'url'>): boolean => new URL(url).searchParams.get('incognito') === '1'

/** Who comes with an upgrade from the Worker. */
export function arrivalOf(request: Request): Arrival {
  const isUnannounced = new URL(request.url).pathname === '/unannounced'
  const admission = isUnannounced ? null : admissionOf<Admission>(request)
  return { admission, isIncognito: admission?.isIncognito ?? isIncognito(request), traceparent: request.headers.get('traceparent') }
}

/** The answer to an upgrade that was let in. */
export const upgraded = (client: WebSocket, subprotocol: string | null): Response =>
  new Response(null, {
    status: 101,
    webSocket: client,
    headers: subprotocol === null ? {} : { 'sec-websocket-protocol': subprotocol },
  })

const LEAVES_HEADER = 'parvis-leaves'

/** Sends an upgrade on to one of so many leaves. */
export const elsewhere = (leaves: number): Response => new Response(null, { status: 409, headers: { [LEAVES_HEADER]: String(leaves) } })

/** To one of how many leaves an upgrade is sent on, if it is. */
export const leavesOf = (response: Response): number => Number(response.headers.get(LEAVES_HEADER) ?? 0)
