import { closeCodeOf, type ProblemSlug } from '../../contract/problem.ts'
import {
  BROADCAST_SOCKETS_MAX,
  ROOM_DOCUMENT_BYTES_MAX,
  ROOM_SOCKETS_MAX,
  ROOMS_PER_OWNER_MAX,
  type RoomRole,
} from '../../contract/rooms.ts'
import type { Line, Place } from './place.ts'
import type { SeatFacts } from './seat-store.ts'

/** A full document can still be emptied: changes that only delete may go this much further. */
export const DELETION_BYTES_SPARE = 1_048_576
/** Open sockets of one user in one room: tabs and devices, not a flood. */
export const SOCKETS_PER_USER_MAX = 50
/** A join is in flight for less than this, so a seat that changed longer ago was seen by its check. */
export const JOIN_FLIGHT_MS = 60_000
/** A fresh token is asked for this long before the old one expires: two looks of the grid. */
export const RENEWAL_AHEAD_MS = 120_000
/** A question or its answer may have been lost with the memory, so it is asked once more this long before, off the grid: too late is of no use. */
export const LAST_CALL_MS = 20_000
/** Expired sockets are looked for at whole minutes only, since setting an alarm is a billed write. */
const EXPIRY_GRID_MS = 60_000

/** Whether a role may change the document. */
export const mayWrite = (role: RoomRole): boolean => role === 'owner' || role === 'editor'

/** Whether a role may take part in messages. */
export const maySpeak = (role: RoomRole): boolean => role !== 'viewer'

/** Why an owner may not give this seat, or nothing. */
export function refusalOfPut(facts: SeatFacts, role: RoomRole): ProblemSlug | undefined {
  if (facts.callerRole === null) return 'not-found'
  if (facts.callerRole !== 'owner') return 'forbidden'
  if (!facts.isUser) return 'not-found'
  if (facts.role === 'owner' && role !== 'owner' && facts.owners < 2) return 'conflict'
  if (facts.role === null && facts.members >= facts.membersMax) return 'limit-reached'
  if (facts.role !== 'owner' && role === 'owner' && facts.owned >= ROOMS_PER_OWNER_MAX) return 'limit-reached'
  return undefined
}

/** Why this seat may not be taken away, or nothing. */
export function refusalOfRemoval(facts: SeatFacts, isOwnSeat: boolean): ProblemSlug | undefined {
  if (facts.callerRole === null) return 'not-found'
  if (facts.callerRole !== 'owner' && !isOwnSeat) return 'forbidden'
  if (facts.role === null) return 'not-found'
  if (facts.role === 'owner' && facts.owners < 2) return 'conflict'
  return undefined
}

/** Whether a room has a place for one more socket of a user. */
export const hasPlace = (open: { readonly inRoom: number; readonly ofUser: number; readonly isBroadcast: boolean }): boolean =>
  open.inRoom < (open.isBroadcast ? BROADCAST_SOCKETS_MAX : ROOM_SOCKETS_MAX) && open.ofUser < SOCKETS_PER_USER_MAX

/** What only time or a fresh token stands against. */
const PASSING: readonly ProblemSlug[] = ['rate-limited', 'unauthenticated']

/** With what code a socket ends. Providers of other framings take 4400 to 4499 for good, so what passes is 4503 for them. */
export const closeCodeIn = (framing: Line['framing'] | undefined, slug: ProblemSlug): number =>
  closeCodeOf(framing !== 'live' && PASSING.includes(slug) ? 'unavailable' : slug)

/** Leaves of a room; each costs the room's object a call for every window. */
export const LEAVES_MAX = 32

/** Whether newcomers go to leaves: from so many sockets on, and until no more than half as many are left, lest it go back and forth. */
export const isSpread = (sockets: number, { above, wasSpread }: { readonly above: number; readonly wasSpread: boolean }): boolean =>
  sockets >= above || (wasSpread && sockets > above / 2)

/** Over how many leaves so many sockets and one more spread. */
export const leavesFor = (sockets: number, socketsMax: number): number => Math.min(LEAVES_MAX, Math.ceil((sockets + 1) / socketsMax))

/** The first moment of the grid at which something has expired. */
export const expiryCheckAt = (expiresAt: number): number => Math.ceil(expiresAt / EXPIRY_GRID_MS) * EXPIRY_GRID_MS

