import { PTY_SIDE_MAX } from '../contract/krp.ts'
import { Problem } from '../contract/problem.ts'
import type { ShellState } from '../contract/shell.ts'
import {
  decodeViewChunk,
  type EndingFrame,
  encodeViewChunk,
  type HelloFrame,
  type PresenceFrame,
  type PromptFrame,
  ShellFrame,
  VIEW_PING,
  VIEW_PING_SECONDS,
  VIEW_PONG,
  type ViewerFrame,
  type ViewerRole,
} from '../contract/viewer.ts'
import type { Door } from './door.ts'
import { createEmitter, type Emitter, type Listener } from './emitter.ts'
import { randomHex } from './exchange.ts'
import { ClosedError, ContractError } from './failure.ts'
import { createShellInput, type ShellInput } from './shell-input.ts'
import { createShellOutput, type ShellOutput, type TakeOutput } from './shell-output.ts'
import { type KeptSocket, keepSocket, type SocketStatus } from './socket.ts'

/** How to watch a shell. */
export interface AttachOptions {
  /** Takes output in order, each byte once, across all reconnects. */
  readonly output: TakeOutput
  /** Offset to go on from; left out, the output that is kept comes from its beginning. */
  readonly since?: number | undefined
  /** Open the socket by a single-use ticket instead of the bearer token; always so in cookie mode. */
  readonly ticket?: boolean | undefined
}

/** How a shell ended. */
export interface ShellEnd {
  readonly state: ShellState
  /** Why, for people. */
  readonly reason: string | undefined
  /** Of the remote program, if it came to its end; null when a signal ended it. */
  readonly exitCode: number | null | undefined
  readonly signal: string | null | undefined
}

/** What a shell tells. All but `status` come in order with the output. */
export interface ShellEvents {
  readonly status: SocketStatus
  /** The shell answers, after each connect. */
  readonly attached: { readonly role: ViewerRole; readonly columns: number; readonly rows: number }
  readonly state: { readonly state: ShellState; readonly reason: string | undefined }
  /** The terminal has this size now, whoever set it. */
  readonly resized: { readonly columns: number; readonly rows: number }
  /** Output in [from, to) cannot be had any more. */
  readonly gap: { readonly from: number; readonly to: number }
  /** The remote program ended; all its output came before. */
  readonly exit: { readonly exitCode: number | null; readonly signal: string | null }
  /** The host asks its opener something before it lets them in: a password, a code. */
  readonly prompt: Omit<PromptFrame, 'type'> & {
    /** As many answers as questions, in their order; they are kept nowhere. */
    readonly answer: (answers: readonly string[]) => void
  }
  /** Only the opener types and sets the size, and only owners lock: this was dropped. */
  readonly refused: 'input' | 'resize' | 'lock'
  /** Who looks, and whether what the opener types goes on; what waits is kept and goes on by itself. */
  readonly presence: Omit<PresenceFrame, 'type'>
  /** It will end by itself: typing postpones `idle`, nothing `expired`; a cause of null says that it does not after all. */
  readonly ending: Omit<EndingFrame, 'type'>
  /** It is over for this viewer, after the status `closed`; as a rule a `Problem`. */
  readonly problem: Error
}

/** A shell as one viewer sees it: its output and, for its opener, its input survive every disconnect. */
export interface ShellView {
  readonly id: string
  readonly status: SocketStatus
  /** Unknown until the shell first answered. */
  readonly role: ViewerRole | undefined
  /** Listens until the returned function is called. */
  readonly on: <K extends keyof ShellEvents>(name: K, listener: Listener<ShellEvents[K]>) => () => void
  /** Types; text goes as UTF-8. Bytes are kept until the remote side has them, and arrive once. */
  readonly write: (data: string | Uint8Array) => void
  /**
   * Resolves when all that was written so far has reached the remote side.
   *
   * @throws Problem `forbidden` for a watcher; those of {@link ShellView.finished}
   */
  readonly delivered: () => Promise<void>
  /** Stops what the opener types, or lets it go on; for owners who watch. Who may not hears `refused`. */
  readonly lock: (isLocked: boolean) => void
  /** Sets the size of the terminal; sides are brought into their bounds. */
  readonly resize: (columns: number, rows: number) => void
  /**
   * Resolves when the shell has ended and all its output was taken.
   *
   * @throws Problem `unauthenticated`, `session-ended`, `not-found` or `invalid-request` when it is over for this viewer
   * @throws ContractError, or what `output` threw
   * @throws ClosedError after {@link ShellView.close}
   */
  readonly finished: () => Promise<ShellEnd>
  /** Looks away; the shell lives on and can be attached again. */
  readonly close: () => void
  /** Ends the shell and its remote process. @throws Problem `forbidden`, `not-found` and what every call may meet */
  readonly end: () => Promise<void>
}

