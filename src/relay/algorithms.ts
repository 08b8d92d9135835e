import type { Algorithms, Client, NegotiatedAlgorithms } from 'ssh2'
import { type AlgorithmChoice, type HostKeyPin, HostKeyType } from '../contract/krp.ts'
import { isStrict } from './ssh-internals.ts'

const CHACHA = 'chacha20-poly1305@openssh.com'

/** What today's OpenSSH servers offer and nobody has broken. */
const MODERN = {
  kex: ['curve25519-sha256', 'curve25519-sha256@libssh.org', 'ecdh-sha2-nistp256', 'ecdh-sha2-nistp384', 'ecdh-sha2-nistp521'],
  cipher: ['aes256-gcm@openssh.com', 'aes128-gcm@openssh.com', 'aes256-ctr', 'aes192-ctr', 'aes128-ctr', CHACHA],
  hmac: ['hmac-sha2-256-etm@openssh.com', 'hmac-sha2-512-etm@openssh.com', 'hmac-sha2-256', 'hmac-sha2-512'],
  rsa: ['rsa-sha2-512', 'rsa-sha2-256'],
} as const

/**
 * What old gear knows besides: finite-field groups, CBC and SHA-1. Never MD5, RC4, DES or DSA; and never a group that the target chooses, for
 * checking that its number is prime takes ten seconds of the whole process at 4,096 bits.
 */
const LEGACY = {
  kex: ['diffie-hellman-group16-sha512', 'diffie-hellman-group14-sha256', 'diffie-hellman-group14-sha1', 'diffie-hellman-group1-sha1'],
  cipher: ['aes256-cbc', 'aes192-cbc', 'aes128-cbc', '3des-cbc'],
  hmac: ['hmac-sha1-etm@openssh.com', 'hmac-sha1'],
  rsa: ['ssh-rsa'],
} as const

/** Restricted to the pinned key types, so that a target with other keys beside is recognised, and one with only other keys is a mismatch. */
export function algorithmsFor(pins: readonly Pick<HostKeyPin, 'type'>[], choice: AlgorithmChoice): Algorithms {
  const more = choice === 'legacy' ? LEGACY : { kex: [], cipher: [], hmac: [], rsa: [] }
  const types = pins.length === 0 ? HostKeyType.options : [...new Set(pins.map((pin) => pin.type))]
  return {
    kex: [...MODERN.kex, ...more.kex],
    cipher: [...MODERN.cipher, ...more.cipher],
    hmac: [...MODERN.hmac, ...more.hmac],
    serverHostKey: types.flatMap((type) => (type === 'ssh-rsa' ? [...MODERN.rsa, ...more.rsa] : [type])),
    compress: ['none'],
  }
}

/**
 * Terrapin (CVE-2023-48795): without strict key exchange ChaCha20-Poly1305 is unsafe, and so is CBC under a MAC of the ciphertext; only after
 * all is negotiated can one know.
 */
export function isTerrapinProne(client: Client, { cs, sc }: NegotiatedAlgorithms): boolean {
  return !isStrict(client) && [cs, sc].some(isProneUnstrictly)
}

const isProneUnstrictly = ({ cipher, mac }: NegotiatedAlgorithms['cs']): boolean =>
  cipher === CHACHA || (cipher.endsWith('-cbc') && mac.includes('-etm@'))
