import type { OrgId } from '../../contract/orgs.ts'
import type { ShellId } from '../../contract/shell.ts'
import { toBase64Url } from '../platform/base64.ts'
import { toHex } from '../platform/hex.ts'
import type { Keyring } from '../platform/keyring.ts'
import { joined } from './capture.ts'

/**
 * What happened at an offset of the output. `o` and `e`: from here on it came at this time, on standard output or error; `r`: the terminal has
 * this size; `i`: this was typed; `m`: this line was entered; `g`: so many bytes are lost here.
 */
export type MarkKind = 'o' | 'e' | 'r' | 'i' | 'm' | 'g'

/** What an `m` mark shows, behind the id it has in the command log. */
export const textOfLine = (data: string): string => data.slice(data.indexOf(' ') + 1)

/** One thing that happened, in milliseconds since the recording began. */
export interface Mark {
  readonly kind: MarkKind
  readonly atMs: number
  readonly offset: number
  readonly data?: string
}

/** What stands before the bytes of a chunk. It names the shell and the chunk before it, so that no chunk can stand elsewhere. */
export interface ChunkHead {
  readonly version: 1
  readonly shellId: ShellId
  readonly seq: number
  readonly prevHash: string
  readonly firstOffset: number
  readonly marks: readonly Mark[]
}

/** A chunk as it is read back. */
export interface Chunk {
  readonly head: ChunkHead
  readonly bytes: Uint8Array
}

const LENGTH_BYTES = 4
const PURPOSE = 'recording-chunk'
const utf8 = new TextEncoder()

/** Where a recording's objects are: one prefix per organisation and per recording, so that each can be deleted whole. */
export const prefixOf = (orgId: OrgId, shellId: ShellId): string => `recordings/${orgId}/${shellId}/`
/** The object of a chunk. */
export const keyOfChunk = (orgId: OrgId, shellId: ShellId, seq: number): string =>
  `${prefixOf(orgId, shellId)}${String(seq).padStart(8, '0')}`

/** The object of the signed statement. */
export const keyOfStatement = (orgId: OrgId, shellId: ShellId): string => `${prefixOf(orgId, shellId)}statement`

/** `u32 length of the head | head as JSON | output`. */
export function encodeChunk(head: ChunkHead, parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const json = utf8.encode(JSON.stringify(head))
  const length = new Uint8Array(LENGTH_BYTES)
  new DataView(length.buffer).setUint32(0, json.length)
  return joined([length, json, ...parts])
}

/** Reads what {@link encodeChunk} wrote; call it for bytes whose hash is known. */
export function decodeChunk(object: ArrayBuffer): Chunk {
  const headBytes = new DataView(object).getUint32(0)
  const whole = new Uint8Array(object)
  const json = new TextDecoder().decode(whole.subarray(LENGTH_BYTES, LENGTH_BYTES + headBytes))
  return { head: JSON.parse(json) as ChunkHead, bytes: whole.subarray(LENGTH_BYTES + headBytes) }
}

/** SHA-256 in lower-case hex. */
export async function hashOfChunk(object: ArrayBuffer | Uint8Array<ArrayBuffer>): Promise<string> {
  const digest = await crypto.subtle.digest('SHA-256', object)
  return toHex(new Uint8Array(digest))
}

/** A chunk's place in the chain. */
export interface Link {
  readonly recordingId: ShellId
  readonly seq: number
  readonly prevHash: string
  readonly hash: string
}

const textOf = ({ recordingId, seq, prevHash, hash }: Link): Uint8Array => utf8.encode(`${recordingId} ${seq} ${prevHash} ${hash}`)

/** The seal of a link, under the newest root secret. */
export async function sealLink(keyring: Keyring, link: Link): Promise<string> {
  const mac = await keyring.mac(PURPOSE, textOf(link))
  if (!mac) throw new Error('the newest secret has no version')
  return `${keyring.version}.${toBase64Url(mac)}`
}

/** Whether we sealed a link: `unknown` when its secret is no longer listed. */
export async function sealOfLink(keyring: Keyring, link: Link & { readonly mac: string }): Promise<'ours' | 'forged' | 'unknown'> {
  const [version, encoded] = link.mac.split('.')
  const expected = await keyring.mac(PURPOSE, textOf(link), Number(version))
  if (!expected) return 'unknown'
  return toBase64Url(expected) === encoded ? 'ours' : 'forged'
}
