import { DEVICE_DAYS } from '../../contract/identity.ts'
import { toBase64Url } from '../platform/base64.ts'
import { tokenHash } from './proof.ts'

const PREFIX = 'pdv_'
const SECRET_BYTES = 32
const TOKEN = /^pdv_[A-Za-z0-9_-]{43}$/
/** Accounts that one device is told from others for; each has a token of its own, so that nobody plants the one another is known by. */
const ACCOUNTS_MAX = 5

/** The tokens that a device keeps, and what is stored of them. They have 256 bits, so an unkeyed hash is enough. */
export interface ShownDevice {
  readonly tokens: readonly string[]
  readonly hashes: readonly string[]
}

/** Reads what a device shows of itself. Whatever else it says is as good as nothing. */
export async function shownDevice(deviceToken: string | undefined): Promise<ShownDevice> {
  const tokens = (deviceToken ?? '')
    .split('.')
    .filter((token) => TOKEN.test(token))
    .slice(0, ACCOUNTS_MAX)
  return { tokens, hashes: await Promise.all(tokens.map(tokenHash)) }
}

/** A device at a sign-in: what it is known by from here on, and what it is to keep. */
export interface DeviceMark {
  readonly hash: string
  readonly isKnown: boolean
  readonly deviceToken: string
}

/** Marks a device for an account: as the one it is known as, else as a new one. */
export async function markDevice({ tokens, hashes }: ShownDevice, knownHash: string | null | undefined): Promise<DeviceMark> {
  const at = hashes.indexOf(knownHash ?? '')
  const known = tokens[at]
  const own = known ?? PREFIX + toBase64Url(crypto.getRandomValues(new Uint8Array(SECRET_BYTES)))
  const others = tokens.filter((token) => token !== known)
  return {
    hash: hashes[at] ?? (await tokenHash(own)),
    isKnown: known !== undefined,
    deviceToken: [own, ...others].slice(0, ACCOUNTS_MAX).join('.'),
  }
}

/** Until when a device is known that an account is signed in on now, Unix milliseconds. */
export const knownUntil = (now: number): number => now + DEVICE_DAYS * 86_400_000
