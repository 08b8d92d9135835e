import { LIVE_PING, LIVE_PONG, LIVE_REPORT_CHARS, type LiveClientFrame, LiveServerFrame, type LiveStream } from '../contract/room-live.ts'
import type { SocketData } from './connection.ts'
import type { Door } from './door.ts'
import { ContractError } from './failure.ts'
import { createRenewal, type Renewal } from './renewal.ts'
import { type KeptSocket, keepSocket, type SocketParts } from './socket.ts'

type Frame<T extends LiveServerFrame['type']> = Extract<LiveServerFrame, { readonly type: T }>
/** What is left of the frames once this connection has done its part. */
export type Told = Exclude<LiveServerFrame, { readonly type: 'behind' }>

/** What a room's connection needs. */
export interface RoomSocketParts extends Pick<SocketParts, 'onStatus' | 'onLost' | 'onEnd'> {
  readonly door: Door
  readonly streams: readonly LiveStream[]
  /** How to ask for a stream. */
  readonly subscription: (stream: LiveStream) => LiveClientFrame
  /** The room has let this connection in. */
  readonly onIn: (frame: Frame<'ready'>) => void
  readonly onFrame: (frame: Told) => void
  readonly onBytes: (data: ArrayBuffer) => void
  /** What came is no frame of a room. */
  readonly onNonsense: (error: ContractError) => void
}

/** A connection of our own protocol that comes back, asks for its streams again and stays past the end of its token. */
export interface RoomSocket {
  /** Sends if the room has let this connection in; answers whether it has. */
  readonly send: (frame: LiveClientFrame) => boolean
  readonly sendBytes: (bytes: SocketData) => boolean
  readonly giveUp: () => void
  /** Ends it for a reason found here. */
  readonly fail: (cause: Error) => void
  readonly close: () => void
}

interface State {
  readonly parts: RoomSocketParts
  readonly renewal: Renewal
  readonly socket: () => KeptSocket | undefined
  isIn: boolean
  /** Streams that were asked for and have not started. */
  readonly awaited: Set<LiveStream>
  retrial: ReturnType<typeof setTimeout> | undefined
  /** UTF-16 units of text frames on this connection. */
  received: number
  reported: number
}

/** Without traffic the room is asked for a sign of life this often. */
const PROBE_MS = 25_000
const RETRY_MS = 1_000

/** Opens a connection and keeps it. */
export function openRoomSocket(parts: RoomSocketParts): RoomSocket {
  let socket: KeptSocket | undefined
  const s: State = {
    parts,
    renewal: createRenewal({ credential: parts.door.credential, show: (token) => void send(s, { type: 'refresh', token }) }),
    socket: () => socket,
    isIn: false,
    awaited: new Set(),
    retrial: undefined,
    received: 0,
    reported: 0,
  }
  function rest(): void {
    s.isIn = false
    s.renewal.stop()
    clearTimeout(s.retrial)
  }
  socket = keepSocket({
    door: parts.door,
    probe: { data: () => LIVE_PING, everyMs: PROBE_MS, isSteady: false },
    onStatus: parts.onStatus,
    onOpen: () => Object.assign(s, { received: 0, reported: 0 }),
    onMessage: (data) => (typeof data === 'string' ? hear(s, data) : parts.onBytes(data)),
    onLost(isBrief) {
      rest()
      parts.onLost(isBrief)
    },
    onEnd(cause) {
      rest()
      parts.onEnd(cause)
    },
  })
  return {
    send: (frame) => send(s, frame),
    sendBytes: (bytes) => s.isIn && (s.socket()?.send(bytes) ?? false),
    giveUp: socket.giveUp,
    fail: socket.fail,
    close: socket.close,
  }
}

const send = (s: State, frame: LiveClientFrame): boolean => s.isIn && (s.socket()?.send(JSON.stringify(frame)) ?? false)

function hear(s: State, text: string): void {
  if (text === LIVE_PONG) return
  s.received += text.length
  const frame = frameOf(text)
  if (frame === undefined) {
    s.parts.onNonsense(new ContractError('The room sent what is no frame.'))
    return s.socket()?.giveUp()
  }
  if (frame !== 'unknown') obey(s, frame)
  if (s.received - s.reported >= LIVE_REPORT_CHARS) report(s)
}

/** A frame, or that it is of a kind or about something that a newer service knows. */
function frameOf(text: string): LiveServerFrame | 'unknown' | undefined {
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value !== 'object' || value === null) return undefined
    return LiveServerFrame.safeParse(value).data ?? 'unknown'
  } catch {
    return undefined
  }
}

function report(s: State): void {
  s.reported = s.received
  send(s, { type: 'received', chars: s.received })
}

function obey(s: State, frame: LiveServerFrame): void {
  if (frame.type === 'behind') {
    report(s)
    return ask(s, frame.stream)
  }
  if (frame.type === 'ready') welcome(s, frame)
  if (frame.type === 'subscribed') {
    s.awaited.delete(frame.stream)
    if (s.awaited.size === 0) s.socket()?.thrive()
  }
  if (frame.type === 'error' && frame.temporary && retry(s, frame)) return
  s.parts.onFrame(frame)
}

/** The first `ready` of a connection opens it; later ones tell of a new token or role. */
function welcome(s: State, frame: Frame<'ready'>): void {
  s.renewal.plan(frame.expiresAt)
  if (s.isIn) return
  s.isIn = true
  s.awaited.clear()
  for (const stream of s.parts.streams) ask(s, stream)
  s.parts.onIn(frame)
}

function ask(s: State, stream: LiveStream): void {
  s.awaited.add(stream)
  send(s, s.parts.subscription(stream))
}

/** Asks again for what was refused for now; answers whether it was this connection's own question. */
function retry(s: State, { about, retryAfterMs = RETRY_MS }: Frame<'error'>): boolean {
  if (about === 'refresh') s.renewal.retry(retryAfterMs)
  if (about === 'subscribe') {
    clearTimeout(s.retrial)
    s.retrial = setTimeout(() => {
      for (const stream of [...s.awaited]) ask(s, stream)
    }, retryAfterMs)
  }
  return about === 'refresh' || about === 'subscribe'
}
