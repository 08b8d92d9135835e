import { INBOX_AUTHENTICATE_SECONDS } from '../../contract/inbox.ts'
import { isProblem, PROBLEMS, Problem, type ProblemSlug } from '../../contract/problem.ts'
import { readCookie } from '../http/cookies.ts'
import type { Upgrade } from '../http/implement.ts'
import { ACCESS_COOKIE, isTrustedOrigin } from '../http/session.ts'
import { callerOf, type SocketCaller, SUBPROTOCOL } from '../http/upgrade.ts'
import { isSessionLive } from '../identity/service.ts'
import { refusalOf, upgradeFor } from '../platform/admission.ts'
import { describeError } from '../platform/log.ts'
import type { Scope } from '../platform/scope.ts'
import { closeWith } from '../platform/socket.ts'
import { traceparentOf } from '../platform/trace.ts'
import { parseFrame } from './exchange.ts'
import { type HeldSocket, holdSocket } from './held-socket.ts'
import { INBOX_AUDIENCE } from './service.ts'

type Knocking = Pick<Upgrade<never>, 'scope' | 'request' | 'authenticate'>

/**
 * Opens a socket to the caller's inbox. Without a credential the socket is kept here until its first frame shows one: no object is
 * touched for nobody.
 *
 * @throws Problem `unauthenticated`, `session-ended`, `ticket-invalid`, `origin-untrusted` or `limit-reached`
 */
export async function joinInbox(upgrade: Knocking): Promise<Response> {
  const { scope, request } = upgrade
  if (hasCredential(request)) return enter(scope, await callerOf(upgrade, INBOX_AUDIENCE))
  if (request.headers.has('origin') && !isTrustedOrigin(request.headers, scope.config)) throw new Problem('origin-untrusted')
  const { 0: client, 1: server } = new WebSocketPair()
  server.accept()
  scope.waitUntil(introduce(upgrade, holdSocket(server)))
  const offers = (request.headers.get('sec-websocket-protocol') ?? '').split(',').map((name) => name.trim())
  const headers: HeadersInit = offers.includes(SUBPROTOCOL) ? { 'sec-websocket-protocol': SUBPROTOCOL } : {}
  return new Response(null, { status: 101, webSocket: client, headers })
}

function hasCredential(request: Request): boolean {
  const { headers, url } = request
  const offered = headers.get('sec-websocket-protocol') ?? ''
  return (
    /(^|[\s,])(bearer|ticket)\./.test(offered) ||
    new URL(url).searchParams.has('ticket') ||
    headers.has('authorization') ||
    readCookie(headers, ACCESS_COOKIE) !== undefined
  )
}

async function enter(scope: Scope, { actor, ticket, subprotocol }: SocketCaller): Promise<Response> {
  const { userId, sessionId, expiresAt } = actor
  if (expiresAt <= scope.now()) throw new Problem('unauthenticated')
  if (!(await isSessionLive(scope, actor))) throw new Problem('session-ended')
  const admission = { userId, sessionId, expiresAt, ticket: ticket ?? null, subprotocol: subprotocol ?? null }
  const response = await scope.env.INBOXES.getByName(userId).fetch(upgradeFor(admission, traceparentOf(scope.trace)))
  const slug = refusalOf(response)
  if (slug !== null) throw new Problem(slug in PROBLEMS ? (slug as ProblemSlug) : 'internal')
  return response
}

/** Hears the first frame, then joins both ends: what either says or how it leaves, the other is told. */
async function introduce({ scope, authenticate }: Knocking, outer: HeldSocket): Promise<void> {
  try {
    const frame = parseFrame(await outer.first(INBOX_AUTHENTICATE_SECONDS * 1000))
    if (frame.type !== 'authenticate') throw new Problem('unauthenticated')
    const actor = await authenticate(scope, frame.token)
    const { webSocket: inner } = await enter(scope, { actor, ticket: undefined, subprotocol: undefined })
    if (!inner) throw new Error('an inbox that answers no socket')
    outer.join(inner)
  } catch (error) {
    if (!isProblem(error)) scope.log('inbox.failed', describeError(error))
    closeWith(outer.socket, isProblem(error) ? error.slug : 'internal')
  }
}
