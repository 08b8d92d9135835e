import type { Demands } from '../../contract/endpoint.ts'
import { Problem } from '../../contract/problem.ts'
import type { Config } from '../platform/config.ts'
import type { Actor, Scope } from '../platform/scope.ts'
import { readCookie } from './cookies.ts'

/** Turns an access token into who it speaks for, if they may do what demands this. @throws Problem */
export type Authenticate = (scope: Scope, accessToken: string, demands?: Demands) => Promise<Actor>

/** Name of the access cookie; the prefix makes browsers insist on Secure, Path=/ and no Domain. */
export const ACCESS_COOKIE = '__Host-parvis-access'
/** Name of the refresh cookie. */
export const REFRESH_COOKIE = '__Host-parvis-refresh'

const SAFE_METHODS = ['GET', 'HEAD']
/** Three base64url segments: jose accepts other spellings of a valid token, and a token remembered by text must have one. */
const JWT = /^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$/
/** An access token, or an API key, which no cookie carries. */
const BEARER = /^Bearer ([A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+|pvk_[0-9a-z]+)$/i

/** Whether the browser vouches that this request comes from a page we trust (OWASP: Fetch Metadata, then Origin). */
export function isTrustedOrigin(headers: Headers, config: Config): boolean {
  const origin = headers.get('origin')
  if (origin !== null) return origin === config.publicOrigin || config.corsOrigins.includes(origin)
  return headers.get('sec-fetch-site') === 'same-origin'
}

/** For calls that set cookies before any exists: a page of another site may not sign the visitor in as somebody. */
export function isLoginOriginAllowed(headers: Headers, config: Config): boolean {
  const isCrossSite = headers.get('sec-fetch-site') === 'cross-site'
  return headers.has('origin') ? isTrustedOrigin(headers, config) : !isCrossSite
}

/** The access token of a request: the header first, else the cookie, which only trusted origins may use to act. @throws Problem */
export function accessTokenOf(request: Request, config: Config): string {
  const header = request.headers.get('authorization')
  if (header !== null) {
    const [, token] = BEARER.exec(header) ?? []
    if (!token) throw new Problem('unauthenticated')
    return token
  }
  const cookie = readCookie(request.headers, ACCESS_COOKIE)
  if (!cookie || !JWT.test(cookie)) throw new Problem('unauthenticated')
  if (!SAFE_METHODS.includes(request.method) && !isTrustedOrigin(request.headers, config)) throw new Problem('origin-untrusted')
  return cookie
}
