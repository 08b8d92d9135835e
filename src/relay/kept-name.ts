import { createHmac, randomBytes } from 'node:crypto'
import type { HostKeyPin } from '../contract/krp.ts'
import type { RelayCredential } from '../contract/krp-secret.ts'
import { type SealingPrivateJwk, viaOf } from '../contract/seal.ts'
import { certificateTerms } from './certificate.ts'
import type { ChannelRequest, Granted } from './driver.ts'
import type { KeptName } from './kept.ts'
import { openSealed } from './login.ts'

/** A name, and until when what it was made of lets anybody in, on the clock of `performance`. */
export interface NamedKept extends KeptName {
  readonly endsAt: number
}

type KeepingRequest = Extract<ChannelRequest, { kind: 'exec' | 'file' }>

/**
 * A connection serves no longer than this after its login, as a certificate does: what its host has forbidden meanwhile, by taking a key or an
 * account away, holds by then.
 */
const KEPT_LIFE_MS = 300_000
/** Of this process alone: a digest tells nobody anything, and nobody else can make one. */
const secret = randomBytes(32)

/**
 * The name of the connection that may serve a grant: a digest of whose it is, every host on its way with address, account, pins, algorithms and
 * keepalive, and what opens each. Whoever asks by it has brought the secrets themselves. Nothing where none may be kept, or a secret does not
 * open: then the login says what is wrong.
 */
export function nameKept(granted: Granted<KeepingRequest>, key: SealingPrivateJwk): NamedKept | undefined {
  const { claims, request, secrets } = granted
  const { keptFor, jumps = [] } = request
  if (keptFor === undefined || request.pins.length === 0) return undefined
  const steps = [...jumps, request]
  const sealed = [...jumps.map((_, i) => secrets.jumpCredentials?.[i]), secrets.credential]
  try {
    const opened = steps.map(({ host, port, pins }, i) => {
      const binding = { shell: claims.shell, jti: claims.jti, host, port, pins, via: viaOf(jumps, i) }
      return termsOf(openSealed(binding, sealed[i], key))
    })
    const way = steps.map(({ host, port, username, pins, algorithms, keepaliveSeconds }, i) => {
      const { words } = opened[i] ?? {}
      return [host, port, username, linesOf(pins), algorithms, keepaliveSeconds, words]
    })
    const digest = createHmac('sha256', secret)
      .update(JSON.stringify([claims.tenant, keptFor, way]))
      .digest('base64url')
    const endsAt = Math.min(KEPT_LIFE_MS, ...opened.map(({ leftMs }) => leftMs)) + performance.now()
    return { tenant: claims.tenant, digest, endsAt }
  } catch {
    return undefined
  }
}

const linesOf = (pins: readonly HostKeyPin[]): string[] => pins.map(({ type, fingerprint }) => `${type} ${fingerprint}`).sort()

interface Terms {
  /** Equal of equal credentials alone. */
  readonly words: readonly string[]
  readonly leftMs: number
}

/** @throws Error when there is none, or one that a person gives */
function termsOf(credential: RelayCredential): Terms {
  switch (credential.kind) {
    case 'password':
      return { words: ['password', credential.password], leftMs: Number.POSITIVE_INFINITY }
    case 'private-key':
      return { words: ['key', credential.privateKey, credential.passphrase ?? ''], leftMs: Number.POSITIVE_INFINITY }
    case 'certificate': {
      // Each is made anew: who signed it, and what it permits whom, stays.
      const { terms, validBefore } = certificateTerms(Buffer.from(credential.certificate, 'base64'))
      return { words: ['certificate', terms.toString('base64')], leftMs: validBefore * 1000 - Date.now() }
    }
    case 'keyboard-interactive':
      throw new Error('a person logs in anew each time')
  }
}
