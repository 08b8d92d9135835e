import { CODE_DIGITS, type Locale } from '../../contract/identity.ts'
import { Problem } from '../../contract/problem.ts'
import { toBase64Url } from '../platform/base64.ts'
import type { Keyring } from '../platform/keyring.ts'
import type { Scope } from '../platform/scope.ts'

/** What one mail carries to prove its mailbox: a code to type, and the token of a link. Either is used once, and spends the other. */
export interface Proof {
  readonly code: string
  readonly token: string
}

/** What is stored of a proof. */
export interface ProofHashes {
  readonly codeMac: string
  readonly tokenHash: string
}

/** Keeps the code of one thing from opening another. */
export type ProofPurpose = 'registration-code' | 'password-reset-code' | 'sign-in-code' | 'email-change-code'

/** Uniform digits: values that would favour low ones are drawn again. */
function drawCode(): string {
  const range = 10 ** CODE_DIGITS
  const limit = Math.floor(2 ** 32 / range) * range
  let value: number
  do value = crypto.getRandomValues(new Uint32Array(1))[0] ?? limit
  while (value >= limit)
  return String(value % range).padStart(CODE_DIGITS, '0')
}

/** The token of a link. */
export const drawToken = (): string => toBase64Url(crypto.getRandomValues(new Uint8Array(32)))

/** A fresh proof. */
export const drawProof = (): Proof => ({ code: drawCode(), token: drawToken() })

/** A code has 20 bits, so only a keyed hash of it may be stored (ASVS 6.5.2); purpose and id keep it from opening anything else. */
export async function codeMac(keyring: Keyring, purpose: ProofPurpose, given: { readonly id: string; readonly code: string }) {
  const mac = await keyring.mac(purpose, new TextEncoder().encode(`${given.id}|${given.code}`))
  return toBase64Url(mac ?? crypto.getRandomValues(new Uint8Array(32)))
}

/** A token has 256 bits, so its hash needs no key. */
export async function tokenHash(token: string): Promise<string> {
  return toBase64Url(new Uint8Array(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(token))))
}

/** What to store of a proof. */
export const hashesOf = async (
  keyring: Keyring,
  purpose: ProofPurpose,
  { id, code, token }: Proof & { id: string },
): Promise<ProofHashes> => ({
  codeMac: await codeMac(keyring, purpose, { id, code }),
  tokenHash: await tokenHash(token),
})

/** What to store where nothing is mailed: no code and no link matches it. */
export const unmatchable = (keyring: Keyring, purpose: ProofPurpose, id: string): Promise<ProofHashes> =>
  hashesOf(keyring, purpose, { id, code: drawToken(), token: drawToken() })

/** The app that a mailed link is to lead to, if it is not us. @throws Problem `invalid-request` for one that nobody has listed */
export function mailedApp({ config }: Scope, app: string | undefined): { readonly app?: string } {
  if (app === undefined || app === config.publicOrigin) return {}
  if (config.corsOrigins.includes(app)) return { app }
  throw new Problem('invalid-request', { errors: [{ detail: 'is no origin that is listed here', pointer: '#/body/app' }] })
}

/** A page that takes the token from the fragment, which browsers send to no server, and asks before it uses it. */
export const pageLink = (page: `/${string}`, locale: Locale, token: string): string =>
  `${page}${locale === 'en' ? '' : `?lang=${locale}`}#${token}`
