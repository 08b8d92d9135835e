import type { Socket } from 'node:net'
import { decodeControl, encodeControl, type LinkClaims } from '../contract/krp.ts'
import {
  createFrameDecoder,
  FRAME_BYTES_MAX,
  FRAME_BYTES_UNAUTHENTICATED_MAX,
  type Frame,
  type FrameDecoder,
  KrpError,
  type LinkErrorCode,
} from '../contract/krp-frame.ts'
import { createHandshake, type Handshake, type HandshakeDeps } from './handshake.ts'
import { errorFields, type Log, traceIdOf } from './log.ts'
import type { OpeningDeps } from './opening.ts'
import { createStreams, type Streams } from './streams.ts'

/** What a peer may leave unread before it is cut: output waits in the rings, so only a peer that asks and never reads gets here. */
const UNREAD_BYTES_MAX = 1024 * 1024
/** Time for the last frames to leave. */
const LINGER_MS = 1_000

/** What a link needs of the relay. */
export interface LinkDeps extends OpeningDeps, HandshakeDeps {
  readonly log: Log
  readonly onReady: (link: Link) => void
  /** With the reason in our own words. */
  readonly onClosed: (link: Link, reason: string) => void
}

type Phase = 'hello' | 'auth' | 'verifying' | 'ready' | 'closed'

/** One TCP connection from one Durable Object. */
export interface Link {
  readonly socket: Socket
  readonly deps: LinkDeps
  readonly handshake: Handshake
  log: Log
  phase: Phase
  claims: LinkClaims | undefined
  streams: Streams | undefined
  heardAt: number
  pings: number
  timer: NodeJS.Timeout | undefined
  fence(): void
}

/** Speaks KRP on `socket` until it ends. Never throws and never rejects: whatever a peer sends ends at most its own link. */
export function startLink(socket: Socket, deps: LinkDeps): Link {
  const link: Link = {
    socket,
    deps,
    handshake: createHandshake(deps),
    log: deps.log,
    phase: 'hello',
    claims: undefined,
    streams: undefined,
    heardAt: performance.now(),
    pings: 0,
    timer: undefined,
    fence: () => endLink(link, 'fenced'),
  }
  const decoder = createFrameDecoder((frame) => takeFrame(link, decoder, frame), FRAME_BYTES_UNAUTHENTICATED_MAX)
  link.timer = setTimeout(() => endLink(link, 'auth-timeout'), deps.config.limits.handshakeSeconds * 1000)
  socket.on('data', (chunk) => guarded(link, () => takeBytes(link, decoder, chunk)))
  socket.on('drain', () => guarded(link, () => link.streams?.pump()))
  socket.on('error', () => undefined)
  socket.on('end', () => closeLink(link, 'peer-ended'))
  socket.on('close', () => closeLink(link, 'peer-gone'))
  return link
}

/** Tells why and closes; the shells of the link live on, detached. */
export function endLink(link: Link, code: LinkErrorCode): void {
  if (link.phase === 'closed') return
  if (link.socket.writable) link.socket.write(encodeControl('ERR', 0, { code }))
  closeLink(link, code)
}

/** Tells the dialer to go elsewhere, with the time that is left. */
export function sendGoAway(link: Link, drainSeconds: number): void {
  if (link.phase === 'ready') sendBytes(link, encodeControl('GOAWAY', 0, { drainSeconds }))
}

function takeBytes(link: Link, decoder: FrameDecoder, chunk: Buffer): void {
  if (link.phase === 'closed') return
  link.heardAt = performance.now()
  decoder.push(chunk)
}

function takeFrame(link: Link, decoder: FrameDecoder, frame: Frame): void {
  if (link.phase === 'closed') return
  if (frame.name === 'ERR') closeLink(link, `peer-${decodeControl('ERR', frame.payload).code}`)
  else if (link.phase === 'hello' && frame.name === 'HELLO') answerHello(link, frame)
  else if (link.phase === 'auth' && frame.name === 'AUTH') void answerAuth(link, decoder, frame)
  else if (link.phase !== 'ready') throw new KrpError('frame-order')
  else if (frame.stream !== 0) link.streams?.take(frame)
  else takeHeartbeat(link, frame)
}

function answerHello(link: Link, frame: Frame): void {
  const { challenge, traceparent } = link.handshake.challenge(frame)
  link.log = link.log.child({ trace: traceIdOf(traceparent) })
  link.phase = 'auth'
  sendBytes(link, challenge)
}

async function answerAuth(link: Link, decoder: FrameDecoder, frame: Frame): Promise<void> {
  link.phase = 'verifying'
  try {
    const { claims, ready } = await link.handshake.authenticate(frame)
    if (isOver(link)) return
    link.log = link.log.child({ tenant: claims.tenant, sub: claims.sub, epoch: claims.epoch })
    link.claims = claims
    link.deps.registry.claim(claims, link)
    decoder.setFrameBytesMax(FRAME_BYTES_MAX)
    clearTimeout(link.timer)
    link.phase = 'ready'
    link.streams = createStreams({
      link: claims,
      deps: link.deps,
      log: link.log,
      send: (...parts) => sendBytes(link, ...parts),
      isWritable: () => isWritable(link),
    })
    sendBytes(link, ready)
    link.timer = setInterval(() => beat(link), link.deps.config.limits.heartbeatSeconds * 1000)
    link.log.info('link-opened')
    link.deps.onReady(link)
  } catch (error) {
    failLink(link, error)
  }
}

// A function, because the compiler would remember the phase from before an await.
const isOver = (link: Link): boolean => link.phase === 'closed'

function takeHeartbeat(link: Link, frame: Frame): void {
  if (frame.name === 'PING') sendBytes(link, encodeControl('PONG', 0, decodeControl('PING', frame.payload)))
  else if (frame.name === 'PONG') decodeControl('PONG', frame.payload)
  else throw new KrpError('frame-order')
}

function beat(link: Link): void {
  const silentMs = performance.now() - link.heardAt
  link.pings += 1
  if (silentMs > 2 * link.deps.config.limits.heartbeatSeconds * 1000) endLink(link, 'heartbeat-timeout')
  else sendBytes(link, encodeControl('PING', 0, { id: link.pings }))
}

const isWritable = (link: Link): boolean => link.phase === 'ready' && link.socket.writable && !link.socket.writableNeedDrain

function sendBytes(link: Link, ...parts: readonly Uint8Array[]): void {
  if (link.phase === 'closed' || !link.socket.writable) return
  link.socket.cork()
  for (const bytes of parts) link.socket.write(bytes)
  link.socket.uncork()
  if (link.socket.writableLength > UNREAD_BYTES_MAX) endLink(link, 'slow-peer')
}

function guarded(link: Link, work: () => void): void {
  try {
    work()
  } catch (error) {
    failLink(link, error)
  }
}

function failLink(link: Link, error: unknown): void {
  if (!(error instanceof KrpError)) link.log.error('bug', errorFields(error))
  endLink(link, error instanceof KrpError ? error.code : 'internal')
}

function closeLink(link: Link, reason: string): void {
  if (link.phase === 'closed') return
  const wasReady = link.phase === 'ready'
  link.phase = 'closed'
  clearTimeout(link.timer)
  clearInterval(link.timer)
  link.streams?.detachAll()
  if (link.claims !== undefined) link.deps.registry.release(link.claims, link)
  link.socket.end()
  setTimeout(() => link.socket.destroy(), LINGER_MS).unref()
  link.log.info(wasReady ? 'link-closed' : 'link-refused', { reason })
  link.deps.onClosed(link, reason)
}
