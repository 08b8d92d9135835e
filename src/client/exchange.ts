import type { Endpoint } from '../contract/endpoint.ts'
import type { AnyInput } from './api.ts'
import { ContractError, NetworkError, problemFrom } from './failure.ts'

/** Position in the database's history (D1 bookmark): sent back so that a writer reads its own writes from any replica. */
const BOOKMARK = 'parvis-bookmark'

/** The part of `fetch` that is used here. */
export type FetchLike = (url: URL, init: RequestInit) => Response | Promise<Response>

/** What HTTP needs. */
export interface ExchangeParts {
  readonly origin: string
  readonly fetch: FetchLike
  /** Whether cookies travel. */
  readonly hasCookies: boolean
}

/** One request. */
export interface Request {
  readonly endpoint: Endpoint
  readonly input: AnyInput
  readonly accessToken?: string | undefined
  /** W3C trace id, the same for every try of a call. */
  readonly traceId: string
  readonly timeoutMs?: number | undefined
  readonly signal?: AbortSignal | undefined
}

/** Sends one request and reads its answer. Rejects with Problem, {@link NetworkError}, {@link ContractError} or the signal's reason. */
export type Exchange = (request: Request) => Promise<unknown>

/** Random bytes in hexadecimal. */
export const randomHex = (bytes: number): string =>
  Array.from(crypto.getRandomValues(new Uint8Array(bytes)), (byte) => byte.toString(16).padStart(2, '0')).join('')

/** The path of a template with its parameters in. @throws TypeError for a value that is no path segment: it would name another path */
export function fillPath(template: string, params: Readonly<Record<string, string>> = {}): string {
  return template.replace(/:(\w+)/g, (_, name: string) => {
    const value = params[name] ?? ''
    if (/^\.{0,2}$/.test(value)) throw new TypeError(`${name} is not a path segment`)
    return encodeURIComponent(value)
  })
}

function urlOf(origin: string, { path }: Endpoint, { params, query = {} }: AnyInput): URL {
  const url = new URL(fillPath(path, params), origin)
  for (const [name, value] of Object.entries(query)) if (value !== undefined) url.searchParams.set(name, String(value))
  return url
}

function initOf(parts: ExchangeParts, request: Request, bookmark: string | undefined): RequestInit {
  const { endpoint, input, accessToken, traceId } = request
  const headers = new Headers({ accept: 'application/json', traceparent: `00-${traceId}-${randomHex(8)}-01` })
  if (accessToken !== undefined) headers.set('authorization', `Bearer ${accessToken}`)
  if (bookmark !== undefined) headers.set(BOOKMARK, bookmark)
  if (input.ifMatch !== undefined) headers.set('if-match', input.ifMatch)
  if (endpoint.body) headers.set('content-type', 'application/json')
  return {
    method: endpoint.method,
    headers,
    body: endpoint.body ? JSON.stringify(input.body ?? {}) : null,
    // No operation redirects; following one could hand a password to another server. `error` is unknown to Workers.
    redirect: 'manual',
    // Workers have no cookie jar, and refuse the word.
    ...('credentials' in globalThis.Request.prototype && { credentials: parts.hasCookies ? 'include' : 'omit' }),
  }
}

const parseJson = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** Reads an answer by the contract. An operation's own shape is an answer whatever its status: readiness comes with 503 too. */
function readAnswer({ endpoint, traceId }: Request, answer: Response, text: string): unknown {
  if (answer.status === 204 && endpoint.success === 204) return undefined
  const body = parseJson(text)
  if (!answer.ok) {
    const problem = problemFrom(body, answer.headers)
    if (problem) throw problem
  }
  const parsed = endpoint.response.safeParse(body)
  if (parsed.success && body !== undefined) return parsed.data
  const { status } = answer
  if (!answer.ok) throw new NetworkError(`Something other than the service answered (status ${status}).`, { traceId, status })
  throw new ContractError(`The answer of ${endpoint.id} is not what its contract says.`, { cause: parsed.error })
}

/** Makes the function that talks HTTP; it remembers the newest bookmark. */
export function createExchange(parts: ExchangeParts): Exchange {
  let bookmark: string | undefined
  return async (request) => {
    const { endpoint, input, traceId, signal, timeoutMs } = request
    const url = urlOf(parts.origin, endpoint, input)
    const signals = [...(signal ? [signal] : []), ...(timeoutMs === undefined ? [] : [AbortSignal.timeout(timeoutMs)])]
    const init = { ...initOf(parts, request, bookmark), ...(signals.length > 0 && { signal: AbortSignal.any(signals) }) }
    const { answer, text } = await send(parts.fetch, url, init).catch((cause: unknown) => {
      signal?.throwIfAborted()
      throw new NetworkError('The service could not be reached.', { traceId, cause })
    })
    bookmark = newer(bookmark, answer.headers.get(BOOKMARK) ?? undefined)
    return readAnswer(request, answer, text)
  }
}

async function send(fetch: FetchLike, url: URL, init: RequestInit): Promise<{ readonly answer: Response; readonly text: string }> {
  const answer = await fetch(url, init)
  return { answer, text: await answer.text() }
}

/** Bookmarks sort by their text (Cloudflare D1, Time Travel), so a slow old answer cannot take us back. */
const newer = (known: string | undefined, said: string | undefined): string | undefined =>
  said !== undefined && (known === undefined || said > known) ? said : known
