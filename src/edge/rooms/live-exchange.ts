import { isProblem, PROBLEMS, Problem } from '../../contract/problem.ts'
import {
  CATCH_UP_EVENTS,
  LIVE_AUTHENTICATE_SECONDS,
  LIVE_FRAME_CHARS_MAX,
  LIVE_KNOCK_CHARS_MAX,
  LiveClientFrame,
  type LiveServerFrame,
  type LiveStream,
  SIGNAL_BYTES_MAX,
} from '../../contract/room-live.ts'
import { PRESENCE_BYTES_MAX } from '../../contract/rooms.ts'
import { describeError } from '../platform/log.ts'
import { objectScope } from '../platform/object-scope.ts'
import { forgive, isObstinate, type Leases, take, takeFromUser } from './budgets.ts'
import { appear, arrive, type Crowd, openCrowd, wholePresence } from './crowd.ts'
import type { Door } from './door.ts'
import { endOverfed, expel, greetLive, receive } from './exchange.ts'
import { WAITING_BYTES_MAX, WAITING_FRAMES_MAX } from './hocuspocus.ts'
import { admitLate } from './late.ts'
import type { LiveRoom } from './live.ts'
import { eventsAfter, firstServedSeq, markRead, readMarkers } from './messages.ts'
import { isBehind, isLagging, noteAnswer, noteRead, sendText, UNREAD_CHARS_MAX, unreadOf } from './outlet.ts'
import type { Peer } from './peer.ts'
import type { LivePlace, Place } from './place.ts'
import { isAudience, isNobody } from './seat.ts'
import { warnNewcomer } from './size.ts'
import { broadcast, endTalkWindow, isListening, logTalk, openTalk, publish, type Talk, toldSeq } from './talk.ts'

/** All that answers a frame of our own protocol. */
export interface Parlour {
  readonly talk: Talk
  readonly crowd: Crowd
  readonly door: Door
  readonly leases: Leases
  /** Ties a socket to the session it now has. */
  readonly tie: (socket: Peer, seat: Place) => Promise<void>
  /** Sockets whose token is being looked at, and what those that have no seat yet said meanwhile. */
  readonly asking: WeakMap<Peer, Pipelined>
}

/** What a client sends without waiting to be let in. */
interface Pipelined {
  readonly frames: (ArrayBuffer | string)[]
  size: number
}

/** Opens what answers, over what outlived the memory. */
export function openParlour(parts: Parameters<typeof openTalk>[0], { door, tie }: Pick<Parlour, 'door' | 'tie'>): Parlour {
  const talk = openTalk(parts)
  return { talk, crowd: openCrowd(talk), door, tie, leases: new Map(), asking: new WeakMap() }
}

type Frame<T extends LiveClientFrame['type']> = Extract<LiveClientFrame, { readonly type: T }>
/** A socket and the frame it sent. */
interface Said<T extends LiveClientFrame['type']> {
  readonly socket: Peer
  readonly place: Place & { readonly live: LivePlace }
  readonly frame: Frame<T>
}

const utf8 = new TextEncoder()

/** What a client is told when it is let in. */
const readyFrame = ({ userId, role, expiresAt }: Place): LiveServerFrame => ({ type: 'ready', userId, role, expiresAt })

/** Welcomes a socket that took its place, in whatever framing; one without a credential has its time to show one. */
export function greet(p: Parlour, socket: Peer): void {
  const { room } = p.talk
  const place = room.hub.placeOf(socket)
  if (isNobody(place)) {
    setTimeout(() => isNobody(room.hub.placeOf(socket)) && expel(room, socket, 'unauthenticated'), LIVE_AUTHENTICATE_SECONDS * 1000)
    return
  }
  if (place.live) sendText(socket, readyFrame(place))
  greetPerson(p, socket)
}

function greetPerson(p: Parlour, socket: Peer): void {
  const { framing, userId, isIncognito } = p.talk.room.hub.placeOf(socket)
  p.talk.room.tally.count('joins', framing)
  if (!isIncognito) arrive(p.crowd, userId)
}

/** Takes in one frame. What is wrong with it is answered; who goes on in spite of that is closed. */
export function hear(p: Parlour, socket: Peer, data: ArrayBuffer | string): void {
  const { room } = p.talk
  const { live, isGone, expiresAt, ...place } = room.hub.placeOf(socket)
  if (isGone || !live) return
  if (expiresAt <= Date.now()) return expel(room, socket, 'unauthenticated')
  const pipelined = p.asking.get(socket)
  if (pipelined && isNobody(place)) return keep(room, socket, { pipelined, data })
  if (typeof data !== 'string') return hearDocument(p, socket, data)
  noteAnswer(socket)
  let frame: LiveClientFrame | undefined
  try {
    take(socket, 'frames')
    take(socket, 'chars', data.length)
    frame = readFrame(data, isNobody(place))
    // What it asks for itself may be more than that: it has had no time to read it.
    if (frame.type !== 'received' && unreadOf(socket) > UNREAD_CHARS_MAX) return endOverfed(room, socket)
    const whole = { ...place, live, isGone, expiresAt }
    obey(p, { socket, place: whole, frame })
    forgive(socket)
  } catch (error) {
    refuse(p, socket, { error, frame })
  }
}

