import * as z from 'zod'
import { endpoint } from './endpoint.ts'

/** Longest life that an access token can be configured to have. */
export const ACCESS_TTL_SECONDS_MAX = 3_600
/** How long caches may keep the key set; a new key is in it for longer before it signs. */
export const JWKS_SECONDS = 300

/** Signature algorithms of access tokens: EdDSA with Ed25519 unless a deployment's verifiers lack it. */
export const SigningAlg = z.enum(['EdDSA', 'ES256'])
/** Signature algorithms of access tokens. */
export type SigningAlg = z.infer<typeof SigningAlg>

/** A public key (RFC 7517): Ed25519 (RFC 8037), or P-256 which has a `y` as well. */
export const Jwk = z
  .object({
    kty: z.string(),
    kid: z.string(),
    alg: SigningAlg,
    use: z.literal('sig'),
    crv: z.string(),
    x: z.string(),
    y: z.string().optional(),
  })
  .meta({ id: 'Jwk' })
/** A public key. */
export type Jwk = z.infer<typeof Jwk>

/** What of OpenID Connect Discovery is true here: where the keys are and how they sign, for verifiers that look there. */
export const OpenIdConfiguration = z
  .object({
    issuer: z.url(),
    jwks_uri: z.url(),
    subject_types_supported: z.array(z.literal('public')),
    response_types_supported: z.array(z.never()).meta({ description: 'Empty: this is no authorization server for other parties.' }),
    id_token_signing_alg_values_supported: z
      .array(SigningAlg)
      .meta({ description: 'How access tokens are signed; the standard has no better name, and no ID tokens are issued.' }),
    claims_supported: z.array(z.string()),
  })
  .meta({ id: 'OpenIdConfiguration' })
/** What of OpenID Connect Discovery is true here. */
export type OpenIdConfiguration = z.infer<typeof OpenIdConfiguration>

/** What verifiers of access tokens need. */
export const keyEndpoints = {
  getJwks: endpoint({
    id: 'getJwks',
    method: 'GET',
    path: '/.well-known/jwks.json',
    tag: 'identity',
    access: 'public',
    summary: 'The public keys that verify access tokens (RFC 7517).',
    success: 200,
    response: z.object({ keys: z.array(Jwk) }).meta({ id: 'JwkSet' }),
    problems: [],
    publicSeconds: JWKS_SECONDS,
  }),
  getOpenIdConfiguration: endpoint({
    id: 'getOpenIdConfiguration',
    method: 'GET',
    path: '/.well-known/openid-configuration',
    tag: 'identity',
    access: 'public',
    summary: 'Where verifiers find the issuer and its keys (the true part of OpenID Connect Discovery).',
    success: 200,
    response: OpenIdConfiguration,
    problems: [],
    publicSeconds: JWKS_SECONDS,
  }),
}
