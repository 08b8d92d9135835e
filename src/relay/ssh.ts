import { createHash } from 'node:crypto'
import type { Duplex, Readable } from 'node:stream'
import ssh2, { type Client, type ClientChannel, type NegotiatedAlgorithms, type PseudoTtyOptions } from 'ssh2'
import { type AlgorithmChoice, HostKeyPin, type Pty } from '../contract/krp.ts'
import { algorithmsFor, isTerrapinProne } from './algorithms.ts'
import type { Ask, Login } from './attempt.ts'
import type { Guard } from './guard.ts'
import { type PresentedKey, Refusal } from './refusal.ts'
import { guardProtocol, hastenPackets, signalChannel, type Wiretap } from './ssh-internals.ts'

/** An authenticated connection to one target. */
export interface SshConnection {
  readonly client: Client
  readonly guard: Guard
  /** The pin that matched. */
  readonly hostKey: HostKeyPin
  readonly algorithms: NegotiatedAlgorithms
  readonly wiretap: Wiretap
  /** False from the first sign of its end on: then ssh2 throws at whoever still uses it. */
  isAlive(): boolean
}

/** What to connect as, and to whom. No pins and no login: only the host key is asked for. */
export interface SshRequest {
  readonly guard: Guard
  readonly username: string
  readonly pins: readonly HostKeyPin[]
  readonly login: Login | undefined
  readonly algorithms: AlgorithmChoice
  readonly keepaliveSeconds: number
  /** Asks a person what the target asks; absent where nobody could answer. */
  readonly ask: Ask | undefined
  readonly deadlineMs: number
}

/** Time for a target to close its side. */
const CLOSE_GRACE_MS = 1_000
const KEEPALIVES_MISSED_MAX = 3

/**
 * Connects, verifies the host key against the pins, and only then logs in. The verifier answers at once: a person who has to decide is asked
 * after the connection is gone.
 *
 * @throws Refusal host-key-unknown or host-key-mismatch with the presented key; target-*, no-common-algorithm, login-refused
 */
export function connectSsh(request: SshRequest, signal: AbortSignal): Promise<SshConnection> {
  const { guard, username, pins, login } = request
  const client = new ssh2.Client()
  let presented: PresentedKey | undefined
  let phase: Phase = 'handshake'
  let algorithms: NegotiatedAlgorithms | undefined
  let isAlive = true
  const die = (): void => {
    isAlive = false
  }
  client.on('error', die)
  client.on('end', die)
  client.on('close', die)

  return new Promise((resolve, reject) => {
    const refuse = (refusal: Refusal): void => {
      reject(refusal)
      clearTimeout(deadline)
      guard.sock.destroy()
    }
    const refuseFor = (error: unknown): void => refuse(toRefusal({ error, phase, presented, pins, guard }))
    const startDeadline = () => setTimeout(() => refuse(new Refusal('target-timeout')), request.deadlineMs)
    let deadline = startDeadline()
    // A person may think for longer than a target may be silent.
    const ask: Ask | undefined =
      request.ask &&
      (async (prompts) => {
        clearTimeout(deadline)
        const answers = await request.ask?.(prompts)
        if (answers === undefined) refuse(new Refusal('prompt-unanswered'))
        else deadline = startDeadline()
        return answers
      })
    const giveUp = (): void => refuse(new Refusal('target-timeout'))
    signal.addEventListener('abort', giveUp, { once: true })
    if (signal.aborted) return giveUp()
    // Stays for the life of the connection: an error event without a listener would end the process.
    client.on('error', refuseFor)
    client.on('close', () => refuseFor(undefined))
    client.on('change password', () => refuse(new Refusal('login-refused')))
    client.on('handshake', (negotiated) => {
      algorithms = negotiated
      hastenPackets(client)
      if (isTerrapinProne(client, negotiated)) return refuse(new Refusal('no-common-algorithm'))
      if (phase === 'handshake') phase = 'login'
    })
    client.on('ready', () => {
      clearTimeout(deadline)
      signal.removeEventListener('abort', giveUp)
      guard.trust()
      if (presented === undefined || algorithms === undefined) return refuse(new Refusal('internal'))
      phase = 'ready'
      const { type, fingerprint } = presented
      resolve({ client, guard, hostKey: { type, fingerprint }, algorithms, wiretap, isAlive: () => isAlive })
    })
    client.connect({
      sock: guard.sock,
      username,
      ident: 'Parvis',
      algorithms: algorithmsFor(pins, request.algorithms),
      hostVerifier: (key: Buffer): boolean => {
        presented = readHostKey(key)
        return pins.some((pin) => pin.type === presented?.type && pin.fingerprint === presented.fingerprint)
      },
      authHandler: ((left: readonly string[] | null, isPartial: boolean | null, next: (method: unknown) => void) =>
        next(login?.next({ username, left: left ?? [], isPartial: isPartial === true, ask }) ?? false)) as never,
      keepaliveInterval: request.keepaliveSeconds * 1000,
      keepaliveCountMax: KEEPALIVES_MISSED_MAX,
      readyTimeout: 0,
    })
    const wiretap = guardProtocol(client, () => void guard.sock.destroy())
    login?.equip?.(client)
  })
}

