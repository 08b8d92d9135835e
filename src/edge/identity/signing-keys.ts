import { exportJWK, generateKeyPair, importJWK, type CryptoKey as JoseKey, type JWK } from 'jose'
import type { Scope } from '../platform/scope.ts'
import { allSigningKeys, insertSigningKey } from './store.ts'
import type { signingKeys } from './tables.ts'

/** The signature algorithm of access tokens; a key's own record names it, a token's header never does. */
export const SIGNING_ALG = 'EdDSA'
/** Isolates look for new keys this often. */
const KEPT_MS = 300_000
/** An unknown key id may be one another isolate just made; asking more often would let strangers drive D1. */
const RELOAD_MS_MIN = 10_000
const PURPOSE = 'signing-key'

type Row = typeof signingKeys.$inferSelect

interface Kept {
  readonly rows: readonly Row[]
  readonly at: number
  readonly verifiers: Map<string, JoseKey>
  signer: { readonly kid: string; readonly key: JoseKey } | undefined
}

const keptByDatabase = new WeakMap<object, Kept>()

async function load(scope: Scope): Promise<Kept> {
  const rows = await allSigningKeys(scope.db)
  const kept = { rows, at: scope.now(), verifiers: new Map<string, JoseKey>(), signer: undefined }
  keptByDatabase.set(scope.env.DB, kept)
  return kept
}

async function keptKeys(scope: Scope, maxAgeMs: number): Promise<Kept> {
  const kept = keptByDatabase.get(scope.env.DB)
  return kept && scope.now() - kept.at < maxAgeMs ? kept : load(scope)
}

const importKey = async (jwk: JWK): Promise<JoseKey> => {
  const key = await importJWK(jwk, SIGNING_ALG)
  if (key instanceof Uint8Array) throw new Error('a signing key is not symmetric')
  return key
}

/** Draws a key; of two isolates that do so at once, the database lets one win and both read it back. */
async function generate(scope: Scope): Promise<void> {
  const { publicKey, privateKey } = await generateKeyPair(SIGNING_ALG, { crv: 'Ed25519', extractable: true })
  const kid = scope.newId('key')
  const secret = new TextEncoder().encode(JSON.stringify(await exportJWK(privateKey)))
  const { kty, crv, x } = await exportJWK(publicKey)
  await insertSigningKey(scope.db, {
    kid,
    alg: SIGNING_ALG,
    publicJwk: JSON.stringify({ kty, crv, x, kid, alg: SIGNING_ALG, use: 'sig' }),
    privateJwk: await scope.config.keyring.seal(PURPOSE, kid, secret),
    createdAt: scope.now(),
  })
}

/** The key that signs now, made on first use. */
export async function signingKey(scope: Scope): Promise<{ readonly kid: string; readonly key: JoseKey }> {
  let kept = await keptKeys(scope, KEPT_MS)
  if (!kept.rows.some((r) => r.retiredAt === null)) {
    await generate(scope)
    kept = await load(scope)
  }
  const row = kept.rows.find((r) => r.retiredAt === null)
  if (!row) throw new Error('no signing key after making one')
  kept.signer ??= { kid: row.kid, key: await importKey(await openPrivate(scope, row)) }
  return kept.signer
}

async function openPrivate(scope: Scope, row: Row): Promise<JWK> {
  const plain = await scope.config.keyring.open(PURPOSE, row.kid, row.privateJwk)
  return JSON.parse(new TextDecoder().decode(plain)) as JWK
}

/** The key that verifies tokens naming `kid`, or `undefined`. */
export async function verifyingKey(scope: Scope, kid: string): Promise<JoseKey | undefined> {
  let kept = await keptKeys(scope, KEPT_MS)
  if (!kept.rows.some((r) => r.kid === kid)) kept = await keptKeys(scope, RELOAD_MS_MIN)
  const row = kept.rows.find((r) => r.kid === kid && r.alg === SIGNING_ALG)
  if (!row) return undefined
  const key = kept.verifiers.get(kid) ?? (await importKey(JSON.parse(row.publicJwk) as JWK))
  kept.verifiers.set(kid, key)
  return key
}

/** Public keys for the JWK set, newest first; one is made when there is none yet. */
export async function publicKeys(scope: Scope) {
  await signingKey(scope)
  const { rows } = await keptKeys(scope, KEPT_MS)
  return rows.map((r) => JSON.parse(r.publicJwk) as { kty: string; kid: string; alg: string; use: 'sig'; crv: string; x: string })
}
