import type { Context, Hono } from 'hono'
import type * as z from 'zod'
import { type Demands, type Endpoint, limitOf, problemsOf, type SocketEndpoint, type StreamKind } from '../../contract/endpoint.ts'
import type { ApiScope } from '../../contract/permission.ts'
import { isProblem, Problem, type ProblemSlug } from '../../contract/problem.ts'
import type { Env } from '../env.ts'
import type { Actor, Scope } from '../platform/scope.ts'
import type { Trace } from '../platform/trace.ts'
import { faultsOfText, readJson } from './body.ts'
import { type EntityTags, readIfMatch } from './condition.ts'
import { API_HEADERS } from './headers.ts'
import { chargeCall, setLimitHeaders, shed } from './limits.ts'
import { type Authenticate, accessTokenOf } from './session.ts'

/** What a request carries through the middleware. */
export interface EdgeEnv {
  Bindings: Env
  Variables: { trace: Trace; scope: Scope; authenticate: Authenticate; route: string; problem: ProblemSlug }
}

/** The Worker's Hono app. */
export type EdgeApp = Hono<EdgeEnv>

type Out<S> = S extends z.ZodType ? z.output<S> : undefined

/** What a handler may add to its answer: headers that no answer has by itself, and another status. */
export interface Reply {
  readonly headers: Headers
  status: number
}

/** One validated call. `actor` is there exactly when the endpoint's access is not public. */
export interface Call<P, Q, B, C = undefined> {
  readonly params: Out<P>
  readonly query: Out<Q>
  readonly body: Out<B>
  /** Which versions may be changed, where the operation asks. */
  readonly ifMatch: C extends true ? EntityTags : undefined
  readonly scope: Scope
  readonly actor: Actor
  readonly request: Request
  readonly reply: Reply
}

function check(schema: z.ZodType | undefined, value: unknown, at: string): unknown {
  if (!schema) return undefined
  const parsed = schema.safeParse(value)
  if (parsed.success) return parsed.data
  const errors = parsed.error.issues.flatMap((issue) => {
    const keys = issue.code === 'unrecognized_keys' ? issue.keys : [undefined]
    return keys.map((key) => ({
      detail: key === undefined ? issue.message : 'is not a field',
      pointer: pointerOf([at, ...issue.path, ...(key === undefined ? [] : [key])]),
    }))
  })
  throw new Problem('invalid-request', { errors })
}

const pointerOf = (path: readonly PropertyKey[]): string =>
  `#/${path.map((p) => String(p).replaceAll('~', '~0').replaceAll('/', '~1')).join('/')}`

/** Query parameters as an object; a repeated one has no single meaning. */
function queryOf(url: string): Record<string, string> {
  const entries = [...new URL(url).searchParams]
  const query = Object.fromEntries(entries)
  const errors = [
    ...(entries.length === Object.keys(query).length ? [] : [{ detail: 'repeats a parameter', pointer: '#/query' }]),
    ...faultsOfText(query, '#/query'),
  ]
  if (errors.length > 0) throw new Problem('invalid-request', { errors })
  return query
}

/** From here on the request's scope says who acts; it is assigned, since a copy would open the database for nothing. */
async function identify(c: Context<EdgeEnv>, e: Endpoint): Promise<Actor> {
  const scope = c.get('scope')
  const actor = await c.get('authenticate')(scope, accessTokenOf(c.req.raw, scope.config), e)
  Object.assign(scope, { actor })
  return actor
}

/** A path parameter of the wrong shape names nothing, so it is not found rather than malformed. */
function paramsOf(c: Context<EdgeEnv>, schema: z.ZodType | undefined): unknown {
  if (!schema) return undefined
  const parsed = schema.safeParse(c.req.param())
  if (!parsed.success) throw new Problem('not-found')
  return parsed.data
}

/** In dev and test a problem that the contract does not list is a bug, so it cannot go unnoticed. */
function heldToContract(e: Endpoint, scope: Scope, error: unknown): unknown {
  if (!scope.config.isDev || !isProblem(error) || problemsOf(e).includes(error.slug)) return error
  return new Error(`${e.id} answered the undeclared problem ${error.slug}`, { cause: error })
}

