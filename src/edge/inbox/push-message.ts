/** What a device gave to be pushed to, base64url decoded (Push API `getKey`). */
export interface PushKeys {
  /** Its public key on P-256, uncompressed. */
  readonly p256dh: Uint8Array<ArrayBuffer>
  readonly auth: Uint8Array<ArrayBuffer>
}

/** What is drawn afresh for each message. */
export interface PushMaterial {
  readonly keys: CryptoKeyPair
  readonly salt: Uint8Array<ArrayBuffer>
}

/** One record holds the whole message (RFC 8291 §4); push services take 4096 bytes of body (RFC 8030 §7.2). */
const RECORD_BYTES = 4096
const CURVE = { name: 'ECDH', namedCurve: 'P-256' }
/** Salt, record size, length of the key, the key (RFC 8188 §2.1). */
const HEADER_BYTES = 16 + 4 + 1 + 65
const TAG_BYTES = 16
/** Longest plain text of one message, in bytes. */
export const PUSH_BYTES_MAX = RECORD_BYTES - HEADER_BYTES - TAG_BYTES - 1

const text = new TextEncoder()

function concat(...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    bytes.set(part, at)
    at += part.length
  }
  return bytes
}

interface Derivation {
  readonly salt: Uint8Array<ArrayBuffer>
  readonly info: Uint8Array<ArrayBuffer>
  readonly bytes: number
}

async function hkdf(secret: Uint8Array<ArrayBuffer>, { salt, info, bytes }: Derivation): Promise<Uint8Array<ArrayBuffer>> {
  const key = await crypto.subtle.importKey('raw', secret, 'HKDF', false, ['deriveBits'])
  return new Uint8Array(await crypto.subtle.deriveBits({ name: 'HKDF', hash: 'SHA-256', salt, info }, key, bytes * 8))
}

async function drawMaterial(): Promise<PushMaterial> {
  const keys = (await crypto.subtle.generateKey(CURVE, false, ['deriveBits'])) as CryptoKeyPair
  return { keys, salt: crypto.getRandomValues(new Uint8Array(16)) }
}

/** Imports a device's public key. @throws DOMException when it is no point of the curve */
export const importPushKey = (p256dh: Uint8Array<ArrayBuffer>): Promise<CryptoKey> =>
  crypto.subtle.importKey('raw', p256dh, CURVE, false, [])

/** Encrypts a message for a device (RFC 8291, content coding `aes128gcm` of RFC 8188). @throws RangeError when it is too long */
export async function encryptPush(
  plain: Uint8Array,
  { p256dh, auth }: PushKeys,
  material?: PushMaterial,
): Promise<Uint8Array<ArrayBuffer>> {
  if (plain.length > PUSH_BYTES_MAX) throw new RangeError('a push message is one record')
  const { keys, salt } = material ?? (await drawMaterial())
  const ownKey = new Uint8Array((await crypto.subtle.exportKey('raw', keys.publicKey)) as ArrayBuffer)
  const peer = await importPushKey(p256dh)
  // The types of Workers spell `public` as `$public`; the runtime and every other platform read `public`.
  const agreement = { name: 'ECDH', public: peer } as unknown as SubtleCryptoDeriveKeyAlgorithm
  const shared = new Uint8Array(await crypto.subtle.deriveBits(agreement, keys.privateKey, 256))
  const secret = await hkdf(shared, { salt: auth, info: concat(text.encode('WebPush: info\0'), p256dh, ownKey), bytes: 32 })
  const contentKey = await hkdf(secret, { salt, info: concat(text.encode('Content-Encoding: aes128gcm\0')), bytes: 16 })
  const nonce = await hkdf(secret, { salt, info: concat(text.encode('Content-Encoding: nonce\0')), bytes: 12 })
  const key = await crypto.subtle.importKey('raw', contentKey, 'AES-GCM', false, ['encrypt'])
  // 2 marks the last record.
  const sealed = await crypto.subtle.encrypt({ name: 'AES-GCM', iv: nonce }, key, concat(plain, new Uint8Array([2])))
  const size = new Uint8Array(5)
  new DataView(size.buffer).setUint32(0, RECORD_BYTES)
  size[4] = ownKey.length
  return concat(salt, size, ownKey, new Uint8Array(sealed))
}