/** What attaching needs. */
export interface AttachParts extends AttachOptions {
  readonly door: Door
  readonly closeShell: () => Promise<unknown>
}

interface State {
  readonly events: Emitter<ShellEvents>
  readonly output: ShellOutput
  readonly finished: Promise<ShellEnd>
  readonly settle: { readonly resolve: (end: ShellEnd) => void; readonly reject: (cause: Error) => void }
  /** Names this viewer's input across its sockets. */
  clientId: string
  input: ShellInput
  status: SocketStatus
  role: ViewerRole | undefined
  /** The size that was asked for last. */
  size: { readonly columns: number; readonly rows: number } | undefined
  isAttached: boolean
  end: ShellEnd
  socket: KeptSocket | undefined
}

/** More often than the shell asks for, since timers of hidden pages are late. */
const PING_MS = (VIEW_PING_SECONDS - 10) * 1000

/** Watches a shell; the connection is made and kept in the background. */
export function attachShell(id: string, { door, closeShell, output, since }: AttachParts): ShellView {
  const s = createState({ output, since })
  s.socket = keepSocket({
    door,
    probe: { data: () => VIEW_PING, everyMs: PING_MS, isSteady: true },
    endCode: 1000,
    onStatus(status) {
      s.status = status
      s.events.emit('status', status)
    },
    onOpen() {
      const from = s.output.since()
      tellShell(s, { type: 'attach', clientId: s.clientId, ...(from !== undefined && { since: from }) })
    },
    onMessage: (data) => receive(s, data),
    onLost() {
      s.isAttached = false
      s.input.hold()
    },
    onEnd: (cause) => finish(s, cause),
  })
  return faceOf(id, s, closeShell)
}

function createState({ output, since }: Pick<AttachOptions, 'output' | 'since'>): State {
  let settle: State['settle'] | undefined
  const finished = new Promise<ShellEnd>((resolve, reject) => {
    settle = { resolve, reject }
  })
  // Whoever waits hears of it; who does not wait listens to `problem`.
  finished.catch(() => undefined)
  const s: State = {
    events: createEmitter(),
    input: beginInput(() => s),
    output: createShellOutput(
      { take: output, ack: (offset) => tellShell(s, { type: 'ack', offset }), fail: (cause) => s.socket?.fail(cause) },
      since,
    ),
    finished,
    settle: settle as State['settle'],
    clientId: randomHex(16),
    status: 'connecting',
    role: undefined,
    size: undefined,
    isAttached: false,
    end: { state: 'connecting', reason: undefined, exitCode: undefined, signal: undefined },
    socket: undefined,
  }
  return s
}

const beginInput = (state: () => State): ShellInput => createShellInput((chunk) => state().socket?.send(encodeViewChunk(chunk)) ?? false)

function faceOf(id: string, s: State, closeShell: () => Promise<unknown>): ShellView {
  return {
    id,
    get status() {
      return s.status
    },
    get role() {
      return s.role
    },
    on: s.events.on,
    write: (data) => write(s, typeof data === 'string' ? new TextEncoder().encode(data) : data),
    delivered: async () => {
      if (s.role === 'watcher') throw new Problem('forbidden')
      return s.input.delivered()
    },
    resize: (columns, rows) => resize(s, { columns: sideOf(columns), rows: sideOf(rows) }),
    lock: (isLocked) => void tellShell(s, { type: 'lock', isLocked }),
    finished: () => s.finished,
    close: () => s.socket?.close(),
    async end() {
      await closeShell()
    },
  }
}

const sideOf = (n: number): number => Math.min(PTY_SIDE_MAX, Math.max(1, Math.trunc(n) || 1))

const tellShell = (s: State, frame: ViewerFrame): boolean => s.socket?.send(JSON.stringify(frame)) ?? false

function write(s: State, bytes: Uint8Array): void {
  if (s.role === 'watcher') s.events.emit('refused', 'input')
  else s.input.write(bytes)
}

