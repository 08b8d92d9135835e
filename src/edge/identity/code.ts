import { CODE_DIGITS } from '../../contract/identity.ts'
import { toBase64Url } from '../platform/base64.ts'
import type { Keyring } from '../platform/keyring.ts'

/** Uniform digits: values that would favour low ones are drawn again. */
export function drawCode(): string {
  const range = 10 ** CODE_DIGITS
  const limit = Math.floor(2 ** 32 / range) * range
  let value: number
  do value = crypto.getRandomValues(new Uint32Array(1))[0] ?? limit
  while (value >= limit)
  return String(value % range).padStart(CODE_DIGITS, '0')
}

/** A code has 20 bits, so only a keyed hash of it may be stored (ASVS 6.5.2); purpose and id keep it from opening anything else. */
export async function codeMac(keyring: Keyring, purpose: `${string}-code`, given: { readonly id: string; readonly code: string }) {
  const mac = await keyring.mac(purpose, new TextEncoder().encode(`${given.id}|${given.code}`))
  return toBase64Url(mac ?? crypto.getRandomValues(new Uint8Array(32)))
}
