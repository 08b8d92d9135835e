import { randomBytes } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import { expect } from 'vitest'
import { PROBLEMS, type ProblemSlug } from '../../src/contract/problem.ts'

/** Looks until it is as expected, however busy the machine. */
export const soon = (look: () => unknown): ReturnType<typeof expect.poll> => expect.poll(look, { timeout: 10_000, interval: 20 })

/** One call as it arrived. */
export interface Arrival {
  readonly method: string
  readonly path: string
  readonly headers: IncomingMessage['headers']
  readonly body: unknown
}

/** What a test may make of a call instead of its answer: a raw answer, or a cut before or after the work is done. */
export type Trouble =
  | { readonly status: number; readonly headers?: Record<string, string>; readonly body?: string }
  | 'cut-before'
  | 'cut-after'
  | 'hang'

interface Session {
  readonly id: string
  counter: number
  isEnded: boolean
  /** Access tokens of earlier counters have expired. */
  expired: number
}

interface Answer {
  readonly status: number
  readonly body?: unknown
  readonly headers?: Record<string, string>
}

const ID = (prefix: string, n: number) => `${prefix}_0${String(n).padStart(25, '0')}`
export const USER_ID = ID('usr', 1)
export const ROOM_ID = ID('rm', 1)
export const SHELL_ID = ID('shl', 1)
const NOW = '2026-11-01T12:00:00.000Z'
export const ME = { id: USER_ID, email: 'ada@example.org', displayName: null, locale: 'en', createdAt: NOW, roles: [], etag: '"first"' }

class Refusal extends Error {
  readonly slug: ProblemSlug
  constructor(slug: ProblemSlug) {
    super(slug)
    this.slug = slug
  }
}

const moment = (ms: number) => new Date(ms).toISOString()
const segment = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')

