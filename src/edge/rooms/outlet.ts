import { LIVE_BEHIND_CHARS, LIVE_EPHEMERAL_CHARS_MAX, type LiveServerFrame, type LiveStream } from '../../contract/room-live.ts'
import type { MessageEvent } from '../../contract/room-messages.ts'
import type { Hub } from './hub.ts'
import type { Peer } from './peer.ts'

/** How much a socket was sent and how much its client says it has read, in UTF-16 units. */
interface Outlet {
  sent: number
  read: number
}

/**
 * A runtime without `bufferedAmount` queues without bound for a peer that stops reading, so its client says how much it has read.
 * Forgotten by hibernation, which only happens when nothing was sent for a while.
 */
const outlets = new WeakMap<Peer, Outlet>()

function outletOf(socket: Peer): Outlet {
  const outlet = outlets.get(socket) ?? { sent: 0, read: 0 }
  outlets.set(socket, outlet)
  return outlet
}

/** How much was sent and, as far as its client has said, not read. */
export function unreadOf(socket: Peer): number {
  const { sent, read } = outletOf(socket)
  return Math.max(0, sent - read)
}

/** A client of our own protocol that has this much unread and goes on is not worth its memory. */
export const UNREAD_CHARS_MAX = 4 * LIVE_BEHIND_CHARS

/** Takes a client's word for how much it has read. */
export function noteRead(socket: Peer, chars: number): void {
  const outlet = outletOf(socket)
  outlet.sent = Math.max(outlet.sent, chars)
  outlet.read = Math.max(outlet.read, chars)
}

/** Whether a client has left so much unread that it gets no more messages. */
export const isBehind = (socket: Peer): boolean => unreadOf(socket) > LIVE_BEHIND_CHARS

/** Whether a client has left so much unread that it gets nothing that is only good now. */
export const isLagging = (socket: Peer): boolean => unreadOf(socket) > LIVE_EPHEMERAL_CHARS_MAX

/** Sends a frame. */
export function sendText(socket: Peer, frame: LiveServerFrame | string): void {
  const outlet = outletOf(socket)
  const text = typeof frame === 'string' ? frame : JSON.stringify(frame)
  outlet.sent += text.length
  try {
    socket.send(text)
  } catch {
    // Its close event does the rest.
  }
}

/** Messages as a frame, and the number of the first. */
export interface MessagesFrame {
  readonly text: string
  readonly seq: number
}

/** Events as one frame for everybody. */
export const messagesFrame = (events: readonly MessageEvent[]): MessagesFrame => ({
  text: JSON.stringify({ type: 'messages', events: [...events] } satisfies LiveServerFrame),
  seq: events[0]?.seq ?? 0,
})

/** Sends messages, or ends the stream for a client that lags and answers false: it reads on from its cursor. */
export function sendMessages(hub: Hub, socket: Peer, { text, seq }: MessagesFrame): boolean {
  const { live } = hub.placeOf(socket)
  if (!live) return true
  if (!isBehind(socket)) {
    sendText(socket, text)
    return true
  }
  endStream(hub, socket, 'messages')
  sendText(socket, { type: 'behind', stream: 'messages', seq: seq - 1 })
  return false
}

/** News of a stream, besides its messages. */
export interface StreamNews {
  readonly stream: LiveStream
  readonly text: string
  /** Where the stream stands, for news that must not be missed; null for what is only good now. */
  readonly seq: number | null
}

/** Sends news, or leaves it out for a client that lags. What must not be missed ends the stream then, and the answer is false: it asks anew. */
export function sendNews(hub: Hub, socket: Peer, { stream, text, seq }: StreamNews): boolean {
  const isLate = isLagging(socket)
  if (!isLate) sendText(socket, text)
  if (!isLate || seq === null) return true
  endStream(hub, socket, stream)
  sendText(socket, { type: 'behind', stream, seq })
  return false
}

/** Ends a stream for a client. */
export function endStream(hub: Hub, socket: Peer, ended: LiveStream): void {
  const { live } = hub.placeOf(socket)
  if (live) hub.change(socket, { live: { ...live, streams: live.streams.filter((stream) => stream !== ended) } })
}

/** Bytes after which a client that follows the document and says nothing is asked something: no provider answers a change, every one answers that. */
const ASK_BYTES = 2_097_152
/** Most bytes sent to one that says nothing all the same; what it misses it asks for when it comes back. */
const UNANSWERED_BYTES_MAX = 6_291_456

const unanswered = new WeakMap<Peer, { readonly bytes: number; readonly isAsked: boolean }>()

/** A client has spoken: it reads. */
export const noteAnswer = (socket: Peer): void => void unanswered.delete(socket)

/** Counts what of the document is sent to a client, and tells what that calls for: it is asked once until it speaks. */
export function feed(socket: Peer, bytes: number): 'send' | 'send-and-ask' | 'end' {
  const before = unanswered.get(socket) ?? { bytes: 0, isAsked: false }
  const sum = before.bytes + bytes
  const isDue = sum > ASK_BYTES
  unanswered.set(socket, { bytes: sum, isAsked: isDue })
  if (sum > UNANSWERED_BYTES_MAX) return 'end'
  return isDue && !before.isAsked ? 'send-and-ask' : 'send'
}
