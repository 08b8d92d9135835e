import type { ActivityBy, AuditBreak, AuditBreakReason } from '../../contract/audit.ts'
import { type Chain, chainOf, type Entry, type Head, type Link } from './link.ts'

/** A link with what its seal and its entry turned out to be. */
export interface ExaminedLink {
  readonly link: Link
  readonly entry: Entry | null
  readonly seal: 'ours' | 'forged' | 'unknown'
  /** Hash of the entry as it is now, at this place. */
  readonly hash: string | null
}

/** A signed statement that a chain must agree with; no hash when the statement itself is forged. */
export interface Anchor {
  readonly seq: number
  readonly hash: string | null
}

const breakAt = (seq: number, reason: AuditBreakReason, entryId: number | null = null): AuditBreak => ({ seq, entryId, reason })

/** What is wrong with a link that should follow `before`, if anything. A signature vouches for all up to `anchoredSeq`. */
export function breakOfLink(
  { link, entry, seal, hash }: ExaminedLink,
  at: { readonly chain: Chain; readonly before: Head; readonly anchoredSeq: number },
): AuditBreak | undefined {
  const { chain, before, anchoredSeq } = at
  const broken = (reason: AuditBreakReason) => breakAt(link.seq, reason, link.entryId)
  if (link.seq !== before.seq + 1) return breakAt(before.seq + 1, 'link-missing')
  // The secret behind a seal may be gone by now.
  if (seal === 'forged' || (seal === 'unknown' && link.seq > anchoredSeq)) return broken('link-forged')
  if (link.prevHash !== before.hash || link.entryId <= before.entryId) return broken('link-changed')
  if (!entry) return broken('entry-missing')
  if (chainOf(entry) !== chain) return broken('entry-moved')
  if (hash !== link.hash) return broken('entry-changed')
  return undefined
}

/** What contradicts a signed statement within the places walked, or at the end when there is no more. */
export function breakOfAnchor(
  anchor: Anchor,
  walked: { readonly links: readonly Pick<Link, 'seq' | 'hash' | 'entryId'>[]; readonly isLast: boolean; readonly endSeq: number },
): AuditBreak | undefined {
  const { links, isLast, endSeq } = walked
  const at = links.find((link) => link.seq === anchor.seq)
  if (at && anchor.hash === null) return breakAt(at.seq, 'checkpoint-forged', at.entryId)
  if (at && at.hash !== anchor.hash) return breakAt(at.seq, 'checkpoint-mismatch', at.entryId)
  if (!isLast || anchor.seq <= endSeq) return undefined
  return anchor.hash === null ? breakAt(anchor.seq, 'checkpoint-forged') : breakAt(endSeq + 1, 'truncated')
}

/** The break nearest the start; of two at one place the first given. */
export function firstBreak(breaks: readonly (AuditBreak | undefined)[]): AuditBreak | undefined {
  return breaks.reduce((first, next) => (first && (!next || first.seq <= next.seq) ? first : next), undefined)
}

/** Who an entry's actor is to the user who reads it. */
export function byOf(actorId: string, userId: string): ActivityBy {
  if (actorId === userId) return 'you'
  return actorId === 'anonymous' || actorId === 'system' ? actorId : 'other'
}

/** Whether the reader learns the circumstances too: those of other people are theirs. */
export const isTold = (by: ActivityBy): boolean => by !== 'other'

/** What a spreadsheet would run (OWASP, CSV injection), the full-width spellings included. */
const FORMULA = /^[=+\-@\t\r\n\0\uff1d\uff0b\uff0d\uff20]/

/** What a terminal in which the file is shown would obey: hosts and people choose these texts. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is made visible.
const CONTROL = /[\u0001-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f]/g
const visible = (control: string): string => `\\x${control.charCodeAt(0).toString(16).padStart(2, '0')}`

/** One cell of CSV (RFC 4180). A text that would be a formula becomes one that is not, and control characters are written out. */
export function csvCell(value: string | number | null): string {
  if (value === null) return ''
  if (typeof value === 'number') return String(value)
  return `"${(FORMULA.test(value) ? `'${value}` : value).replace(CONTROL, visible).replaceAll('"', '""')}"`
}

/** A line of CSV. */
export const csvLineOf = (cells: readonly (string | number | null)[]): string => `${cells.map(csvCell).join(',')}\r\n`
