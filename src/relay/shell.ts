import type { ClientChannel } from 'ssh2'
import { type ControlBody, CREDIT_EXEC_BYTES, CREDIT_INTERACTIVE_BYTES } from '../contract/krp.ts'
import { type Clock, createClock } from './clock.ts'
import type { FileChannel } from './file-channel.ts'
import { createInput, type Input } from './input.ts'
import type { Log } from './log.ts'
import { createOutput, type Output } from './output.ts'
import type { StreamPort } from './port.ts'
import { Refusal } from './refusal.ts'
import { closeConnection, type SshConnection, sendSignal } from './ssh.ts'
import { stopRemote, within } from './stop.ts'

/** Two receive windows of ssh2, one per output, and air: an honest target never has more under way. */
const UNREAD_BYTES_MAX = 5 * 1024 * 1024
/** A host that does not answer does not keep its place. */
const FILE_STOP_MS = 4_000
/** How long the end of a shell is kept at least for its dialer to hear of it. */
const LINGER_SECONDS_MIN = 30

/** Whose shell it is: unique in the relay. */
export interface ShellKey {
  readonly tenant: string
  readonly sub: string
  readonly shell: string
}

/** Why the relay ends a program. */
export type StopCause = NonNullable<ControlBody<'EXIT'>['cause']>
type Exit = Pick<ControlBody<'EXIT'>, 'code' | 'signal'>

/** What a shell is made of. */
export interface ShellParts {
  readonly key: ShellKey
  readonly kind: 'shell' | 'exec' | 'file'
  readonly connection: SshConnection
  readonly channel: ClientChannel | FileChannel
  /** Of a file that is read. */
  readonly fileBytes?: number | undefined
  readonly timeoutSeconds: number | undefined
  readonly outputBytesMax: number | undefined
  readonly detachSeconds: number
  /** Without input for so long it is ended. */
  readonly idleSeconds: number | undefined
  /** After so long it is ended in any case. */
  readonly lifeSeconds: number | undefined
  readonly log: Log
  readonly onGone: () => void
}

/** What lives on when a link dies: an SSH connection, its channel, and the output nobody has kept yet. */
export interface Shell {
  readonly parts: ShellParts
  readonly input: Input
  readonly output: Output
  /** Resolves when the program ended: true when the host said so, false when the connection was lost. */
  readonly exited: Promise<boolean>
  readonly startedAt: number
  port: StreamPort | undefined
  exit: Exit | undefined
  stopped: { readonly cause: StopCause; killed?: 'confirmed' | 'unconfirmed' } | undefined
  /** Nothing more comes from the channel: both outputs were read to their end. */
  isClosed: boolean
  /** The connection broke before the program ended. */
  isLost: boolean
  /** Over: closed, and no stop is in progress. */
  isEnded: boolean
  /** EXIT and CLOSE were sent on the present port. */
  isTold: boolean
  /** The dialer sent CLOSE. */
  isDialerDone: boolean
  isGone: boolean
  timeoutTimer: NodeJS.Timeout | undefined
  waitTimer: NodeJS.Timeout | undefined
  readonly clocks: readonly Clock[]
}

/** Takes over a channel: from here on the shell ends in one way and is forgotten once. */
export function createShell(parts: ShellParts): Shell {
  const { kind, connection, channel } = parts
  const shell: Shell = {
    parts,
    input: createInput({
      channel,
      sock: connection.guard.sock,
      windowBytes: kind === 'shell' ? CREDIT_INTERACTIVE_BYTES : CREDIT_EXEC_BYTES,
      isAlive: connection.isAlive,
    }),
    output: createOutput({
      stdout: channel,
      stderr: channel.stderr,
      onBytes: (bytes) => limitOutput(shell, bytes),
      onAllSent: () => tellEnd(shell),
    }),
    exited: watchExit(connection, channel),
    startedAt: performance.now(),
    port: undefined,
    exit: undefined,
    stopped: undefined,
    isClosed: false,
    isLost: false,
    isEnded: false,
    isTold: false,
    isDialerDone: false,
    isGone: false,
    timeoutTimer: undefined,
    waitTimer: undefined,
    clocks: [
      createClock(
        parts.idleSeconds,
        () => shell.input.heardAt(),
        () => stopShell(shell, 'idle'),
      ),
      createClock(
        parts.lifeSeconds,
        () => shell.startedAt,
        () => stopShell(shell, 'expired'),
      ),
    ],
  }
  watchChannel(shell)
  if (parts.timeoutSeconds !== undefined) shell.timeoutTimer = setTimeout(() => stopShell(shell, 'timeout'), parts.timeoutSeconds * 1000)
  return shell
}

