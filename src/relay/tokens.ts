import type { KeyObject } from 'node:crypto'
import { type JWTPayload, jwtVerify } from 'jose'
import type * as z from 'zod'
import { CLOCK_LEEWAY_SECONDS, GRANT_TOKEN_TYP, GrantClaims, LINK_TOKEN_TYP, LinkClaims, TOKEN_TTL_SECONDS_MAX } from '../contract/krp.ts'

/** Whose tokens are taken, and for whom. */
export interface TokenTrust {
  readonly relay: string
  readonly issuer: string
  readonly keys: ReadonlyMap<string, KeyObject>
}

/** Remembers token ids until the tokens are dead. When it is full it refuses, so a flood cannot push a live id out. */
export interface ReplayCache {
  /** Whether this is the first use of `jti`. */
  take(jti: string, expSeconds: number): boolean
}

/** Tokens live 30 s, so this is thousands of handshakes per second. */
const REPLAY_ENTRIES_MAX = 100_000

/** @throws Error when any claim, the signature, or the type is not as it must be. */
export async function verifyLinkToken(token: string, trust: TokenTrust): Promise<LinkClaims> {
  return verifyToken(token, trust, { typ: LINK_TOKEN_TYP, claims: LinkClaims })
}

/** @throws Error when any claim, the signature, or the type is not as it must be. */
export async function verifyGrantToken(token: string, trust: TokenTrust): Promise<GrantClaims> {
  return verifyToken(token, trust, { typ: GRANT_TOKEN_TYP, claims: GrantClaims })
}

/** A replay cache on the given clock, Unix seconds. */
export function createReplayCache(now: () => number = () => Date.now() / 1000, entriesMax: number = REPLAY_ENTRIES_MAX): ReplayCache {
  const expiries = new Map<string, number>()
  const sweep = (): void => {
    for (const [jti, deadAt] of expiries) if (deadAt <= now()) expiries.delete(jti)
  }
  return {
    take(jti, expSeconds) {
      if (expiries.size >= entriesMax) sweep()
      if (expiries.size >= entriesMax || expiries.has(jti)) return false
      expiries.set(jti, expSeconds + CLOCK_LEEWAY_SECONDS)
      return true
    },
  }
}

interface Expected<S extends z.ZodType> {
  readonly typ: string
  readonly claims: S
}

async function verifyToken<S extends z.ZodType>(token: string, trust: TokenTrust, { typ, claims }: Expected<S>): Promise<z.infer<S>> {
  const { payload } = await jwtVerify(token, (header) => findKey(trust.keys, header.kid), {
    // One algorithm, so neither "none" nor an HMAC over a public key is ever looked at.
    algorithms: ['EdDSA', 'Ed25519'],
    issuer: trust.issuer,
    audience: trust.relay,
    typ,
    clockTolerance: CLOCK_LEEWAY_SECONDS,
    maxTokenAge: TOKEN_TTL_SECONDS_MAX,
    requiredClaims: ['iss', 'aud', 'sub', 'jti', 'iat', 'exp'],
  })
  checkLifetime(payload)
  return claims.parse(payload)
}

function findKey(keys: ReadonlyMap<string, KeyObject>, kid: string | undefined): KeyObject {
  const key = kid === undefined ? undefined : keys.get(kid)
  if (key === undefined) throw new Error('unknown key')
  return key
}

function checkLifetime({ iat, exp }: JWTPayload): void {
  if (iat === undefined || exp === undefined || exp <= iat || exp - iat > TOKEN_TTL_SECONDS_MAX) throw new Error('token lives too long')
}
