import type { Context, MiddlewareHandler } from 'hono'
import type { Scope } from '../platform/scope.ts'
import { type Trace, traceFrom, traceparentOf } from '../platform/trace.ts'
import { grantOrigin, isPreflight } from './cors.ts'
import { secure } from './headers.ts'
import type { EdgeEnv } from './implement.ts'
import { logRequest } from './request-log.ts'

/** The position in the database's history that a caller has seen, both ways. */
export const BOOKMARK_HEADER = 'parvis-bookmark'

/** Opens what a request may touch, and says how far its reading and writing has come. */
type OpenScope = (c: Context<EdgeEnv>, trace: Trace) => { readonly scope: Scope; readonly bookmark: () => string | undefined }

/** What every request goes through. One middleware, for each one more is a frame on every call. */
export const frame =
  (open: OpenScope): MiddlewareHandler<EdgeEnv> =>
  async (c, next) => {
    const startedAt = performance.now()
    const trace = traceFrom(c.req.header('traceparent'))
    c.set('trace', trace)
    const { scope, bookmark } = open(c, trace)
    c.set('scope', scope)
    if (isPreflight(c)) c.res = new Response(null, { status: 204 })
    else await next()
    const { status, headers } = c.res
    if (status !== 101) {
      secure(headers)
      headers.set('traceparent', traceparentOf(trace))
      const position = bookmark()
      if (position !== undefined) headers.set(BOOKMARK_HEADER, position)
      grantOrigin(c, headers)
    }
    logRequest(c, { status, startedAt })
  }