/**
 * Gives the shell a stream. The caller sends the answer and then calls `pump`, so that ATTACHED comes before output.
 *
 * @throws Refusal shell-exists when it has a stream, offset-unknown
 */
export function attachShell(shell: Shell, port: StreamPort, from: { offset: number; creditBytes: number }): ControlBody<'ATTACHED'> {
  if (shell.port !== undefined) throw new Refusal('shell-exists')
  const outputWindow = shell.output.attach(port, from.offset, from.creditBytes)
  shell.port = port
  if (shell.stopped === undefined && !shell.isEnded) clearTimeout(shell.waitTimer)
  return { ...outputWindow, ...shell.input.attach(port) }
}

/** The link is gone: the shell waits for the next one, and ends when none comes. */
export function detachShell(shell: Shell): void {
  if (shell.isGone || shell.port === undefined) return
  shell.port = undefined
  shell.isTold = false
  shell.output.detach()
  shell.input.detach()
  shell.parts.log.info('shell-detached', { waitSeconds: shell.parts.detachSeconds })
  if (shell.isEnded && shell.isDialerDone) forgetShell(shell)
  else if (shell.stopped === undefined && !shell.isEnded)
    waitFor(shell, shell.parts.detachSeconds, () => stopShell(shell, 'detached-too-long'))
}

/** The dialer said CLOSE: it has heard the end, or it wants it. */
export function closeShell(shell: Shell): void {
  shell.isDialerDone = true
  if (!shell.isTold) shell.output.discard()
  if (shell.isTold) forgetShell(shell)
  else if (shell.isEnded) tellEnd(shell)
  else stopShell(shell, 'dialer')
}

/** Ends the program. Output so far is still delivered, and EXIT tells whether the host confirmed the end. */
export function stopShell(shell: Shell, cause: StopCause): void {
  if (shell.stopped !== undefined || shell.isEnded) return
  shell.stopped = { cause }
  const { connection, channel, kind } = shell.parts
  const stopped = isFile(channel)
    ? within(
        channel.abort().then(() => 'confirmed' as const),
        FILE_STOP_MS,
      ).then((ended) => ended ?? ('unconfirmed' as const))
    : stopRemote({ connection, channel, firstSignal: kind === 'exec' ? 'TERM' : 'HUP', exited: shell.exited })
  void stopped
    .catch(() => 'unconfirmed' as const)
    .then((killed) => {
      shell.stopped = { cause, killed }
      // What is already here is still read and delivered; only then does the channel count as closed.
      closeConnection(connection)
      lingerShell(shell)
      endShell(shell)
    })
}

/** Sends what credit and the link allow; the end, when everything before it was sent. */
export function pumpShell(shell: Shell): void {
  shell.output.pump()
}

/** Tells the program its terminal's new size. */
export function resizeShell(shell: Shell, size: ControlBody<'RESIZE'>): void {
  const { channel, connection } = shell.parts
  if (connection.isAlive() && !isFile(channel)) channel.setWindow(size.rows, size.cols, 0, 0)
}

/** Sends a signal to the program. */
export function signalShell(shell: Shell, { signal }: ControlBody<'SIGNAL'>): void {
  const { channel, connection } = shell.parts
  if (!isFile(channel)) sendSignal(connection, channel, signal)
}

const isFile = (channel: ShellParts['channel']): channel is FileChannel => 'abort' in channel

