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

/** Headers of every answer. */
const EVERYWHERE = {
  'strict-transport-security': HSTS,
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'x-frame-options': 'DENY',
}
/** Headers of what a browser shows; on data they would mean nothing. */
const ON_PAGES = {
  'permissions-policy': 'camera=(), geolocation=(), microphone=(), payment=()',
  'cross-origin-opener-policy': 'same-origin',
}
/** Headers of every answer whose maker says nothing else. */
const UNLESS_SET = { 'cross-origin-resource-policy': 'same-origin', 'content-security-policy': API_CSP, 'cache-control': 'no-store' }

/** Headers of a JSON answer, whole, to make answers from and never to change: one copy costs a fraction of a dozen calls of `set`. */
export const API_HEADERS = new Headers({ ...EVERYWHERE, ...UNLESS_SET, 'content-type': 'application/json; charset=utf-8', vary: 'Origin' })

/** Puts the security headers on pages, files and whatever else was not made from {@link API_HEADERS}; what a handler set stays. */
export function secure(headers: Headers): void {
  if (headers.has('strict-transport-security')) return
  for (const [name, value] of Object.entries({ ...EVERYWHERE, ...ON_PAGES })) headers.set(name, value)
  for (const [name, value] of Object.entries(UNLESS_SET)) if (!headers.has(name)) headers.set(name, value)
  headers.append('vary', 'Origin')
}
