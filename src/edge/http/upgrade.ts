import { Problem } from '../../contract/problem.ts'
import type { Actor, Scope } from '../platform/scope.ts'
import { checkTicket } from '../platform/ticket.ts'
import type { Upgrade } from './implement.ts'
import { accessTokenOf, isTrustedOrigin } from './session.ts'

/** Names our sockets speak; a browser insists that the server picks one of those it offered. */
export const SUBPROTOCOL = 'parvis'

/** Who opens a socket and how the answer must name the subprotocol. */
export interface SocketCaller {
  readonly actor: Actor
  /** Set when a ticket was used: the object must let it through once. */
  readonly ticket: { readonly jti: string; readonly expiresAt: number } | undefined
  /** Value for `Sec-WebSocket-Protocol` of the answer. */
  readonly subprotocol: string | undefined
}

/**
 * Finds out who opens a WebSocket, before any object is touched: a ticket (`ticket.<t>` subprotocol or `?ticket=`),
 * a bearer token (`bearer.<token>` subprotocol or the Authorization header), or the access cookie from a trusted origin.
 *
 * @throws Problem `unauthenticated`, `session-ended`, `ticket-invalid` or `origin-untrusted`
 */
export async function callerOf(
  { scope, request, authenticate }: Pick<Upgrade<never>, 'scope' | 'request' | 'authenticate'>,
  audience: string,
): Promise<SocketCaller> {
  const offered = (request.headers.get('sec-websocket-protocol') ?? '').split(',').map((p) => p.trim())
  const subprotocol = offered.includes(SUBPROTOCOL) ? SUBPROTOCOL : undefined
  const after = (prefix: string) => offered.find((p) => p.startsWith(prefix))?.slice(prefix.length)
  const origin = request.headers.get('origin')
  if (origin !== null && !isTrustedOrigin(request.headers, scope.config)) throw new Problem('origin-untrusted')
  const ticket = after('ticket.') ?? new URL(request.url).searchParams.get('ticket')
  if (ticket) {
    const { actor, jti, expiresAt } = await checkTicket(scope, ticket, audience)
    return { actor, ticket: { jti, expiresAt }, subprotocol }
  }
  const bearer = after('bearer.')
  const actor = await authenticate(scope, bearer ? checkedBearer(scope, bearer) : cookieOrHeader(scope, request))
  return { actor, ticket: undefined, subprotocol }
}

/** A token that came in a message, held to the shape that a header has. @throws Problem `unauthenticated` */
export const checkedBearer = (scope: Scope, token: string): string =>
  accessTokenOf(new Request(scope.config.publicOrigin, { headers: { authorization: `Bearer ${token}` } }), scope.config)

/** An upgrade is a GET that acts: a cookie alone needs a trusted origin (cross-site WebSocket hijacking). */
function cookieOrHeader(scope: Scope, request: Request): string {
  if (!request.headers.has('authorization') && !isTrustedOrigin(request.headers, scope.config)) throw new Problem('origin-untrusted')
  return accessTokenOf(request, scope.config)
}
