import { randomBytes } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import * as z from 'zod'
import { generateSealingKey, generateSigningKey } from '../relay/keys.ts'
import { Complaint, codeOf } from './complaint.ts'
import { generateDemoHostKey } from './demo-host.ts'

const PublicJwk = z.object({ kty: z.literal('OKP'), crv: z.enum(['Ed25519', 'X25519']), x: z.string().length(43), kid: z.string().min(1) })
/** The half of a key that may be known. */
export type PublicJwk = z.infer<typeof PublicJwk>

/** The public half of a JWK in text. @throws Complaint */
export function publicHalf(text: string, where: string): PublicJwk {
  try {
    return PublicJwk.parse(JSON.parse(text))
  } catch {
    throw new Complaint(`${where} is not a key: remove it to have it drawn again.`)
  }
}

/** A key of the relay: its file, and what others may know of it. */
export interface RelayKey {
  readonly path: string
  readonly publicJwk: PublicJwk
}

/** What the parts of the local stack know and the Worker does not. */
export interface Secrets {
  readonly relaySigning: RelayKey
  readonly relaySealing: RelayKey
  readonly demoHostKey: string
  readonly demoPassword: string
}

/** Reads each secret from its own file, which it draws on the first start. @throws Complaint */
export function prepareSecrets(folder: string): Secrets {
  return {
    relaySigning: keepKey(join(folder, 'relay-signing.jwk'), generateSigningKey),
    relaySealing: keepKey(join(folder, 'relay-sealing.jwk'), generateSealingKey),
    demoHostKey: keep(join(folder, 'demo-host.key'), generateDemoHostKey),
    demoPassword: keep(join(folder, 'demo-host.password'), () => randomBytes(9).toString('base64url')),
  }
}

function keepKey(path: string, draw: () => { readonly privateJwk: object }): RelayKey {
  const text = keep(path, () => JSON.stringify(draw().privateJwk))
  return { path, publicJwk: publicHalf(text, path) }
}

function keep(path: string, draw: () => string): string {
  try {
    writeFileSync(path, `${draw()}\n`, { flag: 'wx', mode: 0o600 })
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw new Complaint(`${path} cannot be written (${codeOf(error)}).`)
  }
  return readFileSync(path, 'utf8').trim()
}
