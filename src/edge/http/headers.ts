import type { MiddlewareHandler } from 'hono'
import type { EdgeEnv } from './implement.ts'

/** Two years, the preload list's recommendation. */
const HSTS = 'max-age=63072000; includeSubDomains'
/** An API answer is not a page: it loads nothing and nobody frames it. Pages set their own. */
const API_CSP = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"

/** Policy of the pages we serve: our own files only. `styles` allows inline styles where a kept library writes them. */
export const pageCsp = (styles: 'self' | 'inline' = 'self'): string =>
  [
    "default-src 'none'",
    "script-src 'self'",
    `style-src 'self'${styles === 'inline' ? " 'unsafe-inline'" : ''}`,
    "img-src 'self' data:",
    "font-src 'self' data:",
    "connect-src 'self'",
    "manifest-src 'self'",
    "base-uri 'none'",
    "form-action 'self'",
    "frame-ancestors 'none'",
  ].join('; ')

/** Puts the security headers on every answer, problems included; what a handler set already stays. */
export const securityHeaders: MiddlewareHandler<EdgeEnv> = async (c, next) => {
  await next()
  if (c.res.status === 101) return
  const { headers } = c.res
  const setDefault = (name: string, value: string) => headers.has(name) || headers.set(name, value)
  headers.set('strict-transport-security', HSTS)
  headers.set('x-content-type-options', 'nosniff')
  headers.set('referrer-policy', 'no-referrer')
  headers.set('x-frame-options', 'DENY')
  headers.set('permissions-policy', 'camera=(), geolocation=(), microphone=(), payment=()')
  headers.set('cross-origin-opener-policy', 'same-origin')
  setDefault('cross-origin-resource-policy', 'same-origin')
  setDefault('content-security-policy', API_CSP)
  setDefault('cache-control', 'no-store')
}
