import { type ControlBody, decodeControl, type GrantRequest, type OpenProblem } from '../../contract/krp.ts'
import { decodeData, type Frame, KrpError, type OffsetChunk } from '../../contract/krp-frame.ts'
import { sealAad, sealCredential } from '../../contract/seal.ts'
import type { RelayConfig } from '../platform/config.ts'
import type { RelayLink } from './link.ts'
import { type DialerIdentity, signGrantToken } from './tokens.ts'

/** What the relay tells of a shell; called in order, from the bytes of the link, so nothing here awaits. */
export interface StreamEvents {
  readonly hostKey?: (body: ControlBody<'HOSTKEY'>) => void
  readonly opened?: (body: ControlBody<'OPENED'>) => void
  readonly attached?: (body: ControlBody<'ATTACHED'>) => void
  readonly output?: (chunk: OffsetChunk, isStderr: boolean) => void
  readonly gap?: (body: ControlBody<'GAP'>) => void
  /** Input before `offset` is with the relay for good. */
  readonly acked?: (offset: number) => void
  readonly credit?: (bytes: number) => void
  readonly exit?: (body: ControlBody<'EXIT'>) => void
  readonly closed?: (reason: ControlBody<'CLOSE'>['reason']) => void
  /** The link is gone; the shell lives on in the relay for its detach time. */
  readonly lost?: (why: string) => void
}

/** The relay refused to open or attach. */
export class OpenRefused extends Error {
  override readonly name = 'OpenRefused'
  readonly code: OpenProblem
  /** The key that the host presented, when that was the trouble or the question. */
  readonly presented: ControlBody<'HOSTKEY'> | undefined
  constructor(code: OpenProblem, presented: ControlBody<'HOSTKEY'> | undefined) {
    super(code)
    this.code = code
    this.presented = presented
  }
}

/** The link died before the relay answered, so whether a shell was opened is not known. */
export class LinkLost extends Error {
  override readonly name = 'LinkLost'
}

/** One shell on a link. */
export interface RelayStream {
  /** Output before `offset` is kept for good. */
  ack(offset: number): void
  giveCredit(bytes: number): void
  input(chunk: OffsetChunk): void
  resize(size: ControlBody<'RESIZE'>): void
  endInput(offset: number): void
  /** Ends the remote program; EXIT and CLOSE tell when it is done. */
  close(): void
  isOpen(): boolean
  /** Leaves the link; the shell lives on. */
  leave(why: string): void
}

/** A grant, and the credential that is sealed to it; the plaintext is overwritten once it is. */
export interface Grant {
  readonly relay: RelayConfig
  readonly who: DialerIdentity
  readonly request: GrantRequest
  readonly credential?: Uint8Array<ArrayBuffer>
  readonly creditBytes: number
  readonly traceparent: string
}

/** An ssh handshake, a slow host and the relay's queue; then the relay itself has long given up. */
const ANSWER_MS = 30_000
/** One stream per link: the id is free on every new one. */
const STREAM = 1

interface Waiting {
  readonly resolve: () => void
  readonly reject: (error: Error) => void
}

interface State {
  readonly link: RelayLink
  readonly events: StreamEvents
  waiting: Waiting | undefined
  presented: ControlBody<'HOSTKEY'> | undefined
  hasSaidClose: boolean
  isOver: boolean
}

/** Opens what the grant says. @throws OpenRefused or LinkLost */
export async function openStream(link: RelayLink, grant: Grant, events: StreamEvents): Promise<RelayStream> {
  const { request, credential, creditBytes, traceparent } = grant
  try {
    const { token, jti } = await signGrantToken(grant.relay, grant.who, { nonce: link.challenge.nonce, request })
    const sealed = credential && (await sealFor(link, grant, { jti, credential }))
    return await ask(link, events, () =>
      link.send('OPEN', STREAM, { grant: token, creditBytes, traceparent, ...(sealed ? { credential: sealed } : {}) }),
    )
  } finally {
    credential?.fill(0)
  }
}

/** Asks a host for its key and opens nothing. @throws OpenRefused or LinkLost */
export async function scanKey(link: RelayLink, grant: Grant): Promise<ControlBody<'HOSTKEY'>> {
  let presented: ControlBody<'HOSTKEY'> | undefined
  const { token } = await signGrantToken(grant.relay, grant.who, { nonce: link.challenge.nonce, request: grant.request })
  const open = { grant: token, creditBytes: grant.creditBytes, traceparent: grant.traceparent }
  const hostKey = (key: ControlBody<'HOSTKEY'>) => {
    presented = key
  }
  await ask(link, { hostKey }, () => link.send('OPEN', STREAM, open))
  if (!presented) throw new LinkLost('no key')
  return presented
}

