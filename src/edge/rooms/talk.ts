import type { UserId } from '../../contract/identity.ts'
import { Problem } from '../../contract/problem.ts'
import type { LiveServerFrame, LiveStream } from '../../contract/room-live.ts'
import type { MessageAction, MessageEvent, MessageReceipt } from '../../contract/room-messages.ts'
import type { RoomRole } from '../../contract/rooms.ts'
import type { Env } from '../env.ts'
import { describeError, logFor } from '../platform/log.ts'
import { closeWith } from '../platform/socket.ts'
import { type Errands, noteEvents, openErrands } from './errands.ts'
import type { Hub } from './hub.ts'
import { type LiveRoom, logOf, windowOf } from './live.ts'
import { append, findPost, knownEvent, type MessageLog, nextExpiryAt, openMessages, remember, rewriteMessage } from './messages.ts'
import { messagesFrame, sendMessages, sendNews, sendText } from './outlet.ts'
import type { Peer } from './peer.ts'
import { type LastWindow, maySpeak, NO_WINDOW } from './policy.ts'

/** A window that has gathered this much ends early: it must fit one row. */
const WINDOW_CHARS_MAX = 250_000

/** What a room's sockets of our own protocol say. All of it but the log can be lost at any moment without harm. */
export interface Talk {
  readonly ctx: DurableObjectState
  readonly env: Env
  readonly room: LiveRoom
  log: MessageLog
  /** Taken and not stored yet. */
  events: MessageEvent[]
  chars: number
  acks: { readonly socket: Peer; readonly cid: string; readonly seq: number; readonly at: number }[]
  timer: ReturnType<typeof setTimeout> | undefined
  lastWindow: LastWindow
  readonly errands: Errands
  /** Sees to it that somebody looks when this moment has passed. */
  readonly watchExpiry: (at: number) => Promise<void>
  /** The latest moment at which somebody will look for expired messages. */
  watchedUntil: number | undefined
}

/** Opens what outlived the memory. */
export const openTalk = (parts: Pick<Talk, 'ctx' | 'env' | 'room' | 'watchExpiry'>): Talk => ({
  ...parts,
  log: openMessages(parts.ctx.storage),
  errands: openErrands(parts.ctx.storage),
  events: [],
  chars: 0,
  acks: [],
  timer: undefined,
  lastWindow: NO_WINDOW,
  watchedUntil: undefined,
})

/** Who publishes. */
export interface Author {
  readonly userId: UserId
  readonly role: RoomRole
}

/** What to publish. */
export interface Publication {
  readonly cid: string
  readonly action: MessageAction
}

/** Takes an event in; it is stored when the window ends. One that was published before answers where it is. @throws Problem `forbidden` or `not-found` */
export function gather(talk: Talk, author: Author, { cid, action }: Publication): Omit<MessageReceipt, 'epoch'> {
  const known = knownEvent(talk.log, author.userId, cid)
  if (known) return known
  if (!maySpeak(author.role)) throw new Problem('forbidden')
  admit(talk, author, action)
  const event = { seq: talk.log.nextSeq, at: Date.now(), userId: author.userId, cid, ...action } as MessageEvent
  talk.log.nextSeq += 1
  talk.events.push(event)
  talk.room.meter.note({ messages: 1 })
  talk.room.tally.count('messages', 'accepted')
  talk.chars += 'text' in event ? event.text.length : 0
  remember(talk.log, event)
  if (talk.chars > WINDOW_CHARS_MAX) endTalkWindow(talk)
  else talk.timer ??= setTimeout(() => endTalkWindow(talk), windowOf(talk.room, talk.lastWindow))
  return event
}

/** Gathers and acknowledges on the socket it came from. @throws Problem `forbidden` or `not-found` */
export function publish(talk: Talk, socket: Peer, publication: Publication): void {
  const { seq, at } = gather(talk, talk.room.hub.placeOf(socket), publication)
  talk.acks.push({ socket, cid: publication.cid, seq, at })
  if (talk.timer === undefined) endTalkWindow(talk)
}

