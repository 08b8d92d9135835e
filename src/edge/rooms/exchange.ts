import type { UserId } from '../../contract/identity.ts'
import { isProblem, Problem, type ProblemSlug } from '../../contract/problem.ts'
import { ROOM_FRAME_BYTES_MAX } from '../../contract/rooms.ts'
import { isAmong, type SessionIds } from '../platform/live-sockets.ts'
import { describeError } from '../platform/log.ts'
import { closeWith } from '../platform/socket.ts'
import { entryOf, inFrames, isShown } from './awareness.ts'
import { holds, isEmptyUpdate, missingFrom, stateVectorOf } from './document.ts'
import { awarenessFrame, deniedFrame, type Message, readFrame, step1Frame, step2Frame } from './framing.ts'
import { authenticatedFrame, refusedFrame, syncStatusFrame, tokenRequestFrame } from './hocuspocus-framing.ts'
import { type LiveRoom, logOf, sendFramed } from './live.ts'
import { noteAnswer, sendText } from './outlet.ts'
import type { Peer } from './peer.ts'
import type { Place } from './place.ts'
import {
  type Allowance,
  closeCodeIn,
  fullAllowance,
  isOverdrawn,
  LAST_CALL_MS,
  lookDueAt,
  mayWrite,
  RENEWAL_AHEAD_MS,
  spend,
} from './policy.ts'
import { endPresence, hearEntry, renewBound, shownIn } from './presence.ts'
import type { SeatState } from './rpc.ts'
import { endWindow, gatherChange, gatherEcho } from './window.ts'

/** What a user sent, or had sent. */
type Traffic = Parameters<typeof spend>[1]

/** Users whose allowance is remembered after they left, so that coming back does not refill it. */
const ALLOWANCES_MAX = 2_000
/** To look at so many sockets is as much work as a message. */
const SOCKETS_PER_MESSAGE = 10

/** The first frames of a socket: what the document knows, so that the peer sends what it lacks, and who is here. */
export function greetingOf(room: LiveRoom, framing: Place['framing']): readonly Uint8Array[] {
  return [step1Frame(stateVectorOf(room.document)), ...presenceFrames(room, framing)]
}

/** Greets one of our own protocol that begins to follow the document; doing so again is charged. @throws Problem `rate-limited` */
export function greetLive(room: LiveRoom, socket: Peer): void {
  const greeting = greetingOf(room, 'live')
  if (room.greeted.has(socket)) return reply(room, socket, greeting)
  room.greeted.add(socket)
  for (const frame of greeting) sendFramed(room, socket, frame)
}

/** Who is here, as a client that speaks this framing is told. */
export function presenceFrames(room: LiveRoom, framing: Place['framing']): readonly Uint8Array[] {
  const now = Date.now()
  if (framing !== 'live') renewBound(room, now)
  const shown = shownIn(room).filter(({ presence }) => isShown(presence, now))
  return inFrames(shown.map(({ presence }) => entryOf(presence))).map(awarenessFrame)
}

/** An awareness message is as much work as it has entries; those of others are looked up only while the client shows nothing itself. */
function costOf(message: Message, { presence, isIncognito }: Place): number {
  if (message.kind !== 'awareness') return 1
  const isKnown = isIncognito || (presence !== null && presence.json !== null)
  return Math.max(1, Math.ceil(message.entries.length / (isKnown ? SOCKETS_PER_MESSAGE : 1)))
}

/** Takes in one frame of a client. Whatever is wrong with it ends that client's socket and nothing else. */
export function receive(
  room: LiveRoom,
  socket: Peer,
  { data, read = readFrame }: { readonly data: ArrayBuffer | string; readonly read?: (frame: Uint8Array) => readonly Message[] },
): void {
  heed(room, socket, (place) => {
    if (typeof data === 'string') throw new Problem('invalid-request')
    charge(room, place, { messages: 1, bytes: data.byteLength })
    if (data.byteLength > ROOM_FRAME_BYTES_MAX) throw tooLarge(room)
    const messages = read(new Uint8Array(data))
    charge(room, place, {
      messages: Math.max(
        0,
        messages.reduce((sum, message) => sum + costOf(message, place), -1),
      ),
      bytes: 0,
    })
    for (const message of messages) obey(room, socket, message)
  })
}

/** Hears of a frame that a leaf did not pass on, for its size. */
export function receiveUnread(room: LiveRoom, socket: Peer, bytes: number): void {
  heed(room, socket, (place) => {
    charge(room, place, { messages: 1, bytes })
    throw tooLarge(room)
  })
}

function tooLarge(room: LiveRoom): Problem {
  room.tally.count('updates', 'payload-too-large')
  return new Problem('payload-too-large')
}

