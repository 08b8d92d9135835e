import { type ControlBody, type ControlName, decodeControl, encodeControl, KRP_VERSION } from '../../contract/krp.ts'
import {
  createFrameDecoder,
  encodeData,
  encodeFrame,
  FRAME_BYTES_MAX,
  FRAME_BYTES_UNAUTHENTICATED_MAX,
  type Frame,
  type FrameDecoder,
  KrpError,
  type OffsetChunk,
} from '../../contract/krp-frame.ts'
import { encodeBase64url, verifyRelayProof } from '../../contract/seal.ts'
import type { Log } from '../platform/log.ts'
import type { RelayConfig } from '../platform/relays.ts'
import type { Dialled } from './dialer.ts'
import { relayUnavailable } from './policy.ts'
import { type DialerIdentity, signLinkToken } from './tokens.ts'

/** What a link tells the one stream that uses it. */
export interface LinkUser {
  /** A frame of the stream. @throws KrpError when the relay breaks the protocol */
  readonly take: (frame: Frame) => void
  /** The link is gone, whoever ended it. Said once. */
  readonly lost: (why: string) => void
}

/** An authenticated connection to the relay. */
export interface RelayLink {
  readonly challenge: ControlBody<'CHALLENGE'>
  send<N extends ControlName>(name: N, stream: number, body: ControlBody<N>): void
  sendInput(stream: number, chunk: OffsetChunk): void
  /** Gives the frames to their user. Frames cannot come before the first OPEN or ATTACH, so none is missed. */
  use(user: LinkUser): void
  isOpen(): boolean
  /** Resolves when what was sent has left us. */
  flushed(): Promise<void>
  /** Leaves without a word: the relay keeps the shell for its detach time. */
  close(why: string): void
}

/** What one link needs. */
export interface LinkParts extends Dialled {
  readonly relay: RelayConfig
  readonly who: DialerIdentity
  readonly traceparent: string
  readonly log: Log
  /** The relay is the one that was meant, though its proof is still to come. */
  readonly greeted?: ((challenge: ControlBody<'CHALLENGE'>) => void) | undefined
}

/** As much as one read may bring, for each costs a transaction; a default reader would bring 4 KiB at a time. */
const READ_BYTES = 256 * 1024
/** From the open socket to READY. */
const HANDSHAKE_MS = 5_000
/** The relay pings once per heartbeat; two missed ones and air. */
const HEARTBEATS_MISSED = 2.5
/** Time for the last frames to leave. */
const LINGER_MS = 1_000

interface State extends Omit<LinkParts, 'who'> {
  readonly writer: WritableStreamDefaultWriter<Uint8Array>
  readonly decoder: FrameDecoder
  /** Who gets the frames: first the handshake, then the link's user. */
  take: (frame: Frame) => void
  lost: (why: string) => void
  closedWhy: string | undefined
  heardAt: number
  written: Promise<void>
  timer: ReturnType<typeof setInterval> | null
}

/**
 * Authenticates both sides and hands over the link; the relay gets no grant and no secret before its proof holds.
 *
 * @throws Problem `unavailable` when the relay refuses, breaks the protocol, is another one, or takes too long
 */
export async function openLink(parts: LinkParts): Promise<RelayLink> {
  const state = startReading(parts)
  const stopWaiting = limitHandshake(state, HANDSHAKE_MS)
  try {
    const challenge = await shakeHands(state, parts)
    state.decoder.setFrameBytesMax(FRAME_BYTES_MAX)
    const beatMs = challenge.heartbeatSeconds * 1000
    state.timer = setInterval(() => {
      if (Date.now() - state.heardAt > beatMs * HEARTBEATS_MISSED) fail(state, new KrpError('heartbeat-timeout'))
    }, beatMs)
    return linkOf(state, challenge)
  } catch (cause) {
    shut(state, 'handshake-failed')
    await parts.opened
    throw relayUnavailable('The relay could not be authenticated.', cause)
  } finally {
    stopWaiting()
  }
}

/** HELLO, then CHALLENGE: that a relay of this name listens, and how it stands. @throws Problem `unavailable` */
export async function greetRelay(parts: Omit<LinkParts, 'who'> & { readonly withinMs: number }): Promise<ControlBody<'CHALLENGE'>> {
  const state = startReading(parts)
  const stopWaiting = limitHandshake(state, parts.withinMs)
  try {
    return (await greet(state)).challenge
  } catch (cause) {
    throw relayUnavailable('The relay did not greet.', cause)
  } finally {
    stopWaiting()
    shut(state, 'greeted')
  }
}

/** The handshake has its time from the open socket on, and none where that never opens. */
function limitHandshake(state: State, ms: number): () => void {
  let timer: ReturnType<typeof setTimeout> | null = null
  let isOver = false
  state.opened.then(
    () => {
      if (!isOver) timer = setTimeout(() => shut(state, 'handshake-timeout'), ms)
    },
    () => shut(state, 'not-opened'),
  )
  return () => {
    isOver = true
    clearTimeout(timer)
  }
}

