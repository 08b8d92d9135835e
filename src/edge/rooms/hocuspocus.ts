import type { ProblemSlug } from '../../contract/problem.ts'
import { isProblem } from '../../contract/problem.ts'
import { describeError, logFor } from '../platform/log.ts'
import { closeWith } from '../platform/socket.ts'
import { traceFrom } from '../platform/trace.ts'
import { expel, presenceFrames, receive } from './exchange.ts'
import type { Message } from './framing.ts'
import { authenticatedFrame, documentOf, named, pongFrame, readNamedFrame, refusedFrame } from './hocuspocus-framing.ts'
import { type LiveRoom, send, sendFramed, type Waiting } from './live.ts'
import type { Peer } from './peer.ts'
import type { Seat } from './place.ts'
import { mayWrite } from './policy.ts'
import { endPresence } from './presence.ts'

/** Sockets of a room that have not shown a token yet. */
export const WAITING_SOCKETS_MAX = 100
/** How long a socket may stay without a token that is accepted; what it sends does not prolong it. */
const WAITING_MS_MAX = 10_000
/** What a socket may send before its token is accepted: providers send their first questions along with it. */
export const WAITING_FRAMES_MAX = 16
export const WAITING_BYTES_MAX = 65_536
/** Tokens that one socket may try. */
const TOKENS_MAX = 3

/** Checks a token and finds its seat; the object knows how. @throws Problem */
export type Admit = (token: string) => Promise<Seat>

/** Lets a socket wait for its token. */
export function letWait(
  room: LiveRoom,
  socket: Peer,
  { traceparent, isIncognito }: { readonly traceparent: string | null; readonly isIncognito: boolean },
): void {
  // Until it has a seat it counts as gone for everybody else.
  socket.serializeAttachment({ isGone: true })
  const timer = setTimeout(() => refuse(room, socket, 'unauthenticated'), WAITING_MS_MAX)
  room.waiting.set(socket, {
    trace: traceFrom(traceparent),
    isIncognito,
    timer,
    frames: [],
    count: 0,
    bytes: 0,
    tokens: 0,
    isChecking: false,
  })
}

/** Sockets that waited when the memory went: what they sent along is lost, so they must come again. */
export function closeUnseated({ hub }: LiveRoom, sockets: readonly Peer[]): void {
  for (const socket of sockets) if (hub.placeOf(socket).userId === undefined) closeWith(socket, 'unavailable')
}

/** Stops waiting for a socket. */
export function stopWaiting(room: LiveRoom, socket: Peer): void {
  const waiting = room.waiting.get(socket)
  if (waiting) clearTimeout(waiting.timer)
  room.waiting.delete(socket)
}

function refuse(room: LiveRoom, socket: Peer, slug: ProblemSlug): void {
  const trace = room.waiting.get(socket)?.trace
  stopWaiting(room, socket)
  logFor(trace, { roomId: room.roomId })('room.refused', { problem: slug })
  closeWith(socket, slug)
}

/** A token that came on a socket which has a seat, and whether it brings a provider that was not on it. */
interface ShownToken {
  readonly key: string
  readonly token: string
  readonly isNew: boolean
}

/** Takes in one frame of a Hocuspocus client. */
export function receiveNamed(
  room: LiveRoom,
  socket: Peer,
  { data, admit }: { readonly data: ArrayBuffer | string; readonly admit: Admit },
): Promise<void> {
  const waiting = room.waiting.get(socket)
  if (waiting) return hearWaiting(room, socket, { waiting, data, admit })
  let token: ShownToken | undefined
  const read = (frame: Uint8Array) => {
    const { messages, asked } = obeyNamed(room, socket, frame)
    token = asked
    return messages
  }
  receive(room, socket, { data, read })
  return token ? renew(room, socket, { ...token, admit }) : Promise.resolve()
}

/** What a frame asks of the document; what it asks of the connection is done at once. @throws Problem `invalid-request` */
function obeyNamed(
  room: LiveRoom,
  socket: Peer,
  bytes: Uint8Array,
): { readonly messages: readonly Message[]; readonly asked?: ShownToken } {
  const frame = readNamedFrame(bytes)
  if (frame.kind === 'pong') return { messages: [] }
  if (frame.kind === 'ping') {
    send(socket, pongFrame)
    return { messages: [] }
  }
  const { key } = room.hub.placeOf(socket)
  if (documentOf(frame.key) !== room.roomId || (key !== null && frame.key !== key)) {
    send(socket, named(frame.key, refusedFrame('not-found')))
    return { messages: [] }
  }
  if (frame.kind === 'token') {
    // Another provider comes on a socket whose seat is good, and sends its first questions along.
    if (key === null) room.hub.change(socket, { key: frame.key })
    return { messages: [], asked: { ...frame, isNew: key === null } }
  }
  // What a provider sends that has left, or whose token was not accepted.
  if (key === null) return { messages: [] }
  if (frame.kind === 'close') detach(room, socket)
  return { messages: frame.kind === 'message' ? [frame.message] : [] }
}

