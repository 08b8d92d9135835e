import { type ControlBody, CREDIT_EXEC_BYTES, type GrantRequest } from '../../contract/krp.ts'
import { DATA_BYTES_MAX, KrpError, type OffsetChunk } from '../../contract/krp-frame.ts'
import { Problem } from '../../contract/problem.ts'
import { EXEC_OUTPUT_BYTES_MAX, type ExecResult } from '../../contract/shell.ts'
import type { RelayConfig } from '../platform/relays.ts'
import { type Capture, createCapture } from './capture.ts'
import type { Keeper } from './keeper.ts'
import { type Reach, reachRelay } from './reach.ts'
import type { ExecOrder } from './rpc.ts'
import { jumpsOf, keptForOf, type Secrets } from './secrets.ts'
import { attachStream, LinkLost, OpenRefused, openStream, type RelayStream, type StreamEvents } from './stream.ts'
import type { Tape } from './tape.ts'

/** How a command went. */
export interface CommandRun {
  readonly result: ExecResult
  readonly stdoutBytes: number
  readonly stderrBytes: number
}

/** The connection broke while the command ran: whether it ran to its end is not known. */
export class CommandLost extends Error {
  override readonly name = 'CommandLost'
}

/** A cut that lasts longer ends the command: the relay stops what nobody has taken over by then. */
const DETACH_SECONDS = 20
const REDIAL_MS = 1_000
/** Dialling, the host's handshake, and the relay's own stop with its two graces. */
const SLACK_MS = 45_000
const CREDIT_STEP_BYTES = CREDIT_EXEC_BYTES / 4

/** The secrets of this command for the relay that was chosen. */
export type SecretsFor = (relay: RelayConfig) => Promise<Secrets>

/** Where the output of a command is kept before the relay forgets it. */
export interface Kept {
  readonly tape: Tape
  readonly keeper: Keeper
  /** Resolves when what was written before is durable. */
  readonly sync: () => Promise<void>
  /** There may be room for more output; the recording cannot go on. */
  onRoom: () => void
  onFailed: (reason: string) => void
}

/** Who takes the output of a command. */
export interface Sink {
  readonly stdout: Capture
  readonly stderr: Capture
  /** More output than this ends the command. */
  readonly bytesMax: number
  /** The command has begun. */
  readonly begun: () => void
  /** Up to here there is room for output. */
  readonly roomOffset: () => number
  /** There may be room for more. */
  onRoom: () => void
}

/** More output than this is a mistake; it would also cost the object more time than an answer is worth. */
const WAITED_BYTES_MAX = 64 * 1024 * 1024

/** Keeps head and tail for whoever waits for the end. */
export const waitedSink = (): Sink => ({
  stdout: createCapture(EXEC_OUTPUT_BYTES_MAX),
  stderr: createCapture(EXEC_OUTPUT_BYTES_MAX),
  bytesMax: WAITED_BYTES_MAX,
  begun: () => undefined,
  roomOffset: () => Number.POSITIVE_INFINITY,
  onRoom: () => undefined,
})

/** What a command needs besides the way to its host. */
export interface CommandParts {
  readonly kept: Kept
  readonly sink: Sink
  /** The host has let us in. */
  readonly onOpened: () => void
  /** Aborted when the command is to end. */
  readonly signal: AbortSignal
}

type Outcome = ControlBody<'CLOSE'>['reason'] | 'lost' | 'late'

interface Run {
  readonly order: ExecOrder
  readonly reach: Omit<Reach, 'who'>
  readonly onOpened: () => void
  relayId: string | undefined
  readonly sink: Sink
  readonly kept: Kept
  readonly signal: AbortSignal
  isSettling: boolean
  /** Why it was ended for want of a recording. */
  unrecorded: string | undefined
  stream: RelayStream | undefined
  epoch: number
  nextOffset: number
  grantedOffset: number
  keepTimer: ReturnType<typeof setTimeout> | null
  exit: ControlBody<'EXIT'> | undefined
  openedAt: number
  endedAt: number
}

/**
 * Runs one command and waits for its end, over a cut of the link if need be.
 *
 * @throws OpenRefused, Problem `unavailable` before it started, CommandLost after
 */
