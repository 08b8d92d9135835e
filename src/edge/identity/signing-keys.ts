import { exportJWK, type GenerateKeyPairOptions, generateKeyPair, importJWK, type CryptoKey as JoseKey, type JWK } from 'jose'
import { ACCESS_TTL_SECONDS_MAX, JWKS_SECONDS, type Jwk, type OpenIdConfiguration, type SigningAlg } from '../../contract/keys.ts'
import { auditIfChanged } from '../audit/service.ts'
import type { Scope } from '../platform/scope.ts'
import { allSigningKeys, deleteRetiredKeys, insertSigningKey, retireSigningKeys } from './signing-key-store.ts'
import type { signingKeys } from './tables.ts'

/** Isolates look for new keys this often. */
const KEPT_MS = 300_000
/** An unknown key id may be one another isolate just made; asking more often would let strangers drive D1. */
const RELOAD_MS_MIN = 10_000
/** A new key is published this long before it signs: every cache of the key set and every isolate has it by then. */
const AHEAD_MS = 2 * JWKS_SECONDS * 1000 + KEPT_MS
/** The last token of a key dies within this after the key stopped to sign, wherever an isolate noticed late. */
const LINGER_MS = ACCESS_TTL_SECONDS_MAX * 1000 + KEPT_MS
const DAY_MS = 86_400_000
const PURPOSE = 'signing-key'

type Row = typeof signingKeys.$inferSelect

/** What is drawn for an algorithm, and which members its public key has (RFC 7518 §6.2, RFC 8037 §2). */
const KINDS: Record<SigningAlg, { readonly options: GenerateKeyPairOptions; readonly members: readonly (keyof JWK)[] }> = {
  EdDSA: { options: { crv: 'Ed25519', extractable: true }, members: ['kty', 'crv', 'x'] },
  ES256: { options: { extractable: true }, members: ['kty', 'crv', 'x', 'y'] },
}

interface Kept {
  readonly rows: readonly Row[]
  readonly at: number
  readonly keys: Map<string, JoseKey>
}

/** A key that signs now. */
export interface Signer {
  readonly kid: string
  readonly alg: SigningAlg
  readonly key: JoseKey
}

const keptByDatabase = new WeakMap<object, Kept>()

async function load(scope: Scope): Promise<Kept> {
  const rows = await allSigningKeys(scope.db)
  const kept = { rows, at: scope.now(), keys: new Map<string, JoseKey>() }
  keptByDatabase.set(scope.env.DB, kept)
  return kept
}

async function keptKeys(scope: Scope, maxAgeMs: number): Promise<Kept> {
  const kept = keptByDatabase.get(scope.env.DB)
  return kept && scope.now() - kept.at < maxAgeMs ? kept : load(scope)
}

async function imported({ keys }: Kept, name: string, { alg, jwk }: { readonly alg: SigningAlg; readonly jwk: () => Promise<JWK> | JWK }) {
  const known = keys.get(name)
  if (known) return known
  const key = await importJWK(await jwk(), alg)
  if (key instanceof Uint8Array) throw new Error('a signing key is not symmetric')
  keys.set(name, key)
  return key
}

async function drawKey(scope: Scope, signsFrom: number): Promise<Row> {
  const alg = scope.config.signingAlg
  const { options, members } = KINDS[alg]
  const { publicKey, privateKey } = await generateKeyPair(alg, options)
  const kid = scope.newId('key')
  const secret = new TextEncoder().encode(JSON.stringify(await exportJWK(privateKey)))
  const whole = await exportJWK(publicKey)
  const publicJwk = { ...Object.fromEntries(members.map((name) => [name, whole[name]])), kid, alg, use: 'sig' }
  return {
    kid,
    alg,
    publicJwk: JSON.stringify(publicJwk),
    privateJwk: await scope.config.keyring.seal(PURPOSE, kid, secret),
    createdAt: scope.now(),
    signsFrom,
    retiredAt: null,
  }
}

const versionOf = ({ privateJwk }: Row): number => Number(privateJwk.split('.')[0])

/** A key that signs now: of the wanted algorithm, or of the one before until the first of it may sign. None that no listed secret opens. */
function currentOf({ config, now }: Scope, rows: readonly Row[]): Row | undefined {
  const at = now()
  const able = rows.filter(
    (r) => r.signsFrom <= at && (r.retiredAt === null || r.retiredAt > at) && config.keyring.versions.includes(versionOf(r)),
  )
  return able.find((r) => r.alg === config.signingAlg) ?? able[0]
}

