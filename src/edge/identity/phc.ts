/** Cost of one Argon2id hash. */
export interface Cost {
  readonly memoryKib: number
  readonly passes: number
  readonly lanes: number
}

/** OWASP minimum for Argon2id: 19 MiB, 2 passes, 1 lane. */
export const PASSWORD_COST: Cost = { memoryKib: 19_456, passes: 2, lanes: 1 }

/** A stored hash may not ask for more than this, however it got there: an isolate has 128 MB. */
const COST_MAX: Cost = { memoryKib: 65_536, passes: 8, lanes: 4 }

/** What a hash takes: blocks filled, over all passes. */
const workOf = ({ memoryKib, passes }: Cost): number => memoryKib * passes

/** What a hash at today's cost takes longer than one at an older; nothing where that was no less. */
export function costBeyond(older: Cost): Cost | undefined {
  const rest = workOf(PASSWORD_COST) - workOf(older)
  const passes = Math.ceil(rest / COST_MAX.memoryKib)
  // RFC 9106 §3.1: eight blocks a lane at least.
  return rest < 8 ? undefined : { memoryKib: Math.floor(rest / passes), passes, lanes: 1 }
}

/** A password hash taken apart. */
export interface Phc {
  readonly cost: Cost
  readonly pepperVersion: number
  readonly salt: Uint8Array<ArrayBuffer>
  readonly hash: Uint8Array
}

const PHC =
  /^\$argon2id\$v=19\$m=(\d{1,6}),t=(\d{1,2}),p=(\d{1,2}),keyid=([A-Za-z0-9+/]{1,12})\$([A-Za-z0-9+/]{11,86})\$([A-Za-z0-9+/]{22,86})$/

const toB64 = (bytes: Uint8Array): string => btoa(String.fromCharCode(...bytes)).replace(/=+$/, '')
const fromB64 = (text: string): Uint8Array<ArrayBuffer> => Uint8Array.from(atob(text), (c) => c.charCodeAt(0))

/** How `keyid` names a pepper's version. */
export const spellPepper = (version: number): string => toB64(new TextEncoder().encode(String(version)))

/** A PHC string; `keyid` names the pepper's version, as the format provides for. */
export const formatPhc = ({ cost, pepperVersion, salt, hash }: Phc): string =>
  `$argon2id$v=19$m=${cost.memoryKib},t=${cost.passes},p=${cost.lanes},keyid=${spellPepper(pepperVersion)}$${toB64(salt)}$${toB64(hash)}`

/** Takes a PHC string apart, or `undefined` when it is not ours or asks too much. */
export function parsePhc(text: string): Phc | undefined {
  const [, m, t, p, keyId, salt, hash] = PHC.exec(text) ?? []
  if (!keyId || !salt || !hash) return undefined
  const cost = { memoryKib: Number(m), passes: Number(t), lanes: Number(p) }
  const isBounded = cost.memoryKib <= COST_MAX.memoryKib && cost.passes <= COST_MAX.passes && cost.lanes <= COST_MAX.lanes
  const pepperVersion = Number(new TextDecoder().decode(fromB64(keyId)))
  if (!isBounded || !Number.isInteger(pepperVersion)) return undefined
  return { cost, pepperVersion, salt: fromB64(salt), hash: fromB64(hash) }
}

/** Whether a hash has today's cost and pepper. */
export const isCurrent = ({ cost, pepperVersion }: Phc, newest: number): boolean =>
  pepperVersion === newest &&
  cost.memoryKib === PASSWORD_COST.memoryKib &&
  cost.passes === PASSWORD_COST.passes &&
  cost.lanes === PASSWORD_COST.lanes
