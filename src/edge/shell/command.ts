import { type ControlBody, CREDIT_EXEC_BYTES, type GrantRequest } from '../../contract/krp.ts'
import { DATA_BYTES_MAX, KrpError, type OffsetChunk } from '../../contract/krp-frame.ts'
import { Problem } from '../../contract/problem.ts'
import type { ExecResult } from '../../contract/shell.ts'
import type { RelayConfig } from '../platform/relays.ts'
import type { Sink } from './command-sink.ts'
import type { Keeper } from './keeper.ts'
import { type Reach, reachRelay } from './reach.ts'
import type { ExecOrder } from './rpc.ts'
import { jumpsOf, keptForOf, type Secrets } from './secrets.ts'
import { attachStream, OpenRefused, type PreparedStream, prepareStream, type RelayStream, type StreamEvents } from './stream.ts'
import type { Tape } from './tape.ts'
import type { DialerIdentity } from './tokens.ts'

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
  /** From now on the command may have begun, unless it is refused. Again is fine. */
  readonly asked: () => void
  readonly refused: () => void
  /** Resolves when what was written before is durable. */
  readonly sync: () => Promise<void>
  /** There may be room for more output; the recording cannot go on. */
  onRoom: () => void
  onFailed: (reason: string) => void
}

/** What a command needs besides the way to its host. */
export interface CommandParts {
  readonly kept: Kept
  readonly sink: Sink
  /** Resolves when the command may begin: when it is on record, and its recording too where that is asked for. */
  readonly begin: () => Promise<void>
  /** The host has let us in. */
  readonly onOpened: () => void
  /** Aborted when the command is to end. */
  readonly signal: AbortSignal
}

type Outcome = ControlBody<'CLOSE'>['reason'] | 'lost' | 'late'

interface Run {
  readonly order: ExecOrder
  readonly reach: Omit<Reach, 'who'>
  readonly begin: () => Promise<void>
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
  { kept, sink, signal, begin, onOpened, ...reach }: Omit<Reach, 'who'> & CommandParts,
  secretsFor: SecretsFor,
): Promise<CommandRun> {
  const run: Run = {
    order,
    reach,
    begin,
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

/** The way to the relay is made while the command is put on record; the relay hears of the command after that. */
async function open(run: Run, secretsFor: SecretsFor): Promise<Begun> {
  const ready = prepare(run, secretsFor)
  // What went wrong on the way is asked about later, if at all.
  const way = ready.catch(() => undefined)
  const { signal } = run
  let isAsked = false
  const { events, over } = listen(run)
  try {
    // Whether it may begin is the first question, and until it is answered there is no end to write down.
    await run.begin()
    const { link, prepared } = await ready
    requireWanted(signal)
    const opening = prepared.open(link, events)
    opening.catch(() => undefined)
    isAsked = true
    // What outlives this memory is written while the relay is at work: whatever is sent after a write waits until that is durable.
    await link.flushed()
    run.kept.asked()
    run.stream = await opening
  } catch (error) {
    void way.then((made) => made?.link.close('not-opened'))
    if (error === signal.reason) requireWanted(signal)
    if (error instanceof OpenRefused) run.kept.refused()
    // The answer was lost, not the command: it may have begun.
    if (isAsked && !(error instanceof OpenRefused)) throw new CommandLost('no answer', { cause: error })
    throw error
  }
  sendStdin(run.stream, run.order.stdin)
  goOn(run)
  return { over }
}

/** A link with a grant that is signed and sealed for it, which is done while the relay proves itself. */
async function prepare(run: Run, secretsFor: SecretsFor) {
  const { order, signal } = run
  const seal = async ({ relay, who, challenge }: Greeted): Promise<PreparedStream> => {
    requireWanted(signal)
    const secrets = await secretsFor(relay)
    const { traceparent } = order
    const grant = { relay, who, request: requestOf(run), secrets, creditBytes: CREDIT_EXEC_BYTES, traceparent, signal }
    return prepareStream(challenge, grant)
  }
  let sealing: Promise<PreparedStream> | undefined
  requireWanted(signal)
  const { link } = await dial(run, (greeted) => {
    sealing = seal(greeted)
    sealing.catch(() => undefined)
  })
  try {
    const prepared = await sealing
    if (!prepared) throw new Error('whoever is linked was greeted')
    return { link, prepared }
  } catch (error) {
    link.close('not-prepared')
    throw error
  }
}

const requestOf = ({ order, sink }: Run): GrantRequest => {
  const { target, command, timeoutSeconds, env } = order
  return {
    kind: 'exec',
    keptFor: keptForOf(order),
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
    outputBytesMax: sink.bytesMax,
    detachSeconds: DETACH_SECONDS,
  }
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

interface Greeted {
  readonly relay: RelayConfig
  readonly who: DialerIdentity
  readonly challenge: ControlBody<'CHALLENGE'>
}

async function dial(run: Run, greeted?: (by: Greeted) => void) {
  run.epoch += 1
  const { shellId, orgId, target } = run.order
  const who = { shellId, orgId, epoch: run.epoch, targets: [...target.jumps, target] }
  const told = greeted && ((relay: RelayConfig, challenge: Greeted['challenge']) => greeted({ relay, who, challenge }))
  const reached = await reachRelay({ ...run.reach, who, relayId: run.relayId, ...(told ? { greeted: told } : {}) })
  run.relayId = reached.relay.id
  return reached
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
      run.kept.asked()
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
      run.kept.keeper.end()
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
