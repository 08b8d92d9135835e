import type { Context } from 'hono'
import type { EdgeEnv } from './implement.ts'

const METHODS = 'GET, POST, PUT, PATCH, DELETE'
const REQUEST_HEADERS = 'authorization, content-type, traceparent, if-match, idempotency-key, parvis-bookmark'
const EXPOSED_HEADERS = 'traceparent, retry-after, etag, ratelimit, ratelimit-policy, parvis-bookmark'
/** Chromium keeps a preflight answer for two hours at most; ten minutes keep a change of the list quick. */
const PREFLIGHT_SECONDS = '600'

/** Whether a browser asks what it may send, before it does. */
export const isPreflight = ({ req }: Context<EdgeEnv>): boolean =>
  req.method === 'OPTIONS' && req.header('access-control-request-method') !== undefined

/** Grants listed origins, by exact comparison, and says nothing to others. Credentials go only with the grant. */
export function grantOrigin(c: Context<EdgeEnv>, headers: Headers): void {
  const origin = c.req.header('origin')
  if (origin === undefined || !c.get('scope').config.corsOrigins.includes(origin)) return
  headers.set('access-control-allow-origin', origin)
  headers.set('access-control-allow-credentials', 'true')
  headers.set('access-control-expose-headers', EXPOSED_HEADERS)
  headers.set('cross-origin-resource-policy', 'cross-origin')
  if (!isPreflight(c)) return
  headers.set('access-control-allow-methods', METHODS)
  headers.set('access-control-allow-headers', REQUEST_HEADERS)
  headers.set('access-control-max-age', PREFLIGHT_SECONDS)
}