/** Does what a client asks, unless it has no say any more; what is wrong with it ends the socket, or is told. */
function heed(room: LiveRoom, socket: Peer, work: (place: Place) => void): void {
  const place = room.hub.placeOf(socket)
  if (place.isGone) return
  noteAnswer(socket)
  try {
    if (place.expiresAt <= Date.now()) throw new Problem('unauthenticated')
    work(place)
  } catch (error) {
    if (!isProblem(error)) logOf(room, place)('room.failed', describeError(error))
    const slug = isProblem(error) ? error.slug : 'internal'
    if (slug === 'payload-too-large' && place.framing !== 'live') refuseLarge(room, socket)
    else expel(room, socket, slug)
  }
}

/** Whoever is back this soon with the same is a provider that no code ends. */
const OVERSIZED_MS = 60_000

/**
 * Refuses what is too large. A provider that is closed for it comes back with the same, for ever: those of Hocuspocus know no code that ends
 * them, nor does y-websocket before version 3. So they are told and stay, y-websocket once it has come back.
 */
function refuseLarge(room: LiveRoom, socket: Peer): void {
  const { framing, userId } = room.hub.placeOf(socket)
  const isNamed = framing === 'hocuspocus'
  sendFramed(room, socket, isNamed ? refusedFrame('payload-too-large') : deniedFrame('payload-too-large'))
  const now = Date.now()
  for (const [user, at] of room.oversized) if (now - at >= OVERSIZED_MS) room.oversized.delete(user)
  if (isNamed || room.oversized.has(userId)) return void room.meter.note({ refusals: 1 })
  room.oversized.set(userId, now)
  expel(room, socket, 'payload-too-large')
}

/** Closes a socket for a reason its client can act upon. */
export function expel(room: LiveRoom, socket: Peer, slug: ProblemSlug): void {
  logOf(room, room.hub.placeOf(socket))('room.refused', { problem: slug })
  room.meter.note({ refusals: 1 })
  room.tally.count('closes', slug)
  const code = closeCodeIn(room.hub.placeOf(socket).framing, slug)
  closeWith(socket, slug, code)
  leave(room, socket, code)
}

/** Closes a socket that is sent more than it reads. */
export function endOverfed(room: LiveRoom, socket: Peer): void {
  room.tally.count('slow', 'closed')
  expel(room, socket, 'rate-limited')
}

/** Clears up after a socket, once. */
export function leave(room: LiveRoom, socket: Peer, code: number): void {
  const place = room.hub.placeOf(socket)
  if (place.isGone) return
  room.hub.change(socket, { isGone: true, presence: null })
  endPresence(room, place.presence)
  logOf(room, place)('room.left', { code, sockets: room.hub.count() })
}

/** Ends a user's sockets of sessions that have ended. */
export function expelSessions(room: LiveRoom, userId: UserId, ids: SessionIds): void {
  for (const socket of room.hub.open(userId)) {
    if (isAmong(ids, room.hub.placeOf(socket).sessionId)) expel(room, socket, 'session-ended')
  }
}

/** Brings a user's sockets in line with their seat; those that were checked at a later version know better. */
export function applySeat(room: LiveRoom, { userId, role, version }: SeatState): void {
  for (const socket of room.hub.open(userId)) {
    const place = room.hub.placeOf(socket)
    if (place.version >= version) continue
    if (role === null) expel(room, socket, 'not-found')
    else changeRole(room, socket, { role, version })
    const now = room.hub.placeOf(socket)
    if (role !== null && now.live) sendText(socket, { type: 'ready', userId, role, expiresAt: now.expiresAt })
  }
}

function changeRole(room: LiveRoom, socket: Peer, to: Pick<Place, 'role' | 'version'>): void {
  const { role, live } = room.hub.placeOf(socket)
  room.hub.change(socket, { ...to, isDenied: false })
  if (room.hub.placeOf(socket).framing === 'hocuspocus') sendFramed(room, socket, authenticatedFrame(mayWrite(to.role)))
  // Who may write from now on is asked for what was refused before.
  const follows = live?.streams.includes('document') ?? true
  if (follows && mayWrite(to.role) && !mayWrite(role)) sendFramed(room, socket, step1Frame(stateVectorOf(room.document)))
}

/** Ends the sockets whose token has expired and asks for those that soon will be; answers when to look again. */
export function expelExpired(room: LiveRoom, now: number): number | undefined {
  let next: number | undefined
  for (const socket of room.hub.open()) {
    if (room.hub.placeOf(socket).expiresAt <= now) {
      expel(room, socket, 'unauthenticated')
      continue
    }
    if (isAskDue(room.hub.placeOf(socket), now)) {
      room.hub.change(socket, { askedAt: now })
      sendFramed(room, socket, tokenRequestFrame)
    }
    const dueAt = lookDueAt(room.hub.placeOf(socket))
    next = Math.min(next ?? dueAt, dueAt)
  }
  return next
}

/** Any look in the time for it will do: the grid is for alarms. */
const isAskDue = ({ expiresAt, framing, askedAt }: Place, now: number): boolean =>
  framing === 'hocuspocus' &&
  now >= expiresAt - (askedAt === null ? RENEWAL_AHEAD_MS : LAST_CALL_MS) &&
  (askedAt ?? 0) < expiresAt - LAST_CALL_MS

