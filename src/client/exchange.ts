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
  /** The last event of a stream that is taken up again. */
  readonly lastEventId?: string | undefined
  readonly signal?: AbortSignal | undefined
}

/** Sends requests. Both reject with Problem, {@link NetworkError}, {@link ContractError} or the signal's reason. */
export interface Exchange {
  /** Reads the answer whole. */
  readonly ask: (request: Request) => Promise<unknown>
  /** Answers when the service has agreed; what follows is still to be read. */
  readonly open: (request: Request) => Promise<Response>
}

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
  if (request.lastEventId !== undefined) headers.set('last-event-id', request.lastEventId)
  if (endpoint.body) headers.set('content-type', 'application/json')
  if (input.bytes !== undefined) headers.set('content-type', 'application/octet-stream')
  return {
    method: endpoint.method,
    headers,
    body: endpoint.body ? JSON.stringify(input.body ?? {}) : (input.bytes ?? null),
    ...(input.bytes instanceof ReadableStream && { duplex: 'half' }),
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

/** What the service says instead of an answer. */
function refusalOf({ traceId }: Request, { status, headers }: Response, text: string): Error {
  const refusal = problemFrom(parseJson(text), headers)
  return refusal ?? new NetworkError(`Something other than the service answered (status ${status}).`, { traceId, status })
}

/** Makes the functions that talk HTTP; they remember the newest bookmark. */
export function createExchange(parts: ExchangeParts): Exchange {
  let bookmark: string | undefined

  async function send<T>(request: Request, read: (answer: Response) => Promise<T>): Promise<T> {
    const { endpoint, input, traceId, signal, timeoutMs } = request
    const url = urlOf(parts.origin, endpoint, input)
    const signals = [...(signal ? [signal] : []), ...(timeoutMs === undefined ? [] : [AbortSignal.timeout(timeoutMs)])]
    const init = { ...initOf(parts, request, bookmark), ...(signals.length > 0 && { signal: AbortSignal.any(signals) }) }
    try {
      const answer = await parts.fetch(url, init)
      const value = await read(answer)
      bookmark = newer(bookmark, answer.headers.get(BOOKMARK) ?? undefined)
      return value
    } catch (cause) {
      signal?.throwIfAborted()
      throw new NetworkError('The service could not be reached.', { traceId, cause })
    }
  }

  return {
    async ask(request) {
      const { answer, text } = await send(request, async (got) => ({ answer: got, text: await got.text() }))
      return readAnswer(request, answer, text)
    },
    async open(request) {
      const { answer, text } = await send(request, async (got) => ({ answer: got, text: got.ok ? '' : await got.text() }))
      if (!answer.ok) throw refusalOf(request, answer, text)
      return answer
    },
  }
}

/** Bookmarks sort by their text (Cloudflare D1, Time Travel), so a slow old answer cannot take us back. */
const newer = (known: string | undefined, said: string | undefined): string | undefined =>
  said !== undefined && (known === undefined || said > known) ? said : known