/** When to look at a socket again: to ask for a fresh token where that can be asked for, asked last at some moment, else when it expires. */
export function lookDueAt({ expiresAt, framing, askedAt }: Pick<Place, 'expiresAt' | 'framing' | 'askedAt'>): number {
  if (framing !== 'hocuspocus') return expiryCheckAt(expiresAt)
  if (askedAt === null) return expiryCheckAt(expiresAt - RENEWAL_AHEAD_MS)
  const lastCallAt = expiresAt - LAST_CALL_MS
  return askedAt < lastCallAt ? lastCallAt : expiryCheckAt(expiresAt)
}

/** How long to gather changes before they are stored and sent: frames out are the cost, and an object sends at most 25,000 a second. */
const windowMs = (sockets: number): number => Math.ceil(10 + sockets / 25)

/** How the last window ended: when, in Unix milliseconds, and whether it had gathered more than one thing. */
export interface LastWindow {
  readonly endedAt: number
  readonly wasShared: boolean
}

/** Before the first one. */
export const NO_WINDOW: LastWindow = { endedAt: 0, wasShared: false }

/** How long a window that opens now stays open: what comes after a pause is told at once, what follows it closely shares a window, a longer one while that is of use. */
export function windowLeftMs({ endedAt, wasShared }: LastWindow, sockets: number, now: number): number {
  const ms = wasShared ? windowMs(sockets) : windowMs(sockets) / 2
  return Math.min(ms, Math.max(0, endedAt + ms - now))
}

/** What a stored document consists of. */
export interface DocumentSize {
  /** The encoded state of the last compaction. */
  readonly baseBytes: number
  /** Changes since then. */
  readonly logBytes: number
  readonly logRows: number
}

/** Compacts a small document at 500 rows or 1 MiB of changes; a large one later, so that rewriting it stays a constant factor of what is written. */
export const needsCompaction = (size: DocumentSize): boolean =>
  size.logBytes >= Math.max(1_048_576, size.baseBytes / 4) || size.logRows >= Math.max(500, size.baseBytes / 8192)

/** Shares of its largest size at which editors are warned. */
const WARNINGS = [0.95, 0.8] as const

/** The share of its largest size that a document has passed, of those that are warned of; 0 for none. */
export const sizeWarning = ({ baseBytes, logBytes }: DocumentSize): number =>
  WARNINGS.find((share) => baseBytes + logBytes >= share * ROOM_DOCUMENT_BYTES_MAX) ?? 0

/** Whether the document may take a change of this size. */
export const hasRoomFor = (size: DocumentSize, change: { readonly bytes: number; readonly onlyDeletes: boolean }): boolean =>
  size.baseBytes + size.logBytes + change.bytes <= ROOM_DOCUMENT_BYTES_MAX + (change.onlyDeletes ? DELETION_BYTES_SPARE : 0)

/** What a user may send to a room: bursts of a script or a paste pass, a flood does not. */
export const TRAFFIC = {
  messages: { burst: 50_000, perSecond: 500 },
  bytes: { burst: 64 * 1_048_576, perSecond: 2 * 1_048_576 },
} as const

/** What is left to a user at a moment. */
export interface Allowance {
  readonly messages: number
  readonly bytes: number
  readonly at: number
}

/** A full allowance. */
export const fullAllowance = (now: number): Allowance => ({ messages: TRAFFIC.messages.burst, bytes: TRAFFIC.bytes.burst, at: now })

/** The allowance after some traffic, refilled up to now; below zero the sender has gone too far. */
export function spend(a: Allowance, traffic: { readonly messages: number; readonly bytes: number }, now: number): Allowance {
  const seconds = Math.max(0, now - a.at) / 1000
  const left = (before: number, limit: { readonly burst: number; readonly perSecond: number }, spent: number) =>
    Math.min(limit.burst, before + seconds * limit.perSecond) - spent
  return { messages: left(a.messages, TRAFFIC.messages, traffic.messages), bytes: left(a.bytes, TRAFFIC.bytes, traffic.bytes), at: now }
}

/** Whether a user has gone too far. */
export const isOverdrawn = (a: Allowance): boolean => a.messages < 0 || a.bytes < 0
