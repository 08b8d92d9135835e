import { SignJWT } from 'jose'
import { toBase64Url } from '../platform/base64.ts'
import { openDb } from '../platform/db.ts'
import { sealedColumn } from '../platform/root-secrets.ts'
import type { Scope } from '../platform/scope.ts'
import { insertPushKey, pushKey } from './store.ts'

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256' }
const PURPOSE = 'vapid'
const BIND = 'push_keys'

/** The deployment's key, which devices know it by. */
export const PUSH_KEY = sealedColumn('push keys', 'push_keys', { column: 'sealed_private', key: 'id', purpose: PURPOSE, bind: BIND })
/** RFC 8292 §2 allows a day; clocks differ. */
const TOKEN_SECONDS = 12 * 3600

/** Makes the deployment's key on first use. Of callers that race, all end up with the same one. */
async function storedKey(scope: Scope) {
  const { db } = openDb(scope.env.DB, undefined)
  const [known] = await pushKey(db)
  if (known) return known
  const pair = (await crypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify'])) as CryptoKeyPair
  const publicKey = toBase64Url(new Uint8Array((await crypto.subtle.exportKey('raw', pair.publicKey)) as ArrayBuffer))
  const privateKey = new Uint8Array((await crypto.subtle.exportKey('pkcs8', pair.privateKey)) as ArrayBuffer)
  const sealedPrivate = await scope.config.keyring.seal(PURPOSE, BIND, privateKey)
  const [, [row]] = await db.batch([insertPushKey(db, { id: 1, publicKey, sealedPrivate, createdAt: scope.now() }), pushKey(db)])
  if (!row) throw new Error('the push key was not stored')
  return row
}

/** The public key that devices subscribe with, base64url. */
export const pushPublicKey = async (scope: Scope): Promise<string> => (await storedKey(scope)).publicKey

/** The `Authorization` of a push to an endpoint (RFC 8292 §3), good for its origin only, and the key in it. */
export async function vapidFor(scope: Scope, endpoint: string): Promise<{ readonly publicKey: string; readonly authorization: string }> {
  const { publicKey, sealedPrivate } = await storedKey(scope)
  const key = await crypto.subtle.importKey('pkcs8', await scope.config.keyring.open(PURPOSE, BIND, sealedPrivate), ALGORITHM, false, [
    'sign',
  ])
  const token = await new SignJWT()
    .setProtectedHeader({ typ: 'JWT', alg: 'ES256' })
    .setAudience(new URL(endpoint).origin)
    .setSubject(`mailto:${scope.config.mail.from}`)
    .setExpirationTime(Math.floor(scope.now() / 1000) + TOKEN_SECONDS)
    .sign(key)
  return { publicKey, authorization: `vapid t=${token}, k=${publicKey}` }
}
