import { fromBase64Url, toBase64Url } from './base64.ts'

/** A root secret and its version. Newest first in a list; only the first seals, all of them open. */
export interface RootSecret {
  readonly version: number
  readonly bytes: Uint8Array<ArrayBuffer>
}

const text = new TextEncoder()

/** HKDF (RFC 5869) keeps purposes apart, so one configured secret serves them all. */
async function derive(root: RootSecret, purpose: string, use: 'AES-GCM' | 'HMAC'): Promise<CryptoKey> {
  const base = await crypto.subtle.importKey('raw', root.bytes, 'HKDF', false, ['deriveBits', 'deriveKey'])
  const params = { name: 'HKDF', hash: 'SHA-256', salt: new Uint8Array(), info: text.encode(`parvis/${purpose}`) }
  return use === 'HMAC'
    ? crypto.subtle.deriveKey(params, base, { name: 'HMAC', hash: 'SHA-256', length: 256 }, false, ['sign', 'verify'])
    : crypto.subtle.deriveKey(params, base, { name: 'AES-GCM', length: 256 }, false, ['encrypt', 'decrypt'])
}

/** The configured root secrets, with the two things made of them: sealed boxes and MACs. */
export interface Keyring {
  /** Version that new seals and MACs carry. */
  readonly version: number
  /** Every listed version, newest first. */
  readonly versions: readonly number[]
  /** AES-256-GCM; `bind` must be the same at opening, so a box cannot be moved to another row. */
  readonly seal: (purpose: string, bind: string, plain: Uint8Array) => Promise<string>
  /** Opens what any listed version sealed. @throws Error when the box is foreign, moved or damaged. */
  readonly open: (purpose: string, bind: string, box: string) => Promise<Uint8Array<ArrayBuffer>>
  /** HMAC-SHA-256 under a version (the newest by default), or `undefined` when that version is not listed. */
  readonly mac: (purpose: string, data: Uint8Array, version?: number) => Promise<Uint8Array<ArrayBuffer> | undefined>
}

/** Builds the keyring. */
export function keyringOf(roots: readonly [RootSecret, ...RootSecret[]]): Keyring {
  // Keys are kept, never their promises: a promise belongs to the request that made it and may die with it.
  const kept = new Map<string, CryptoKey>()
  const keyFor = async (root: RootSecret, purpose: string, use: 'AES-GCM' | 'HMAC'): Promise<CryptoKey> => {
    const name = `${root.version}/${purpose}/${use}`
    const key = kept.get(name) ?? (await derive(root, purpose, use))
    kept.set(name, key)
    return key
  }
  const [newest] = roots
  return {
    version: newest.version,
    versions: roots.map((root) => root.version),
    async seal(purpose, bind, plain) {
      const iv = crypto.getRandomValues(new Uint8Array(12))
      const key = await keyFor(newest, purpose, 'AES-GCM')
      const sealed = await crypto.subtle.encrypt({ name: 'AES-GCM', iv, additionalData: text.encode(bind) }, key, plain)
      return `${newest.version}.${toBase64Url(iv)}.${toBase64Url(new Uint8Array(sealed))}`
    },
    async open(purpose, bind, box) {
      const [version, iv, sealed] = box.split('.')
      const root = roots.find((r) => String(r.version) === version)
      const ivBytes = fromBase64Url(iv ?? '')
      const sealedBytes = fromBase64Url(sealed ?? '')
      if (!root || !ivBytes || !sealedBytes) throw new Error('a sealed value cannot be opened with the listed secrets')
      const key = await keyFor(root, purpose, 'AES-GCM')
      return new Uint8Array(
        await crypto.subtle.decrypt({ name: 'AES-GCM', iv: ivBytes, additionalData: text.encode(bind) }, key, sealedBytes),
      )
    },
    async mac(purpose, data, version = newest.version) {
      const root = roots.find((r) => r.version === version)
      if (!root) return undefined
      return new Uint8Array(await crypto.subtle.sign('HMAC', await keyFor(root, purpose, 'HMAC'), data))
    },
  }
}
