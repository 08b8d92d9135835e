import type { MiddlewareHandler } from 'hono'
import { traceparentOf } from '../platform/trace.ts'
import { grantOrigin, isPreflight } from './cors.ts'
import { secure } from './headers.ts'
import type { EdgeEnv } from './implement.ts'
import { logRequest } from './request-log.ts'

/** What every request goes through once its scope is open. One middleware, for each one more is a frame on every call. */
export const frame: MiddlewareHandler<EdgeEnv> = async (c, next) => {
  const startedAt = performance.now()
  if (isPreflight(c)) c.res = new Response(null, { status: 204 })
  else await next()
  const { status, headers } = c.res
  if (status !== 101) {
    secure(headers)
    headers.set('traceparent', traceparentOf(c.get('trace')))
    grantOrigin(c, headers)
  }
  logRequest(c, { status, startedAt })
}