/** What becomes of a channel on its way. */
export interface ChannelEvents<T> {
  /** The host has confirmed the channel, and is told now what to run; before that it has heard of nothing. */
  readonly confirmed: () => void
  /** Called in the same turn in which the channel opens, because its first events, even its exit, may come in the next. */
  readonly take: (channel: ClientChannel) => T
}

/** Opens a shell or runs a command; the command travels as data. @throws Refusal request-refused */
export function openChannel<T>(client: Client, request: ProgramRequest, { confirmed, take }: ChannelEvents<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const refuse = (): void => reject(new Refusal('request-refused'))
    const answer = (error: unknown, channel: ClientChannel): void => {
      client.off('close', refuse)
      if (error) refuse()
      else resolve(take(channel))
    }
    const options = {
      ...(request.kind === 'exec' && request.pty !== undefined ? { pty: ptyOptions(request.pty) } : {}),
      // ssh2 asks for the variables between the host's word on the channel and our request.
      get env() {
        confirmed()
        return { ...request.env }
      },
    }
    client.once('close', refuse)
    try {
      if (request.kind === 'shell') client.shell(ptyOptions(request.pty), options, answer)
      else client.exec(request.command, options, answer)
    } catch {
      refuse()
    }
  })
}

/** A connection from one host to the next, as the target of an SSH connection of its own. @throws Refusal jump-refused */
export function openTunnel(connection: SshConnection, to: { readonly host: string; readonly port: number }): Promise<ClientChannel> {
  const { client, isAlive } = connection
  return new Promise((resolve, reject) => {
    const fail = (): void => reject(new Refusal('jump-refused'))
    client.once('close', fail)
    if (!isAlive()) return fail()
    client.forwardOut('127.0.0.1', 0, to.host, to.port, (error, channel) => {
      if (error) return fail()
      boundChannel(connection, channel)
      resolve(channel)
    })
  })
}

/** Two receive windows of ssh2, one per output, and air: an honest host never has more under way. */
const UNREAD_BYTES_MAX = 5 * 1024 * 1024

/** Bounds what a channel may hold, either way: ssh2 takes data beyond the window it granted, and takes input while it cannot send any. */
export function boundChannel({ guard: { sock }, wiretap }: SshConnection, channel: Duplex & { readonly stderr: Readable }): void {
  const check = (): void => {
    if (channel.readableLength + channel.stderr.readableLength > UNREAD_BYTES_MAX) sock.destroy()
  }
  sock.on('data', check)
  channel.once('close', () => sock.off('data', check))
  wiretap.hold(channel)
}

/** Says goodbye, and does not wait long for an answer. */
export function closeConnection({ client, guard, isAlive }: SshConnection): void {
  if (isAlive()) client.end()
  setTimeout(() => guard.sock.destroy(), CLOSE_GRACE_MS).unref()
}

/** A shell or a command on one channel. */
export type ProgramRequest = { readonly env: Readonly<Record<string, string>> } & (
  | { readonly kind: 'shell'; readonly pty: Pty }
  | { readonly kind: 'exec'; readonly command: string; readonly pty?: Pty | undefined }
)

/** Sends a signal to what runs on a channel. */
export function sendSignal({ client, isAlive }: SshConnection, channel: ClientChannel, name: string): void {
  if (isAlive()) signalChannel(client, channel, name)
}

type Phase = 'handshake' | 'login' | 'ready'

function readHostKey(key: Buffer): PresentedKey | undefined {
  const type = key.length < 4 ? '' : key.subarray(4, 4 + key.readUInt32BE(0)).toString('latin1')
  const fingerprint = `SHA256:${createHash('sha256').update(key).digest('base64').replace(/=+$/, '')}`
  const pin = HostKeyPin.safeParse({ type, fingerprint })
  return pin.success ? { ...pin.data, publicKey: key.toString('base64') } : undefined
}

interface Failure {
  readonly error: unknown
  readonly phase: Phase
  readonly presented: PresentedKey | undefined
  readonly pins: readonly HostKeyPin[]
  readonly guard: Guard
}

// By cause, never by the target's words: a person sees our sentence, and a port scanner learns nothing.
function toRefusal({ error, phase, presented, pins, guard }: Failure): Refusal {
  const { level, message, code } = describeError(error)
  if (guard.isCut()) return new Refusal('target-not-ssh')
  if (phase === 'login')
    return new Refusal(
      level === 'client-authentication' || level === 'agent' || typeof code === 'number' ? 'login-refused' : 'target-unreachable',
    )
  if (presented !== undefined && !pins.some((pin) => pin.fingerprint === presented.fingerprint)) {
    return new Refusal(pins.length === 0 ? 'host-key-unknown' : 'host-key-mismatch', presented)
  }
  if (message.includes('no matching host key format') && pins.length > 0) return new Refusal('host-key-mismatch')
  if (message.includes('no matching')) return new Refusal('no-common-algorithm')
  return new Refusal(level === 'client-socket' ? 'target-unreachable' : 'target-not-ssh')
}

function describeError(error: unknown): { level: unknown; message: string; code: unknown } {
  if (!(error instanceof Error)) return { level: undefined, message: '', code: undefined }
  return { level: Reflect.get(error, 'level'), message: error.message, code: Reflect.get(error, 'code') }
}

function ptyOptions(pty: Pty): PseudoTtyOptions {
  return { term: pty.term, cols: pty.cols, rows: pty.rows, width: 0, height: 0, modes: {} }
}
