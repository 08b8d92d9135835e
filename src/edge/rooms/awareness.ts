import { Problem } from '../../contract/problem.ts'
import { PRESENCE_BYTES_MAX } from '../../contract/rooms.ts'
import type { PresenceEntry } from './framing.ts'

/** What a socket shows of its user. It lives in the socket's attachment, so it is right after hibernation. */
export interface Presence {
  readonly clientId: number
  readonly clock: number
  /** The state as JSON text; null once its client took it back. */
  readonly json: string | null
  /** When its client last spoke of it, Unix milliseconds. */
  readonly heardAt: number
  /** When the others last heard of it. */
  readonly toldAt: number
}

/** Who may speak for a client id besides the socket that just did. */
export interface Claim {
  /** The presence another socket shows under this id. */
  readonly held: Presence | undefined
  /** Whether that socket belongs to the same session: a device that came back before its old socket was missed. */
  readonly isOurs: boolean
  /** The clock at which the id last left the room: an entry at or below it is stale. */
  readonly leftAtClock: number | undefined
}

/** What to do with one entry of an awareness message. */
export type Verdict =
  | { readonly kind: 'ignore' }
  /** The sender is at a clock that others have seen end: it must count on from there. */
  | { readonly kind: 'challenge'; readonly clock: number }
  | { readonly kind: 'show' | 'renew'; readonly presence: Presence }

const IGNORE: Verdict = { kind: 'ignore' }

/** A clock counts changes of one presence; nobody starts beyond this, so it can always be counted on from. */
const CLOCK_MAX = 0xffff_ffff

/** A presence nobody renewed for this long is a ghost: not shown to those who join. */
const HEARD_MS_MAX = 45_000

const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
const bytes = new TextEncoder()

/** JSON text of a state, or null. @throws Problem `payload-too-large` or `invalid-request` */
function readState(json: Uint8Array): string | null {
  if (json.byteLength > PRESENCE_BYTES_MAX) throw new Problem('payload-too-large')
  try {
    const state = text.decode(json)
    const value: unknown = JSON.parse(state)
    if (value === null) return null
    // Editors read fields of a peer's state; anything but an object would break them.
    if (typeof value === 'object' && !Array.isArray(value)) return state
  } catch {
    throw new Problem('invalid-request')
  }
  throw new Problem('invalid-request')
}

/** Presences of our own protocol are bound to their socket: they last as long as it does, and the room counts their clocks. */
export interface Bound {
  readonly isBound: boolean
}

/**
 * Judges one entry. A socket speaks for one client id, the first that nobody else holds; all it repeats of others
 * is ignored, which ends both spoofing and the storm of y-websocket's provider, whose every received state is sent back.
 *
 * @throws Problem `payload-too-large` or `invalid-request` for a state of its own that cannot be shown
 */
export function judgeEntry(
  own: Presence | undefined,
  entry: PresenceEntry,
  at: { readonly claim: () => Claim; readonly now: number } & Bound,
): Verdict {
  if (own && own.clientId === entry.clientId) return judgeOwn(own, entry, at)
  if (own && own.json !== null) return IGNORE
  // Read before anything is looked up: the end of what one never showed is nothing.
  const json = readState(entry.json)
  if (json === null) return IGNORE
  const { held, isOurs, leftAtClock } = at.claim()
  const seenClock = held?.clock ?? leftAtClock ?? -1
  const clock = at.isBound ? Math.max(Math.min(entry.clock, CLOCK_MAX), seenClock + 1) : entry.clock
  if (clock > CLOCK_MAX || (held && !(isOurs && clock > seenClock))) return IGNORE
  if (clock <= seenClock) return { kind: 'challenge', clock: seenClock }
  return { kind: 'show', presence: { clientId: entry.clientId, clock, json, heardAt: at.now, toldAt: at.now } }
}

/** y-protocols: a state counts when its clock is higher, or equal and the state is gone. What comes by a bound socket is always newer. */
function judgeOwn(own: Presence, entry: PresenceEntry, { now, isBound }: { readonly now: number } & Bound): Verdict {
  const clock = isBound ? Math.max(Math.min(entry.clock, CLOCK_MAX), own.clock + 1) : entry.clock
  if (clock < own.clock || (clock > CLOCK_MAX && !isBound)) return IGNORE
  const json = readState(entry.json)
  if (json === null && own.json === null) return IGNORE
  if (clock === own.clock && json !== null) return IGNORE
  const presence = { clientId: own.clientId, clock, json, heardAt: now, toldAt: now }
  const isRenewal = json !== null && json === own.json
  return isRenewal ? { kind: 'renew', presence: { ...presence, toldAt: own.toldAt } } : { kind: 'show', presence }
}

