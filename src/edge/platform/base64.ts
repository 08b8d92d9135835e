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

/** Bytes, not many, to padded base64 (RFC 4648 §4). */
export const toBase64 = (bytes: Uint8Array): string => btoa(String.fromCharCode(...bytes))

/** Padded base64 to bytes, or `undefined` unless the text is the one canonical spelling of them. */
export function fromBase64(text: string): Uint8Array<ArrayBuffer> | undefined {
  try {
    const bytes = Uint8Array.from(atob(text), (char) => char.charCodeAt(0))
    return toBase64(bytes) === text ? bytes : undefined
  } catch {
    return undefined
  }
}