/** A peer that speaks the contract over HTTP: convergent refresh as the real service has it, and trouble on demand. */
export async function startService({ tokenSeconds = 900 }: { readonly tokenSeconds?: number } = {}) {
  const sessions = new Map<string, Session>()
  const arrivals: Arrival[] = []
  const upgrades: ((request: IncomingMessage, socket: Duplex, head: Buffer) => void)[] = []
  const tickets = new Set<string>()
  const state = {
    tokenSeconds,
    seats: true,
    bookmark: 0,
    trouble: (_: Arrival): Trouble | undefined | Promise<Trouble | undefined> => undefined,
  }
  let names = 0

  const tokensOf = (session: Session, cause?: string) => ({
    sessionId: session.id,
    userId: USER_ID,
    tokenType: 'Bearer',
    accessToken: `${segment({ alg: 'EdDSA' })}.${segment({ sid: session.id, n: session.counter, jti: randomBytes(6).toString('hex') })}.c2ln`,
    refreshToken: `r.${session.id}.${session.counter}`,
    expiresAt: moment(Date.now() + state.tokenSeconds * 1000),
    sessionExpiresAt: moment(Date.now() + 86_400_000),
    cause,
    somethingNewer: { nested: true },
  })

  function sessionOf(token: string | undefined): Session {
    const payload = token?.split('.')[1]
    if (!payload) throw new Refusal('unauthenticated')
    const { sid, n } = JSON.parse(Buffer.from(payload, 'base64url').toString()) as { sid: string; n: number }
    const session = sessions.get(sid)
    if (!session || n < session.expired) throw new Refusal('unauthenticated')
    if (session.isEnded) throw new Refusal('session-ended')
    return session
  }

  function refresh(token: string | undefined) {
    const [, id = '', counter] = (token ?? '').split('.')
    const session = sessions.get(id)
    if (!session) throw new Refusal('unauthenticated')
    if (session.isEnded) throw new Refusal('session-ended')
    const behind = session.counter - Number(counter)
    if (behind > 1) {
      session.isEnded = true
      throw new Refusal('refresh-reused')
    }
    if (behind === 0) session.counter++
    return { status: 200, body: tokensOf(session, behind === 0 ? 'rotated' : 'fail-to-save') }
  }

  const room = { id: ROOM_ID, name: 'plans', role: 'owner', orgId: null, isBroadcast: false, archivedAt: null, createdAt: NOW }
  const shell = { id: SHELL_ID, orgId: ID('org', 1), hostId: ID('hst', 1), userId: USER_ID, state: 'open', createdAt: NOW }
  function takeTicket() {
    const ticket = randomBytes(8).toString('hex')
    tickets.add(ticket)
    return { status: 201, body: { ticket, expiresAt: moment(Date.now() + 30_000) } }
  }
  function seat() {
    if (!state.seats) throw new Refusal('not-found')
  }

  type Route = (arrival: Arrival, user: () => Session) => Answer
  const routes: Record<string, Route> = {
    'POST /v1/auth/login': () => {
      const session = { id: ID('ses', ++names), counter: 1, isEnded: false, expired: 0 }
      sessions.set(session.id, session)
      return { status: 200, body: tokensOf(session) }
    },
    'POST /v1/auth/refresh': ({ body }) => refresh((body as { refreshToken?: string }).refreshToken),
    'POST /v1/auth/logout': ({ body }) => {
      const session = sessions.get((body as { refreshToken?: string }).refreshToken?.split('.')[1] ?? '')
      if (!session) throw new Refusal('unauthenticated')
      session.isEnded = true
      return { status: 204 }
    },
    'GET /v1/me': (_, user) => {
      user()
      return { status: 200, body: { ...ME, favouriteColor: 'green' } }
    },
    'GET /v1/rooms': (_, user) => {
      user()
      return { status: 200, body: { items: [room] } }
    },
    'POST /v1/rooms': (_, user) => {
      user()
      return { status: 201, body: room, headers: { 'parvis-bookmark': `0000000${++state.bookmark}-00` } }
    },
    [`GET /v1/rooms/${ROOM_ID}`]: (_, user) => {
      user()
      seat()
      return { status: 200, body: room }
    },
    [`POST /v1/rooms/${ROOM_ID}/tickets`]: (_, user) => {
      user()
      seat()
      return takeTicket()
    },
    [`GET /v1/shells/${SHELL_ID}`]: (_, user) => {
      user()
      return { status: 200, body: shell }
    },
    'POST /v1/shells': (_, user) => {
      user()
      return { status: 201, body: shell }
    },
    'GET /health/live': () => ({ status: 200, body: { status: 'live' } }),
    'GET /health/ready': () => ({ status: 503, body: { status: 'down', checkedAt: NOW, dependencies: {} } }),
  }

  const bearerOf = ({ headers }: Arrival) => /^Bearer (.+)$/.exec(headers.authorization ?? '')?.[1]

  function answer(arrival: Arrival): Answer {
    try {
      const route = routes[`${arrival.method} ${arrival.path.split('?')[0]}`]
      if (!route) throw new Refusal('not-found')
      return route(arrival, () => sessionOf(bearerOf(arrival)))
    } catch (error) {
      if (!(error instanceof Refusal)) throw error
      return problem(error.slug)
    }
  }

  async function take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const text = Buffer.concat(chunks).toString()
    const { method = '', url: path = '', headers } = request
    const arrival = { method, path, headers, body: text ? (JSON.parse(text) as unknown) : undefined }
    arrivals.push(arrival)
    const trouble = await state.trouble(arrival)
    if (trouble === 'hang') return
    if (trouble === 'cut-before') return void request.socket.destroy()
    if (typeof trouble === 'object') return void response.writeHead(trouble.status, trouble.headers).end(trouble.body)
    const { status, body, headers: more } = answer(arrival)
    if (trouble === 'cut-after') return void request.socket.destroy()
    response.writeHead(status, { 'content-type': 'application/json', ...more }).end(body === undefined ? undefined : JSON.stringify(body))
  }

  const server = createServer((request, response) => void take(request, response))
  server.on('upgrade', (request, socket, head) => {
    const [upgrade] = upgrades
    if (upgrade) upgrade(request, socket, head)
    else socket.destroy()
  })
  const connections = new Set<Duplex>()
  server.on('connection', (socket) => connections.add(socket))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))

  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    server,
    state,
    arrivals,
    sessions,
    /** Calls to one path. */
    to: (path: string) => arrivals.filter((a) => a.path.split('?')[0] === path),
    /** Makes every access token given out so far invalid, as when it expires. */
    expireTokens() {
      for (const session of sessions.values()) session.expired = session.counter + 1
    },
    endSessions() {
      for (const session of sessions.values()) session.isEnded = true
    },
    /** Handles WebSocket upgrades. */
    onUpgrade: (handle: (typeof upgrades)[number]) => void upgrades.push(handle),
    /** Who offers these subprotocols: throws a refusal's slug. */
    admit(offered: readonly string[]): Session | undefined {
      const ticket = offered.find((p) => p.startsWith('ticket.'))?.slice(7)
      if (ticket !== undefined) {
        if (!tickets.delete(ticket)) throw new Refusal('ticket-invalid')
        return undefined
      }
      return sessionOf(offered.find((p) => p.startsWith('bearer.'))?.slice(7))
    },
    async stop() {
      for (const socket of connections) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

/** A running {@link startService}. */
export type Service = Awaited<ReturnType<typeof startService>>

/** A problem as bytes. */
export function problem(slug: ProblemSlug, more: object = {}): Answer {
  const body = { type: `/problems/${slug}`, ...PROBLEMS[slug], traceId: 'a'.repeat(32), ...more }
  return { status: PROBLEMS[slug].status, body, headers: { 'content-type': 'application/problem+json' } }
}

/** A problem as trouble. */
export const troubleOf = (slug: ProblemSlug, headers: Record<string, string> = {}, more: object = {}): Trouble => {
  const { status, body } = problem(slug, more)
  return { status, headers: { 'content-type': 'application/problem+json', ...headers }, body: JSON.stringify(body) }
}

/** Answers the n-th of the calls that a test picks with trouble. */
export function troubleFor(path: string, list: readonly (Trouble | undefined)[]) {
  const left = [...list]
  return (arrival: Arrival): Trouble | undefined => (arrival.path.split('?')[0] === path ? left.shift() : undefined)
}
