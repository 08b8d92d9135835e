import { VIEW_ACK_BYTES, type ViewChunk } from '../contract/viewer.ts'

/** Takes output in order. The next bytes come when what it returns has resolved, so a slow terminal slows the remote program. */
export type TakeOutput = (bytes: Uint8Array) => void | Promise<void>

/** What a shell's output needs. */
export interface ShellOutputParts {
  readonly take: TakeOutput
  /** Everything before this offset is drawn. */
  readonly ack: (offset: number) => void
  /** The taker threw. */
  readonly fail: (cause: Error) => void
}

/** What a shell said, handed out in order, each byte once. */
export interface ShellOutput {
  /** Offset after the last byte received; nothing before the first `start`. */
  readonly since: () => number | undefined
  /** A connection begins; the shell has output in [firstOffset, nextOffset). */
  readonly start: (kept: { readonly firstOffset: number; readonly nextOffset: number }) => void
  /** Takes a chunk in; answers false if bytes before it are missing. */
  readonly receive: (chunk: ViewChunk) => boolean
  /** Goes on at an offset; answers what is lost, if anything. */
  readonly skip: (to: number) => { readonly from: number; readonly to: number } | undefined
  /** Tells something after all output received so far is drawn. */
  readonly tell: (event: () => void) => void
  /** Hands out nothing more. */
  readonly stop: () => void
}

interface Piece {
  readonly bytes: Uint8Array
  /** Offset after its last byte. */
  readonly to: number
}

interface State extends ShellOutputParts {
  since: number | undefined
  drawnTo: number
  /** What the shell has sent on this connection. It may know less than was drawn before, and takes no ack beyond that. */
  heardTo: number
  ackedTo: number
  queue: (Piece | (() => void))[]
  isDraining: boolean
  isStopped: boolean
}

/** Starts with nothing received, or after an offset from which to go on. */
export function createShellOutput(parts: ShellOutputParts, since: number | undefined): ShellOutput {
  const s: State = { ...parts, since, drawnTo: 0, heardTo: 0, ackedTo: 0, queue: [], isDraining: false, isStopped: false }
  return {
    since: () => s.since,
    start({ firstOffset, nextOffset }) {
      s.since ??= firstOffset
      s.heardTo = Math.min(s.since, nextOffset)
      s.ackedTo = s.heardTo
    },
    receive: (chunk) => receive(s, chunk),
    skip(to) {
      const from = s.since ?? to
      s.heardTo = Math.max(s.heardTo, to)
      if (to <= from) return undefined
      s.since = to
      return { from, to }
    },
    tell: (event) => enqueue(s, event),
    stop() {
      s.isStopped = true
      s.queue = []
    },
  }
}

function receive(s: State, { offset, bytes }: ViewChunk): boolean {
  const since = s.since ?? offset
  if (offset > since) return false
  const to = offset + bytes.length
  s.heardTo = Math.max(s.heardTo, to)
  if (to <= since) {
    acknowledge(s)
    return true
  }
  s.since = to
  enqueue(s, { bytes: bytes.subarray(since - offset), to })
  return true
}

function enqueue(s: State, item: Piece | (() => void)): void {
  if (s.isStopped) return
  s.queue.push(item)
  if (!s.isDraining) drain(s).catch((error: unknown) => s.fail(error instanceof Error ? error : new Error(String(error))))
}

async function drain(s: State): Promise<void> {
  s.isDraining = true
  for (let item = s.queue.shift(); item; item = s.queue.shift()) {
    if (typeof item === 'function') item()
    else await draw(s, item)
  }
  s.isDraining = false
}

async function draw(s: State, { bytes, to }: Piece): Promise<void> {
  await s.take(bytes)
  s.drawnTo = to
  acknowledge(s)
}

function acknowledge(s: State): void {
  const to = Math.min(s.drawnTo, s.heardTo)
  if (s.isStopped || to - s.ackedTo < VIEW_ACK_BYTES) return
  s.ackedTo = to
  s.ack(to)
}