function obey(room: LiveRoom, socket: Peer, message: Message): void {
  switch (message.kind) {
    case 'step1':
      return answerStep1(room, socket, message.stateVector)
    case 'update':
      return write(room, socket, message)
    case 'step2':
      write(room, socket, message)
      return releaseEchoes(room, socket)
    case 'awareness':
      for (const entry of message.entries) hearEntry(room, socket, entry)
      return
    case 'query-awareness':
      // Everybody is looked at for it.
      charge(room, room.hub.placeOf(socket), { messages: Math.ceil(room.hub.count() / SOCKETS_PER_MESSAGE), bytes: 0 })
      return reply(room, socket, presenceFrames(room, room.hub.placeOf(socket).framing))
    case 'echo':
      return gatherEcho(room, socket, message.frame)
  }
}

/** The answer holds only what is stored. */
function answerStep1(room: LiveRoom, socket: Peer, stateVector: Uint8Array): void {
  endWindow(room)
  const frames = [step2Frame(missingFrom(room.document, stateVector))]
  // A Hocuspocus client waits to be asked in turn; one of y-websocket was asked when it came.
  if (room.hub.placeOf(socket).framing === 'hocuspocus') frames.push(step1Frame(stateVectorOf(room.document)))
  if (room.served.has(socket)) return reply(room, socket, frames)
  room.served.add(socket)
  for (const frame of frames) sendFramed(room, socket, frame)
}

/** A short question can have a long answer, so the answer is charged. */
function reply(room: LiveRoom, socket: Peer, frames: readonly Uint8Array[]): void {
  const bytes = frames.reduce((sum, frame) => sum + frame.byteLength, 0)
  charge(room, room.hub.placeOf(socket), { messages: 0, bytes })
  for (const frame of frames) sendFramed(room, socket, frame)
}

function write(room: LiveRoom, socket: Peer, message: { readonly kind: 'step2' | 'update'; readonly update: Uint8Array }): void {
  const place = room.hub.placeOf(socket)
  const isNamed = place.framing === 'hocuspocus'
  if (mayWrite(place.role)) {
    take(room, socket, message)
    if (isNamed) gatherEcho(room, socket, syncStatusFrame(true))
    return
  }
  if (!isNamed && place.isDenied) return
  const isNews = !isEmptyUpdate(message.update) && !(message.kind === 'step2' && isOldNews(room, socket, message.update))
  if (isNews) room.tally.count('updates', 'forbidden')
  if (isNamed) return sendFramed(room, socket, syncStatusFrame(!isNews))
  if (!isNews) return
  room.hub.change(socket, { isDenied: true })
  sendFramed(room, socket, deniedFrame('forbidden'))
  logOf(room, place)('room.write-refused', { role: place.role })
}

/** Takes a change. What it builds on and is not here, the sender has: it is asked once, and its answer is taken as it is. */
function take(room: LiveRoom, socket: Peer, { kind, update }: { readonly kind: 'step2' | 'update'; readonly update: Uint8Array }): void {
  const isLacking = gatherChange(room, update, room.hub.placeOf(socket).trace)
  if (!isLacking || kind === 'step2' || room.asked.has(socket)) return
  room.asked.set(socket, [])
  sendFramed(room, socket, step1Frame(stateVectorOf(room.document)))
}

/** The client has answered: its echoes no longer wait for that. */
function releaseEchoes(room: LiveRoom, socket: Peer): void {
  const echoes = room.asked.get(socket) ?? []
  room.asked.delete(socket)
  for (const frame of echoes) gatherEcho(room, socket, frame)
}

/** Whether a viewer's answer holds nothing new. To know costs a look at the whole document: once it is free, later while the user can pay for it. */
function isOldNews(room: LiveRoom, socket: Peer, update: Uint8Array): boolean {
  const { baseBytes, logBytes } = room.document.size
  const cost = { messages: 0, bytes: room.checked.has(socket) ? baseBytes + logBytes : 0 }
  const place = room.hub.placeOf(socket)
  if (isOverdrawn(leftAfter(room, place, cost))) return false
  room.checked.add(socket)
  charge(room, place, cost)
  return holds(room.document, update)
}

/** What is left of a user's allowance after some traffic. */
const leftAfter = ({ allowances }: LiveRoom, { userId }: Place, traffic: Traffic): Allowance => {
  const now = Date.now()
  return spend(allowances.get(userId) ?? fullAllowance(now), traffic, now)
}

/** Takes traffic off its user's allowance; all their sockets share it. @throws Problem `rate-limited` */
function charge(room: LiveRoom, place: Place, traffic: Traffic): void {
  const { allowances } = room
  const { userId } = place
  const left = leftAfter(room, place, traffic)
  allowances.delete(userId)
  allowances.set(userId, left)
  const [oldest] = allowances.keys()
  if (allowances.size > ALLOWANCES_MAX && oldest !== undefined) allowances.delete(oldest)
  if (isOverdrawn(left)) throw new Problem('rate-limited')
}
