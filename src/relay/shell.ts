import { type ControlBody, CREDIT_EXEC_BYTES, CREDIT_INTERACTIVE_BYTES } from '../contract/krp.ts'
import { type Clock, createClock } from './clock.ts'
import type { ChannelRequest, HostChannel } from './driver.ts'
import { createInput, type Input } from './input.ts'
import type { Log } from './log.ts'
import { createOutput, type Output } from './output.ts'
import type { StreamPort } from './port.ts'
import { Refusal } from './refusal.ts'

/** How long the end of a shell is kept at least for its dialer to hear of it. */
const LINGER_SECONDS_MIN = 30
/**
 * A dialer that has said nothing since OPENED may not have heard it: then it has given the shell up, and nobody comes. One whose memory died in that
 * moment is back sooner than this.
 */
const UNHEARD_SECONDS = 60

/** Whose shell it is: unique in the relay. */
export interface ShellKey {
  readonly tenant: string
  readonly sub: string
  readonly shell: string
}

/** Why the relay ends a program. */
export type StopCause = NonNullable<ControlBody<'EXIT'>['cause']>

/** What a shell is made of. */
export interface ShellParts {
  readonly key: ShellKey
  readonly kind: ChannelRequest['kind']
  readonly channel: HostChannel
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

/** What lives on when a link dies: a channel to a host, and the output nobody has kept yet. */
export interface Shell {
  readonly parts: ShellParts
  readonly input: Input
  readonly output: Output
  readonly startedAt: number
  port: StreamPort | undefined
  stopped: { readonly cause: StopCause; killed?: 'confirmed' | 'unconfirmed' } | undefined
  /** Nothing more comes from the channel: both outputs were read to their end. */
  isClosed: boolean
  /** The connection broke before the program ended. */
  isLost: boolean
  /** Over: closed, and no stop is in progress. */
  isEnded: boolean
  /** EXIT and CLOSE were sent on the present port. */
  isTold: boolean
  /** The dialer has spoken to it, so it knows that there is something to come back to. */
  isHeard: boolean
  /** The dialer sent CLOSE. */
  isDialerDone: boolean
  isGone: boolean
  timeoutTimer: NodeJS.Timeout | undefined
  waitTimer: NodeJS.Timeout | undefined
  readonly clocks: readonly Clock[]
}

/** Takes over a channel: from here on the shell ends in one way and is forgotten once. */
export function createShell(parts: ShellParts): Shell {
  const { kind, channel } = parts
  const shell: Shell = {
    parts,
    input: createInput(channel, kind === 'shell' || kind === 'console' ? CREDIT_INTERACTIVE_BYTES : CREDIT_EXEC_BYTES),
    output: createOutput({
      stdout: channel.stdout,
      stderr: channel.stderr,
      onBytes: (bytes) => limitOutput(shell, bytes),
      onAllSent: () => tellEnd(shell),
    }),
    startedAt: performance.now(),
    port: undefined,
    stopped: undefined,
    isClosed: false,
    isLost: false,
    isEnded: false,
    isTold: false,
    isHeard: false,
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
  channel.onClosed(() => closeOutput(shell))
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
  const { detachSeconds } = shell.parts
  const waitSeconds = shell.isHeard ? detachSeconds : Math.min(detachSeconds, UNHEARD_SECONDS)
  shell.parts.log.info('shell-detached', { waitSeconds })
  if (shell.isEnded && shell.isDialerDone) forgetShell(shell)
  else if (shell.stopped === undefined && !shell.isEnded) waitFor(shell, waitSeconds, () => stopShell(shell, 'detached-too-long'))
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
  const { channel } = shell.parts
  void channel
    .stop()
    .catch(() => 'unconfirmed' as const)
    .then((killed) => {
      shell.stopped = { cause, killed }
      // What is already here is still read and delivered; only then does the channel count as closed.
      channel.leave()
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
  shell.parts.channel.resize(size)
}

/** Sends a signal to the program. */
export function signalShell(shell: Shell, { signal }: ControlBody<'SIGNAL'>): void {
  shell.parts.channel.signal(signal)
}

function closeOutput(shell: Shell): void {
  const { channel } = shell.parts
  shell.isClosed = true
  shell.isLost = channel.exit() === undefined && shell.stopped === undefined && !channel.isAlive()
  endShell(shell)
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
  shell.parts.channel.leave()
  lingerShell(shell)
  if (shell.isDialerDone && shell.port === undefined) forgetShell(shell)
  else pumpShell(shell)
}

function tellEnd(shell: Shell): void {
  const { port, output, stopped, parts } = shell
  if (!shell.isEnded || shell.isTold || port === undefined || !output.isAllSent()) return
  shell.isTold = true
  port.send('EXIT', { code: null, signal: null, ...parts.channel.exit(), ...stopped, offset: output.nextOffset() })
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
    ...shell.parts.channel.exit(),
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

function waitFor(shell: Shell, seconds: number, then: () => void): void {
  clearTimeout(shell.waitTimer)
  shell.waitTimer = setTimeout(then, seconds * 1000)
}