export async function runCommand(
  order: ExecOrder,
  { kept, sink, signal, onOpened, ...reach }: Omit<Reach, 'who'> & CommandParts,
  secretsFor: SecretsFor,
): Promise<CommandRun> {
  const run: Run = {
    order,
    reach,
    onOpened,
    kept,
    sink,
    signal,
    isSettling: false,
    unrecorded: undefined,
    relayId: undefined,
    stream: undefined,
    epoch: 0,
    nextOffset: 0,
    grantedOffset: CREDIT_EXEC_BYTES,
    keepTimer: null,
    exit: undefined,
    openedAt: 0,
    endedAt: 0,
  }
  kept.onRoom = () => {
    settle(run)
    keepSoon(run)
  }
  kept.onFailed = (reason) => {
    run.unrecorded = reason
    run.stream?.close()
  }
  sink.onRoom = () => settle(run)
  const stop = () => run.stream?.close()
  signal.addEventListener('abort', stop)
  let timer: ReturnType<typeof setTimeout> | null = null
  const late = new Promise<Outcome>((resolve) => {
    timer = setTimeout(() => resolve('late'), order.timeoutSeconds * 1000 + SLACK_MS)
  })
  try {
    let begun = await open(run, secretsFor)
    let outcome = await Promise.race([late, begun.over])
    while (outcome === 'lost') {
      begun = await resume(run)
      outcome = await Promise.race([late, begun.over])
    }
    return toCommandRun(run, outcome)
  } finally {
    clearTimeout(timer)
    clearTimeout(run.keepTimer)
    signal.removeEventListener('abort', stop)
    kept.onRoom = () => undefined
    sink.onRoom = () => undefined
    run.stream?.leave('over')
  }
}

/** A stream is up; `over` tells how it stops. In an object, for a promise that is returned would be waited for. */
interface Begun {
  readonly over: Promise<Outcome>
}

async function open(run: Run, secretsFor: SecretsFor): Promise<Begun> {
  const { target, command, timeoutSeconds, env, stdin, traceparent } = run.order
  const request: GrantRequest = {
    kind: 'exec',
    keptFor: keptForOf(run.order),
    host: target.address,
    port: target.port,
    username: target.user,
    pins: [...target.pins],
    algorithms: target.algorithms,
    keepaliveSeconds: target.keepaliveSeconds,
    jumps: jumpsOf(target.jumps),
    env: { ...env },
    command,
    timeoutSeconds,
    outputBytesMax: run.sink.bytesMax,
    detachSeconds: DETACH_SECONDS,
  }
  const { signal } = run
  requireWanted(signal)
  const { relay, link, who } = await dial(run)
  const { events, over } = listen(run)
  try {
    requireWanted(signal)
    const secrets = await secretsFor(relay)
    requireWanted(signal)
    run.stream = await openStream(link, { relay, who, request, secrets, creditBytes: CREDIT_EXEC_BYTES, traceparent, signal }, events)
  } catch (error) {
    link.close('not-opened')
    if (error === signal.reason) requireWanted(signal)
    // The answer was lost, not the command: it may have begun.
    if (error instanceof LinkLost) throw new CommandLost('no answer', { cause: error })
    throw error
  }
  sendStdin(run.stream, stdin)
  goOn(run)
  return { over }
}

/** @throws Problem `unavailable` when the command was stopped before it began */
function requireWanted(signal: AbortSignal): void {
  if (signal.aborted) throw new Problem('unavailable', { detail: 'It was stopped before it began.' })
}

/** The stream is up. Whoever wanted the end meanwhile gets it now. */
function goOn(run: Run): void {
  settle(run)
  if (run.signal.aborted || run.unrecorded !== undefined) run.stream?.close()
}

/** All of it fits into the credit that every command has, so nothing waits; after a cut what is missing is sent again. */
function sendStdin(stream: RelayStream, stdin: string, from = 0): void {
  const bytes = new TextEncoder().encode(stdin)
  for (let at = from; at < bytes.length; at += DATA_BYTES_MAX) stream.input({ offset: at, bytes: bytes.subarray(at, at + DATA_BYTES_MAX) })
  stream.endInput(bytes.length)
}

/** Takes the command over on a new link, until the relay must have stopped it. @throws CommandLost */
async function resume(run: Run): Promise<Begun> {
  const deadlineAt = Date.now() + DETACH_SECONDS * 1000
  for (;;) {
    try {
      const { link } = await dial(run)
      let inOffset = 0
      const { events, over } = listen(run, (attached) => {
        inOffset = attached.inOffset
      })
      // Whoever takes nothing gets no window more by a cut; a grant is one byte at least.
      const creditBytes = Math.max(1, roomOffset(run) - run.nextOffset)
      run.grantedOffset = run.nextOffset + creditBytes
      const at = {
        shellId: run.order.shellId,
        fromOffset: run.nextOffset,
        creditBytes,
        traceparent: run.order.traceparent,
      }
      run.stream = await attachStream(link, at, events)
      sendStdin(run.stream, run.order.stdin, inOffset)
      goOn(run)
      return { over }
    } catch (cause) {
      if (cause instanceof OpenRefused || Date.now() > deadlineAt) throw new CommandLost('the relay lost it', { cause })
      await new Promise((resolve) => setTimeout(resolve, REDIAL_MS))
    }
  }
}

