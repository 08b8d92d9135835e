import type { SessionId } from '../../contract/identity.ts'
import { fromBase64Url, toBase64Url } from '../platform/base64.ts'
import { idBytes, idFromBytes } from '../platform/id.ts'
import type { Keyring } from '../platform/keyring.ts'

/**
 * A refresh token is a counter, not a stored secret:
 *
 *     format u8 | secret version u32 | session id 16 B | counter u32 | HMAC-SHA-256 truncated to 16 B | checksum 4 B
 *
 * The server keeps one number a session; the checksum refuses garbage before any storage is asked.
 * Idea: Supabase Auth, `internal/crypto/refresh_tokens.go`.
 */
const FORMAT = 1
const SIGNED_BYTES = 25
const MAC_BYTES = 16
const TOKEN_BYTES = SIGNED_BYTES + MAC_BYTES + 4
const PURPOSE = 'refresh-token'
const PREFIX = 'prt_'

/** What a genuine token says. */
export interface RefreshClaim {
  readonly sessionId: SessionId
  readonly counter: number
}

async function checksumOf(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.digest('SHA-256', bytes)).subarray(0, 4)
}

/** The one spelling of the token for a session's generation; minting it twice gives the same token. */
export async function mintRefreshToken(keyring: Keyring, { sessionId, counter }: RefreshClaim): Promise<string> {
  const token = new Uint8Array(TOKEN_BYTES)
  const view = new DataView(token.buffer)
  view.setUint8(0, FORMAT)
  view.setUint32(1, keyring.version)
  token.set(idBytes(sessionId), 5)
  view.setUint32(21, counter)
  const mac = await keyring.mac(PURPOSE, token.slice(0, SIGNED_BYTES))
  if (!mac) throw new Error('the newest secret has no version')
  token.set(mac.subarray(0, MAC_BYTES), SIGNED_BYTES)
  token.set(await checksumOf(token.slice(0, SIGNED_BYTES + MAC_BYTES)), SIGNED_BYTES + MAC_BYTES)
  return PREFIX + toBase64Url(token)
}

/** What the token says, or `undefined` when we never minted it. */
export async function readRefreshToken(keyring: Keyring, text: string): Promise<RefreshClaim | undefined> {
  const token = text.startsWith(PREFIX) ? fromBase64Url(text.slice(PREFIX.length)) : undefined
  if (token?.byteLength !== TOKEN_BYTES || token[0] !== FORMAT) return undefined
  const checksum = await checksumOf(token.slice(0, SIGNED_BYTES + MAC_BYTES))
  if (!crypto.subtle.timingSafeEqual(checksum, token.subarray(SIGNED_BYTES + MAC_BYTES))) return undefined
  const view = new DataView(token.buffer)
  const mac = await keyring.mac(PURPOSE, token.slice(0, SIGNED_BYTES), view.getUint32(1))
  if (!mac || !crypto.subtle.timingSafeEqual(mac.subarray(0, MAC_BYTES), token.subarray(SIGNED_BYTES, SIGNED_BYTES + MAC_BYTES)))
    return undefined
  return { sessionId: idFromBytes('ses', token.slice(5, 21)) as SessionId, counter: view.getUint32(21) }
}
