import { AUDIT_GENESIS, auditLinkText, PLATFORM_CHAIN } from '../../contract/audit.ts'
import type { OrgId } from '../../contract/orgs.ts'
import { toBase64Url } from '../platform/base64.ts'
import { toHex } from '../platform/hex.ts'
import type { Keyring } from '../platform/keyring.ts'
import type { auditEntries, auditLinks } from './tables.ts'

/** An organisation's chain, or the platform's. */
export type Chain = OrgId | typeof PLATFORM_CHAIN

/** An entry as stored. */
export type Entry = typeof auditEntries.$inferSelect
/** A link as stored. */
export type Link = typeof auditLinks.$inferSelect

/** The end of a chain, or a place in it. */
export interface Head {
  readonly seq: number
  readonly entryId: number
  readonly hash: string
}

/** The place before the first link. */
export const GENESIS: Head = { seq: 0, entryId: 0, hash: AUDIT_GENESIS }

const PURPOSE = 'audit-link'
const text = new TextEncoder()

/** The chain that an entry belongs to. */
export const chainOf = (entry: Pick<Entry, 'orgId'>): string => entry.orgId ?? PLATFORM_CHAIN

/** SHA-256 over a place in the chain and what stands there. */
export async function hashOf(place: Pick<Link, 'chain' | 'seq' | 'prevHash'>, entry: Entry): Promise<string> {
  const { chain, seq, prevHash } = place
  const digest = await crypto.subtle.digest('SHA-256', text.encode(auditLinkText({ ...entry, chain, seq, prevHash })))
  return toHex(new Uint8Array(digest))
}

/** The link that hangs an entry to the end of its chain. */
export async function linkAfter(keyring: Keyring, head: Head, entry: Entry): Promise<Link> {
  const place = { chain: chainOf(entry), seq: head.seq + 1, prevHash: head.hash }
  const hash = await hashOf(place, entry)
  const mac = await keyring.mac(PURPOSE, text.encode(hash))
  if (!mac) throw new Error('the newest secret has no version')
  return { ...place, entryId: entry.id, hash, mac: `${keyring.version}.${toBase64Url(mac)}` }
}

/** Whether a link was sealed by us: `unknown` when its secret is no longer listed. */
export async function sealOf(keyring: Keyring, link: Pick<Link, 'hash' | 'mac'>): Promise<'ours' | 'forged' | 'unknown'> {
  const [version, encoded] = link.mac.split('.')
  const expected = await keyring.mac(PURPOSE, text.encode(link.hash), Number(version))
  if (!expected) return 'unknown'
  return toBase64Url(expected) === encoded ? 'ours' : 'forged'
}
