import { Problem, type ProblemSlug } from '../../contract/problem.ts'
import { RoomId } from '../../contract/rooms.ts'
import type { Env } from '../env.ts'
import { accessTokenOf } from '../http/session.ts'
import { authenticate } from '../identity/service.ts'
import { objectScope } from '../platform/object-scope.ts'
import type { Scope } from '../platform/scope.ts'
import { checkTicket } from '../platform/ticket.ts'
import type { Admission, Seat } from './place.ts'
import { seatAtDoor } from './seat-store.ts'

/** A seat that changes this often while its owner knocks can wait. */
const TRIES_MAX = 3

/** A ticket begins with the number of a secret; an access token with its header. */
const TICKET = /^\d+\./

async function callerOf(scope: Scope, roomId: RoomId, token: string) {
  if (!TICKET.test(token)) {
    const headers = { authorization: `Bearer ${token}` }
    return {
      actor: await authenticate(scope, accessTokenOf(new Request(scope.config.publicOrigin, { headers }), scope.config), {
        scope: 'rooms:write',
      }),
      ticket: null,
    }
  }
  const { actor, jti, expiresAt } = await checkTicket(scope, token, roomId)
  return { actor, ticket: { jti, expiresAt } }
}

/** Finds the seat for a token, or a ticket, that came in a frame. @throws Problem `unauthenticated`, `session-ended`, `scope-missing`, `ticket-invalid`, `not-found` or `limit-reached` */
export async function admitLate(
  env: Env,
  by: { readonly roomId: string; readonly token: string; readonly waitUntil: Scope['waitUntil'] },
  refusal: (admission: Seat & Pick<Admission, 'ticket'>) => ProblemSlug | undefined,
): Promise<Seat> {
  // What no header can carry is no token; the platform would throw at it.
  if (!/^[\w.-]+$/.test(by.token)) throw new Problem('unauthenticated')
  const scope = objectScope(by, env, null)
  const roomId = RoomId.parse(by.roomId)
  const { actor, ticket } = await callerOf(scope, roomId, by.token)
  if (actor.expiresAt <= scope.now()) throw new Problem('unauthenticated')
  for (let tries = 0; tries < TRIES_MAX; tries++) {
    const [row] = await seatAtDoor(scope.db, roomId, { ...actor, now: scope.now() })
    if (!row || row.role === null) throw new Problem('not-found')
    if (!row.isSessionLive) throw new Problem('session-ended')
    const { userId, sessionId, expiresAt } = actor
    const seat = { userId, sessionId, role: row.role, version: row.version, expiresAt, isBroadcast: row.isBroadcast === 1 }
    const slug = refusal({ ...seat, ticket })
    if (slug === undefined) return seat
    if (slug !== 'conflict') throw new Problem(slug)
  }
  throw new Problem('unavailable')
}
