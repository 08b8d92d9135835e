import { createDecipheriv, createHash, createPrivateKey, createPublicKey, diffieHellman, hkdfSync, type KeyObject } from 'node:crypto'
import type { SealedCredential } from '../contract/krp-secret.ts'
import { aadOf, hashedIn, SEAL_INFO, type SealBinding, type SealingPrivateJwk } from '../contract/seal.ts'

const TAG_BYTES = 16

const keys = new WeakMap<SealingPrivateJwk, KeyObject>()

function ownKey(jwk: SealingPrivateJwk): KeyObject {
  const key = keys.get(jwk) ?? createPrivateKey({ key: { kty: 'OKP', crv: 'X25519', x: jwk.x, d: jwk.d }, format: 'jwk' })
  keys.set(jwk, key)
  return key
}

/** SHA-256 in place: by WebCrypto each of these steps, which takes microseconds, would wait for a thread. */
export const sha256 = (bytes: Uint8Array): Buffer => createHash('sha256').update(bytes).digest()

/**
 * The plaintext of what was sealed as `sealCredential` does it, for this very binding. The caller overwrites it.
 *
 * @throws Error when the key, the binding or a bit differs
 */
export function openCredential(key: SealingPrivateJwk, binding: Omit<SealBinding, 'relayKeyId'>, sealed: SealedCredential): Buffer {
  if (sealed.kid !== key.kid) throw new TypeError('sealed for another key')
  const bound = { ...binding, relayKeyId: key.kid }
  const { pins, via } = hashedIn(bound)
  const other = createPublicKey({ key: { kty: 'OKP', crv: 'X25519', x: sealed.epk }, format: 'jwk' })
  const secret = diffieHellman({ privateKey: ownKey(key), publicKey: other })
  const salt = Buffer.concat([Buffer.from(sealed.epk, 'base64url'), Buffer.from(key.x, 'base64url')])
  const derived = Buffer.from(hkdfSync('sha256', secret, salt, SEAL_INFO, 32 + 12))
  const ciphertext = Buffer.from(sealed.ciphertext, 'base64url')
  const decipher = createDecipheriv('aes-256-gcm', derived.subarray(0, 32), derived.subarray(32), { authTagLength: TAG_BYTES })
  decipher.setAAD(aadOf(bound, { pins: sha256(pins), via: sha256(via) }))
  decipher.setAuthTag(ciphertext.subarray(-TAG_BYTES))
  const plaintext = decipher.update(ciphertext.subarray(0, -TAG_BYTES))
  try {
    decipher.final()
    return plaintext
  } catch (error) {
    plaintext.fill(0)
    throw error
  } finally {
    secret.fill(0)
    derived.fill(0)
  }
}
