import { ID_ALPHABET } from '../../contract/id.ts'
import type { UserId } from '../../contract/identity.ts'
import { RECOVERY_CODE_CHARS, RECOVERY_CODES } from '../../contract/proof.ts'
import { toBase64Url } from '../platform/base64.ts'
import type { Keyring } from '../platform/keyring.ts'

const PURPOSE = 'recovery-code'

/** One code of five bits a character. */
const drawCode = (): string =>
  Array.from(crypto.getRandomValues(new Uint8Array(RECOVERY_CODE_CHARS)), (byte) => ID_ALPHABET.charAt(byte & 31)).join('')

/** A fresh set. */
export const drawRecoveryCodes = (): string[] => Array.from({ length: RECOVERY_CODES }, drawCode)

/** A code as people read it. */
export const formatRecoveryCode = (code: string): string =>
  `${code.slice(0, RECOVERY_CODE_CHARS / 2)}-${code.slice(RECOVERY_CODE_CHARS / 2)}`

async function macUnder(keyring: Keyring, of: { readonly userId: UserId; readonly code: string }, version: number): Promise<string> {
  const mac = await keyring.mac(PURPOSE, new TextEncoder().encode(`${of.userId}|${of.code}`), version)
  if (!mac) throw new Error('a listed secret has no version')
  return `${version}.${toBase64Url(mac)}`
}

/** What is kept of a code: 50 bits need a key (ASVS 6.5.2). */
export const recoveryMac = (keyring: Keyring, of: { readonly userId: UserId; readonly code: string }): Promise<string> =>
  macUnder(keyring, of, keyring.version)

/** What may be kept of a code: its set can be older than the newest secret. */
export const recoveryMacs = (keyring: Keyring, of: { readonly userId: UserId; readonly code: string }): Promise<string[]> =>
  Promise.all(keyring.versions.map((version) => macUnder(keyring, of, version)))