async function dial(run: Run) {
  run.epoch += 1
  const { shellId, orgId, target } = run.order
  const who = { shellId, orgId, epoch: run.epoch, targets: [...target.jumps, target] }
  const reached = await reachRelay({ ...run.reach, who, relayId: run.relayId })
  run.relayId = reached.relay.id
  return { ...reached, who }
}

type Attached = (body: ControlBody<'ATTACHED'>) => void

function listen(run: Run, attached: Attached = () => undefined): { readonly events: StreamEvents; readonly over: Promise<Outcome> } {
  let finish: (outcome: Outcome) => void = () => undefined
  const over = new Promise<Outcome>((resolve) => {
    finish = resolve
  })
  const events: StreamEvents = {
    attached,
    opened: () => {
      run.openedAt = Date.now()
      run.kept.keeper.recorder.change({ isOpened: true })
      run.sink.begun()
      run.onOpened()
    },
    output: (chunk, isStderr) => takeOutput(run, chunk, isStderr),
    gap: () => {
      throw new KrpError('offset-range')
    },
    exit: (exit) => {
      run.exit = exit
      run.endedAt = Date.now()
    },
    closed: (reason) => finish(reason),
    lost: () => finish('lost'),
  }
  return { events, over }
}

function takeOutput(run: Run, { offset, bytes }: OffsetChunk, isStderr: boolean): void {
  if (offset !== run.nextOffset) throw new KrpError('offset-range')
  if (offset + bytes.length > run.grantedOffset) throw new KrpError('credit-exceeded')
  run.nextOffset += bytes.length
  const { tape, keeper } = run.kept
  tape.append(bytes)
  keeper.took(offset, isStderr)
  if ((keeper.dueAt() ?? Number.POSITIVE_INFINITY) <= Date.now()) keeper.keep().catch(() => undefined)
  keepSoon(run)
  const capture = isStderr ? run.sink.stderr : run.sink.stdout
  capture.push(bytes)
  settle(run)
}

/** A command that stands still for want of room brings no more output that would ask again. */
function keepSoon(run: Run): void {
  const dueAt = run.kept.keeper.dueAt()
  if (dueAt === undefined || run.keepTimer !== null) return
  run.keepTimer = setTimeout(
    () => {
      run.keepTimer = null
      run.kept.keeper.keep().catch(() => undefined)
    },
    Math.max(0, dueAt - Date.now()),
  )
}

const roomOffset = ({ nextOffset, kept, sink }: Run): number =>
  Math.min(nextOffset + CREDIT_EXEC_BYTES, kept.keeper.roomOffset(), sink.roomOffset())

/** Acknowledges what is durable and grants what there is room for: no output is forgotten by the relay that a crash could lose. */
function settle(run: Run): void {
  const more = roomOffset(run) - run.grantedOffset
  const { stream, nextOffset: keptOffset } = run
  if (!stream || run.isSettling || more < CREDIT_STEP_BYTES) return
  run.isSettling = true
  run.kept.sync().then(
    () => {
      run.isSettling = false
      // A new stream has its own window.
      if (run.stream === stream) {
        stream.ack(keptOffset)
        stream.giveCredit(more)
        run.grantedOffset += more
      }
      settle(run)
    },
    () => {
      run.isSettling = false
      stream.leave('storage-failed')
    },
  )
}

function toCommandRun({ order, exit, sink, openedAt, endedAt, unrecorded }: Run, outcome: Outcome): CommandRun {
  const { stdout, stderr } = sink
  if (unrecorded) throw new Problem('host-unreachable', { detail: unrecorded })
  const isSeen = exit !== undefined && (outcome === 'done' || exit.cause === 'dialer')
  if (!isSeen) throw new CommandLost(outcome)
  const result: ExecResult = {
    shellId: order.shellId,
    exitCode: exit.code,
    signal: exit.signal,
    stdout: stdout.text(),
    stderr: stderr.text(),
    truncated: stdout.isTruncated() || stderr.isTruncated() || exit.cause === 'output-limit',
    timedOut: exit.cause === 'timeout',
    killed: exit.cause === undefined ? null : (exit.killed ?? 'unconfirmed'),
    durationMs: Math.max(0, endedAt - openedAt),
  }
  return { result, stdoutBytes: stdout.totalBytes(), stderrBytes: stderr.totalBytes() }
}
