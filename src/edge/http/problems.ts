import type { Context } from 'hono'
import { isProblem, type LimitState, PROBLEMS, Problem, type ProblemBody } from '../../contract/problem.ts'
import { ConfigError } from '../platform/config.ts'
import { isOutage } from '../platform/db.ts'
import { describeError, logFor } from '../platform/log.ts'
import { API_HEADERS } from './headers.ts'
import type { EdgeEnv } from './implement.ts'
import { setLimitHeaders } from './limits.ts'

/** A moment is usually enough for D1 or an object to come back. */
const OUTAGE_RETRY_SECONDS = 2

/** Which problem an error is: itself, an outage of a dependency, or a bug. */
export function problemOf(error: unknown): Problem {
  if (isProblem(error)) return error
  if (isOutage(error)) return new Problem('unavailable', { retryAfterSeconds: OUTAGE_RETRY_SECONDS }, { cause: error })
  return new Problem('internal', {}, { cause: error })
}

/** The budgets a problem tells of. A refusal that is of none still says how long: nothing is granted until then. */
function limitsOf({ slug, extras }: Problem): readonly LimitState[] {
  if (extras.limits || PROBLEMS[slug].status !== 429) return extras.limits ?? []
  const seconds = extras.retryAfterSeconds ?? 1
  return [{ policy: 'pause', quota: 0, windowSeconds: seconds, remaining: 0, resetSeconds: seconds }]
}

/** A problem as it is told (RFC 9457). */
export function problemBody({ slug, extras }: Problem, traceId: string): ProblemBody {
  const { status, title } = PROBLEMS[slug]
  return {
    type: `/problems/${slug}`,
    title,
    status,
    ...(extras.detail === undefined ? {} : { detail: extras.detail }),
    traceId,
    ...(extras.errors ? { errors: [...extras.errors] } : {}),
    ...(extras.methods ? { methods: [...extras.methods] } : {}),
  }
}

/** A problem as bytes. */
export function problemResponse(problem: Problem, traceId: string): Response {
  const { slug, extras } = problem
  const { status } = PROBLEMS[slug]
  const headers = new Headers(API_HEADERS)
  headers.set('content-type', 'application/problem+json; charset=utf-8')
  if (status === 401) headers.set('www-authenticate', 'Bearer realm="parvis"')
  if (extras.retryAfterSeconds !== undefined) headers.set('retry-after', String(extras.retryAfterSeconds))
  setLimitHeaders(headers, limitsOf(problem))
  return new Response(JSON.stringify(problemBody(problem, traceId)), { status, headers })
}

/** The only place that turns a failure into an answer. Bugs say nothing about themselves. */
export function answerProblem(error: Error, c: Context<EdgeEnv>): Response {
  const trace = c.get('trace')
  const problem = problemOf(error)
  c.set('problem', problem.slug)
  if (problem !== error) logFor(trace)(error instanceof ConfigError ? 'config.refused' : 'request.failed', describeError(error))
  return problemResponse(problem, trace.traceId)
}
