import { PROBLEMS, Problem, type ProblemSlug } from '../../contract/problem.ts'
import type { RoomId } from '../../contract/rooms.ts'
import type { Upgrade } from '../http/implement.ts'
import { isTrustedOrigin } from '../http/session.ts'
import { callerOf, type SocketCaller } from '../http/upgrade.ts'
import { openDb } from '../platform/db.ts'
import type { Scope } from '../platform/scope.ts'
import { traceparentOf } from '../platform/trace.ts'
import { refusalOf, type Seat, unannouncedUpgrade, upgradeFor } from './seat.ts'
import { seatAtDoor } from './seat-store.ts'
import { roomExists } from './store.ts'

/** A seat that changes this often while its owner knocks can wait. */
const TRIES_MAX = 3

const RETRY_SECONDS = 1

/**
 * Opens a socket to the room's document. Who may not enter is answered here, before any object is touched.
 *
 * @throws Problem `unauthenticated`, `session-ended`, `ticket-invalid`, `origin-untrusted`, `not-found` or `limit-reached`
 */
export async function joinRoom(upgrade: Pick<Upgrade<never>, 'scope' | 'request' | 'authenticate'>, roomId: RoomId): Promise<Response> {
  const { scope } = upgrade
  const caller = await callerOf(upgrade, roomId)
  if (caller.actor.expiresAt <= scope.now()) throw new Problem('unauthenticated')
  const room = scope.env.ROOMS.getByName(roomId)
  for (let tries = 0; tries < TRIES_MAX; tries++) {
    const seat = await seatFor(scope, caller, roomId)
    const admission = { ...seat, ticket: caller.ticket ?? null, subprotocol: caller.subprotocol ?? null }
    const response = await room.fetch(upgradeFor(admission, traceparentOf(scope.trace)))
    const slug = refusalOf(response)
    if (slug === null) return response
    if (slug !== 'conflict') throw new Problem(slug in PROBLEMS ? (slug as ProblemSlug) : 'internal')
  }
  throw new Problem('unavailable', { retryAfterSeconds: RETRY_SECONDS })
}

/** Reads the seat at the primary: a client names its own bookmark, and an old replica would let a removed member in. */
async function seatFor(scope: Scope, { actor }: SocketCaller, roomId: RoomId): Promise<Seat> {
  const { db } = openDb(scope.env.DB, undefined)
  const [seat] = await seatAtDoor(db, roomId, { ...actor, now: scope.now() })
  if (!seat || seat.role === null) throw new Problem('not-found')
  if (!seat.isSessionLive) throw new Problem('session-ended')
  return { userId: actor.userId, sessionId: actor.sessionId, role: seat.role, version: seat.version, expiresAt: actor.expiresAt }
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
  const response = await scope.env.ROOMS.getByName(roomId).fetch(unannouncedUpgrade(traceparentOf(scope.trace)))
  if (refusalOf(response) !== null) throw new Problem('limit-reached')
  return response
}