/** A presence as an entry for others. */
export const entryOf = (p: Presence): PresenceEntry => ({ clientId: p.clientId, clock: p.clock, json: bytes.encode(p.json ?? 'null') })

/** The end of a presence, one clock later, so that it wins over everything sent before. */
export const endOf = (p: Presence): Presence => ({ ...p, clock: p.clock + 1, json: null })

/** Whether those who join should see it. */
export const isShown = ({ json, heardAt, isBound }: Presence & Bound, now: number): boolean =>
  json !== null && (isBound || now - heardAt < HEARD_MS_MAX)

/** A bound presence, renewed by the room for those whose clients drop what is not. */
export const renewed = (p: Presence, now: number): Presence => ({ ...p, clock: p.clock + 1, heardAt: now, toldAt: now })

/** Providers look every 3 seconds whether 15 have passed, so they renew within this. */
const RENEWAL_MS = 18_500
/** Providers drop a presence, and a socket, that was silent for 30 seconds; this leaves the network its share. */
const SILENCE_MS_MAX = 27_500
/** This many of the renewals that are due next may fail to come. */
const LOST_RENEWALS = 1

/** So many clients renew all the time, so a timer for them keeps nothing awake that could sleep. */
const RESTLESS = 20

/** How long the frame that renewals share waits: as long as nobody is silent too long, by a timer or, among few, for a later renewal that sends it, which is nothing to plan. */
export function renewalsWaitMs(presences: readonly (Presence & Bound)[], now: number): number | undefined {
  if (presences.filter(({ isBound }) => !isBound).length < RESTLESS) return mayHoldRenewals(presences, now) ? undefined : 0
  const held = presences.filter(isHeld)
  if (held.length === 0) return undefined
  if (canCatchUp(presences, now)) return 0
  return Math.max(0, Math.min(...held.map(({ toldAt }) => toldAt)) + SILENCE_MS_MAX - now)
}

/**
 * Whether a renewal may wait for a later one to share its frame. There is no timer to send it, so it waits only if a
 * renewal that is due soon will come before anybody's silence grows too long. Bound presences renew nothing and always wait.
 */
function mayHoldRenewals(presences: readonly (Presence & Bound)[], now: number): boolean {
  const due = presences
    .filter(({ isBound }) => !isBound)
    .map(({ heardAt }) => heardAt + RENEWAL_MS)
    .filter((at) => at > now)
    .sort((a, b) => a - b)
  const nextAt = due[Math.min(LOST_RENEWALS, due.length - 1)] ?? Number.POSITIVE_INFINITY
  return presences.filter(isHeld).every(({ toldAt }) => nextAt - toldAt < SILENCE_MS_MAX) && !canCatchUp(presences, now)
}

/**
 * Whether a frame now would bring stragglers into step with those told a moment ago: from then on all share one frame
 * in 27 seconds, where two groups would need one in 13.
 */
function canCatchUp(presences: readonly (Presence & Bound)[], now: number): boolean {
  const isRecent = ({ toldAt }: Presence) => now - toldAt < 6_000
  const isLate = (p: Presence & Bound) => isHeld(p) && now - p.toldAt > 15_000
  return presences.some(isLate) && presences.some(isRecent) && presences.every((p) => isHeld(p) || isRecent(p))
}

/** Whether others have yet to hear of its last renewal. */
export const isHeld = ({ heardAt, toldAt, isBound }: Presence & Bound): boolean => isBound || heardAt > toldAt

/** Splits entries so that no frame grows large: a provider sends back each frame it gets. */
export function inFrames(entries: readonly PresenceEntry[]): readonly (readonly PresenceEntry[])[] {
  const groups: PresenceEntry[][] = []
  let room = 0
  for (const entry of entries) {
    if (entry.json.byteLength > room || groups.length === 0) {
      groups.push([])
      room = FRAME_BYTES
    }
    groups.at(-1)?.push(entry)
    room -= entry.json.byteLength + ENTRY_BYTES
  }
  return groups
}

const FRAME_BYTES = 65_536
/** Id, clock and length of an entry at most. */
const ENTRY_BYTES = 16