/** Keeps what a client says until its token was looked at; no more than of any stranger. */
function keep(
  room: LiveRoom,
  socket: Peer,
  { pipelined, data }: { readonly pipelined: Pipelined; readonly data: ArrayBuffer | string },
): void {
  pipelined.frames.push(data)
  pipelined.size += typeof data === 'string' ? data.length : data.byteLength
  if (pipelined.frames.length > WAITING_FRAMES_MAX || pipelined.size > WAITING_BYTES_MAX) expel(room, socket, 'payload-too-large')
}

/** Binary frames are the document's; a socket that does not follow the document has none to send. */
function hearDocument({ talk: { room } }: Parlour, socket: Peer, data: ArrayBuffer): void {
  if (room.hub.placeOf(socket).live?.streams.includes('document')) receive(room, socket, { data })
  else expel(room, socket, 'invalid-request')
}

function readFrame(data: string, isKnocking: boolean): LiveClientFrame {
  if (data.length > (isKnocking ? LIVE_KNOCK_CHARS_MAX : LIVE_FRAME_CHARS_MAX)) throw new Problem('payload-too-large')
  let json: unknown
  try {
    json = JSON.parse(data)
  } catch {
    throw new Problem('invalid-request', { detail: 'A text frame is one JSON object.' })
  }
  const parsed = LiveClientFrame.safeParse(json)
  if (!parsed.success) throw new Problem('invalid-request', { detail: parsed.error.issues[0]?.message })
  if (isKnocking !== (parsed.data.type === 'authenticate')) throw new Problem(isKnocking ? 'unauthenticated' : 'invalid-request')
  return parsed.data
}

function refuse(
  p: Parlour,
  socket: Peer,
  { error, frame }: { readonly error: unknown; readonly frame: LiveClientFrame | undefined },
): void {
  const { room } = p.talk
  if (!isProblem(error)) logTalk(p.talk, socket)('room.failed', describeError(error))
  const slug = isProblem(error) ? error.slug : 'internal'
  room.meter.note({ refusals: 1 })
  if (frame?.type === 'publish') room.tally.count('messages', slug)
  if (isObstinate(socket) || isNobody(room.hub.placeOf(socket))) return expel(room, socket, slug)
  const seconds = isProblem(error) ? error.extras.retryAfterSeconds : undefined
  sendText(socket, {
    type: 'error',
    code: slug,
    title: (isProblem(error) && error.extras.detail) || PROBLEMS[slug].title,
    temporary: PROBLEMS[slug].status === 429 || PROBLEMS[slug].status >= 500,
    ...(seconds === undefined ? {} : { retryAfterMs: Math.ceil(seconds * 1000) }),
    ...(frame && { about: frame.type }),
    ...(frame?.type === 'publish' && { cid: frame.cid }),
  })
}

function obey(p: Parlour, said: Said<LiveClientFrame['type']>): void {
  const { socket, place, frame } = said
  switch (frame.type) {
    case 'authenticate':
    case 'refresh':
      return renew(p, socket, frame.token)
    case 'subscribe':
      return subscribe(p, { socket, place, frame })
    case 'unsubscribe':
      return changeStreams(p, said, (streams) => streams.filter((stream) => stream !== frame.stream))
    case 'publish':
      take(socket, 'publish')
      takeFromUser(p.leases, () => objectScope(p.talk.ctx, p.talk.env, null), place.userId)
      return publish(p.talk, socket, frame)
    case 'read':
      return read(p, { socket, place, frame })
    case 'typing':
      take(socket, 'presence')
      if (place.isIncognito || place.role === 'viewer') return
      return broadcast(p.talk, 'messages', { frame: { type: 'typing', userId: place.userId } })
    case 'presence':
      return showState(p, { socket, place, frame })
    case 'signal':
      return signal(p, { socket, place, frame })
    case 'received':
      return noteRead(socket, frame.chars)
  }
}

/** A token is looked at outside the room's own time, one at once; what a socket without a seat says meanwhile is heard afterwards. */
function renew(p: Parlour, socket: Peer, token: string): void {
  if (p.asking.has(socket)) throw new Problem('rate-limited', { retryAfterSeconds: 1 })
  const pipelined: Pipelined = { frames: [], size: 0 }
  p.asking.set(socket, pipelined)
  const work = takeSeat(p, socket, token)
    .catch((error: unknown) => expel(p.talk.room, socket, isProblem(error) ? error.slug : 'unavailable'))
    .finally(() => {
      p.asking.delete(socket)
      for (const data of pipelined.frames) hear(p, socket, data)
    })
  p.talk.ctx.waitUntil(work)
}

