import { LIVE_BEHIND_CHARS, LIVE_EPHEMERAL_CHARS_MAX, type LiveServerFrame } from '../../contract/room-live.ts'
import type { MessageEvent } from '../../contract/room-messages.ts'
import type { LiveRoom } from './live.ts'

/** How much a socket was sent and how much its client says it has read, in UTF-16 units. */
interface Outlet {
  sent: number
  read: number
}

/**
 * A runtime without `bufferedAmount` queues without bound for a peer that stops reading, so its client says how much it has read.
 * Forgotten by hibernation, which only happens when nothing was sent for a while.
 */
const outlets = new WeakMap<WebSocket, Outlet>()

function outletOf(socket: WebSocket): Outlet {
  const outlet = outlets.get(socket) ?? { sent: 0, read: 0 }
  outlets.set(socket, outlet)
  return outlet
}

const unreadOf = ({ sent, read }: Outlet): number => Math.max(0, sent - read)

/** Takes a client's word for how much it has read. */
export function noteRead(socket: WebSocket, chars: number): void {
  const outlet = outletOf(socket)
  outlet.sent = Math.max(outlet.sent, chars)
  outlet.read = Math.max(outlet.read, chars)
}

/** Whether a client has left so much unread that it gets no more messages. */
export const isBehind = (socket: WebSocket): boolean => unreadOf(outletOf(socket)) > LIVE_BEHIND_CHARS

/** Sends a frame; what is ephemeral is left out for a client that lags. */
export function tell(socket: WebSocket, frame: LiveServerFrame | string, lane: 'kept' | 'ephemeral' = 'kept'): void {
  const outlet = outletOf(socket)
  if (lane === 'ephemeral' && unreadOf(outlet) > LIVE_EPHEMERAL_CHARS_MAX) return
  const text = typeof frame === 'string' ? frame : JSON.stringify(frame)
  outlet.sent += text.length
  try {
    socket.send(text)
  } catch {
    // Its close event does the rest.
  }
}

/** Sends messages, or ends the stream for a client that lags: it reads on from its cursor. */
export function tellMessages({ room: { hub } }: { readonly room: LiveRoom }, socket: WebSocket, events: readonly MessageEvent[]): void {
  const { live } = hub.placeOf(socket)
  const [first] = events
  if (!live || !first) return
  if (!isBehind(socket)) return tell(socket, { type: 'messages', events: [...events] })
  hub.change(socket, { live: { ...live, streams: live.streams.filter((stream) => stream !== 'messages') } })
  tell(socket, { type: 'behind', stream: 'messages', seq: first.seq - 1 })
}

/** Most bytes sent to a third-party client that says nothing in return; what it misses it asks for when it comes back. */
const UNANSWERED_BYTES_MAX = 6_291_456

const unanswered = new WeakMap<WebSocket, number>()

/** A client of another framing has spoken: it reads. */
export const noteAnswer = (socket: WebSocket): void => void unanswered.delete(socket)

/** Counts what is sent to such a client; answers whether that is too much for one that says nothing. */
export function isOverfed(socket: WebSocket, bytes: number): boolean {
  const sum = (unanswered.get(socket) ?? 0) + bytes
  unanswered.set(socket, sum)
  return sum > UNANSWERED_BYTES_MAX
}
