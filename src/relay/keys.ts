import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import * as z from 'zod'

const KeyFields = z.object({ x: z.string(), d: z.string() })

/** A key pair as JWKs. */
export interface JwkPair<C extends string> {
  readonly privateJwk: { readonly kty: 'OKP'; readonly crv: C; readonly x: string; readonly d: string; readonly kid: string }
  readonly publicJwk: { readonly kty: 'OKP'; readonly crv: C; readonly x: string; readonly kid: string }
}

/** A fresh Ed25519 pair: RELAY_SIGNING_KEY, or a dialer's key whose public half goes into RELAY_DIALER_KEYS. */
export const generateSigningKey = (): JwkPair<'Ed25519'> =>
  toPair('Ed25519', generateKeyPairSync('ed25519').privateKey.export({ format: 'jwk' }))

/** A fresh X25519 pair: RELAY_SEALING_KEY. */
export const generateSealingKey = (): JwkPair<'X25519'> =>
  toPair('X25519', generateKeyPairSync('x25519').privateKey.export({ format: 'jwk' }))

function toPair<C extends string>(crv: C, exported: unknown): JwkPair<C> {
  const { x, d } = KeyFields.parse(exported)
  const publicJwk = { kty: 'OKP', crv, x, kid: randomBytes(6).toString('hex') } as const
  return { publicJwk, privateJwk: { ...publicJwk, d } }
}

/** Writes the keys of a new relay for its owner alone, never over older ones. @returns the public signing key, for the Worker to pin */
export function writeRelayKeys(directory: string): JwkPair<'Ed25519'>['publicJwk'] {
  const signing = generateSigningKey()
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  const write = (name: string, jwk: object): void =>
    writeFileSync(join(directory, name), `${JSON.stringify(jwk)}\n`, { mode: 0o600, flag: 'wx' })
  write('signing-key.json', signing.privateJwk)
  write('sealing-key.json', generateSealingKey().privateJwk)
  return signing.publicJwk
}

if (import.meta.main) {
  const directory = process.argv[2]
  if (directory === undefined) process.stderr.write('Say where: node src/relay/keys.ts <directory>\n')
  else process.stdout.write(`${JSON.stringify(writeRelayKeys(directory))}\n`)
  process.exitCode = directory === undefined ? 1 : 0
}
