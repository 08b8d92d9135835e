import { API_KEY_PREFIX } from '../../contract/api-keys.ts'
import { ID_ALPHABET } from '../../contract/id.ts'
import { toHex } from '../platform/hex.ts'

/** Five bits each: 260 bits in all. */
const SECRET_CHARS = 52
/** Thirty bits: of a billion typing errors or guesses one would reach storage. */
const CHECK_CHARS = 6
/** Enough to tell keys apart, and too little to guess the rest. */
const HINT_CHARS = API_KEY_PREFIX.length + 4

const SHAPE = new RegExp(`^${API_KEY_PREFIX}[${ID_ALPHABET}]{${SECRET_CHARS + CHECK_CHARS}}$`)

/** Whether a bearer is meant to be an API key. */
export const isApiKey = (token: string): boolean => token.startsWith(API_KEY_PREFIX)

const digest = async (text: string): Promise<Uint8Array> =>
  new Uint8Array(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(text)))

const toChars = (bytes: Uint8Array): string => Array.from(bytes, (byte) => ID_ALPHABET[byte & 31]).join('')

/** Tells a key from a typing error; it proves nothing. */
const checksumOf = async (head: string): Promise<string> => toChars((await digest(`checksum ${head}`)).subarray(0, CHECK_CHARS))

/** A fresh key, what is stored of it and what is shown of it later. A fast hash will do for so many random bits. */
export async function drawApiKey(): Promise<{ readonly token: string; readonly tokenHash: string; readonly hint: string }> {
  const head = API_KEY_PREFIX + toChars(crypto.getRandomValues(new Uint8Array(SECRET_CHARS)))
  const token = head + (await checksumOf(head))
  return { token, tokenHash: toHex(await digest(token)), hint: token.slice(0, HINT_CHARS) }
}

/** The hash a key is found by; nothing for what we never made. */
export async function apiKeyHash(token: string): Promise<string | undefined> {
  if (!SHAPE.test(token)) return undefined
  const head = token.slice(0, -CHECK_CHARS)
  return token.slice(-CHECK_CHARS) === (await checksumOf(head)) ? toHex(await digest(token)) : undefined
}