function linkOf(state: State, challenge: ControlBody<'CHALLENGE'>): RelayLink {
  return {
    challenge,
    send: (name, stream, body) => write(state, encodeControl(name, stream, body)),
    sendInput: (stream, chunk) => write(state, encodeData('DATA', stream, chunk)),
    use(user) {
      state.take = user.take
      state.lost = user.lost
      // The link may have died while nobody listened.
      if (state.closedWhy !== undefined) user.lost(state.closedWhy)
    },
    isOpen: () => state.closedWhy === undefined,
    flushed: () => state.written,
    close: (why) => shut(state, why),
  }
}

function startReading(parts: Omit<LinkParts, 'who'>): State {
  const state: State = {
    ...parts,
    writer: parts.socket.writable.getWriter(),
    decoder: createFrameDecoder((frame) => takeFrame(state, frame), FRAME_BYTES_UNAUTHENTICATED_MAX),
    take: () => {
      throw new KrpError('frame-order')
    },
    lost: () => undefined,
    closedWhy: undefined,
    heardAt: Date.now(),
    written: Promise.resolve(),
    timer: null,
  }
  state.writer.closed.catch(() => shut(state, 'write-failed'))
  read(state).then(
    () => shut(state, 'relay-closed'),
    (error: unknown) => fail(state, error),
  )
  return state
}

async function read(state: State): Promise<void> {
  const reader = (state.socket.readable as ReadableStream<Uint8Array>).getReader({ mode: 'byob' })
  let buffer = new ArrayBuffer(READ_BYTES)
  while (state.closedWhy === undefined) {
    const { value, done } = await reader.readAtLeast(1, new Uint8Array(buffer))
    if (value) {
      state.heardAt = Date.now()
      // The decoder copies, so the same buffer serves every read.
      state.decoder.push(value)
      buffer = value.buffer as ArrayBuffer
    }
    if (done) return
  }
}

function takeFrame(state: State, frame: Frame): void {
  if (state.closedWhy !== undefined) return
  if (frame.name === 'ERR') shut(state, `relay-${decodeControl('ERR', frame.payload).code}`)
  else if (frame.name === 'PING') write(state, encodeControl('PONG', 0, decodeControl('PING', frame.payload)))
  else if (frame.name === 'PONG') decodeControl('PONG', frame.payload)
  else if (frame.name === 'GOAWAY') state.log('relay.draining', { drainSeconds: decodeControl('GOAWAY', frame.payload).drainSeconds })
  else state.take(frame)
}

/** The next frame of this name; anything else is out of order. */
function expectFrame(state: State, name: 'CHALLENGE' | 'READY'): Promise<Frame> {
  return new Promise((resolve, reject) => {
    state.take = (frame) => {
      if (frame.name !== name) throw new KrpError('frame-order')
      state.take = () => {
        throw new KrpError('frame-order')
      }
      resolve(frame)
    }
    state.lost = (why) => reject(new Error(why))
    if (state.closedWhy !== undefined) reject(new Error(state.closedWhy))
  })
}

async function greet(state: State) {
  const nonce = encodeBase64url(crypto.getRandomValues(new Uint8Array(32)))
  const hello = encodeControl('HELLO', 0, { version: KRP_VERSION, nonce, traceparent: state.traceparent })
  const answer = expectFrame(state, 'CHALLENGE')
  write(state, hello)
  const { payload } = await answer
  const challenge = decodeControl('CHALLENGE', payload)
  // Pinned twice: the proof covers what the relay says of itself, and that must be what we were told to expect.
  const isKnown = state.relay.sealKeys.some((key) => key.x === challenge.sealingKey.x)
  if (challenge.relay !== state.relay.id || !isKnown) throw new Error('another relay')
  return { nonce, hello, challenge, challengeFrame: encodeFrame('CHALLENGE', 0, payload) }
}

async function shakeHands(state: State, { who, greeted }: LinkParts): Promise<ControlBody<'CHALLENGE'>> {
  const { nonce, hello, challenge, challengeFrame } = await greet(state)
  const auth = encodeControl('AUTH', 0, { token: await signLinkToken(state.relay, who, challenge.nonce) })
  const answer = expectFrame(state, 'READY')
  write(state, auth)
  greeted?.(challenge)
  const { proof } = decodeControl('READY', (await answer).payload)
  const handshake = { dialerNonce: nonce, hello, challenge: challengeFrame, auth }
  for (const { x = '' } of state.relay.verifyKeys) if (await verifyRelayProof(x, handshake, proof)) return challenge
  throw new Error('the proof of the relay does not hold')
}

function write(state: State, bytes: Uint8Array): void {
  if (state.closedWhy !== undefined) return
  state.written = state.writer.write(bytes).catch(() => shut(state, 'write-failed'))
}

function fail(state: State, error: unknown): void {
  if (state.closedWhy !== undefined) return
  const code = error instanceof KrpError ? error.code : undefined
  if (code) write(state, encodeControl('ERR', 0, { code }))
  shut(state, code ?? 'link-broke')
}

function shut(state: State, why: string): void {
  if (state.closedWhy !== undefined) return
  state.closedWhy = why
  clearInterval(state.timer)
  // Bytes that were written go out before the end of the stream; the socket is closed whether they do or not.
  const closeSocket = () => void state.socket.close().catch(() => undefined)
  const linger = setTimeout(closeSocket, LINGER_MS)
  state.writer
    .close()
    .catch(() => undefined)
    .finally(() => {
      clearTimeout(linger)
      closeSocket()
    })
  state.lost(why)
}
