import { PROBLEMS, Problem, ProblemBody, type ProblemSlug } from '../contract/problem.ts'

/**
 * No answer of the service arrived: the connection failed or timed out, or something between answered in its place.
 * The call may or may not have been carried out.
 */
export class NetworkError extends Error {
  override readonly name = 'NetworkError'
  /** W3C trace id that was sent along; the service's log has it if the call arrived. */
  readonly traceId: string | undefined
  /** Status of an answer that was not the service's own. */
  readonly status: number | undefined
  constructor(message: string, given: { readonly traceId?: string; readonly status?: number; readonly cause?: unknown } = {}) {
    super(message, { cause: given.cause })
    this.traceId = given.traceId
    this.status = given.status
  }
}

/** The service answered outside its contract: the versions of client and service do not fit, or the origin is another service. */
export class ContractError extends Error {
  override readonly name = 'ContractError'
}

/** What was waited for can no longer happen, because the room or the shell was closed here. */
export class ClosedError extends Error {
  override readonly name = 'ClosedError'
}

/** Readings of statuses whose problem this version does not know by name. */
const BY_STATUS: Readonly<Record<number, ProblemSlug>> = {
  400: 'invalid-request',
  401: 'unauthenticated',
  403: 'forbidden',
  404: 'not-found',
  409: 'conflict',
  412: 'precondition-failed',
  413: 'payload-too-large',
  428: 'precondition-required',
  429: 'rate-limited',
  502: 'host-unreachable',
  503: 'unavailable',
}

/** The slug a newer service means, as near as this version can say it (RFC 9457 §3.1.1: the status decides). */
function slugOf(name: string, status: number): ProblemSlug {
  if (Object.hasOwn(PROBLEMS, name)) return name as ProblemSlug
  return BY_STATUS[status] ?? (status < 500 ? 'invalid-request' : 'internal')
}

function retryAfterOf(headers: Headers): number | undefined {
  const seconds = Number(headers.get('retry-after') ?? Number.NaN)
  return Number.isFinite(seconds) && seconds >= 0 ? seconds : undefined
}

/** The problem of an answer, or nothing when its body is none. The body as it came is the error's `cause`. */
export function problemFrom(body: unknown, headers: Headers): Problem | undefined {
  const { success, data } = ProblemBody.safeParse(body)
  if (!success) return undefined
  const { type, title, status, detail, traceId, errors, methods } = data
  const slug = slugOf(type.split('/').at(-1) ?? '', status)
  const isKnown = type.endsWith(`/${slug}`)
  return new Problem(
    slug,
    { detail: detail ?? (isKnown ? undefined : title), errors, methods, traceId, retryAfterSeconds: retryAfterOf(headers) },
    { cause: data },
  )
}

/** The problem that a close code of ours names: 4000 + status, the slug as reason. */
export function problemOfClose(code: number, reason: string): Problem | undefined {
  return code >= 4400 && code < 4600 ? new Problem(slugOf(reason, code - 4000)) : undefined
}