async function takeSeat(p: Parlour, socket: Peer, token: string): Promise<void> {
  const { hub, roomId } = p.talk.room
  const before = hub.placeOf(socket)
  const wasNobody = isNobody(before)
  const { ctx, env } = p.talk
  const seat = await admitLate(env, { roomId, token, waitUntil: (work) => ctx.waitUntil(work) }, (admission) =>
    // A newcomer takes a place of its user; who renews has one.
    p.door.refusal(admission, { now: Date.now(), inRoom: 0, ofUser: wasNobody ? hub.open(admission.userId).length : 0 }),
  )
  if (!wasNobody && seat.userId !== before.userId) throw new Problem('unauthenticated')
  if (hub.placeOf(socket).isGone) return
  hub.change(socket, seat)
  await p.talk.watchExpiry(seat.expiresAt)
  await p.tie(socket, hub.placeOf(socket))
  if (hub.placeOf(socket).isGone) return
  sendText(socket, readyFrame(hub.placeOf(socket)))
  if (!wasNobody) return
  greetPerson(p, socket)
}

function changeStreams(
  p: Parlour,
  { socket, place }: Pick<Said<'subscribe'>, 'socket' | 'place'>,
  by: (s: readonly LiveStream[]) => readonly LiveStream[],
) {
  p.talk.room.hub.change(socket, { live: { ...place.live, streams: by(place.live.streams) } })
}

function subscribe(p: Parlour, said: Said<'subscribe'>): void {
  const { socket, frame } = said
  const { stream } = frame
  take(socket, 'presence')
  if (stream === 'messages') return subscribeMessages(p, said)
  // The whole of it would be the next thing that is left out.
  if (stream === 'presence' && isLagging(socket)) throw laggard()
  changeStreams(p, said, (streams) => [...streams.filter((s) => s !== stream), stream])
  sendText(socket, { type: 'subscribed', stream })
  if (stream === 'presence') sendText(socket, wholePresence(p.crowd))
  if (stream !== 'document') return
  greetLive(p.talk.room, socket)
  warnNewcomer(p.talk.room, socket)
}

const laggard = () => new Problem('rate-limited', { retryAfterSeconds: 1, detail: 'Report what was received first.' })

/** What is sent is on disk, and what was missed is said to be missed. */
function subscribeMessages(p: Parlour, said: Said<'subscribe'>): void {
  const { socket, frame } = said
  if (isBehind(socket)) throw laggard()
  endTalkWindow(p.talk)
  const { log } = p.talk
  const now = Date.now()
  const newest = log.nextSeq - 1
  const firstSeq = firstServedSeq(log, now)
  const { since } = frame
  const recovered = !since || (since.epoch === log.state.epoch && since.seq <= newest && since.seq >= firstSeq - 1)
  const from = since && recovered ? since.seq : Math.max(firstSeq - 1, newest - frame.last)
  const events = eventsAfter(log, from, { limit: CATCH_UP_EVENTS, now })
  const isAll = (events.at(-1)?.seq ?? newest) === newest
  changeStreams(p, said, (streams) => [...streams.filter((s) => s !== 'messages'), ...(isAll ? (['messages'] as const) : [])])
  const { epoch, ttlSeconds } = log.state
  sendText(socket, { type: 'subscribed', stream: 'messages', epoch, seq: newest, firstSeq, recovered, ttlSeconds, reads: readMarkers(log) })
  if (events.length > 0) sendText(socket, { type: 'messages', events })
  if (!isAll) sendText(socket, { type: 'behind', stream: 'messages', seq: events.at(-1)?.seq ?? from })
}

/** Who does not want to be seen leaves no marker either. */
function read(p: Parlour, { socket, place, frame }: Said<'read'>): void {
  take(socket, 'presence')
  if (place.isIncognito || isAudience(place)) return
  if (frame.seq >= p.talk.log.nextSeq) throw new Problem('not-found')
  if (!markRead(p.talk.log, place.userId, frame.seq)) return
  broadcast(p.talk, 'messages', { frame: { type: 'read', userId: place.userId, seq: frame.seq }, seq: toldSeq(p.talk) })
}

function showState(p: Parlour, { socket, place, frame }: Said<'presence'>): void {
  take(socket, 'presence')
  const state = frame.state === null ? null : utf8.encode(JSON.stringify(frame.state))
  if (state && state.byteLength > PRESENCE_BYTES_MAX) throw new Problem('payload-too-large')
  if (place.isBroadcast) return
  p.talk.room.hub.change(socket, { live: { ...place.live, state, stateAt: Date.now() } })
  if (!place.isIncognito) appear(p.crowd, place.userId)
}

function signal(p: Parlour, { socket, place, frame }: Said<'signal'>): void {
  take(socket, 'signal')
  if (place.isIncognito || isAudience(place)) throw new Problem('forbidden')
  const told: LiveServerFrame = { type: 'signal', userId: place.userId, data: frame.data }
  const text = JSON.stringify(told)
  if (utf8.encode(text).byteLength > SIGNAL_BYTES_MAX) throw new Problem('payload-too-large')
  if (frame.to === undefined) return broadcast(p.talk, 'signals', { frame: told, except: socket })
  const { hub } = p.talk.room
  for (const other of hub.open(frame.to)) {
    if (other !== socket && isListening(hub, other, { stream: 'signals', now: Date.now() }) && !isLagging(other)) sendText(other, text)
  }
}
