import { isProblem, Problem } from '../contract/problem.ts'
import { type Connection, connect, type Probe, type SocketData } from './connection.ts'
import type { Door } from './door.ts'
import { ClosedError, NetworkError } from './failure.ts'
import { afterClose, afterFailure, FRESH, type History, type Next } from './reconnect.ts'
import { watchWaking } from './waking.ts'

/** Connecting: an attempt is under way. Open: bytes can flow. Waiting: the next attempt has its time. Closed: over for good. */
export type SocketStatus = 'connecting' | 'open' | 'waiting' | 'closed'

/** What keeping a socket needs. */
export interface SocketParts {
  readonly door: Door
  readonly probe: Probe
  /** Close code by which the peer says that it is done. */
  readonly endCode?: number
  readonly onStatus: (status: SocketStatus) => void
  readonly onOpen: () => void
  readonly onMessage: (data: string | ArrayBuffer) => void
  /** An open connection is gone; `isBrief` when the next attempt follows at once. */
  readonly onLost: (isBrief: boolean) => void
  /** It is over, told once: the peer is done (no cause), trying again would change nothing, or it was closed here (`ClosedError`). */
  readonly onEnd: (cause: Error | undefined) => void
}

/** A WebSocket that comes back. */
export interface KeptSocket {
  /** Sends if the socket is open; answers whether it was. */
  readonly send: (data: SocketData) => boolean
  /** Forgets earlier failures: the connection has proven itself. */
  readonly thrive: () => void
  /** Gives up a connection that makes no sense any more; another follows after a pause. */
  readonly giveUp: () => void
  /** Ends it for a reason found here. */
  readonly fail: (cause: Error) => void
  /** Ends it because nobody wants it any more. */
  readonly close: () => void
}

interface State {
  readonly parts: SocketParts
  connection: Connection | undefined
  history: History
  isRefused: boolean
  isClosed: boolean
  /** Cuts the pause short. */
  hurry: () => void
}

/** Opens a socket and keeps it open: one attempt at a time, with fresh credentials each. */
export function keepSocket(parts: SocketParts): KeptSocket {
  const s: State = { parts, connection: undefined, history: FRESH, isRefused: false, isClosed: false, hurry: () => undefined }
  const unwatch = [
    watchWaking(() => {
      s.connection?.probe()
      s.hurry()
    }),
    parts.door.onSignedOut(() => end(new Problem('session-ended'))),
  ]

  function end(cause: Error | undefined): void {
    if (s.isClosed) return
    s.isClosed = true
    for (const stop of unwatch) stop()
    s.hurry()
    s.connection?.end(1000)
    if (isProblem(cause) && cause.slug === 'session-ended') parts.door.noteSessionEnd()
    parts.onStatus('closed')
    parts.onEnd(cause)
  }

  keepOpen(s).then(end, end)
  return {
    send: (data) => s.connection?.send(data) ?? false,
    thrive: () => {
      s.history = { ...s.history, failures: 0 }
    },
    giveUp: () => s.connection?.end(),
    fail: end,
    close: () => end(new ClosedError('It was closed here.')),
  }
}

async function keepOpen(s: State): Promise<Error | undefined> {
  for (;;) {
    s.parts.onStatus('connecting')
    const next = await attempt(s)
    if (s.isClosed) return undefined
    if (next.kind === 'end') return next.cause
    s.history = next.history
    s.isRefused = next.isRefused
    if (next.delayMs === 0) continue
    s.parts.onStatus('waiting')
    await rest(s, next.delayMs)
    if (s.isClosed) return undefined
  }
}

function rest(s: State, ms: number): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms)
    s.hurry = () => {
      clearTimeout(timer)
      resolve()
    }
  })
}

/** One connection, from asking for a credential to its end. */
async function attempt(s: State): Promise<Next> {
  const { door, endCode } = s.parts
  try {
    const protocols = await door.offer(s.isRefused)
    if (s.isClosed) return { kind: 'end', cause: undefined }
    const ending = await live(s, protocols)
    if (s.isClosed || ending.code === endCode) return { kind: 'end', cause: undefined }
    if (ending.openMs !== undefined) return lost(s, afterClose({ ...ending, openMs: ending.openMs }, s.history))
    await door.explain()
    return afterFailure(new NetworkError('The WebSocket did not open.'), s.history)
  } catch (error) {
    return afterFailure(error, s.history)
  }
}

function live(s: State, protocols: string[]): Connection['ended'] {
  const { door, probe, onMessage, onOpen, onStatus } = s.parts
  const connection = connect({
    Socket: door.Socket,
    url: door.url,
    protocols,
    probe,
    onMessage,
    onOpen() {
      onStatus('open')
      onOpen()
    },
  })
  s.connection = connection
  return connection.ended
}

function lost(s: State, next: Next): Next {
  s.connection = undefined
  s.parts.onLost(next.kind === 'retry' && next.delayMs === 0)
  return next
}
