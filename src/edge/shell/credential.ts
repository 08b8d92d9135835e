import * as z from 'zod'
import type { Credential, HostId } from '../../contract/hosts.ts'
import { fromBase64Url, toBase64Url } from '../platform/base64.ts'
import type { Keyring } from '../platform/keyring.ts'

/** A data key of one credential, sealed under the versioned root secret, and the credential under the data key: rotation re-wraps only `dek`. */
const Envelope = z.strictObject({ dek: z.string(), iv: z.string(), ct: z.string() })

const PURPOSE = 'credential'
const text = new TextEncoder()

/** The stored form of a credential, good for this host's row alone. */
export async function wrapCredential(keyring: Keyring, hostId: HostId, credential: Credential): Promise<string> {
  const dek = crypto.getRandomValues(new Uint8Array(32))
  const iv = crypto.getRandomValues(new Uint8Array(12))
  const plain = text.encode(JSON.stringify(credential))
  const ct = await crypto.subtle.encrypt(
    { name: 'AES-GCM', iv, additionalData: text.encode(hostId) },
    await importDek(dek, 'encrypt'),
    plain,
  )
  const envelope = { dek: await keyring.seal(PURPOSE, hostId, dek), iv: toBase64Url(iv), ct: toBase64Url(new Uint8Array(ct)) }
  dek.fill(0)
  plain.fill(0)
  return JSON.stringify(envelope satisfies z.infer<typeof Envelope>)
}

/**
 * The credential as the relay reads it. The caller seals it to the relay and overwrites it; it goes nowhere else.
 *
 * @throws Error when the root secret is not listed any more, or the row was tampered with
 */
export async function unwrapCredential(keyring: Keyring, hostId: HostId, stored: string): Promise<Uint8Array<ArrayBuffer>> {
  const { dek, iv, ct } = Envelope.parse(JSON.parse(stored))
  const [ivBytes, ctBytes] = [fromBase64Url(iv), fromBase64Url(ct)]
  if (!ivBytes || !ctBytes) throw new Error('a stored credential is damaged')
  const dekBytes = await keyring.open(PURPOSE, hostId, dek)
  try {
    const key = await importDek(dekBytes, 'decrypt')
    return new Uint8Array(await crypto.subtle.decrypt({ name: 'AES-GCM', iv: ivBytes, additionalData: text.encode(hostId) }, key, ctBytes))
  } finally {
    dekBytes.fill(0)
  }
}

const importDek = (bytes: Uint8Array<ArrayBuffer>, use: 'encrypt' | 'decrypt'): Promise<CryptoKey> =>
  crypto.subtle.importKey('raw', bytes, 'AES-GCM', false, [use])

/** The stored form with its data key under the newest root secret; the credential itself is not opened. @throws Error when no listed one opens it */
export async function rewrapCredential(
  keyring: Keyring,
  { id, credential }: { readonly id: HostId; readonly credential: string },
): Promise<string> {
  const envelope = Envelope.parse(JSON.parse(credential))
  const dek = await keyring.open(PURPOSE, id, envelope.dek)
  try {
    return JSON.stringify({ ...envelope, dek: await keyring.seal(PURPOSE, id, dek) } satisfies z.infer<typeof Envelope>)
  } finally {
    dek.fill(0)
  }
}
