import { type Duplex, PassThrough, Readable, Writable } from 'node:stream'
import { KEEPALIVE_SECONDS_DEFAULT } from '../contract/krp.ts'
import type { ChannelRequest, Driver, Exit, HostChannel } from './driver.ts'
import { type Pacer, pacer } from './pacer.ts'
import { connectPlain } from './route.ts'
import { within } from './stop.ts'
import { createTelnet, type Telnet } from './telnet.ts'

type ConsoleRequest = Extract<ChannelRequest, { kind: 'console' }>

/** What may wait for a host that does not read: a full window of input and our answers, so an honest one never gets here. */
const OUTGOING_BYTES_MAX = 1024 * 1024
/** Time for a host to close its side. */
const CLOSE_GRACE_MS = 1_000
const STOP_MS = 2_000

/** A terminal by Telnet, or on a bare line. There is no login of ours, and nothing is encrypted behind the last jump host. */
export const driveTelnet: Driver<ConsoleRequest> = async ({ claims, request, secrets, signal, log }, deps, take) => {
  const { jumps = [] } = request
  const socket = await connectPlain({ claims, jumpCredentials: secrets.jumpCredentials ?? [], signal }, deps)
  const shell = take(createTelnetChannel(socket, request))
  log.info('shell-opened', { protocol: request.protocol, isEncrypted: false, jumps: jumps.length })
  return shell
}

type LineRequest = Pick<ConsoleRequest, 'pty' | 'keepaliveSeconds'>

/** The terminal of a line that stands; what the host says is taken in turns. */
export function createTelnetChannel(socket: Duplex, request: LineRequest, turns: Pacer = pacer): HostChannel {
  const { pty, keepaliveSeconds = KEEPALIVE_SECONDS_DEFAULT } = request
  const telnet = createTelnet({ pty, send: (bytes) => void (socket.writable && socket.write(bytes)) })
  let isFull = false
  let hasEnded = false
  const lane = turns.join(
    (bytes) => {
      try {
        const shown = telnet.receive(bytes)
        if (shown.length > 0) isFull = !stdout.push(shown)
        if (socket.writableLength > OUTGOING_BYTES_MAX) cut()
      } catch {
        cut()
      }
    },
    () => {
      if (hasEnded) stdout.push(null)
      else if (!isFull) socket.resume()
    },
  )
  const cut = (): void => {
    lane.leave()
    socket.destroy()
  }
  const stdout = new Readable({
    read: () => {
      isFull = false
      if (!lane.isWaiting()) socket.resume()
    },
  })
  const stderr = new PassThrough()
  stderr.end()
  let exit: Exit | undefined
  let isAlive = true
  const nudges = keepaliveSeconds > 0 ? setInterval(() => isAlive && telnet.nudge(), keepaliveSeconds * 1000) : undefined
  const exited = new Promise<boolean>((resolve) => {
    socket.once('end', () => resolve(true))
    socket.once('close', () => resolve(false))
  })
  // What has come is still taken, in its turns.
  const end = (): void => {
    hasEnded = true
    if (!lane.isWaiting()) stdout.push(null)
  }
  socket.on('data', (chunk: Buffer) => {
    lane.push(chunk)
    if (isFull || lane.isWaiting()) socket.pause()
  })
  socket.on('error', () => undefined)
  socket.once('end', () => {
    exit = { code: null, signal: null }
    end()
  })
  socket.once('close', () => {
    isAlive = false
    clearInterval(nudges)
    end()
  })
  const leave = (): void => {
    socket.end()
    setTimeout(() => socket.destroy(), CLOSE_GRACE_MS).unref()
  }
  return {
    opened: {},
    input: typing(socket, telnet),
    stdout,
    stderr,
    exit: () => exit,
    isAlive: () => isAlive,
    onClosed: (listener) => void stdout.once('close', listener),
    onRoom: (listener) => listener(),
    resize: (size) => telnet.resize(size),
    signal: (name) => {
      if (name === 'INT') telnet.interrupt()
    },
    async stop() {
      socket.end()
      return (await within(exited, STOP_MS)) === true ? 'confirmed' : 'unconfirmed'
    },
    leave,
    cut,
  }
}

const typing = (socket: Duplex, telnet: Telnet): Writable =>
  new Writable({
    write(chunk: Buffer, _encoding, done) {
      if (socket.write(telnet.encode(chunk))) done()
      else socket.once('drain', () => done())
    },
    final(done) {
      socket.end()
      done()
    },
  })
