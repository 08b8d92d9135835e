import { generateKeyPairSync, randomBytes } from 'node:crypto'
import * as z from 'zod'

const KeyFields = z.object({ x: z.string(), d: z.string() })

/** A key pair as JWKs. */
export interface JwkPair<C extends string> {
  readonly privateJwk: { readonly kty: 'OKP'; readonly crv: C; readonly x: string; readonly d: string; readonly kid: string }
  readonly publicJwk: { readonly kty: 'OKP'; readonly crv: C; readonly x: string; readonly kid: string }
}

/** A fresh Ed25519 pair: RELAY_SIGNING_KEY, or a dialer's key whose public half goes into RELAY_DIALER_KEYS. */
export const generateSigningKey = (): JwkPair<'Ed25519'> =>
  toPair('Ed25519', generateKeyPairSync('ed25519').privateKey.export({ format: 'jwk' }))

/** A fresh X25519 pair: RELAY_SEALING_KEY. */
export const generateSealingKey = (): JwkPair<'X25519'> =>
  toPair('X25519', generateKeyPairSync('x25519').privateKey.export({ format: 'jwk' }))

function toPair<C extends string>(crv: C, exported: unknown): JwkPair<C> {
  const { x, d } = KeyFields.parse(exported)
  const publicJwk = { kty: 'OKP', crv, x, kid: randomBytes(6).toString('hex') } as const
  return { publicJwk, privateJwk: { ...publicJwk, d } }
}
