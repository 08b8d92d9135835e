/**
 * OpenSSH user certificates with Ed25519 (OpenSSH's PROTOCOL.certkeys), and the plain public keys they hold (RFC 8709), on WebCrypto alone.
 */

const KEY_TYPE = 'ssh-ed25519'
const CERTIFICATE_TYPE = 'ssh-ed25519-cert-v01@openssh.com'
const USER_CERTIFICATE = 1
const ED25519 = { name: 'Ed25519' } as const
/** One account of POSIX, so that neither a list nor a pattern can hide in it. */
const PRINCIPAL = /^[a-z_][a-z0-9_-]{0,31}$/
const CERTIFICATE_SECONDS_MAX = 300

/** What a certificate permits. */
export interface CertificateGrant {
  /** For the log of sshd: who, and for which shell. */
  readonly keyId: string
  /** The one account it opens. */
  readonly principal: string
  /** Unix seconds. */
  readonly validAfter: number
  readonly validBefore: number
  /** A terminal on the target, or the way through a jump host; never both, and nothing else. */
  readonly permits: 'permit-pty' | 'permit-port-forwarding'
  /** Addresses from which alone it holds; empty: any. */
  readonly sourceAddresses: readonly string[]
}

/** A key that was made for one connection, and what lets it in. */
export interface Certified {
  /** The certificate's blob. */
  readonly certificate: Uint8Array<ArrayBuffer>
  /** PKCS #8. */
  readonly privateKey: Uint8Array<ArrayBuffer>
}

/** Whether a user of a host can be the principal of a certificate. */
export const isPrincipal = (user: string): boolean => PRINCIPAL.test(user)

/** A fresh Ed25519 pair: the private half as PKCS #8, the public one as an SSH key blob. */
export async function generateSshKey(): Promise<{
  readonly privateKey: Uint8Array<ArrayBuffer>
  readonly publicKey: Uint8Array<ArrayBuffer>
}> {
  const pair = (await crypto.subtle.generateKey(ED25519, true, ['sign', 'verify'])) as CryptoKeyPair
  const privateKey = new Uint8Array((await crypto.subtle.exportKey('pkcs8', pair.privateKey)) as ArrayBuffer)
  const raw = new Uint8Array((await crypto.subtle.exportKey('raw', pair.publicKey)) as ArrayBuffer)
  return { privateKey, publicKey: concat(text(KEY_TYPE), string(raw)) }
}

/**
 * Makes a key and certifies it.
 *
 * @throws RangeError when the grant is wider than a certificate of ours may be
 */
export async function certify(
  grant: CertificateGrant,
  ca: { readonly privateKey: Uint8Array<ArrayBuffer>; readonly publicKey: Uint8Array<ArrayBuffer> },
): Promise<Certified> {
  checkGrant(grant)
  const subject = await generateSshKey()
  const serial = crypto.getRandomValues(new Uint8Array(8))
  const body = concat(
    text(CERTIFICATE_TYPE),
    string(crypto.getRandomValues(new Uint8Array(32))),
    // The plain blob is the type and the key: the certificate takes the key alone.
    subject.publicKey.subarray(4 + KEY_TYPE.length),
    serial,
    uint32(USER_CERTIFICATE),
    text(grant.keyId),
    string(text(grant.principal)),
    uint64(grant.validAfter),
    uint64(grant.validBefore),
    string(optionsOf(grant)),
    string(concat(text(grant.permits), string(new Uint8Array()))),
    string(new Uint8Array()),
    string(ca.publicKey),
  )
  const signer = await crypto.subtle.importKey('pkcs8', ca.privateKey, ED25519, false, ['sign'])
  const signature = new Uint8Array(await crypto.subtle.sign(ED25519, signer, body))
  return { certificate: concat(body, string(concat(text(KEY_TYPE), string(signature)))), privateKey: subject.privateKey }
}

function checkGrant({ principal, validAfter, validBefore, keyId, sourceAddresses }: CertificateGrant): void {
  if (!isPrincipal(principal)) throw new RangeError('a certificate has one plain principal')
  const seconds = validBefore - validAfter
  if (!(seconds > 0 && seconds <= CERTIFICATE_SECONDS_MAX)) throw new RangeError('a certificate lives five minutes at most')
  if (!/^[\x21-\x7e ]{1,200}$/.test(keyId) || sourceAddresses.some((address) => !/^[0-9a-fA-F.:/]+$/.test(address)))
    throw new RangeError('a certificate names plain words')
}

const optionsOf = ({ sourceAddresses }: CertificateGrant): Uint8Array =>
  sourceAddresses.length === 0 ? new Uint8Array() : concat(text('source-address'), string(text(sourceAddresses.join(','))))

function uint32(value: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(4)
  new DataView(bytes.buffer).setUint32(0, value)
  return bytes
}

function uint64(value: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(8)
  new DataView(bytes.buffer).setBigUint64(0, BigInt(value))
  return bytes
}

/** RFC 4251 §5: a string is its length and its bytes. */
const string = (bytes: Uint8Array): Uint8Array<ArrayBuffer> => concat(uint32(bytes.length), bytes)

const text = (value: string): Uint8Array<ArrayBuffer> => string(new TextEncoder().encode(value))

function concat(...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    whole.set(part, at)
    at += part.length
  }
  return whole
}
