import { errors, jwtVerify, SignJWT } from 'jose'
import { ZodError } from 'zod'
import { CHECKPOINT_CHARS_MAX, CheckpointClaims } from '../../contract/audit.ts'
import type { Config } from '../platform/config.ts'
import type { Db } from '../platform/db.ts'
import type { Keyring } from '../platform/keyring.ts'
import type { Chain, Head } from './link.ts'
import type { Anchor } from './policy.ts'
import { checkpointsOf } from './store.ts'

const ALG = 'EdDSA'
/** Tells a checkpoint from every other token of ours. */
const TYP = 'audit-checkpoint+jwt'
const PURPOSE = 'audit-checkpoint'
const KID = /^audit-([1-9]\d{0,5})$/
/** Three base64url segments: the one spelling of a JWS that we accept. */
const JWS = /^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$/
/** What stands before the 32 secret bytes of an Ed25519 key in PKCS #8 (RFC 8410 §7). */
const PKCS8_PREFIX = new Uint8Array([0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20])
/** Junk above the newest genuine checkpoint is named well before this many. */
const STORED_MAX = 5

interface CheckpointKey {
  readonly kid: string
  readonly x: string
  readonly signer: CryptoKey
  readonly verifier: CryptoKey
}

const keptByKeyring = new WeakMap<Keyring, Map<number, CheckpointKey>>()

/** The key comes from a root secret alone: none is stored, so none can be exchanged in the database. */
async function derive(keyring: Keyring, version: number): Promise<CheckpointKey | undefined> {
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
async function keyOf(keyring: Keyring, kid: string | undefined): Promise<CheckpointKey | undefined> {
  const version = Number(KID.exec(kid ?? '')?.[1])
  if (!Number.isInteger(version)) return undefined
  const kept = keptByKeyring.get(keyring) ?? new Map<number, CheckpointKey>()
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

/** States in writing what a chain is now. */
export async function signCheckpoint(
  config: Config,
  chain: Chain,
  at: { readonly head: Head; readonly now: number },
): Promise<{ readonly kid: string; readonly signed: string }> {
  const key = await keyOf(config.keyring, kidOf(config.keyring.version))
  if (!key) throw new Error('the newest secret has no version')
  const { seq, entryId, hash } = at.head
  const signed = await new SignJWT({ chain, seq, entryId, hash })
    .setProtectedHeader({ alg: ALG, typ: TYP, kid: key.kid })
    .setIssuer(config.publicOrigin)
    .setIssuedAt(Math.floor(at.now / 1000))
    .sign(key.signer)
  return { kid: key.kid, signed }
}

/** What a chain was, by a text that we have signed; nothing when we have not, or no longer hold the secret behind its key. */
export async function readCheckpoint(
  { keyring, publicOrigin }: Config,
  chain: Chain,
  signed: string,
): Promise<CheckpointClaims | undefined> {
  if (signed.length > CHECKPOINT_CHARS_MAX || !JWS.test(signed)) return undefined
  const keyFor = async ({ kid }: { kid?: string | undefined }) => {
    const key = await keyOf(keyring, kid)
    if (!key) throw new errors.JWKSNoMatchingKey()
    return key.verifier
  }
  try {
    const { payload } = await jwtVerify(signed, keyFor, { algorithms: [ALG], typ: TYP, issuer: publicOrigin })
    const claims = CheckpointClaims.parse(payload)
    return claims.chain === chain ? claims : undefined
  } catch (error) {
    if (error instanceof errors.JOSEError || error instanceof ZodError) return undefined
    throw error
  }
}

/** An anchor that was stored; a genuine one is also a place to walk on from. */
export interface StoredAnchor extends Anchor {
  readonly head: Head | null
}

/**
 * The newest genuine checkpoint that is stored, and whatever stands above it: older ones follow from it by the hashes.
 * One whose secret was dropped from the list too early counts as forged, or junk above a genuine one would hide it.
 */
export async function anchorsOf(keeper: { readonly config: Config; readonly db: Db }, chain: Chain): Promise<readonly StoredAnchor[]> {
  const anchors: StoredAnchor[] = []
  for (const stored of await checkpointsOf(keeper.db, chain, { limit: STORED_MAX })) {
    const claims = await readCheckpoint(keeper.config, chain, stored.signed)
    if (claims?.seq === stored.seq && claims.hash === stored.hash) {
      return [...anchors, { seq: stored.seq, hash: stored.hash, head: claims }]
    }
    anchors.push({ seq: stored.seq, hash: null, head: null })
  }
  return anchors
}