/** The provider has left and its socket stays: another may come on it. */
function detach(room: LiveRoom, socket: Peer): void {
  const { presence } = room.hub.placeOf(socket)
  room.hub.change(socket, { key: null, presence: null })
  endPresence(room, presence)
}

async function hearWaiting(
  room: LiveRoom,
  socket: Peer,
  { waiting, data, admit }: { readonly waiting: Waiting; readonly data: ArrayBuffer | string; readonly admit: Admit },
): Promise<void> {
  if (typeof data === 'string') return refuse(room, socket, 'invalid-request')
  waiting.count++
  waiting.bytes += data.byteLength
  if (waiting.count > WAITING_FRAMES_MAX || waiting.bytes > WAITING_BYTES_MAX) return refuse(room, socket, 'payload-too-large')
  try {
    const frame = readNamedFrame(new Uint8Array(data))
    if (frame.kind === 'ping' || frame.kind === 'pong') return
    if (documentOf(frame.key) !== room.roomId) return send(socket, named(frame.key, refusedFrame('not-found')))
    if (frame.kind !== 'token') return void waiting.frames.push(data)
    if (waiting.isChecking || ++waiting.tokens > TOKENS_MAX) return refuse(room, socket, 'unauthenticated')
    waiting.isChecking = true
    await seat(room, socket, { waiting, admit, ...frame })
  } catch (error) {
    if (!isProblem(error)) logFor(waiting.trace, { roomId: room.roomId })('room.failed', describeError(error))
    refuse(room, socket, isProblem(error) ? error.slug : 'internal')
  }
}

/** Seats a socket whose token is accepted, then takes in what it sent meanwhile. */
async function seat(
  room: LiveRoom,
  socket: Peer,
  by: { readonly waiting: Waiting; readonly key: string; readonly token: string; readonly admit: Admit },
): Promise<void> {
  const { waiting, key } = by
  const found = await admitOr(by)
  waiting.isChecking = false
  if (room.waiting.get(socket) !== waiting) return
  if (typeof found === 'string') return send(socket, named(key, refusedFrame(found)))
  stopWaiting(room, socket)
  room.hub.sit(socket, found, { trace: waiting.trace, framing: 'hocuspocus', key, isIncognito: waiting.isIncognito })
  welcome(room, socket, found)
  logFor(waiting.trace, { roomId: room.roomId, userId: found.userId })('room.joined', {
    role: found.role,
    sockets: room.hub.count(),
    framing: 'hocuspocus',
  })
  for (const data of waiting.frames) await receiveNamed(room, socket, { data, admit: by.admit })
}

function welcome(room: LiveRoom, socket: Peer, { role }: Seat): void {
  sendFramed(room, socket, authenticatedFrame(mayWrite(role)))
  for (const frame of presenceFrames(room, 'hocuspocus')) sendFramed(room, socket, frame)
}

/** A seat, or why there is none. */
async function admitOr({ admit, token }: { readonly admit: Admit; readonly token: string }): Promise<Seat | ProblemSlug> {
  try {
    return await admit(token)
  } catch (error) {
    if (isProblem(error)) return error.slug
    throw error
  }
}

/** A fresh token for a socket that has a seat: the same user's, else the seat stays as it is and ends when it does. */
async function renew(room: LiveRoom, socket: Peer, by: ShownToken & { readonly admit: Admit }): Promise<void> {
  try {
    const found = await admitOr(by)
    const place = room.hub.placeOf(socket)
    if (place.isGone) return
    if (typeof found === 'string') return turnAway(room, socket, { ...by, slug: found })
    if (found.userId !== place.userId) return turnAway(room, socket, { ...by, slug: 'forbidden' })
    const { sessionId, role, version, expiresAt } = found
    room.hub.change(socket, { sessionId, expiresAt, askedAt: null, ...(version >= place.version ? { role, version } : {}) })
    welcome(room, socket, { ...found, role: room.hub.placeOf(socket).role })
  } catch (error) {
    logFor(room.hub.placeOf(socket).trace, { roomId: room.roomId })('room.failed', describeError(error))
    expel(room, socket, 'internal')
  }
}

/** Tells a provider that its token does not do; one that has just come is not on the line any more. */
function turnAway(room: LiveRoom, socket: Peer, { key, isNew, slug }: ShownToken & { readonly slug: ProblemSlug }): void {
  send(socket, named(key, refusedFrame(slug)))
  if (isNew && room.hub.placeOf(socket).key === key) detach(room, socket)
}
