import type * as z from 'zod'
import type { ApiScope, Permission } from './permission.ts'
import type { ProblemSlug } from './problem.ts'

type Schema = z.ZodType

/** Who may call: anybody, or a signed-in user. */
export type Access = 'public' | 'user'

/**
 * What calls of an operation draw on: registrations and other mails that strangers can cause (`register`), mails to owners of accounts
 * (`mail`), codes and other things that strangers can try, steps of a sign-in that its account bounds already (`factor`), sign-ins,
 * refreshes, changes by one user, or nothing. How much each grants is the server's to configure.
 */
export type LimitName = 'register' | 'mail' | 'code' | 'factor' | 'login' | 'refresh' | 'write' | 'none'

/**
 * What goes as a stream where JSON would have to wait or be held whole. `lines`: the answer is JSON Lines, each of the shape of `response`; a
 * failure on the way is a last line `{"problem": …}`. `events`: the answer is Server-Sent Events, `response` each one's name and data, and goes on
 * by `Last-Event-ID` until 204. `bytes`: the answer is a file. `upload`: the body is a file.
 */
export type StreamKind = 'lines' | 'events' | 'bytes' | 'upload'

/** One HTTP operation, as data: the server implements it, the client calls it, OpenAPI prints it. */
export interface Endpoint<
  P extends Schema = Schema,
  Q extends Schema = Schema,
  B extends Schema = Schema,
  R extends Schema = Schema,
  C extends true | undefined = true | undefined,
  K extends ApiScope | undefined = ApiScope | undefined,
  S extends StreamKind | undefined = StreamKind | undefined,
> {
  readonly id: string
  readonly method: 'GET' | 'POST' | 'PATCH' | 'PUT' | 'DELETE'
  /** Hono path template, e.g. `/v1/rooms/:roomId`. */
  readonly path: `/${string}`
  readonly tag: string
  readonly summary: string
  readonly access: Access
  readonly params?: P
  readonly query?: Q
  readonly body?: B
  /** Largest body, in bytes; absent means what every other body may be. */
  readonly bodyBytesMax?: number
  readonly success: 200 | 201 | 202 | 204
  readonly response: R
  /** What of it is no JSON document; absent means nothing. */
  readonly stream?: S
  /** Problems this operation adds to {@link commonProblems}. */
  readonly problems: readonly ProblemSlug[]
  /** The answer is the same for everybody and may be kept by shared caches for this many seconds; absent means `no-store`. */
  readonly publicSeconds?: number
  /** The answer has an `etag`, which is also sent as the header `ETag`: the version of what it shows. */
  readonly hasEtag?: true
  /** Needs `If-Match` with the `etag` of what it changes (RFC 9110 §13.1.1): nobody overwrites what they have not seen. */
  readonly ifMatch?: C
  /** What the caller's roles on the platform must allow; implies `isSensitive`. */
  readonly permission?: Permission
  /** The scope that opens this operation to an API key; absent means that no key may call it. */
  readonly scope?: K
  /** Session, account and roles are read from storage for this very call, so that a revocation holds at once. */
  readonly isSensitive?: true
  /** Reads the session with the first that it reads itself, at the primary, and does nothing before that: `isSensitive` costs it no look of its own. */
  readonly looksItself?: true
  /** Needs a factor proven in the last five minutes, at sign-in or with `stepUp`; implies `isSensitive`. */
  readonly stepUp?: true
  /** Absent where {@link limitOf} tells it from the shape. */
  readonly limit?: LimitName
}

/** What calls draw on: what the operation names, else `write` for a user's change, `code` for a stranger's and nothing for a look. */
export const limitOf = (e: Pick<Endpoint, 'access' | 'method' | 'limit'>): LimitName =>
  e.limit ?? (e.method === 'GET' ? 'none' : e.access === 'public' ? 'code' : 'write')

/** Keeps literal types while checking the shape. */
export function endpoint<
  P extends Schema = z.ZodUndefined,
  Q extends Schema = z.ZodUndefined,
  B extends Schema = z.ZodUndefined,
  R extends Schema = Schema,
  C extends true | undefined = undefined,
  K extends ApiScope | undefined = undefined,
  S extends StreamKind | undefined = undefined,
>(e: Endpoint<P, Q, B, R, C, K, S>): Endpoint<P, Q, B, R, C, K, S> {
  return e
}

/** One WebSocket door, as data. The upgrade takes a bearer header, a `bearer.<token>` subprotocol, or a ticket. */
export interface SocketEndpoint<P extends Schema = Schema> {
  readonly id: string
  readonly path: `/${string}`
  readonly tag: string
  readonly summary: string
  readonly params: P
  /** The scope that opens this door to an API key; absent means that no key may enter. */
  readonly scope?: ApiScope
  /** The credential comes in a frame, and none at the door. */
  readonly isOpen?: true
  readonly problems: readonly ProblemSlug[]
}

/** What an operation demands of who calls it, beyond being signed in. */
export type Demands = Pick<Endpoint, 'permission' | 'scope' | 'isSensitive' | 'looksItself' | 'stepUp'>

/** What the WebSocket door of one room or one shell can refuse with. */
export const DOOR_PROBLEMS = [
  'unauthenticated',
  'session-ended',
  'scope-missing',
  'ticket-invalid',
  'origin-untrusted',
  'not-found',
  'limit-reached',
  'upgrade-required',
] as const satisfies readonly ProblemSlug[]

/** Keeps literal types while checking the shape. */
export const socketEndpoint = <P extends Schema>(e: SocketEndpoint<P>): SocketEndpoint<P> => e

/** The problems that follow from an operation's shape, so no endpoint repeats them. */
export function commonProblems(
  e: Pick<Endpoint, 'access' | 'params' | 'query' | 'body' | 'ifMatch' | 'stepUp' | 'permission'>,
): readonly ProblemSlug[] {
  return [
    ...(e.params || e.query || e.body || e.ifMatch ? (['invalid-request'] as const) : []),
    ...(e.ifMatch ? (['precondition-required', 'precondition-failed'] as const) : []),
    ...(e.body ? (['payload-too-large', 'media-type-unsupported'] as const) : []),
    ...(e.access === 'user' ? (['unauthenticated', 'session-ended', 'scope-missing', 'origin-untrusted'] as const) : []),
    ...(e.permission ? (['forbidden'] as const) : []),
    ...(e.stepUp ? (['step-up-required'] as const) : []),
    'rate-limited',
    'internal',
    'unavailable',
  ]
}

/** Every problem an operation can answer, once each. */
export const problemsOf = (e: Endpoint): readonly ProblemSlug[] => [...new Set([...commonProblems(e), ...e.problems])]
