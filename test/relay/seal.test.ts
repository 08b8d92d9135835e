import { sign } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { relayProofInput, type SealBinding, sealAad, sealCredential, transcriptOf, verifyRelayProof } from '../../src/contract/seal.ts'
import { parseConfig } from '../../src/relay/config.ts'
import { generateSealingKey, generateSigningKey } from '../../src/relay/keys.ts'
import { openCredential, sha256 } from '../../src/relay/unseal.ts'
import { relayEnv } from './harness.ts'

const secret = new TextEncoder().encode('{"kind":"password","password":"correct horse"}')
const fingerprint = `SHA256:${'A'.repeat(43)}`
const key = generateSealingKey()
const binding: SealBinding = {
  shell: 'shl_1',
  host: 'a.example',
  port: 22,
  pins: [{ type: 'ssh-ed25519', fingerprint }],
  relayKeyId: key.publicJwk.kid,
  jti: 'j',
}

describe('a sealed credential', () => {
  test('opens with the key and the binding it was sealed for', async () => {
    const sealed = await sealCredential(key.publicJwk, await sealAad(binding), secret)
    expect(new Uint8Array(openCredential(key.privateJwk, binding, sealed))).toEqual(secret)
    expect(JSON.stringify(sealed)).not.toContain('horse')
  })

  test('stays shut for any other shell, host, port, pin, relay key or grant', async () => {
    const others: Partial<SealBinding>[] = [
      { shell: 'shl_2' },
      { host: 'b.example' },
      { port: 2222 },
      { pins: [] },
      { pins: [{ type: 'ssh-rsa', fingerprint }] },
      { relayKeyId: 'k2' },
      { jti: 'j2' },
    ]
    for (const other of others) {
      const sealed = await sealCredential(key.publicJwk, await sealAad({ ...binding, ...other }), secret)
      expect(() => openCredential(key.privateJwk, binding, sealed)).toThrow()
    }
  })

  test('stays shut with another key, and when one bit differs', async () => {
    const aad = await sealAad(binding)
    const sealed = await sealCredential(key.publicJwk, aad, secret)
    const other = generateSealingKey()
    expect(() => openCredential(other.privateJwk, binding, sealed)).toThrow('sealed for another key')
    expect(() => openCredential({ ...other.privateJwk, kid: key.publicJwk.kid }, binding, sealed)).toThrow()
    const bent = `${sealed.ciphertext[0] === 'A' ? 'B' : 'A'}${sealed.ciphertext.slice(1)}`
    expect(() => openCredential(key.privateJwk, binding, { ...sealed, ciphertext: bent })).toThrow()
    const none = Buffer.alloc(32).toString('base64url')
    expect(() => openCredential(key.privateJwk, binding, { ...sealed, epk: none })).toThrow()
    expect(() => openCredential(key.privateJwk, binding, { ...sealed, ciphertext: 'AAAA' })).toThrow()
  })

  test('the order of pins does not matter, and no part can pretend to be two', async () => {
    const two = { type: 'ssh-rsa', fingerprint } as const
    const pins = [...binding.pins, two]
    expect(await sealAad({ ...binding, pins })).toEqual(await sealAad({ ...binding, pins: pins.toReversed() }))
    await expect(sealAad({ ...binding, host: 'a|22' })).rejects.toThrow(TypeError)
  })

  test('the same secret never looks the same twice', async () => {
    const aad = await sealAad(binding)
    const [one, two] = await Promise.all([sealCredential(key.publicJwk, aad, secret), sealCredential(key.publicJwk, aad, secret)])
    expect(one.ciphertext).not.toBe(two.ciphertext)
    expect(one.epk).not.toBe(two.epk)
  })
})

describe('the proof of the relay', () => {
  test('holds for exactly the handshake it was made for', async () => {
    const { env, relayX } = relayEnv([22])
    const { signing } = parseConfig(env)
    const nonce = Buffer.alloc(32, 7).toString('base64url')
    const handshake = { dialerNonce: nonce, hello: Uint8Array.of(1), challenge: Uint8Array.of(2), auth: Uint8Array.of(3) }
    const proof = sign(null, relayProofInput(handshake, sha256(transcriptOf(handshake))), signing.key).toString('base64url')
    expect(await verifyRelayProof(relayX, handshake, proof)).toBe(true)
    expect(await verifyRelayProof(generateSigningKey().publicJwk.x, handshake, proof)).toBe(false)
    for (const bent of [
      { hello: Uint8Array.of(9) },
      { challenge: Uint8Array.of(9) },
      { auth: Uint8Array.of(9) },
      { dialerNonce: Buffer.alloc(32).toString('base64url') },
    ]) {
      expect(await verifyRelayProof(relayX, { ...handshake, ...bent }, proof)).toBe(false)
    }
  })
})