const lastOf = (rows: readonly Row[]): string[] => rows.filter((r) => r.retiredAt === null).map((r) => r.kid)

/** The key that signs now, made on first use, and when its secret left the list before another could follow. */
export async function signingKey(scope: Scope): Promise<Signer> {
  let kept = await keptKeys(scope, KEPT_MS)
  if (!currentOf(scope, kept.rows)) {
    const { rows } = await load(scope)
    const next = await drawKey(scope, 0)
    await scope.db.batch([retireSigningKeys(scope.db, lastOf(rows), scope.now()), insertSigningKey(scope.db, next)])
    kept = await load(scope)
  }
  const row = currentOf(scope, kept.rows)
  if (!row) throw new Error('no signing key after making one')
  const key = await imported(kept, `private ${row.kid}`, { alg: row.alg, jwk: () => openPrivate(scope, row) })
  return { kid: row.kid, alg: row.alg, key }
}

async function openPrivate(scope: Scope, row: Row): Promise<JWK> {
  const plain = await scope.config.keyring.open(PURPOSE, row.kid, row.privateJwk)
  return JSON.parse(new TextDecoder().decode(plain)) as JWK
}

/** The key that verifies tokens naming `kid`, when it is of the algorithm they claim; its own record says which it is, never the token. */
export async function verifyingKey(
  scope: Scope,
  { kid, alg }: { readonly kid: string; readonly alg: string },
): Promise<JoseKey | undefined> {
  let kept = await keptKeys(scope, KEPT_MS)
  if (!kept.rows.some((r) => r.kid === kid)) kept = await keptKeys(scope, RELOAD_MS_MIN)
  const row = kept.rows.find((r) => r.kid === kid && r.alg === alg)
  return row && imported(kept, row.kid, { alg: row.alg, jwk: () => JSON.parse(row.publicJwk) as JWK })
}

/** Public keys for the JWK set, newest first, those to come and those of tokens that still live among them; one is made when there is none yet. */
export async function publicKeys(scope: Scope): Promise<Jwk[]> {
  await signingKey(scope)
  const { rows } = await keptKeys(scope, KEPT_MS)
  return rows.map((r) => JSON.parse(r.publicJwk) as Jwk)
}

/** What verifiers may rely on. */
export async function openIdConfiguration(scope: Scope): Promise<OpenIdConfiguration> {
  const { publicOrigin } = scope.config
  const algs = (await publicKeys(scope)).map(({ alg }) => alg)
  return {
    issuer: publicOrigin,
    jwks_uri: `${publicOrigin}/.well-known/jwks.json`,
    subject_types_supported: ['public'],
    response_types_supported: [],
    id_token_signing_alg_values_supported: [...new Set(algs)],
    claims_supported: ['iss', 'sub', 'aud', 'exp', 'iat', 'jti', 'sid', 'amr', 'auth_time'],
  }
}

/** A key is followed when it is of age, of another algorithm than the wanted, or sealed under an older root secret. */
function isDue({ config, now }: Scope, rows: readonly Row[]): boolean {
  const last = rows.find((r) => r.retiredAt === null && r.alg === config.signingAlg)
  return last === undefined || now() - last.createdAt >= config.signingKeyDays * DAY_MS || versionOf(last) !== config.keyring.version
}

/** Draws the next key when one is due, and forgets those whose last token is dead. Answers how many keys it changed. */
export async function rotateSigningKeys(scope: Scope): Promise<number> {
  const { db } = scope
  const now = scope.now()
  const { rows } = await load(scope)
  const current = currentOf(scope, rows)
  const next = current && isDue(scope, rows) ? await drawKey(scope, now + AHEAD_MS) : undefined
  const rotation =
    current && next
      ? [
          retireSigningKeys(db, lastOf(rows), next.signsFrom),
          auditIfChanged(scope, { action: 'key.rotate', subject: current.kid, actorId: 'system' }),
          insertSigningKey(db, next),
        ]
      : []
  const changed = await db.batch([deleteRetiredKeys(db, now - LINGER_MS), ...rotation])
  const count = (changed as D1Result[]).reduce((sum, { meta }) => sum + meta.changes, 0)
  if (count > 0) await load(scope)
  return count
}
