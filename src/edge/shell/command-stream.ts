import { type CommandPart, type ExecResult, STREAM_OUTPUT_BYTES_MAX } from '../../contract/shell.ts'
import { problemBody, problemOf } from '../http/problems.ts'
import { traceFrom } from '../platform/trace.ts'
import { type Capture, outputDecoder } from './capture.ts'
import type { Sink } from './command-sink.ts'
import { createPieceQueue, type PieceQueue } from './piece-queue.ts'
import type { ExecOrder } from './rpc.ts'

/** Output that waits for whoever takes it; then the program on the host stands still. */
const WAITING_BYTES_MAX = 1024 * 1024
/** What stands together is told together, in lines of at most so much. */
const LINE_BYTES_MAX = 64 * 1024
/** An empty line for whoever waits: nothing on the way takes a silent command for a dead one, and only a write tells who has gone. */
const BEAT_MS = 3_000
/** Whoever has taken nothing by then went away before there was anything to take. */
const FIRST_TAKE_MS = 5 * BEAT_MS

/** A command's parts on their way out. */
export interface CommandStream {
  readonly sink: Sink
  /** The parts, from the moment at which the command has begun. @throws Problem when it ends before */
  readonly follow: (end: Promise<ExecResult>) => Promise<ReadableStream<Uint8Array>>
}

interface State {
  readonly order: ExecOrder
  readonly pieces: PieceQueue
  readonly decoders: { readonly stdout: TextDecoder; readonly stderr: TextDecoder }
  readonly begun: PromiseWithResolvers<void>
  /** What is still to be told before any output, and after all of it. */
  readonly first: string[]
  last: string[] | undefined
  takenBytes: number
  wake: () => void
}

const encoder = new TextEncoder()
const lineOf = (value: CommandPart | { readonly problem: object }): string => `${JSON.stringify(value)}\n`

/** A stream of one command; nothing is made of output that nobody has asked for. `leave` is called when whoever takes it goes away. */
export function createCommandStream(order: ExecOrder, leave: () => void): CommandStream {
  const state: State = {
    order,
    pieces: createPieceQueue(),
    decoders: { stdout: outputDecoder(), stderr: outputDecoder() },
    begun: Promise.withResolvers(),
    first: [lineOf({ type: 'started', shellId: order.shellId })],
    last: undefined,
    takenBytes: 0,
    wake: () => undefined,
  }
  const sink: Sink = {
    stdout: pieceCapture(state, false),
    stderr: pieceCapture(state, true),
    bytesMax: STREAM_OUTPUT_BYTES_MAX,
    begun: () => state.begun.resolve(),
    roomOffset: () => state.takenBytes + WAITING_BYTES_MAX,
    onRoom: () => undefined,
  }
  return {
    sink,
    async follow(end) {
      end.then(
        (result) => finish(state, result),
        (error: unknown) => fail(state, error),
      )
      await Promise.race([state.begun.promise, end])
      return bodyOf(state, { onTaken: () => sink.onRoom(), leave })
    },
  }
}

/** Counts, and keeps nothing longer than until it is taken. */
function pieceCapture(state: State, isStderr: boolean): Capture {
  let totalBytes = 0
  return {
    push(bytes) {
      totalBytes += bytes.length
      state.pieces.push(bytes, isStderr)
      state.wake()
    },
    totalBytes: () => totalBytes,
    isTruncated: () => false,
    text: () => '',
  }
}

function finish(state: State, result: ExecResult): void {
  const { stdout: _out, stderr: _err, ...end } = result
  state.last = [lineOf({ type: 'end', ...end })]
  state.wake()
}

function fail(state: State, error: unknown): void {
  const { traceId } = traceFrom(state.order.traceparent)
  state.last = [lineOf({ problem: problemBody(problemOf(error), traceId) })]
  state.wake()
}

function bodyOf(
  state: State,
  { onTaken, leave }: { readonly onTaken: () => void; readonly leave: () => void },
): ReadableStream<Uint8Array> {
  const untaken = setTimeout(leave, FIRST_TAKE_MS)
  return new ReadableStream({
    type: 'bytes',
    async pull(controller: ReadableByteStreamController) {
      clearTimeout(untaken)
      const line = await nextLine(state)
      onTaken()
      if (line !== undefined) return controller.enqueue(encoder.encode(line))
      controller.close()
      // A pending BYOB request must be answered for the close to show.
      controller.byobRequest?.respond(0)
    },
    cancel() {
      clearTimeout(untaken)
      leave()
    },
  })
}

/** The next line, an empty one after a silence, or nothing at the end. */
async function nextLine(state: State): Promise<string | undefined> {
  for (;;) {
    const line = state.first.shift() ?? nextText(state) ?? restOf(state) ?? state.last?.shift()
    if (line !== undefined) return line
    if (state.last !== undefined) return undefined
    if (!(await changed(state))) return '\n'
  }
}

/** Whether something came before the silence was long. */
function changed(state: State): Promise<boolean> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, BEAT_MS, false)
    state.wake = () => {
      clearTimeout(timer)
      resolve(true)
    }
  })
}

/** What waits, as text; nothing while a character is not whole. */
function nextText(state: State): string | undefined {
  for (let piece = state.pieces.take(LINE_BYTES_MAX); piece; piece = state.pieces.take(LINE_BYTES_MAX)) {
    state.takenBytes += piece.bytes.length
    const text = decoderOf(state, piece.isStderr).decode(piece.bytes, { stream: true })
    if (text !== '') return textLine(text, piece.isStderr)
  }
  return undefined
}

/** What a character began with that never came. */
function restOf(state: State): string | undefined {
  if (state.last === undefined) return undefined
  for (const isStderr of [false, true]) {
    const text = decoderOf(state, isStderr).decode()
    if (text !== '') return textLine(text, isStderr)
  }
  return undefined
}

const decoderOf = ({ decoders }: State, isStderr: boolean): TextDecoder => (isStderr ? decoders.stderr : decoders.stdout)
const textLine = (text: string, isStderr: boolean): string => lineOf({ type: isStderr ? 'stderr' : 'stdout', text })
