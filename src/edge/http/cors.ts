import type { MiddlewareHandler } from 'hono'
import type { EdgeEnv } from './implement.ts'

const METHODS = 'GET, POST, PUT, PATCH, DELETE'
const REQUEST_HEADERS = 'authorization, content-type, traceparent, if-match, idempotency-key, parvis-bookmark'
const EXPOSED_HEADERS = 'traceparent, retry-after, etag, ratelimit, ratelimit-policy, parvis-bookmark'
/** Chromium keeps a preflight answer for two hours at most; ten minutes keep a change of the list quick. */
const PREFLIGHT_SECONDS = '600'

/** Grants listed origins, by exact comparison, and says nothing to others. Credentials go only with the grant. */
export const cors: MiddlewareHandler<EdgeEnv> = async (c, next) => {
  const origin = c.req.header('origin')
  const isGranted = origin !== undefined && c.get('scope').config.corsOrigins.includes(origin)
  const isPreflight = c.req.method === 'OPTIONS' && c.req.header('access-control-request-method') !== undefined
  if (isPreflight) c.res = new Response(null, { status: 204 })
  else await next()
  if (!isGranted || c.res.status === 101) return
  c.res.headers.set('access-control-allow-origin', origin)
  c.res.headers.set('access-control-allow-credentials', 'true')
  c.res.headers.set('access-control-expose-headers', EXPOSED_HEADERS)
  c.res.headers.set('cross-origin-resource-policy', 'cross-origin')
  if (!isPreflight) return
  c.res.headers.set('access-control-allow-methods', METHODS)
  c.res.headers.set('access-control-allow-headers', REQUEST_HEADERS)
  c.res.headers.set('access-control-max-age', PREFLIGHT_SECONDS)
}
