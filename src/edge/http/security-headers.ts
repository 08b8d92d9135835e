import type { MiddlewareHandler } from 'hono'
import { EVERYWHERE, UNLESS_SET } from './headers.ts'
import type { EdgeEnv } from './implement.ts'

/** Puts the security headers on pages, files and whatever else was not made from `apiHeaders`; what a handler set stays. */
export const securityHeaders: MiddlewareHandler<EdgeEnv> = async (c, next) => {
  await next()
  const { status, headers } = c.res
  if (status === 101 || headers.has('strict-transport-security')) return
  for (const [name, value] of Object.entries(EVERYWHERE)) headers.set(name, value)
  for (const [name, value] of Object.entries(UNLESS_SET)) if (!headers.has(name)) headers.set(name, value)
  headers.append('vary', 'Origin')
}
