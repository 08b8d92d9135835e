import { TOTP_DIGITS } from '../../contract/proof.ts'

/** RFC 6238 §5.2 recommends 30 seconds; every app assumes them. */
const PERIOD_SECONDS = 30
/** RFC 6238 §5.2: at most one step either way for clocks and slow typing. */
const STEPS_AROUND = 1
/** RFC 4226 §4 asks for 128 bits at least and recommends 160. */
const SECRET_BYTES = 20
const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'

/** A fresh secret. */
export const drawTotpSecret = (): Uint8Array<ArrayBuffer> => crypto.getRandomValues(new Uint8Array(SECRET_BYTES))

/** RFC 4648 base32 without padding, as authenticator apps take it. */
export function toBase32(bytes: Uint8Array): string {
  const bits = Array.from(bytes, (byte) => byte.toString(2).padStart(8, '0')).join('')
  return (bits.match(/.{1,5}/g) ?? []).map((five) => ALPHABET.charAt(Number.parseInt(five.padEnd(5, '0'), 2))).join('')
}

/** The key URI that authenticator apps scan. The algorithm is the one that all of them know. */
export function otpauthUri(secret: Uint8Array, { issuer, account }: { readonly issuer: string; readonly account: string }): string {
  const label = `${encodeURIComponent(issuer)}:${encodeURIComponent(account)}`
  const query = `secret=${toBase32(secret)}&issuer=${encodeURIComponent(issuer)}&algorithm=SHA1&digits=${TOTP_DIGITS}&period=${PERIOD_SECONDS}`
  return `otpauth://totp/${label}?${query}`
}

/** The code of one step: HOTP (RFC 4226 §5.3) over the count of periods. */
export async function totpCode(secret: Uint8Array<ArrayBuffer>, step: number): Promise<string> {
  const counter = new DataView(new ArrayBuffer(8))
  counter.setBigUint64(0, BigInt(step))
  const key = await crypto.subtle.importKey('raw', secret, { name: 'HMAC', hash: 'SHA-1' }, false, ['sign'])
  const mac = new DataView(await crypto.subtle.sign('HMAC', key, counter.buffer))
  const truncated = mac.getUint32(mac.getUint8(19) & 0x0f) & 0x7fff_ffff
  return String(truncated % 10 ** TOTP_DIGITS).padStart(TOTP_DIGITS, '0')
}

/** The step of a moment. */
export const stepAt = (now: number): number => Math.floor(now / 1000 / PERIOD_SECONDS)

/** The newest step near now that has this code, or nothing. */
export async function stepOfCode(secret: Uint8Array<ArrayBuffer>, code: string, now: number): Promise<number | undefined> {
  const steps = Array.from({ length: 2 * STEPS_AROUND + 1 }, (_, i) => stepAt(now) + STEPS_AROUND - i)
  const codes = await Promise.all(steps.map((step) => totpCode(secret, step)))
  return steps[codes.indexOf(code)]
}
