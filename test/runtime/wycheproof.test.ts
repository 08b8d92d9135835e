import { compactVerify, importJWK, type JWK } from 'jose'
import { describe, expect, test } from 'vitest'
import { SigningAlg } from '../../src/contract/keys.ts'
import { fromBase64Url } from '../../src/edge/platform/base64.ts'
import golden from '../golden/wycheproof.json' with { type: 'json' }

/** Number, message and signature in hexadecimal, whether it is valid. */
type Vector = readonly [number, string, string, boolean]
/** Number, compact JWS, whether it is valid, what it tries. */
type Written = readonly [number, string, boolean, string]
interface Group<V> {
  readonly jwk: JWK
  readonly tests: readonly V[]
}
const vectors = golden as unknown as {
  readonly ed25519: readonly Group<Vector>[]
  readonly es256: readonly Group<Vector>[]
  readonly jws: readonly Group<Written>[]
  readonly base64: readonly Written[]
}

const bytesOf = (hex: string) => Uint8Array.from(hex.match(/../g) ?? [], (byte) => Number.parseInt(byte, 16))

/** What tokens, audit checkpoints and relays' proofs rest on, as the runtime that serves them does it. */
const PRIMITIVES = {
  ed25519: { name: 'Ed25519' },
  es256: { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' },
} as const

describe('signatures are valid where Wycheproof says so, and nowhere else', () => {
  test.each(Object.entries(PRIMITIVES))('%s', async (name, algorithm) => {
    const disagreed: number[] = []
    let count = 0
    for (const { jwk, tests } of vectors[name as keyof typeof PRIMITIVES]) {
      const key = await crypto.subtle.importKey('jwk', jwk as JsonWebKey, algorithm, false, ['verify'])
      for (const [id, message, signature, isValid] of tests) {
        count++
        // A signature of the wrong length is an error to the runtime, and no signature to whoever asks.
        const verdict = await crypto.subtle.verify(algorithm, key, bytesOf(signature), bytesOf(message)).catch(() => false)
        if (verdict !== isValid) disagreed.push(id)
      }
    }
    expect(count).toBeGreaterThan(140)
    expect(disagreed).toEqual([])
  })
})

/** As an access token is taken: spelled canonically, then verified by the key's own algorithm. */
async function isTaken(jws: string, jwk: JWK): Promise<boolean> {
  if (!jws.split('.').every((segment) => fromBase64Url(segment) !== undefined)) return false
  const key = await importJWK(jwk, 'ES256')
  return compactVerify(jws, key, { algorithms: [...SigningAlg.options] }).then(
    () => true,
    () => false,
  )
}

test('a JWS is taken where Wycheproof says so, and nowhere else', async () => {
  const disagreed: string[] = []
  for (const { jwk, tests } of vectors.jws) {
    for (const [id, jws, isValid, comment] of tests) if ((await isTaken(jws, jwk)) !== isValid) disagreed.push(`${id} ${comment}`)
  }
  expect(disagreed).toEqual([])
})

/** The same text as vector 357, which is valid. */
const TWICE = [367, 370]
/** Valid to Wycheproof, since some decoders pass over what is no base64url; RFC 7515 §2 has no such character. */
const STRICTER = [372, 373]

test('every spelling but the canonical one is refused', () => {
  const disagreed = vectors.base64
    .filter(([, jws, isValid]) => jws.split('.').every((segment) => fromBase64Url(segment) !== undefined) !== isValid)
    .map(([id]) => id)
  expect(disagreed).toEqual([...TWICE, ...STRICTER])
})
