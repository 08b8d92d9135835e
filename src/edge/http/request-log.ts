import type { MiddlewareHandler } from 'hono'
import { traceparentOf } from '../platform/trace.ts'
import type { EdgeEnv } from './implement.ts'

/** One line per request, after its answer is known: the route template, never the URL, so no token or id of a path is kept. */
export const requestLog: MiddlewareHandler<EdgeEnv> = async (c, next) => {
  const startedAt = performance.now()
  const { trace } = c.get('scope')
  await next()
  if (c.res.status !== 101) c.res.headers.set('traceparent', traceparentOf(trace))
  const { actor, log } = c.get('scope')
  log('request', {
    method: c.req.method,
    route: c.get('route') ?? 'unmatched',
    status: c.res.status,
    durationMs: Math.round(performance.now() - startedAt),
    userId: actor?.userId,
    problem: c.get('problem'),
  })
}
