import Argon2, { Argon2Type, Argon2Version } from '@phi-ag/argon2'
import argon2Wasm from '@phi-ag/argon2/argon2.wasm'
import { Problem } from '../../contract/problem.ts'
import { toBase64Url } from '../platform/base64.ts'
import type { Keyring } from '../platform/keyring.ts'
import { costBeyond, formatPhc, isCurrent, PASSWORD_COST, type Phc, parsePhc } from './phc.ts'

/** At about 60 ms each this is two seconds of work ahead; whoever comes later is better served by a retry. */
const HASHES_WAITING_MAX = 32
const RETRY_SECONDS = 2
/** Enough for what arrived during a hash to be read and answered. */
const REST_MS = 20
const HASH_BYTES = 32
const SALT_BYTES = 16
const PURPOSE = 'password-pepper'

/** A request that is cancelled while it waits says nothing: whoever came this long ago is gone. */
const GONE_MS = 10_000

let argon2: Argon2 | undefined
let hashed = 0
const waiting = new Set<{ readonly since: number }>()

function join(): { readonly since: number } {
  const now = Date.now()
  for (const place of waiting) if (now - place.since > GONE_MS) waiting.delete(place)
  if (waiting.size >= HASHES_WAITING_MAX) throw new Problem('unavailable', { retryAfterSeconds: RETRY_SECONDS })
  const place = { since: now }
  waiting.add(place)
  return place
}

/**
 * A hash blocks the isolate. Those of a crowd would run one after the other as soon as their turns come, and everybody else behind all of
 * them: so each of a crowd waits until a moment has passed in which nobody hashed, and the world is let in. Turns are counted and not
 * timed: on the edge the clock stands still while a hash runs.
 */
async function takeTurn(): Promise<void> {
  let before: number
  do {
    before = hashed
    await scheduler.wait(waiting.size > 1 ? REST_MS : 0)
  } while (before !== hashed && waiting.size > 1)
  hashed++
}

/** One hash at a time with air between; a crowd is turned away. @throws Problem `unavailable` */
async function derive(password: string, { cost, salt }: Pick<Phc, 'cost' | 'salt'>): Promise<Uint8Array> {
  const place = join()
  try {
    await takeTurn()
    argon2 ??= new Argon2(new WebAssembly.Instance(argon2Wasm))
    const { hash } = argon2.hash(password, {
      salt,
      hashLength: HASH_BYTES,
      memoryCost: cost.memoryKib,
      timeCost: cost.passes,
      parallelism: cost.lanes,
      type: Argon2Type.Argon2id,
      version: Argon2Version.Version13,
    })
    return hash
  } finally {
    waiting.delete(place)
  }
}

/** The pepper is an HMAC before the hash: a stolen database alone gives nothing to guess against. */
async function peppered(keyring: Keyring, password: string, version: number): Promise<string | undefined> {
  const mac = await keyring.mac(PURPOSE, new TextEncoder().encode(password), version)
  return mac && toBase64Url(mac)
}

/** Hashes at the current cost under the newest pepper. */
export async function hashPassword(keyring: Keyring, password: string): Promise<string> {
  const salt = crypto.getRandomValues(new Uint8Array(SALT_BYTES))
  const secret = await peppered(keyring, password, keyring.version)
  if (secret === undefined) throw new Error('the newest secret has no version')
  const hash = await derive(secret, { cost: PASSWORD_COST, salt })
  return formatPhc({ cost: PASSWORD_COST, pepperVersion: keyring.version, salt, hash })
}

/** What verifying found. A stale hash is right but of an older cost or pepper: hash again while the password is at hand. */
export type Verdict = 'wrong' | 'right' | 'stale'

/**
 * Checks a password in the time of one hash at current cost, also where the stored one was cheaper, and when there is no user: then
 * `stored` is undefined and the answer is always `wrong`.
 */
export async function verifyPassword(keyring: Keyring, password: string, stored: string | undefined): Promise<Verdict> {
  const phc = stored === undefined ? undefined : parsePhc(stored)
  const against: Phc = phc ?? {
    cost: PASSWORD_COST,
    pepperVersion: keyring.version,
    salt: new Uint8Array(SALT_BYTES),
    hash: new Uint8Array(HASH_BYTES),
  }
  const secret = (await peppered(keyring, password, against.pepperVersion)) ?? ''
  const hash = await derive(secret, against)
  const rest = costBeyond(against.cost)
  if (rest) await derive(secret, { cost: rest, salt: against.salt })
  const isRight = hash.byteLength === against.hash.byteLength && crypto.subtle.timingSafeEqual(hash, against.hash)
  if (!phc || !isRight) return 'wrong'
  return isCurrent(phc, keyring.version) ? 'right' : 'stale'
}
