import type { HostKey } from '../../contract/hosts.ts'
import { HostKeyType } from '../../contract/krp.ts'
import { type Fault, Problem } from '../../contract/problem.ts'
import { fromBase64, toBase64 } from '../platform/base64.ts'

/** What a person accepted: a type and a blob as in `known_hosts`. */
export type AcceptedKey = Pick<HostKey, 'type' | 'key'>

/** Uncompressed points (SEC 1 §2.3.3) of the three curves of RFC 5656, by the name that stands inside the blob. */
const POINT_BYTES: Readonly<Record<string, number>> = { nistp256: 65, nistp384: 97, nistp521: 133 }
/** Below 2048 bits a modulus can be factored by the rich; above 16384 only the verifier suffers. */
const RSA_BITS_MIN = 2048
const RSA_BITS_MAX = 16_384

/** The keys with their fingerprints, which we compute ourselves: what is shown is what is pinned. @throws Problem `invalid-request` */
export async function readHostKeys(accepted: readonly AcceptedKey[]): Promise<HostKey[]> {
  const keys = await Promise.all(accepted.map(readHostKey))
  const errors: Fault[] = keys.flatMap((key, i) => {
    if (key === undefined) return [{ detail: 'is not a public key of its type', pointer: `#/body/keys/${i}/key` }]
    const isRepeated = keys.findIndex((other) => other?.fingerprint === key.fingerprint) < i
    return isRepeated ? [{ detail: 'repeats a key', pointer: `#/body/keys/${i}` }] : []
  })
  if (errors.length > 0) throw new Problem('invalid-request', { errors })
  return keys.filter((key) => key !== undefined)
}

/** The key with its fingerprint, or `undefined` unless the blob is the one canonical form of a key of that type. */
export async function readHostKey({ type, key }: AcceptedKey): Promise<HostKey | undefined> {
  const blob = fromBase64(key)
  if (!blob || !HostKeyType.safeParse(type).success || !isKeyBlob(blob, type)) return undefined
  return { type, key, fingerprint: await fingerprintOf(blob) }
}

/** As OpenSSH prints it. */
export async function fingerprintOf(blob: Uint8Array<ArrayBuffer>): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', blob))
  return `SHA256:${toBase64(digest).replaceAll('=', '')}`
}

function isKeyBlob(blob: Uint8Array, type: string): boolean {
  const fields = readFields(blob)
  const [name, first, second] = fields ?? []
  if (!name || !first || new TextDecoder().decode(name) !== type) return false
  if (type === 'ssh-ed25519') return fields?.length === 2 && first.length === 32
  if (fields?.length !== 3 || !second) return false
  if (type === 'ssh-rsa') return isExponent(first) && isModulus(second)
  const curve = new TextDecoder().decode(first)
  return type === `ecdsa-sha2-${curve}` && second.length === POINT_BYTES[curve] && second[0] === 4
}

/** RFC 4251 §5 strings until the end of the blob, or nothing when one is cut short. */
function readFields(blob: Uint8Array): Uint8Array[] | undefined {
  const fields: Uint8Array[] = []
  const view = new DataView(blob.buffer, blob.byteOffset, blob.length)
  let at = 0
  while (at < blob.length) {
    if (at + 4 > blob.length) return undefined
    const end = at + 4 + view.getUint32(at)
    if (end > blob.length) return undefined
    fields.push(blob.subarray(at + 4, end))
    at = end
  }
  return fields
}

/** A positive mpint in its shortest form: no sign bit, and a leading zero only where it hides one. */
const isPositive = (mpint: Uint8Array): boolean => {
  const [high = 0, next = 0] = mpint
  return mpint.length > 0 && high < 0x80 && (high !== 0 || next >= 0x80)
}

const isOdd = (mpint: Uint8Array): boolean => ((mpint.at(-1) ?? 0) & 1) === 1

const isExponent = (mpint: Uint8Array): boolean =>
  isPositive(mpint) && isOdd(mpint) && mpint.length <= 4 && !(mpint.length === 1 && mpint[0] === 1)

function isModulus(mpint: Uint8Array): boolean {
  if (!isPositive(mpint) || !isOdd(mpint)) return false
  const digits = mpint[0] === 0 ? mpint.subarray(1) : mpint
  const bits = digits.length * 8 - Math.clz32(digits[0] ?? 0) + 24
  return bits >= RSA_BITS_MIN && bits <= RSA_BITS_MAX
}
