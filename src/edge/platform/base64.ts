import { base64url } from 'jose'

/** Bytes to unpadded base64url (RFC 4648 §5). */
export const toBase64Url = (bytes: Uint8Array): string => base64url.encode(bytes)

/** Unpadded base64url to bytes, or `undefined` unless the text is the one canonical spelling of them. */
export function fromBase64Url(text: string): Uint8Array<ArrayBuffer> | undefined {
  if (!/^[A-Za-z0-9_-]*$/.test(text)) return undefined
  try {
    const bytes = new Uint8Array(base64url.decode(text))
    return toBase64Url(bytes) === text ? bytes : undefined
  } catch {
    return undefined
  }
}
