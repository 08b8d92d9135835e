import type { FinishedLogin } from '../../contract/factors.ts'
import { TRUST_DAYS } from '../../contract/factors.ts'
import { DEVICE_DAYS, type Login, type LoginAnswer, type RefreshRequest, type Tokens } from '../../contract/identity.ts'
import { Problem } from '../../contract/problem.ts'
import { hostCookie, readCookie } from '../http/cookies.ts'
import { ACCESS_COOKIE, isTrustedOrigin, REFRESH_COOKIE } from '../http/session.ts'
import type { Scope } from '../platform/scope.ts'
import type { PresentedRefresh } from './refresh.ts'

/** Name of the cookie of a trusted device. */
const TRUST_COOKIE = '__Host-parvis-trust'
/** Name of the cookie that tells a browser from others. */
const DEVICE_COOKIE = '__Host-parvis-device'

const secondsUntil = (moment: string, now: number): number => Math.max(0, Math.floor((Date.parse(moment) - now) / 1000))

/** Moves the tokens from the answer into cookies that scripts cannot read. */
export function intoCookies(scope: Scope, headers: Headers, tokens: Tokens): Tokens {
  const { accessToken = '', refreshToken = '', ...rest } = tokens
  headers.append('set-cookie', hostCookie(ACCESS_COOKIE, accessToken, secondsUntil(tokens.expiresAt, scope.now())))
  headers.append('set-cookie', hostCookie(REFRESH_COOKIE, refreshToken, secondsUntil(tokens.sessionExpiresAt, scope.now())))
  return rest
}

/** As {@link intoCookies}, at a sign-in: what tells the browser from others too. It outlives signing out: that is what it is for. */
export function signedInIntoCookies(scope: Scope, headers: Headers, { deviceToken = '', ...tokens }: Tokens): Tokens {
  headers.append('set-cookie', hostCookie(DEVICE_COOKIE, deviceToken, DEVICE_DAYS * 86_400))
  return intoCookies(scope, headers, tokens)
}

/** As {@link signedInIntoCookies}, where a second factor may still be missing: then there is nothing to carry. */
export const answerIntoCookies = (scope: Scope, headers: Headers, answer: LoginAnswer): LoginAnswer =>
  'factorRequired' in answer ? answer : signedInIntoCookies(scope, headers, answer)

/** As {@link signedInIntoCookies}, the trust in this device too, which outlives signing out as well. */
export function finishedIntoCookies(scope: Scope, headers: Headers, { trustToken, ...tokens }: FinishedLogin): Tokens {
  if (trustToken !== undefined) headers.append('set-cookie', hostCookie(TRUST_COOKIE, trustToken, TRUST_DAYS * 86_400))
  return signedInIntoCookies(scope, headers, tokens)
}

/** What tells the browser from others, as it keeps it. */
export const deviceCookie = ({ headers }: Request): string | undefined => readCookie(headers, DEVICE_COOKIE)

/** A sign-in with what this browser keeps for it. */
export const withKept = <T extends Pick<Login, 'mode' | 'deviceToken'>>(request: Request, body: T): T =>
  body.mode === 'cookie' ? { ...body, deviceToken: deviceCookie(request) } : body

/** As {@link withKept}, with the trust in this browser. */
export const withTrust = <T extends Pick<Login, 'mode' | 'trustToken' | 'deviceToken'>>(request: Request, body: T): T =>
  body.mode === 'cookie' ? { ...withKept(request, body), trustToken: readCookie(request.headers, TRUST_COOKIE) } : body

/** Makes the browser drop both cookies. */
export function dropCookies(headers: Headers): void {
  for (const name of [ACCESS_COOKIE, REFRESH_COOKIE]) headers.append('set-cookie', hostCookie(name, '', 0))
}

/** What a browser that wants to leave has left of its cookies; only a page of a trusted origin may ask. @throws Problem */
export function leavingCookies(scope: Scope, { headers }: Request) {
  const [refreshToken, accessToken] = [REFRESH_COOKIE, ACCESS_COOKIE].map((name) => readCookie(headers, name) || undefined)
  if (refreshToken === undefined && accessToken === undefined) throw new Problem('unauthenticated')
  if (!isTrustedOrigin(headers, scope.config)) throw new Problem('origin-untrusted')
  return { refreshToken, accessToken }
}

/** The refresh token of a call: in the body, else in the cookie, which only a trusted origin may use. @throws Problem */
export function presentedRefresh(scope: Scope, request: Request, body: RefreshRequest): PresentedRefresh {
  if (body.refreshToken !== undefined) return { token: body.refreshToken, mode: 'bearer' }
  const token = readCookie(request.headers, REFRESH_COOKIE)
  if (!token) throw new Problem('unauthenticated')
  if (!isTrustedOrigin(request.headers, scope.config)) throw new Problem('origin-untrusted')
  return { token, mode: 'cookie' }
}
