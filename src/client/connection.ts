/** What is read of a WebSocket's events. */
export interface SocketEvent {
  readonly type: string
  readonly data?: unknown
  readonly code?: number
  readonly reason?: string
}

/** The part of a WebSocket that is used here; browsers, Node 22, Workers and the `ws` package all have it. */
export interface SocketLike {
  binaryType: string
  readonly readyState: number
  send(data: string | Uint8Array<ArrayBuffer>): void
  close(code?: number, reason?: string): void
  addEventListener(type: string, listener: (event: SocketEvent) => void): void
}

/** Opens a WebSocket. */
export type SocketConstructor = new (url: string, protocols: string[]) => SocketLike

/** Data of one message to send. */
export type SocketData = string | Uint8Array<ArrayBuffer>

/** How to ask a peer for a sign of life, and how often: always, or only in silence. */
export interface Probe {
  readonly data: () => SocketData
  readonly everyMs: number
  readonly isSteady: boolean
}

/** What one connection needs. */
export interface ConnectionParts {
  readonly Socket: SocketConstructor
  readonly url: string
  readonly protocols: string[]
  readonly probe: Probe
  readonly onOpen: () => void
  readonly onMessage: (data: string | ArrayBuffer) => void
}

/** How a connection ended; a code of 1006 also when the peer only fell silent (RFC 6455 §7.4.1). */
export interface Ending {
  readonly code: number
  readonly reason: string
  /** How long it was open; nothing if it never was. */
  readonly openMs: number | undefined
}

/** One WebSocket from its attempt to its end. */
export interface Connection {
  readonly ended: Promise<Ending>
  /** Sends if it is open; answers whether it was. */
  readonly send: (data: SocketData) => boolean
  /** Asks for a sign of life now. */
  readonly probe: () => void
  /** Ends it at once, without waiting for a peer that may be gone. */
  readonly end: (code?: number) => void
}

/** An upgrade that takes longer has failed. */
const OPEN_TIMEOUT_MS = 15_000
/** A peer that leaves a probe unanswered this long is gone. */
const ANSWER_TIMEOUT_MS = 10_000
const CHECK_MS = 5_000
const OPEN = 1

/** Opens a connection. */
export function connect(parts: ConnectionParts): Connection {
  const socket = new parts.Socket(parts.url, parts.protocols)
  const pulse = watchPulse(parts.probe, { send, lose: () => end() })
  const patience = setTimeout(() => end(), OPEN_TIMEOUT_MS)
  let openedAt: number | undefined
  let isOver = false
  let tell: (ending: Ending) => void
  const ended = new Promise<Ending>((resolve) => {
    tell = resolve
  })

  function send(data: SocketData): boolean {
    if (isOver || socket.readyState !== OPEN) return false
    socket.send(data)
    return true
  }

  function finish(code: number, reason: string): void {
    if (isOver) return
    isOver = true
    clearTimeout(patience)
    pulse.stop()
    tell({ code, reason, openMs: openedAt === undefined ? undefined : Date.now() - openedAt })
  }

  function end(code?: number): void {
    finish(code ?? 1006, '')
    socket.close(code)
  }

  socket.binaryType = 'arraybuffer'
  socket.addEventListener('open', () => {
    if (isOver) return
    clearTimeout(patience)
    openedAt = Date.now()
    pulse.start()
    parts.onOpen()
  })
  socket.addEventListener('message', ({ data }) => {
    if (isOver) return
    pulse.heard()
    parts.onMessage(data as string | ArrayBuffer)
  })
  socket.addEventListener('close', ({ code = 1006, reason = '' }) => finish(code, reason))
  // Said again by `close`, which follows; without a listener Node's `ws` throws.
  socket.addEventListener('error', () => undefined)
  return { ended, send, probe: pulse.probe, end }
}

/** Timers are throttled in hidden pages and stop while a device sleeps, so silence alone proves nothing: only an unanswered probe does. */
function watchPulse(probe: Probe, socket: { readonly send: (data: SocketData) => boolean; readonly lose: () => void }) {
  let timer: ReturnType<typeof setInterval> | undefined
  let lastAt = 0
  let probedAt: number | undefined

  function ask(): void {
    if (probedAt !== undefined || !socket.send(probe.data())) return
    probedAt = Date.now()
    if (probe.isSteady) lastAt = probedAt
  }

  function check(): void {
    const now = Date.now()
    if (probedAt !== undefined && now - probedAt >= ANSWER_TIMEOUT_MS) return socket.lose()
    if (now - lastAt >= probe.everyMs) ask()
  }

  return {
    probe: ask,
    start() {
      lastAt = Date.now()
      timer = setInterval(check, CHECK_MS)
    },
    heard() {
      probedAt = undefined
      if (!probe.isSteady) lastAt = Date.now()
    },
    stop: () => clearInterval(timer),
  }
}
