import { errors, type JWTPayload, jwtVerify, SignJWT } from 'jose'
import type { Config } from '../platform/config.ts'
import type { Keyring } from '../platform/keyring.ts'

const ALG = 'EdDSA'
const PURPOSE = 'audit-checkpoint'
const KID = /^audit-([1-9]\d{0,5})$/
/** Three base64url segments: the one spelling of a JWS that we accept. */
const JWS = /^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$/
/** What stands before the 32 secret bytes of an Ed25519 key in PKCS #8 (RFC 8410 §7). */
const PKCS8_PREFIX = new Uint8Array([0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20])

interface StatementKey {
  readonly kid: string
  readonly x: string
  readonly signer: CryptoKey
  readonly verifier: CryptoKey
}

const keptByKeyring = new WeakMap<Keyring, Map<number, StatementKey>>()

/** The key comes from a root secret alone: none is stored, so none can be exchanged in the database. */
async function derive(keyring: Keyring, version: number): Promise<StatementKey | undefined> {
  const seed = await keyring.mac(PURPOSE, new TextEncoder().encode('Ed25519'), version)
  if (!seed) return undefined
  const pkcs8 = new Uint8Array([...PKCS8_PREFIX, ...seed])
  const whole = await crypto.subtle.importKey('pkcs8', pkcs8, 'Ed25519', true, ['sign'])
  const { x } = (await crypto.subtle.exportKey('jwk', whole)) as JsonWebKey
  if (x === undefined) throw new Error('an Ed25519 key has a public half')
  const signer = await crypto.subtle.importKey('pkcs8', pkcs8, 'Ed25519', false, ['sign'])
  const verifier = await crypto.subtle.importKey('jwk', { kty: 'OKP', crv: 'Ed25519', x }, 'Ed25519', false, ['verify'])
  return { kid: kidOf(version), x, signer, verifier }
}

/** Name of a version's key. */
export const kidOf = (version: number): string => `audit-${version}`

/** The key of a name, or `undefined` when its secret is not listed. */
async function keyOf(keyring: Keyring, kid: string | undefined): Promise<StatementKey | undefined> {
  const version = Number(KID.exec(kid ?? '')?.[1])
  if (!Number.isInteger(version)) return undefined
  const kept = keptByKeyring.get(keyring) ?? new Map<number, StatementKey>()
  keptByKeyring.set(keyring, kept)
  const key = kept.get(version) ?? (await derive(keyring, version))
  if (key) kept.set(version, key)
  return key
}

/** The public half of a key, or `undefined`. */
export async function publicKeyOf(keyring: Keyring, kid: string) {
  const key = await keyOf(keyring, kid)
  return key && ({ kty: 'OKP', crv: 'Ed25519', x: key.x, kid, alg: ALG, use: 'sig' } as const)
}

/** Puts claims in writing under the newest key. `typ` tells this kind of statement from every other token of ours. */
export async function signStatement(
  { keyring, publicOrigin }: Config,
  of: { readonly typ: string; readonly claims: JWTPayload; readonly now: number },
): Promise<{ readonly kid: string; readonly signed: string }> {
  const key = await keyOf(keyring, kidOf(keyring.version))
  if (!key) throw new Error('the newest secret has no version')
  const signed = await new SignJWT(of.claims)
    .setProtectedHeader({ alg: ALG, typ: of.typ, kid: key.kid })
    .setIssuer(publicOrigin)
    .setIssuedAt(Math.floor(of.now / 1000))
    .sign(key.signer)
  return { kid: key.kid, signed }
}

/** What a statement says; nothing when it is not ours, or we no longer hold the secret behind its key. */
export async function readStatement(
  { keyring, publicOrigin }: Config,
  of: { readonly typ: string; readonly signed: string },
): Promise<JWTPayload | undefined> {
  if (!JWS.test(of.signed)) return undefined
  const keyFor = async ({ kid }: { kid?: string | undefined }) => {
    const key = await keyOf(keyring, kid)
    if (!key) throw new errors.JWKSNoMatchingKey()
    return key.verifier
  }
  try {
    return (await jwtVerify(of.signed, keyFor, { algorithms: [ALG], typ: of.typ, issuer: publicOrigin })).payload
  } catch (error) {
    if (error instanceof errors.JOSEError) return undefined
    throw error
  }
}
