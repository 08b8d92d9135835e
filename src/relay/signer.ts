import { Worker } from 'node:worker_threads'
import ssh2, { type ParsedKey } from 'ssh2'
import { createGate } from './gate.ts'

/** A private key that signs; nothing else of it can be reached. */
export interface Signer {
  /** The public key as one line of `authorized_keys`. */
  readonly publicKey: string
  sign(data: Buffer, hash: SignHash | undefined): Promise<Buffer>
  close(): void
}
/** The hash of an RSA signature. */
export type SignHash = 'sha1' | 'sha256' | 'sha512'

/** bcrypt rounds that a passphrase may cost: `ssh-keygen -a 64` passes, a key made to burn minutes of CPU does not. */
export const KDF_ROUNDS_MAX = 64

/**
 * Reads a private key. One with a passphrase is read and kept in a thread of its own: its key derivation takes hundreds of milliseconds, during
 * which every other shell would stand still; and the thread's memory goes with it.
 *
 * @throws Error when the key cannot be read
 */
export async function openSigner(privateKey: string, passphrase: string | undefined): Promise<Signer> {
  const rounds = kdfRoundsOf(privateKey)
  if (rounds > KDF_ROUNDS_MAX) throw new Error('key derivation costs too much')
  if (rounds > 0 && passphrase !== undefined) return openThreadSigner(privateKey, passphrase)
  const key = readPrivateKey(privateKey, passphrase)
  return { publicKey: publicLineOf(key), sign: async (data, hash) => signWith(key, data, hash), close: () => undefined }
}

/** @throws Error when the text is no private key or the passphrase is wrong */
export function readPrivateKey(privateKey: string, passphrase: string | undefined): ParsedKey {
  const key = ssh2.utils.parseKey(privateKey, passphrase)
  if (key instanceof Error || !key.isPrivateKey()) throw new Error('not a readable private key')
  return key
}

/** One line of `authorized_keys`. */
export const publicLineOf = (key: ParsedKey): string => `${key.type} ${key.getPublicSSH().toString('base64')}`

/** @throws Error when the key cannot sign */
export function signWith(key: ParsedKey, data: Buffer, hash: SignHash | undefined): Buffer {
  const signature: Buffer | Error = key.sign(data, hash)
  if (signature instanceof Error) throw signature
  return signature
}

/** The bcrypt rounds of an OpenSSH private key (PROTOCOL.key), 0 for any other key. */
export function kdfRoundsOf(privateKey: string): number {
  // As lenient as the parser that follows, or junk in the body would hide the rounds from this look but not from it.
  const body = /-----BEGIN OPENSSH PRIVATE KEY-----([\s\S]+)-----END/.exec(privateKey)?.[1]
  if (body === undefined) return 0
  const bytes = Buffer.from(body, 'base64')
  const magicBytes = 'openssh-key-v1\0'.length
  try {
    const cipherEnd = skipString(bytes, magicBytes)
    const kdfEnd = skipString(bytes, cipherEnd)
    return bytes.readUInt32BE(kdfEnd) === 0 ? 0 : bytes.readUInt32BE(skipString(bytes, kdfEnd + 4))
  } catch {
    return Number.POSITIVE_INFINITY
  }
}

function skipString(bytes: Buffer, at: number): number {
  return at + 4 + bytes.readUInt32BE(at)
}

/** What the thread answers: first its public key, then one signature per request. */
export type SignerAnswer = { readonly publicKey: string } | { readonly signature: Uint8Array } | { readonly failed: true }

/** Derivation takes a whole core for a while; more at once would only make each slower. */
const threads = createGate(2)
const THREAD_WAIT_MS = 10_000

async function openThreadSigner(privateKey: string, passphrase: string): Promise<Signer> {
  await threads.enter(THREAD_WAIT_MS)
  try {
    return await startThread(privateKey, passphrase)
  } finally {
    threads.leave()
  }
}

async function startThread(privateKey: string, passphrase: string): Promise<Signer> {
  const worker = new Worker(new URL('./signer-thread.ts', import.meta.url), {
    workerData: { privateKey, passphrase },
    stdout: true,
    stderr: true,
  })
  const answer = (): Promise<SignerAnswer> =>
    new Promise((resolve, reject) => {
      worker.once('message', resolve)
      worker.once('error', reject)
      worker.once('exit', () => reject(new Error('signer thread ended')))
    })
  const first = await answer()
  if (!('publicKey' in first)) {
    await worker.terminate()
    throw new Error('not a readable private key')
  }
  return {
    publicKey: first.publicKey,
    async sign(data, hash) {
      const signed = answer()
      worker.postMessage({ data, hash })
      const result = await signed
      if (!('signature' in result)) throw new Error('the key cannot sign')
      return Buffer.from(result.signature)
    },
    close: () => void worker.terminate(),
  }
}
