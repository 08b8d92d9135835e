import { createPrivateKey, createPublicKey, type KeyObject, sign } from 'node:crypto'
import ssh2, { type Client } from 'ssh2'
import * as z from 'zod'
import type { RelayCredential } from '../contract/krp-secret.ts'
import type { Login } from './attempt.ts'
import { replacePublicKeyRequest } from './ssh-internals.ts'

const CERTIFICATE_TYPE = 'ssh-ed25519-cert-v01@openssh.com'
const KEY_TYPE = 'ssh-ed25519'
const USERAUTH_REQUEST = 50
/** PROTOCOL.certkeys: a certificate of a user, not of a host. */
const USER_CERTIFICATE = 1

/**
 * Logs in with an OpenSSH user certificate. ssh2 knows none, so its request by public key is replaced on this one client by a signed request
 * that names the certificate; the signature names the plain key type (PROTOCOL.certkeys).
 *
 * @throws Error when certificate or key cannot be used
 */
export function createCertificateLogin(credential: Extract<RelayCredential, { kind: 'certificate' }>): Login {
  const certificate = Buffer.from(credential.certificate, 'base64')
  const pkcs8 = Buffer.from(credential.privateKey, 'base64')
  const key = createPrivateKey({ key: pkcs8, format: 'der', type: 'pkcs8' })
  pkcs8.fill(0)
  checkCertificate(certificate, key)
  let isSpent = false
  return {
    next({ username }) {
      if (isSpent) return false
      isSpent = true
      return { type: 'agent', username, agent: new NameAgent(publicLine(key)) }
    },
    equip: (client) => equip(client, { certificate, key }),
    wipe() {
      isSpent = true
    },
  }
}

/** Names the key, so that ssh2 starts a request; it is never asked to sign. */
class NameAgent extends ssh2.BaseAgent<string> {
  readonly #line: string
  constructor(line: string) {
    super()
    this.#line = line
  }
  override getIdentities(callback: (error: undefined, keys: string[]) => void): void {
    callback(undefined, [this.#line])
  }
  override sign(): void {
    throw new Error('a certificate login signs by itself')
  }
}

/** Shown to a target is only what could let us in: a certificate of a user for this very key, signed by a key and not by another certificate. */
function checkCertificate(certificate: Buffer, key: KeyObject): void {
  if (key.asymmetricKeyType !== 'ed25519') throw new Error('not an Ed25519 key')
  const parts = partsOf(certificate)
  const type = parts.string().toString('latin1')
  parts.string() // the nonce
  const isOfKey = parts.string().equals(rawPublic(key))
  parts.skip(8) // the serial
  const kind = parts.uint32()
  for (let i = 0; i < 2; i++) parts.string() // key id and principals
  parts.skip(16) // its time
  for (let i = 0; i < 3; i++) parts.string() // options, extensions, reserved
  const authority = partsOf(parts.string()).string().toString('latin1')
  parts.string() // the signature
  if (type !== CERTIFICATE_TYPE || kind !== USER_CERTIFICATE || !isOfKey || authority !== KEY_TYPE || !parts.isAtEnd())
    throw new Error('not an Ed25519 certificate of a user for this key')
}

/** Reads RFC 4251 §5 values one after the other. @throws RangeError beyond the end */
function partsOf(bytes: Buffer) {
  let at = 0
  const take = (count: number): Buffer => {
    if (at + count > bytes.length) throw new RangeError('a part is cut off')
    at += count
    return bytes.subarray(at - count, at)
  }
  return {
    string: () => take(take(4).readUInt32BE()),
    uint32: () => take(4).readUInt32BE(),
    skip: (count: number) => void take(count),
    isAtEnd: () => at === bytes.length,
  }
}

const rawPublic = (key: KeyObject): Buffer =>
  Buffer.from(z.object({ x: z.string() }).parse(createPublicKey(key).export({ format: 'jwk' })).x, 'base64url')

const publicLine = (key: KeyObject): string =>
  `${KEY_TYPE} ${Buffer.concat([lengthed(KEY_TYPE), lengthed(rawPublic(key))]).toString('base64')}`

function equip(client: Client, { certificate, key }: { readonly certificate: Buffer; readonly key: KeyObject }): void {
  replacePublicKeyRequest(client, (username, sessionId) => {
    const head = Buffer.concat([Buffer.from([USERAUTH_REQUEST]), lengthed(username), lengthed('ssh-connection'), lengthed('publickey')])
    const body = Buffer.concat([head, Buffer.from([1]), lengthed(CERTIFICATE_TYPE), lengthed(certificate)])
    const signature = sign(null, Buffer.concat([lengthed(sessionId), body]), key)
    return Buffer.concat([body, lengthed(Buffer.concat([lengthed(KEY_TYPE), lengthed(signature)]))])
  })
}

/** What does not change from one certificate of an authority to the next: whom it lets in, what it permits, who signed it. */
export interface CertificateTerms {
  readonly terms: Buffer
  /** Unix seconds. */
  readonly validBefore: number
}

/** Reads a user certificate (PROTOCOL.certkeys). @throws RangeError when it ends too early */
export function certificateTerms(certificate: Buffer): CertificateTerms {
  let at = 0
  const skip = (bytes: number): Buffer => {
    if (bytes > certificate.length - at) throw new RangeError('a certificate that is cut off')
    at += bytes
    return certificate.subarray(at - bytes, at)
  }
  const string = (): Buffer => skip(skip(4).readUInt32BE())
  const uint64 = (): number => Number(skip(8).readBigUInt64BE())
  // Type, nonce, key; serial and kind; key id.
  for (let i = 0; i < 3; i++) string()
  skip(8 + 4)
  string()
  const principals = string()
  uint64()
  const validBefore = uint64()
  const [options, extensions] = [string(), string()]
  string()
  return { terms: Buffer.concat([principals, options, extensions, string()].map(lengthed)), validBefore }
}

/** RFC 4251 §5: a string is its length and its bytes. */
function lengthed(value: string | Buffer): Buffer {
  const bytes = typeof value === 'string' ? Buffer.from(value) : value
  const length = Buffer.alloc(4)
  length.writeUInt32BE(bytes.length)
  return Buffer.concat([length, bytes])
}
