import ssh2, { type AnyAuthMethod, type SignCallback, type SigningRequestOptions } from 'ssh2'
import { type GrantClaims, RelayCredential, type SealedCredential } from '../contract/krp.ts'
import { openCredential, type SealingPrivateJwk, sealAad } from '../contract/seal.ts'
import { Refusal } from './refusal.ts'
import { openSigner, type Signer } from './signer.ts'

/** A way to log in, usable once; `wipe` overwrites what can be overwritten and drops the rest. */
export interface Login {
  /** The next attempt for ssh2, or false when there is none. */
  next(username: string): AnyAuthMethod | false
  wipe(): void
}

/**
 * Opens what was sealed for this very grant.
 *
 * @throws Refusal credential-invalid
 */
export async function openLogin(claims: GrantClaims, sealed: SealedCredential | undefined, key: SealingPrivateJwk): Promise<Login> {
  const { request, shell, jti } = claims
  if (sealed === undefined || request.kind === 'scan') throw new Refusal('credential-invalid')
  let plaintext: Uint8Array | undefined
  try {
    const aad = await sealAad({ shell, host: request.host, port: request.port, pins: request.pins, relayKeyId: key.kid, jti })
    plaintext = await openCredential(key, aad, sealed)
    return await createLogin(
      RelayCredential.parse(JSON.parse(Buffer.from(plaintext.buffer, plaintext.byteOffset, plaintext.length).toString('utf8'))),
    )
  } catch (error) {
    throw error instanceof Refusal ? error : new Refusal('credential-invalid')
  } finally {
    plaintext?.fill(0)
  }
}

async function createLogin(credential: RelayCredential): Promise<Login> {
  if (credential.kind === 'password') return createPasswordLogin(credential.password)
  return createKeyLogin(await openSigner(credential.privateKey, credential.passphrase))
}

function createPasswordLogin(text: string): Login {
  const password = Buffer.from(text, 'utf8')
  let isSpent = false
  return {
    next(username) {
      if (isSpent) return false
      isSpent = true
      // The protocol takes bytes, which can be wiped; only the type declarations want a string.
      return { type: 'password', username, password: password as unknown as string }
    },
    wipe() {
      isSpent = true
      password.fill(0)
    },
  }
}

function createKeyLogin(signer: Signer): Login {
  let isSpent = false
  return {
    next(username) {
      if (isSpent) return false
      isSpent = true
      return { type: 'agent', username, agent: new OneKeyAgent(signer) }
    },
    wipe() {
      isSpent = true
      signer.close()
    },
  }
}

/** ssh2 falls back to SHA-1 signatures when a server names no algorithms; an agent of our own is asked for each signature and can say no. */
class OneKeyAgent extends ssh2.BaseAgent<string> {
  readonly #signer: Signer
  constructor(signer: Signer) {
    super()
    this.#signer = signer
  }
  override getIdentities(callback: (error: undefined, keys: string[]) => void): void {
    callback(undefined, [this.#signer.publicKey])
  }
  // biome-ignore lint/complexity/useMaxParams: the signature is the library's.
  override sign(_publicKey: string, data: Buffer, options: SigningRequestOptions | SignCallback, callback?: SignCallback): void {
    const reply = typeof options === 'function' ? options : callback
    const hash = typeof options === 'function' ? undefined : options.hash
    const isSha1 = this.#signer.publicKey.startsWith('ssh-rsa ') && hash !== 'sha256' && hash !== 'sha512'
    const signature = isSha1 ? Promise.reject(new Error('SHA-1 signatures are refused')) : this.#signer.sign(data, hash)
    signature.then(
      (bytes) => reply?.(undefined, bytes),
      (error: Error) => reply?.(error),
    )
  }
}
