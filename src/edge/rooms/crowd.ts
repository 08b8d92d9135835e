import type { UserId } from '../../contract/identity.ts'
import { type LiveMember, type LiveServerFrame, PRESENCE_MEMBERS_MAX, PRESENCE_SAMPLE } from '../../contract/room-live.ts'
import { isNobody } from './seat.ts'
import { broadcast, isHeard, type Talk } from './talk.ts'

/** Somebody who comes back this soon, by a reload or another network, has not been away. */
const GRACE_MS = 6_000
const WINDOW_MS = 40
/** In a crowd only counts change, and a second is soon enough. */
const CROWD_WINDOW_MS = 1_000

const SCHEMA = `
CREATE TABLE IF NOT EXISTS presence_graces (id INTEGER PRIMARY KEY CHECK (id = 1)) STRICT;`

/** Who is in the room, as it is told: by person, not by socket. The sockets' attachments are the truth. */
export interface Crowd {
  readonly talk: Talk
  /** Those who were told to be here. */
  readonly shown: Set<UserId>
  readonly changed: Set<UserId>
  readonly leaving: Map<UserId, ReturnType<typeof setTimeout>>
  timer: ReturnType<typeof setTimeout> | undefined
  /** Whether the last that somebody was told was a sample. */
  wasSampled: boolean
  /** Whether somebody may have been told of people who are not here. */
  isDoubtful: boolean
}

/** Reads off the sockets who is here. */
export function openCrowd(talk: Talk): Crowd {
  const shown = new Set(peopleIn(talk).keys())
  const wasSampled = isCrowd(talk, shown.size)
  const crowd: Crowd = { talk, shown, changed: new Set(), leaving: new Map(), timer: undefined, wasSampled, isDoubtful: false }
  talk.room.hub.onGone(({ userId }) => depart(crowd, userId))
  if (!endGraces(crowd)) return crowd
  // The memory went while somebody was on their way out, and with it who that was.
  crowd.isDoubtful = true
  crowd.timer = setTimeout(() => broadcastChanges(crowd), WINDOW_MS)
  return crowd
}

/** Notes on disk that somebody has left and nobody was told yet. */
function beginGraces({ talk, leaving }: Crowd): void {
  if (leaving.size === 0) talk.ctx.storage.sql.exec(`${SCHEMA} INSERT OR IGNORE INTO presence_graces VALUES (1)`)
}

/** Everybody was told; answers whether there was anything to tell. */
const endGraces = ({ talk: { ctx } }: Crowd): boolean =>
  ctx.storage.sql.exec(`${SCHEMA} DELETE FROM presence_graces RETURNING id`).toArray().length > 0

const text = new TextDecoder()

/** Everybody with a socket that may be seen, in any framing, and what their latest one shows. */
function peopleIn({ room: { hub } }: Talk): Map<UserId, { readonly at: number; readonly state: Uint8Array | null }> {
  const people = new Map<UserId, { at: number; state: Uint8Array | null }>()
  for (const socket of hub.open()) {
    const place = hub.placeOf(socket)
    if (place.isIncognito || isNobody(place)) continue
    const { stateAt: at, state } = place.live ?? { stateAt: 0, state: null }
    const known = people.get(place.userId)
    if (!known || at > known.at) people.set(place.userId, { at, state })
  }
  return people
}

const isIn = ({ room: { hub } }: Talk, userId: UserId): boolean =>
  !isNobody({ userId }) && hub.open(userId).some((socket) => !hub.placeOf(socket).isIncognito)

const memberOf = (userId: UserId, state: Uint8Array | null): LiveMember => ({
  userId,
  state: state === null ? null : (JSON.parse(text.decode(state)) as LiveMember['state']),
})

/** Whether so many are told as a number; an audience always is. */
const isCrowd = ({ room: { hub } }: Talk, people: number): boolean => hub.isBroadcast() || people > PRESENCE_MEMBERS_MAX