function resize(s: State, size: NonNullable<State['size']>): void {
  s.size = size
  if (s.isAttached) tellShell(s, { type: 'resize', ...size })
}

function finish(s: State, cause: Error | undefined): void {
  s.isAttached = false
  if (cause) {
    s.output.stop()
    s.input.discard(cause)
    s.settle.reject(cause)
    if (!(cause instanceof ClosedError)) s.events.emit('problem', cause)
  } else {
    s.input.discard(new ClosedError('The shell has ended.'))
    s.output.tell(() => s.settle.resolve(s.end))
  }
}

function receive(s: State, data: string | ArrayBuffer): void {
  if (data === VIEW_PONG) return
  try {
    if (typeof data === 'string') obey(s, data)
    else receiveOutput(s, data)
  } catch (error) {
    s.socket?.fail(error instanceof ContractError ? error : new ContractError('The shell sent what is no frame.', { cause: error }))
  }
}

function receiveOutput(s: State, data: ArrayBuffer): void {
  const chunk = decodeViewChunk(data)
  if (!chunk) throw new ContractError('The shell sent a chunk without bytes.')
  // Bytes are missing that no gap has named: a new connection asks for them.
  if (!s.output.receive(chunk)) s.socket?.giveUp()
}

function obey(s: State, text: string): void {
  const { data: frame } = ShellFrame.safeParse(JSON.parse(text))
  // A newer shell may say things that this version does not know.
  if (!frame) return
  switch (frame.type) {
    case 'hello':
      return greet(s, frame)
    case 'accepted':
      return s.input.accept(frame.inputOffset)
    case 'resend':
      return s.input.resume(frame.inputOffset)
    case 'gap': {
      const gap = s.output.skip(frame.to)
      return gap && s.output.tell(() => s.events.emit('gap', gap))
    }
    case 'prompt': {
      const { type: _, ...asked } = frame
      const answer = (answers: readonly string[]) => void tellShell(s, { type: 'answer', id: frame.id, answers: [...answers] })
      return s.events.emit('prompt', { ...asked, answer })
    }
    case 'presence': {
      const { type: _, ...presence } = frame
      return s.events.emit('presence', presence)
    }
    case 'probe':
      return void tellShell(s, { type: 'here' })
    case 'ending':
      return s.events.emit('ending', { cause: frame.cause, seconds: frame.seconds })
    case 'refused':
      if (frame.what === 'input') beWatcher(s)
      return s.events.emit('refused', frame.what)
    case 'resized':
      return s.output.tell(() => s.events.emit('resized', { columns: frame.columns, rows: frame.rows }))
    case 'state':
      return s.output.tell(() => noteState(s, frame))
    case 'exit':
      return s.output.tell(() => noteExit(s, frame))
  }
}

const isFinal = (state: ShellState): boolean => state === 'closed' || state === 'failed'

function greet(s: State, hello: HelloFrame): void {
  const { role, columns, rows } = hello
  s.socket?.thrive()
  s.isAttached = true
  s.output.start(hello)
  s.output.tell(() => {
    s.events.emit('attached', { role, columns, rows })
    // A final one is told again, after the output that came before it.
    if (!isFinal(hello.state)) noteState(s, hello)
  })
  if (role === 'watcher') {
    if (beWatcher(s)) s.events.emit('refused', 'input')
    return
  }
  s.role = role
  if (s.size && (s.size.columns !== columns || s.size.rows !== rows)) resize(s, s.size)
  s.input.resume(hello.inputOffset)
}

/** Drops what was typed and answers whether there was any. Who becomes opener again begins a new input: the old one has a hole. */
function beWatcher(s: State): boolean {
  const had = s.input.discard(new Problem('forbidden'))
  s.role = 'watcher'
  s.input = beginInput(() => s)
  s.clientId = randomHex(16)
  return had
}

function noteState(s: State, { state, reason }: { readonly state: ShellState; readonly reason?: string | undefined }): void {
  const isNews = s.end.state !== state
  s.end = { ...s.end, state, reason: reason ?? s.end.reason }
  if (isNews) s.events.emit('state', { state, reason })
}

function noteExit(s: State, { exitCode, signal }: { readonly exitCode: number | null; readonly signal: string | null }): void {
  const isNews = s.end.exitCode === undefined
  s.end = { ...s.end, exitCode, signal }
  if (isNews) s.events.emit('exit', { exitCode, signal })
}
