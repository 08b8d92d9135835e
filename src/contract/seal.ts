/**
 * What the Worker and the relay must do alike: credentials sealed to the relay, and the relay's proof of itself. The Worker's half stands here on
 * WebCrypto alone, the relay's in `src/relay/unseal.ts`.
 *
 * A seal: fresh X25519 key E; secret = X25519(E, relay key); HKDF-SHA256(secret, salt = E public | relay public, info = `SEAL_INFO`) gives a
 * 32-byte AES-256-GCM key and a 12-byte IV (used once, because E is); the AAD binds the credential to one grant.
 */
import type { HostKeyPin } from './krp.ts'
import type { SealedCredential, SealingPublicJwk } from './krp-secret.ts'

/** A relay's private sealing key, an X25519 JWK. */
export interface SealingPrivateJwk extends SealingPublicJwk {
  readonly d: string
}

/** What a sealed credential is bound to: opened for anything else it stays shut. */
export interface SealBinding {
  readonly shell: string
  readonly host: string
  readonly port: number
  readonly pins: readonly HostKeyPin[]
  readonly relayKeyId: string
  /** `jti` of the grant that the credential travels with. */
  readonly jti: string
  /** The hosts on the way there, as `host port`, from the first; a secret of a host behind a jump host opens for no other way. */
  readonly via?: readonly string[]
}

/** The `info` of the HKDF of a seal. */
export const SEAL_INFO = utf8('parvis krp/1 credential')
const PROOF_CONTEXT = utf8('parvis krp/1 relay proof\n')

/**
 * The AAD: `shell|host|port|sha256(pins)|relayKeyId|jti|sha256(via)` in UTF-8; pins as sorted lines `type fingerprint`, the way as lines
 * `host port`, their hashes in base64url.
 */
export async function sealAad(binding: SealBinding): Promise<Uint8Array<ArrayBuffer>> {
  const { pins, via } = hashedIn(binding)
  return aadOf(binding, { pins: await sha256(pins), via: await sha256(via) })
}

/** What goes into the AAD as hashes. */
export const hashedIn = ({ pins, via = [] }: SealBinding) => ({
  pins: utf8(
    pins
      .map((pin) => `${pin.type} ${pin.fingerprint}`)
      .sort()
      .join('\n'),
  ),
  via: utf8(via.join('\n')),
})

/** As {@link sealAad}, with the hashes of {@link hashedIn}. */
export function aadOf(
  binding: SealBinding,
  { pins, via }: { readonly pins: Uint8Array; readonly via: Uint8Array },
): Uint8Array<ArrayBuffer> {
  const [pinsHash, viaHash] = [encodeBase64url(pins), encodeBase64url(via)]
  const parts = [binding.shell, binding.host, String(binding.port), pinsHash, binding.relayKeyId, binding.jti, viaHash]
  if (parts.some((part) => part.includes('|'))) throw new TypeError('a seal binding holds no "|"')
  return utf8(parts.join('|'))
}

/** Seals `plaintext` so that only the relay opens it, and only with the same AAD. */
export async function sealCredential(
  relayKey: SealingPublicJwk,
  aad: Uint8Array<ArrayBuffer>,
  plaintext: Uint8Array<ArrayBuffer>,
): Promise<SealedCredential> {
  const relayPublic = await crypto.subtle.importKey('jwk', { kty: 'OKP', crv: 'X25519', x: relayKey.x }, { name: 'X25519' }, false, [])
  const ephemeral = (await crypto.subtle.generateKey({ name: 'X25519' }, true, ['deriveBits'])) as CryptoKeyPair
  const epk = new Uint8Array((await crypto.subtle.exportKey('raw', ephemeral.publicKey)) as ArrayBuffer)
  const { key, iv } = await deriveSealKey({ own: ephemeral.privateKey, other: relayPublic, epk, relayX: relayKey.x })
  const ciphertext = await crypto.subtle.encrypt({ name: 'AES-GCM', iv, additionalData: aad }, key, plaintext)
  return { kid: relayKey.kid, epk: encodeBase64url(epk), ciphertext: encodeBase64url(new Uint8Array(ciphertext)) }
}