function watchChannel(shell: Shell): void {
  const { channel, connection } = shell.parts
  channel.once('exit', (code: number | null, signal?: string) => {
    shell.exit = { code: typeof code === 'number' ? code : null, signal: readSignalName(signal) }
  })
  let openOutputs = 2
  const closeOutput = (): void => {
    openOutputs -= 1
    if (openOutputs > 0) return
    shell.isClosed = true
    shell.isLost = shell.exit === undefined && shell.stopped === undefined && !connection.isAlive()
    endShell(shell)
  }
  channel.once('close', closeOutput)
  channel.stderr.once('end', closeOutput)
  for (const stream of [channel, channel.stderr]) stream.on('error', () => undefined)
  // ssh2 takes data beyond the window it granted; a target that sends it is cut instead of buffered.
  connection.guard.sock.on('data', () => {
    if (channel.readableLength + channel.stderr.readableLength > UNREAD_BYTES_MAX) connection.guard.sock.destroy()
  })
}

function limitOutput(shell: Shell, totalBytes: number): void {
  if (shell.parts.outputBytesMax !== undefined && totalBytes > shell.parts.outputBytesMax) stopShell(shell, 'output-limit')
}

function endShell(shell: Shell): void {
  // A stop in progress first finds out whether the host confirms the end.
  const isStopping = shell.stopped !== undefined && shell.stopped.killed === undefined
  if (shell.isEnded || !shell.isClosed || isStopping) return
  shell.isEnded = true
  clearTimeout(shell.timeoutTimer)
  for (const clock of shell.clocks) clock.stop()
  closeConnection(shell.parts.connection)
  lingerShell(shell)
  if (shell.isDialerDone && shell.port === undefined) forgetShell(shell)
  else pumpShell(shell)
}

function tellEnd(shell: Shell): void {
  const { port, output, exit, stopped } = shell
  if (!shell.isEnded || shell.isTold || port === undefined || !output.isAllSent()) return
  shell.isTold = true
  port.send('EXIT', { code: exit?.code ?? null, signal: exit?.signal ?? null, ...stopped, offset: output.nextOffset() })
  port.send('CLOSE', { reason: closeReason(shell) })
  if (shell.isDialerDone) forgetShell(shell)
}

function closeReason({ stopped, isLost }: Shell): ControlBody<'CLOSE'>['reason'] {
  if (stopped === undefined) return isLost ? 'gone' : 'done'
  return stopped.cause === 'timeout' || stopped.cause === 'output-limit' ? 'done' : stopped.cause
}

function forgetShell(shell: Shell): void {
  if (shell.isGone) return
  shell.isGone = true
  clearTimeout(shell.waitTimer)
  clearTimeout(shell.timeoutTimer)
  for (const clock of shell.clocks) clock.stop()
  if (shell.port !== undefined && !shell.isTold) shell.port.send('CLOSE', { reason: closeReason(shell) })
  shell.port = undefined
  shell.output.detach()
  shell.input.detach()
  shell.parts.log.info('shell-closed', {
    reason: closeReason(shell),
    ...shell.exit,
    ...shell.stopped,
    inBytes: shell.input.acceptedOffset(),
    outBytes: shell.output.nextOffset(),
    durationMs: Math.round(performance.now() - shell.startedAt),
  })
  shell.parts.onGone()
}

/** The end of a shell waits a while for a dialer to hear of it, but not for ever. */
function lingerShell(shell: Shell): void {
  const hasGivenUp = shell.stopped?.cause === 'detached-too-long'
  waitFor(shell, hasGivenUp ? LINGER_SECONDS_MIN : Math.max(LINGER_SECONDS_MIN, shell.parts.detachSeconds), () => forgetShell(shell))
}

function watchExit({ client, isAlive }: SshConnection, channel: ShellParts['channel']): Promise<boolean> {
  return new Promise((resolve) => {
    channel.once('exit', () => resolve(true))
    channel.once('close', () => resolve(isAlive()))
    client.once('close', () => resolve(false))
  })
}

function waitFor(shell: Shell, seconds: number, then: () => void): void {
  clearTimeout(shell.waitTimer)
  shell.waitTimer = setTimeout(then, seconds * 1000)
}

// The name comes from the target and goes to people.
function readSignalName(signal: string | undefined): string | null {
  const name = signal?.replace(/^SIG/, '')
  return name !== undefined && /^[A-Z0-9]{1,16}$/.test(name) ? name : null
}