/** A message may be changed by its author, and taken away by an owner too. @throws Problem `forbidden` or `not-found` */
function admit(talk: Talk, author: Author, action: MessageAction): void {
  if (action.kind === 'post') return
  endTalkWindow(talk)
  const post = findPost(talk.log, action.message, Date.now())
  if (!post || (post.text === '' && action.kind !== 'delete')) throw new Problem('not-found')
  if (action.kind === 'react' || action.kind === 'unreact') return
  const mayChange = post.userId === author.userId || (action.kind === 'delete' && author.role === 'owner')
  if (!mayChange) throw new Problem('forbidden')
  rewriteMessage(talk.log, action.message, action.kind === 'edit' ? action.text : '')
}

/**
 * Stores what was gathered as one row, then sends it as one frame. The runtime holds frames back until the row is on
 * disk, so an acknowledged message is never lost.
 */
export function endTalkWindow(talk: Talk): void {
  if (talk.timer !== undefined) clearTimeout(talk.timer)
  const { events, acks } = talk
  Object.assign(talk, {
    timer: undefined,
    lastWindow: { endedAt: Date.now(), wasShared: events.length > 1 },
    events: [],
    chars: 0,
    acks: [],
  })
  try {
    append(talk.log, events)
    if (events.length > 0) noteEvents(talk, events)
  } catch (error) {
    return fail(talk, error)
  }
  if (events.length > 0) {
    watchMessages(talk)
    const { hub, leaves, tally } = talk.room
    const frame = messagesFrame(events)
    leaves.cast({ kind: 'messages', ...frame }, 2 * frame.text.length)
    for (const socket of listeners(hub, 'messages')) if (!sendMessages(hub, socket, frame)) tally.count('slow', 'behind')
  }
  for (const { socket, cid, seq, at } of acks) sendText(socket, { type: 'ack', cid, seq, at })
}

/** Messages expire in the order they came, so the look that is planned for the oldest plans the next. */
export function watchMessages(talk: Talk): void {
  const at = nextExpiryAt(talk.log)
  if (at === undefined || talk.watchedUntil === at) return
  talk.watchedUntil = at
  talk.ctx.waitUntil(talk.watchExpiry(at))
}

/** A storage that fails ends every socket: clients come back and send what was not acknowledged. */
function fail(talk: Talk, error: unknown): void {
  logFor(undefined, { roomId: talk.room.roomId })('room.failed', describeError(error))
  talk.log = openMessages(talk.ctx.storage)
  for (const socket of talk.room.hub.open()) {
    if (!talk.room.hub.placeOf(socket).live) continue
    closeWith(socket, 'unavailable')
    talk.room.hub.change(socket, { isGone: true, presence: null })
  }
}

/** Sockets held here that subscribe a stream and whose token is good. */
export function listeners(hub: Hub, stream: LiveStream): readonly WebSocket[] {
  const now = Date.now()
  return [...hub.near].filter((socket) => isListening(hub, socket, { stream, now }))
}

/** Whether a socket subscribes a stream and its token is good. */
export function isListening(hub: Hub, socket: Peer, { stream, now }: { readonly stream: LiveStream; readonly now: number }): boolean {
  const { expiresAt, live } = hub.placeOf(socket)
  return expiresAt > now && (live?.streams.includes(stream) ?? false)
}

/** Whether anybody subscribes a stream. */
export function isHeard({ room: { hub } }: Pick<Talk, 'room'>, stream: LiveStream): boolean {
  const now = Date.now()
  return hub.open().some((socket) => isListening(hub, socket, { stream, now }))
}

/** Tells all who subscribe a stream, but one. */
export function broadcast({ room }: Pick<Talk, 'room'>, stream: LiveStream, { frame, except, seq }: Broadcast): void {
  const { hub, leaves, tally } = room
  const news = { stream, text: JSON.stringify(frame), seq: seq ?? null }
  leaves.cast({ kind: 'stream', ...news, except: except && 'id' in except ? except.id : null }, 2 * news.text.length)
  for (const socket of listeners(hub, stream)) if (socket !== except && !sendNews(hub, socket, news)) tally.count('slow', 'behind')
}

/** What to tell, and whom not. */
interface Broadcast {
  readonly frame: LiveServerFrame
  readonly except?: Peer
  /** Where the stream stands, if it tells of a state: who misses that must ask anew. */
  readonly seq?: number
}

/** The last event that everybody was told. */
export const toldSeq = ({ log, events }: Pick<Talk, 'log' | 'events'>): number => log.nextSeq - 1 - events.length

/** A logger for one socket. */
export const logTalk = (talk: Talk, socket: Peer) => logOf(talk.room, talk.room.hub.placeOf(socket))