function answer(e: Endpoint, { result, reply }: { readonly result: unknown; readonly reply: Reply }): Response {
  const body = e.success === 204 ? null : JSON.stringify(result)
  const response = new Response(body, { status: reply.status, headers: API_HEADERS })
  const { headers } = response
  for (const [name, value] of reply.headers) headers.append(name, value)
  if (e.publicSeconds !== undefined) headers.set('cache-control', `public, max-age=${e.publicSeconds}`)
  if (e.hasEtag) headers.set('etag', (result as { readonly etag: string }).etag)
  if (body === null) headers.delete('content-type')
  return response
}

const STREAM_TYPES = {
  lines: 'application/jsonl; charset=utf-8',
  events: 'text/event-stream; charset=utf-8',
  bytes: 'application/octet-stream',
} as const

/** An answer that goes on: nobody on the way keeps or gathers it. */
function answerStream(kind: keyof typeof STREAM_TYPES, { body, headers = {} }: StreamAnswer): Response {
  const type = STREAM_TYPES[kind]
  const own = { 'content-type': type, 'cache-control': 'no-store', 'x-accel-buffering': 'no', ...headers }
  return body === null ? new Response(null, { status: 204 }) : new Response(body, { headers: own })
}

/** What a streamed operation answers; null: there is nothing more to follow. */
export interface StreamAnswer {
  readonly body: ReadableStream<Uint8Array> | null
  readonly headers?: Readonly<Record<string, string>>
}

type Answered<R extends z.ZodType, S> = S extends keyof typeof STREAM_TYPES ? StreamAnswer : z.input<R>

/** Binds an endpoint to its handler: authenticates, validates in, types what goes out. */
export function implement<
  P extends z.ZodType,
  Q extends z.ZodType,
  B extends z.ZodType,
  R extends z.ZodType,
  C extends true | undefined = undefined,
  K extends ApiScope | undefined = undefined,
  S extends StreamKind | undefined = undefined,
>(app: EdgeApp, endpoint: Endpoint<P, Q, B, R, C, K, S>, handle: (call: Call<P, Q, B, C>) => Promise<Answered<R, S>>): void {
  const e = endpoint as unknown as Endpoint
  const limit = limitOf(e)
  const isLimited = limit !== 'none'
  app.on(e.method, e.path, async (c) => {
    c.set('route', e.path)
    const scope = c.get('scope')
    try {
      if (isLimited) await shed(scope, limit, c.req.raw)
      const actor = e.access === 'public' ? undefined : await identify(c, e)
      const params = paramsOf(c, e.params)
      const ifMatch = e.ifMatch && readIfMatch(c.req.raw.headers)
      const query = check(e.query, e.query && queryOf(c.req.url), 'query')
      const body = check(e.body, e.body && (await readJson(c.req.raw, e.bodyBytesMax)), 'body')
      if (e.stream === 'upload' && Number(c.req.header('content-length') ?? 0) > (e.bodyBytesMax ?? 0))
        throw new Problem('payload-too-large')
      const reply: Reply = { headers: new Headers(), status: e.success }
      if (isLimited) setLimitHeaders(reply.headers, await chargeCall(scope, limit, { request: c.req.raw, actor }))
      const result = await handle({ params, query, body, ifMatch, scope, actor, request: c.req.raw, reply } as Call<P, Q, B, C>)
      if (e.stream && e.stream !== 'upload') return answerStream(e.stream, result as StreamAnswer)
      return answer(e, { result, reply })
    } catch (error) {
      throw heldToContract(e, scope, error)
    }
  })
}

/** One WebSocket upgrade with its path checked; who it is for the feature to find out, since a ticket may stand in for a token. */
export interface Upgrade<P> {
  readonly params: Out<P>
  readonly scope: Scope
  readonly request: Request
  readonly authenticate: Authenticate
}

/** Binds a WebSocket door to its handler, which answers the upgrade. */
export function implementSocket<P extends z.ZodType>(
  app: EdgeApp,
  socket: SocketEndpoint<P>,
  handle: (upgrade: Upgrade<P>) => Promise<Response>,
): void {
  const demands: Demands = socket.scope === undefined ? {} : { scope: socket.scope }
  app.get(socket.path, async (c) => {
    c.set('route', socket.path)
    if (c.req.header('upgrade')?.toLowerCase() !== 'websocket') throw new Problem('upgrade-required')
    const params = paramsOf(c, socket.params) as Out<P>
    const authenticate: Authenticate = (scope, token) => c.get('authenticate')(scope, token, demands)
    return handle({ params, scope: c.get('scope'), request: c.req.raw, authenticate })
  })
}