/** The handshake as both sides saw it: the dialer's nonce (base64url, from HELLO) and three whole frames as they were on the wire. */
export interface Handshake {
  readonly dialerNonce: string
  readonly hello: Uint8Array
  readonly challenge: Uint8Array
  readonly auth: Uint8Array
}

/**
 * What the relay signs with Ed25519 for READY: `"parvis krp/1 relay proof\n" | dialer nonce (32 bytes) | SHA-256(HELLO frame | CHALLENGE frame | AUTH frame)`,
 * each frame with its header. So the proof is fresh for the dialer and covers the relay id, its sealing key and the token it accepted.
 */
export const relayProofInput = ({ dialerNonce }: Handshake, transcriptHash: Uint8Array): Uint8Array<ArrayBuffer> =>
  concat(PROOF_CONTEXT, decodeBase64url(dialerNonce), transcriptHash)

/** The frames of a handshake, one behind the other. */
export const transcriptOf = ({ hello, challenge, auth }: Handshake): Uint8Array<ArrayBuffer> => concat(hello, challenge, auth)

/** Whether READY's `proof` was made by the pinned relay key (an Ed25519 public JWK's `x`). The dialer sends no OPEN before this holds. */
export async function verifyRelayProof(relayX: string, handshake: Handshake, proof: string): Promise<boolean> {
  const key = await crypto.subtle.importKey('jwk', { kty: 'OKP', crv: 'Ed25519', x: relayX }, { name: 'Ed25519' }, false, ['verify'])
  return crypto.subtle.verify(
    { name: 'Ed25519' },
    key,
    decodeBase64url(proof),
    relayProofInput(handshake, await sha256(transcriptOf(handshake))),
  )
}

/** Unpadded base64url (RFC 4648 §5). */
export function encodeBase64url(bytes: Uint8Array): string {
  let binary = ''
  for (const byte of bytes) binary += String.fromCharCode(byte)
  return btoa(binary).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '')
}

/** Reads unpadded base64url. Throws on any other character. */
export function decodeBase64url(text: string): Uint8Array<ArrayBuffer> {
  if (!/^[A-Za-z0-9_-]*$/.test(text)) throw new TypeError('not base64url')
  return Uint8Array.from(atob(text.replaceAll('-', '+').replaceAll('_', '/')), (char) => char.charCodeAt(0))
}

interface Agreement {
  readonly own: CryptoKey
  readonly other: CryptoKey
  readonly epk: Uint8Array
  readonly relayX: string
}

async function deriveSealKey({ own, other, epk, relayX }: Agreement): Promise<{ key: CryptoKey; iv: Uint8Array<ArrayBuffer> }> {
  const secret = await crypto.subtle.deriveBits({ name: 'X25519', public: other }, own, 256)
  const hkdf = await crypto.subtle.importKey('raw', secret, 'HKDF', false, ['deriveBits'])
  const salt = concat(epk, decodeBase64url(relayX))
  const bits = new Uint8Array(await crypto.subtle.deriveBits({ name: 'HKDF', hash: 'SHA-256', salt, info: SEAL_INFO }, hkdf, (32 + 12) * 8))
  const key = await crypto.subtle.importKey('raw', bits.slice(0, 32), 'AES-GCM', false, ['encrypt'])
  return { key, iv: bits.slice(32) }
}

async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>> {
  return new Uint8Array(await crypto.subtle.digest('SHA-256', bytes))
}

function concat(...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    whole.set(part, at)
    at += part.length
  }
  return whole
}

function utf8(text: string): Uint8Array<ArrayBuffer> {
  return new Uint8Array(new TextEncoder().encode(text))
}

/** How a way is written in a binding: the hosts before the one at `index`. */
export const viaOf = (jumps: readonly { readonly host: string; readonly port: number }[], index: number = jumps.length): string[] =>
  jumps.slice(0, index).map(({ host, port }) => `${host} ${port}`)
