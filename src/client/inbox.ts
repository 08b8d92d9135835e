import type { UserId } from '../contract/identity.ts'
import {
  INBOX_PING,
  INBOX_PONG,
  type InboxClientFrame,
  type InboxCursor,
  InboxServerFrame,
  type InboxSight,
  type Notification,
  type NotificationId,
} from '../contract/inbox.ts'
import type { Door } from './door.ts'
import { createEmitter, type Emitter, type Listener } from './emitter.ts'
import { ClosedError, ContractError } from './failure.ts'
import { createRenewal, type Renewal } from './renewal.ts'
import { type KeptSocket, keepSocket, type SocketStatus } from './socket.ts'

/** How to connect to the inbox. */
export interface InboxOptions {
  /** Where an earlier connection ended, as {@link Inbox.cursor} told: what came since is told first. */
  readonly since?: InboxCursor | undefined
  /** Open the socket by a single-use ticket instead of the bearer token; always so in cookie mode. */
  readonly ticket?: boolean | undefined
  /** Tell who of those you share a room with is here; as `shown` they see you too. Nothing is told, nor shown, if left out. */
  readonly presence?: InboxSight | undefined
}

/** What an inbox tells. */
export interface InboxEvents {
  readonly status: SocketStatus
  /** A notification came. */
  readonly added: Notification
  /** These were read, on whatever device. */
  readonly read: readonly NotificationId[]
  /** These were deleted, on whatever device. */
  readonly deleted: readonly NotificationId[]
  /** How many are unread now. */
  readonly unread: number
  /** Who of those you share a room with is here now. */
  readonly presence: readonly UserId[]
  /** More happened while away than can be told: read the list anew. */
  readonly missed: undefined
  /** Any error once the status is `closed`: the inbox is over for this client. */
  readonly problem: Error
}

/** One's notifications as they come. */
export interface Inbox {
  readonly status: SocketStatus
  /** How many are unread; nothing before the inbox has said so. */
  readonly unread: number | undefined
  /** Who of those you share a room with is here; the same array until that changes. */
  readonly presence: readonly UserId[]
  /** Up to where events were told. */
  readonly cursor: InboxCursor | undefined
  /** Listens until the returned function is called. */
  readonly on: <K extends keyof InboxEvents>(name: K, listener: Listener<InboxEvents[K]>) => () => void
  /** Marks a notification and all older ones as read, on every device. Rejects as `readNotifications` does. */
  readonly markRead: (upTo: NotificationId) => Promise<void>
  /** Leaves. */
  readonly close: () => void
}

/** What an inbox needs of its client. */
export interface InboxParts extends Pick<InboxOptions, 'since' | 'presence'> {
  readonly door: Door
  /** A fresh token to stay with; nothing where none is to be shown. */
  readonly accessToken: () => Promise<string | undefined>
  readonly readUpTo: (upTo: NotificationId) => Promise<unknown>
}

interface State {
  readonly parts: InboxParts
  readonly events: Emitter<InboxEvents>
  readonly tell: (frame: InboxClientFrame) => void
  status: SocketStatus
  unread: number | undefined
  cursor: InboxCursor | undefined
  presence: readonly UserId[]
  readonly renewal: Renewal
}

/** Without traffic the inbox is asked for a sign of life this often. */
const PROBE_MS = 30_000
const NOBODY: readonly UserId[] = []

/** Connects to the inbox; the connection is made and kept in the background. */
export function connectInbox(parts: InboxParts): Inbox {
  let socket: KeptSocket | undefined
  const tell = (frame: InboxClientFrame) => void socket?.send(JSON.stringify(frame))
  const s: State = {
    parts,
    events: createEmitter(),
    tell,
    status: 'connecting',
    unread: undefined,
    cursor: parts.since,
    presence: NOBODY,
    renewal: createRenewal({ credential: parts.accessToken, show: (token) => tell({ type: 'refresh', token }) }),
  }
  socket = keepSocket({
    door: parts.door,
    probe: { data: () => INBOX_PING, everyMs: PROBE_MS, isSteady: false },
    onStatus(status) {
      s.status = status
      s.events.emit('status', status)
    },
    onOpen: () =>
      tell({
        type: 'subscribe',
        ...(s.cursor ? { since: s.cursor } : {}),
        ...(parts.presence ? { presence: parts.presence } : {}),
      }),
    onMessage: (data) => receive(s, data, socket),
    onLost(isBrief) {
      s.renewal.stop()
      // Nobody vouches for the others any more.
      if (!isBrief) showPresence(s, NOBODY)
    },
    onEnd(cause = new ClosedError('The service closed the inbox.')) {
      s.renewal.stop()
      showPresence(s, NOBODY)
      if (!(cause instanceof ClosedError)) s.events.emit('problem', cause)
    },
  })
  return {
    get status() {
      return s.status
    },
    get unread() {
      return s.unread
    },
    get presence() {
      return s.presence
    },
    get cursor() {
      return s.cursor
    },
    on: s.events.on,
    markRead: (upTo) => parts.readUpTo(upTo).then(() => undefined),
    close: socket.close,
  }
}

function receive(s: State, data: string | ArrayBuffer, socket: KeptSocket | undefined): void {
  if (data === INBOX_PONG) return
  const frame = frameOf(data)
  if (frame === 'unknown') return
  if (frame) return obey(s, frame, socket)
  s.events.emit('problem', new ContractError('The inbox sent what is no frame.'))
  socket?.giveUp()
}

/** A frame, or that it is of a kind or about something that a newer service knows. */
function frameOf(data: string | ArrayBuffer): InboxServerFrame | 'unknown' | undefined {
  try {
    const value: unknown = typeof data === 'string' ? JSON.parse(data) : undefined
    if (typeof value !== 'object' || value === null) return undefined
    return InboxServerFrame.safeParse(value).data ?? 'unknown'
  } catch {
    return undefined
  }
}

function obey(s: State, frame: InboxServerFrame, socket: KeptSocket | undefined): void {
  if (frame.type === 'error') return
  if (frame.type === 'ready') return s.renewal.plan(frame.expiresAt)
  if (frame.type === 'presence') return showPresence(s, presenceAfter(s.presence, frame))
  if (frame.type === 'subscribed') {
    socket?.thrive()
    if (frame.recovered === false) s.events.emit('missed', undefined)
    // Events to catch up with move the cursor on; without them it is where the stream stands.
    s.cursor = frame.recovered && s.cursor ? s.cursor : { epoch: frame.epoch, seq: frame.seq }
  } else {
    s.cursor = s.cursor && { ...s.cursor, seq: frame.seq }
    if (frame.type === 'added') s.events.emit('added', frame.notification)
    else s.events.emit(frame.type, frame.ids)
  }
  if (frame.unread === s.unread) return
  s.unread = frame.unread
  s.events.emit('unread', frame.unread)
}

function presenceAfter(
  before: readonly UserId[],
  { isWhole, on, off }: InboxServerFrame & { readonly type: 'presence' },
): readonly UserId[] {
  const gone = new Set(off)
  return [...new Set([...(isWhole ? [] : before.filter((id) => !gone.has(id))), ...on])]
}

function showPresence(s: State, presence: readonly UserId[]): void {
  if (presence.length === 0 && s.presence.length === 0) return
  s.presence = presence
  s.events.emit('presence', presence)
}