/** Everybody who is here, or a sample of a crowd. */
export function wholePresence(crowd: Crowd): LiveServerFrame & { readonly type: 'presence' } {
  const { talk, shown } = crowd
  // Going through ten thousand for each who comes would cost more than seating them.
  if (talk.room.hub.isBroadcast()) return { type: 'presence', isWhole: true, on: [], off: [], count: shown.size, isSample: true }
  const people = [...peopleIn(talk)]
  const isSample = people.length > PRESENCE_MEMBERS_MAX
  if (isSample) crowd.wasSampled = true
  const on = people.slice(0, isSample ? PRESENCE_SAMPLE : undefined).map(([userId, { state }]) => memberOf(userId, state))
  return { type: 'presence', isWhole: true, on, off: [], count: people.length, isSample }
}

/** Counts as shown who is here, after leaves said who is. */
export function recount({ talk, shown }: Crowd): void {
  for (const userId of peopleIn(talk).keys()) shown.add(userId)
}

/** Somebody came or shows something else. */
export function appear(crowd: Crowd, userId: UserId): void {
  clearTimeout(crowd.leaving.get(userId) ?? null)
  if (crowd.leaving.delete(userId) && crowd.leaving.size === 0) endGraces(crowd)
  note(crowd, userId)
}

/** Somebody came by one more socket: news only if they were not here. */
export function arrive(crowd: Crowd, userId: UserId): void {
  if (!crowd.shown.has(userId) || crowd.leaving.has(userId)) appear(crowd, userId)
}

/** Somebody who was told to be here went with the memory that knew it. */
export function miss(crowd: Crowd, userId: UserId): void {
  crowd.shown.add(userId)
  depart(crowd, userId)
}

function depart(crowd: Crowd, userId: UserId): void {
  if (!isWatched(crowd)) return settle(crowd, userId)
  if (!crowd.shown.has(userId)) return
  if (isIn(crowd.talk, userId)) return note(crowd, userId)
  if (crowd.leaving.has(userId)) return
  beginGraces(crowd)
  const timer = setTimeout(() => {
    crowd.leaving.delete(userId)
    if (crowd.leaving.size === 0) endGraces(crowd)
    note(crowd, userId)
  }, GRACE_MS)
  crowd.leaving.set(userId, timer)
}

/** Whether anybody is told. If not, no timer may keep the room from hibernating: who subscribes gets the whole. */
const isWatched = ({ talk }: Crowd): boolean => isHeard(talk, 'presence')

/** Brings what counts as told in line with who is here. */
function settle({ talk, shown }: Crowd, userId: UserId): void {
  if (isIn(talk, userId)) shown.add(userId)
  else shown.delete(userId)
}

function note(crowd: Crowd, userId: UserId): void {
  if (!isWatched(crowd)) return settle(crowd, userId)
  crowd.changed.add(userId)
  crowd.timer ??= setTimeout(() => broadcastChanges(crowd), isCrowd(crowd.talk, crowd.shown.size) ? CROWD_WINDOW_MS : WINDOW_MS)
}

function broadcastChanges(crowd: Crowd): void {
  const { talk, shown } = crowd
  crowd.timer = undefined
  const people = peopleIn(talk)
  const changed = [...crowd.changed]
  crowd.changed.clear()
  const on: LiveMember[] = []
  const off: UserId[] = []
  for (const userId of changed) {
    // Not away yet: the grace decides.
    if (crowd.leaving.has(userId)) continue
    const person = people.get(userId)
    if (person) on.push(memberOf(userId, person.state))
    else if (shown.has(userId)) off.push(userId)
    if (person) shown.add(userId)
    else shown.delete(userId)
  }
  if (on.length + off.length === 0 && !crowd.isDoubtful) return
  // A change can only be read by who knows everybody.
  const isWhole = crowd.wasSampled || crowd.isDoubtful || isCrowd(talk, people.size)
  Object.assign(crowd, { wasSampled: false, isDoubtful: false })
  const frame = isWhole ? wholePresence(crowd) : ({ type: 'presence', isWhole, on, off, count: people.size, isSample: false } as const)
  broadcast(talk, 'presence', { frame, seq: 0 })
}