/** Takes a shell of this object over from an earlier link. @throws OpenRefused or LinkLost */
export function attachStream(
  link: RelayLink,
  at: { readonly shellId: string; readonly fromOffset: number; readonly creditBytes: number; readonly traceparent: string },
  events: StreamEvents,
): Promise<RelayStream> {
  const { shellId: shell, fromOffset, creditBytes, traceparent } = at
  return ask(link, events, () => link.send('ATTACH', STREAM, { shell, fromOffset, creditBytes, traceparent }))
}

async function sealFor(
  link: RelayLink,
  { who, request }: Grant,
  to: { readonly jti: string; readonly credential: Uint8Array<ArrayBuffer> },
) {
  const { sealingKey } = link.challenge
  const pins = request.kind === 'scan' ? [] : request.pins
  const aad = await sealAad({ shell: who.shellId, host: request.host, port: request.port, pins, relayKeyId: sealingKey.kid, jti: to.jti })
  return sealCredential(sealingKey, aad, to.credential)
}

async function ask(link: RelayLink, events: StreamEvents, send: () => void): Promise<RelayStream> {
  const state: State = { link, events, waiting: undefined, presented: undefined, hasSaidClose: false, isOver: false }
  let timer: ReturnType<typeof setTimeout> | null = null
  const answer = new Promise<void>((resolve, reject) => {
    state.waiting = { resolve, reject }
    timer = setTimeout(() => link.close('no-answer'), ANSWER_MS)
  })
  link.use({ take: (frame) => takeFrame(state, frame), lost: (why) => takeLoss(state, why) })
  send()
  try {
    await answer
    return streamOf(state)
  } finally {
    clearTimeout(timer)
  }
}

function takeLoss(state: State, why: string): void {
  // A refusal closes the link too, and is settled as such.
  if (state.isOver) return
  if (state.waiting) settle(state)?.reject(new LinkLost(why))
  else state.events.lost?.(why)
}

function settle(state: State): Waiting | undefined {
  const { waiting } = state
  state.waiting = undefined
  return waiting
}

function takeFrame(state: State, frame: Frame): void {
  if (frame.stream !== STREAM) throw new KrpError('stream-unknown')
  if (state.isOver) throw new KrpError('frame-order')
  if (state.waiting) takeAnswer(state, frame)
  else takeEvent(state, frame)
}

function takeAnswer(state: State, { name, payload }: Frame): void {
  if (name === 'HOSTKEY') {
    state.presented = decodeControl('HOSTKEY', payload)
    state.events.hostKey?.(state.presented)
  } else if (name === 'GAP') state.events.gap?.(decodeControl('GAP', payload))
  else if (name === 'OPENED') {
    state.events.opened?.(decodeControl('OPENED', payload))
    settle(state)?.resolve()
  } else if (name === 'ATTACHED') {
    state.events.attached?.(decodeControl('ATTACHED', payload))
    settle(state)?.resolve()
  } else if (name === 'OPEN_FAIL') {
    const { code } = decodeControl('OPEN_FAIL', payload)
    end(state)
    settle(state)?.reject(new OpenRefused(code, state.presented))
  } else if (name === 'CLOSE' && state.presented) {
    end(state)
    settle(state)?.resolve()
  } else throw new KrpError('frame-order')
}

function takeEvent(state: State, { name, payload }: Frame): void {
  const { events } = state
  if (name === 'DATA' || name === 'EXTDATA') events.output?.(decodeData(payload), name === 'EXTDATA')
  else if (name === 'ACK') events.acked?.(decodeControl('ACK', payload).offset)
  else if (name === 'CREDIT') events.credit?.(decodeControl('CREDIT', payload).bytes)
  else if (name === 'EXIT') events.exit?.(decodeControl('EXIT', payload))
  else if (name === 'CLOSE') {
    const { reason } = decodeControl('CLOSE', payload)
    end(state)
    events.closed?.(reason)
  } else throw new KrpError('frame-order')
}

/** Both sides have said their last, so the link has no more to carry. */
function end(state: State): void {
  sayClose(state)
  state.isOver = true
  state.link.close('over')
}

/** Each side says CLOSE once; the relay forgets the shell when it has ours. */
function sayClose(state: State): void {
  if (state.hasSaidClose) return
  state.hasSaidClose = true
  state.link.send('CLOSE', STREAM, { reason: 'dialer' })
}

function streamOf(state: State): RelayStream {
  const { link } = state
  const isOpen = () => !state.isOver && !state.hasSaidClose && link.isOpen()
  return {
    ack: (offset) => isOpen() && link.send('ACK', STREAM, { offset }),
    giveCredit: (bytes) => isOpen() && link.send('CREDIT', STREAM, { bytes }),
    input: (chunk) => isOpen() && link.sendInput(STREAM, chunk),
    resize: (size) => isOpen() && link.send('RESIZE', STREAM, size),
    endInput: (offset) => isOpen() && link.send('EOF', STREAM, { offset }),
    close: () => sayClose(state),
    isOpen,
    leave: (why) => link.close(why),
  }
}
