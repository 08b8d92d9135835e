import type { SessionId } from '../../contract/identity.ts'
import type { InboxServerFrame, InboxSight } from '../../contract/inbox.ts'
import type { ProblemSlug } from '../../contract/problem.ts'
import { isAmong, type SessionIds } from '../platform/live-sockets.ts'
import { closeWith } from '../platform/socket.ts'

/** Open sockets of one user to their inbox: tabs and devices, not a flood. */
export const LISTENERS_MAX = 50
/** Expired sockets are looked for at whole minutes only, since setting an alarm is a billed write. */
const EXPIRY_GRID_MS = 60_000

/** All that is known of a socket. Kept in its attachment, so hibernation forgets none of it. */
export interface Listener {
  readonly sessionId: SessionId
  readonly expiresAt: number
  readonly isSubscribed: boolean
  /** How it takes part in presence, if it does. */
  readonly sight?: InboxSight | undefined
  readonly traceparent: string
}

/** A user's own sockets to their inbox. */
export interface Listeners {
  readonly add: (socket: WebSocket, listener: Listener) => void
  readonly of: (socket: WebSocket) => Listener
  readonly change: (socket: WebSocket, change: Partial<Listener>) => Listener
  readonly open: () => readonly WebSocket[]
  readonly close: (socket: WebSocket, slug: ProblemSlug) => void
  readonly closeSessions: (ids: SessionIds) => void
  /** Closes what has expired; answers when to look again. */
  readonly closeExpired: (now: number) => number | undefined
  /** Whether anybody is subscribed. */
  readonly isHeard: (now: number) => boolean
  /** How sockets take part in presence, and until when each may. */
  readonly sights: (now: number) => readonly Pick<Listener, 'sight' | 'expiresAt'>[]
  /** Sends to all that are subscribed; presence to those that take part in it. */
  readonly tell: (frame: InboxServerFrame, now: number) => void
}

/** Sends unless the peer is gone. */
export function send(socket: WebSocket, frame: InboxServerFrame | string): void {
  try {
    socket.send(typeof frame === 'string' ? frame : JSON.stringify(frame))
  } catch {
    // Its close event does the rest.
  }
}

/** Opens the listeners over the sockets that outlived the object's memory. */
export function openListeners(ctx: DurableObjectState): Listeners {
  const of = (socket: WebSocket) => socket.deserializeAttachment() as Listener
  const open = () => ctx.getWebSockets().filter((socket) => socket.readyState === WebSocket.OPEN)
  const listening = (now: number) => open().filter((socket) => of(socket).isSubscribed && of(socket).expiresAt > now)
  const close = (socket: WebSocket, slug: ProblemSlug) => closeWith(socket, slug)
  return {
    add: (socket, listener) => socket.serializeAttachment(listener),
    of,
    change(socket, change) {
      const listener = { ...of(socket), ...change }
      socket.serializeAttachment(listener)
      return listener
    },
    open,
    close,
    closeSessions(ids) {
      for (const socket of open()) if (isAmong(ids, of(socket).sessionId)) close(socket, 'session-ended')
    },
    closeExpired(now) {
      const ends = open().map((socket) => ({ socket, expiresAt: of(socket).expiresAt }))
      for (const { socket, expiresAt } of ends) if (expiresAt <= now) close(socket, 'unauthenticated')
      const next = ends.filter(({ expiresAt }) => expiresAt > now).map(({ expiresAt }) => expiresAt)
      return next.length === 0 ? undefined : Math.ceil(Math.min(...next) / EXPIRY_GRID_MS) * EXPIRY_GRID_MS
    },
    isHeard: (now) => listening(now).length > 0,
    sights: (now) =>
      listening(now)
        .map(of)
        .filter(({ sight }) => sight !== undefined),
    tell(frame, now) {
      const text = JSON.stringify(frame)
      for (const socket of listening(now)) if (frame.type !== 'presence' || of(socket).sight !== undefined) send(socket, text)
    },
  }
}
