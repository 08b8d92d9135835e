import { ID_ALPHABET, ID_CHARS } from '../../contract/id.ts'

/** A UUIDv7 (RFC 9562 §5.7) as 16 bytes: 48 bits of Unix milliseconds, then version, variant and 74 random bits. */
function uuidV7(now: number): Uint8Array {
  const bytes = crypto.getRandomValues(new Uint8Array(16))
  const view = new DataView(bytes.buffer)
  view.setUint16(0, Math.floor(now / 2 ** 32))
  view.setUint32(2, now % 2 ** 32)
  view.setUint8(6, 0x70 | (view.getUint8(6) & 0x0f))
  view.setUint8(8, 0x80 | (view.getUint8(8) & 0x3f))
  return bytes
}

/** A new `<prefix>_<base32>` id that sorts by time. */
export function newId(prefix: string, now: number): string {
  return `${prefix}_${encodeBase32(uuidV7(now))}`
}

function encodeBase32(bytes: Uint8Array): string {
  let value = bytes.reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n)
  let text = ''
  for (let i = 0; i < ID_CHARS; i++) {
    text = ID_ALPHABET.charAt(Number(value & 31n)) + text
    value >>= 5n
  }
  return text
}

/** The 16 bytes behind an id, for compact binary tokens. @throws RangeError on a foreign character. */
export function idBytes(id: string): Uint8Array {
  let value = 0n
  for (const char of id.slice(id.indexOf('_') + 1)) {
    const digit = ID_ALPHABET.indexOf(char)
    if (digit < 0) throw new RangeError('not an id')
    value = (value << 5n) | BigInt(digit)
  }
  const bytes = new Uint8Array(16)
  for (let i = 15; i >= 0; i--) {
    bytes[i] = Number(value & 255n)
    value >>= 8n
  }
  return bytes
}

/** The id that 16 bytes stand for. */
export const idFromBytes = (prefix: string, bytes: Uint8Array): string => `${prefix}_${encodeBase32(bytes)}`
