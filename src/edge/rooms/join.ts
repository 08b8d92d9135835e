import { PROBLEMS, Problem, type ProblemSlug } from '../../contract/problem.ts'
import { LIVE_AUTHENTICATE_SECONDS } from '../../contract/room-live.ts'
import type { RoomId } from '../../contract/rooms.ts'
import { readCookie } from '../http/cookies.ts'
import type { Upgrade } from '../http/implement.ts'
import { ACCESS_COOKIE, isTrustedOrigin } from '../http/session.ts'
import { callerOf, type SocketCaller, SUBPROTOCOL } from '../http/upgrade.ts'
import { refusalOf, upgradeFor } from '../platform/admission.ts'
import { openDb } from '../platform/db.ts'
import type { Scope } from '../platform/scope.ts'
import { traceparentOf } from '../platform/trace.ts'
import type { Admission, Seat } from './place.ts'
import { upgradeIn } from './placement.ts'
import { isIncognito, nobodysSeat, unannouncedUpgrade } from './seat.ts'
import { seatAtDoor } from './seat-store.ts'
import { roomExists } from './store.ts'

/** A seat that changes this often while its owner knocks can wait. */
const TRIES_MAX = 3

const RETRY_SECONDS = 1

type Knocking = Pick<Upgrade<never>, 'scope' | 'request' | 'authenticate'>

/**
 * Opens a socket to the room's document. Who may not enter is answered here, before any object is touched.
 *
 * @throws Problem `unauthenticated`, `session-ended`, `ticket-invalid`, `origin-untrusted`, `not-found` or `limit-reached`
 */
export async function joinRoom(
  upgrade: Knocking,
  { roomId, framing }: { readonly roomId: RoomId; readonly framing: Admission['framing'] },
): Promise<Response> {
  const { scope } = upgrade
  const caller = await callerOf(upgrade, roomId)
  if (caller.actor.expiresAt <= scope.now()) throw new Problem('unauthenticated')
  for (let tries = 0; tries < TRIES_MAX; tries++) {
    const seat = { ...(await seatFor(scope, caller, roomId)), isIncognito: isIncognito(upgrade.request) }
    const admission = { ...seat, framing, ticket: caller.ticket ?? null, subprotocol: caller.subprotocol ?? null }
    const response = await upgradeIn(scope, roomId, () => upgradeFor(admission, traceparentOf(scope.trace)))
    const slug = refusalOf(response)
    if (slug === null) return response
    if (slug !== 'conflict') throw new Problem(slug in PROBLEMS ? (slug as ProblemSlug) : 'internal')
  }
  throw new Problem('unavailable', { retryAfterSeconds: RETRY_SECONDS })
}

/**
 * Opens a socket of our own protocol. One without a credential may show it by its first frame, in a room that exists:
 * nobody makes objects by guessing.
 *
 * @throws Problem as {@link joinRoom}
 */
export async function joinLive(upgrade: Knocking, roomId: RoomId): Promise<Response> {
  const { scope, request } = upgrade
  if (hasCredential(request)) return joinRoom(upgrade, { roomId, framing: 'live' })
  if (request.headers.has('origin') && !isTrustedOrigin(request.headers, scope.config)) throw new Problem('origin-untrusted')
  const [room] = await roomExists(scope.db, roomId)
  if (!room) throw new Problem('not-found')
  const seat = nobodysSeat({ expiresAt: scope.now() + LIVE_AUTHENTICATE_SECONDS * 1000, isBroadcast: room.isBroadcast === 1 })
  const subprotocol = subprotocolOf(request)
  const admission: Admission = { ...seat, framing: 'live', isIncognito: isIncognito(request), ticket: null, subprotocol }
  const response = await upgradeIn(scope, roomId, () => upgradeFor(admission, traceparentOf(scope.trace)))
  const slug = refusalOf(response)
  if (slug !== null) throw new Problem('limit-reached')
  return response
}

const offeredBy = (request: Request): readonly string[] =>
  (request.headers.get('sec-websocket-protocol') ?? '').split(',').map((name) => name.trim())

const subprotocolOf = (request: Request): string | null => (offeredBy(request).includes(SUBPROTOCOL) ? SUBPROTOCOL : null)

function hasCredential(request: Request): boolean {
  const isOffered = offeredBy(request).some((name) => name.startsWith('ticket.') || name.startsWith('bearer.'))
  const isNamed = request.headers.has('authorization') || new URL(request.url).searchParams.has('ticket')
  return isOffered || isNamed || readCookie(request.headers, ACCESS_COOKIE) !== undefined
}

/** Reads the seat at the primary: a client names its own bookmark, and an old replica would let a removed member in. */
async function seatFor(scope: Scope, { actor }: SocketCaller, roomId: RoomId): Promise<Seat> {
  const { db } = openDb(scope.env.DB, undefined)
  const [seat] = await seatAtDoor(db, roomId, { ...actor, now: scope.now() })
  if (!seat || seat.role === null) throw new Problem('not-found')
  if (!seat.isSessionLive) throw new Problem('session-ended')
  return {
    userId: actor.userId,
    sessionId: actor.sessionId,
    role: seat.role,
    version: seat.version,
    expiresAt: actor.expiresAt,
    isBroadcast: seat.isBroadcast === 1,
  }
}

/**
 * Opens a socket for a Hocuspocus provider, whose token comes in its first frame. Only a room that exists wakes an object.
 *
 * @throws Problem `origin-untrusted`, `not-found` or `limit-reached`
 */
export async function joinLate({ scope, request }: Pick<Upgrade<never>, 'scope' | 'request'>, roomId: RoomId): Promise<Response> {
  if (request.headers.has('origin') && !isTrustedOrigin(request.headers, scope.config)) throw new Problem('origin-untrusted')
  const [room] = await roomExists(openDb(scope.env.DB, undefined).db, roomId)
  if (!room) throw new Problem('not-found')
  const response = await upgradeIn(scope, roomId, () => unannouncedUpgrade(traceparentOf(scope.trace), isIncognito(request)))
  if (refusalOf(response) !== null) throw new Problem('limit-reached')
  return response
}
