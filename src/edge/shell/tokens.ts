import { importJWK, SignJWT } from 'jose'
import {
  GRANT_TOKEN_TYP,
  type GrantClaims,
  type GrantRequest,
  LINK_TOKEN_TYP,
  type LinkClaims,
  TOKEN_TTL_SECONDS_MAX,
} from '../../contract/krp.ts'
import { encodeBase64url } from '../../contract/seal.ts'
import type { RelayConfig } from '../platform/relays.ts'

/** Who dials: one object, for one organisation, at one epoch. */
export interface DialerIdentity {
  readonly shellId: string
  readonly orgId: string
  readonly epoch: number
  /** All that this link may reach, whatever it opens: a target and the hosts on the way. */
  readonly targets: readonly { readonly address: string; readonly port: number }[]
}

/** The dialer's issuer name, as the relay's RELAY_DIALER_ISSUER has it by default. */
const ISSUER = 'parvis'

// Keys are kept, never their promises: a promise belongs to the request that made it and may die with it.
const keys = new WeakMap<RelayConfig, CryptoKey>()

async function dialerKey(relay: RelayConfig): Promise<CryptoKey> {
  const { x = '', d = '' } = relay.dialerKey
  const key = keys.get(relay) ?? ((await importJWK({ kty: 'OKP', crv: 'Ed25519', x, d }, 'EdDSA')) as CryptoKey)
  keys.set(relay, key)
  return key
}

async function sign(relay: RelayConfig, typ: string, claims: LinkClaims | GrantClaims): Promise<string> {
  const kid = relay.dialerKey.kid
  return new SignJWT(claims).setProtectedHeader({ alg: 'EdDSA', typ, ...(kid === undefined ? {} : { kid }) }).sign(await dialerKey(relay))
}

function baseClaims(relay: RelayConfig, who: DialerIdentity, nonce: string) {
  const iat = Math.floor(Date.now() / 1000)
  const jti = encodeBase64url(crypto.getRandomValues(new Uint8Array(16)))
  const { shellId: sub, orgId: tenant, epoch } = who
  return { iss: ISSUER, aud: relay.id, sub, tenant, jti, nonce, epoch, iat, exp: iat + TOKEN_TTL_SECONDS_MAX }
}

/** The token of AUTH: this link may open one stream at a time, to one target. */
export function signLinkToken(relay: RelayConfig, who: DialerIdentity, nonce: string): Promise<string> {
  const hosts = [...new Set(who.targets.map(({ address }) => address))]
  const caps = { hosts, ports: [...new Set(who.targets.map(({ port }) => port))], streamsMax: 1 }
  return sign(relay, LINK_TOKEN_TYP, { ...baseClaims(relay, who, nonce), caps })
}

/** The token of OPEN and its id, to which the credential is sealed. */
export async function signGrantToken(
  relay: RelayConfig,
  who: DialerIdentity,
  grant: { readonly nonce: string; readonly request: GrantRequest },
): Promise<{ readonly token: string; readonly jti: string }> {
  const claims = { ...baseClaims(relay, who, grant.nonce), shell: who.shellId, request: grant.request }
  return { token: await sign(relay, GRANT_TOKEN_TYP, claims), jti: claims.jti }
}
