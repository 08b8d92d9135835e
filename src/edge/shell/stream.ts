import { type ControlBody, decodeControl, type GrantRequest, type Jump, PROMPT_SECONDS_MAX } from '../../contract/krp.ts'
import { decodeData, type Frame, KrpError, type OffsetChunk } from '../../contract/krp-frame.ts'
import type { OpenProblem } from '../../contract/krp-problem.ts'
import { sealAad, sealCredential, viaOf } from '../../contract/seal.ts'
import type { RelayConfig } from '../platform/relays.ts'
import type { RelayLink } from './link.ts'
import type { Secrets } from './secrets.ts'
import { type DialerIdentity, signGrantToken } from './tokens.ts'

/** What the relay tells of a shell; called in order, from the bytes of the link, so nothing here awaits. */
export interface StreamEvents {
  readonly hostKey?: (body: ControlBody<'HOSTKEY'>) => void
  /** A host asks whoever opens the shell. */
  readonly prompt?: (asked: Asked) => void
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

/** A question of a host, and the way its answer goes. */
export interface Asked extends ControlBody<'PROMPT'> {
  readonly answer: (answers: readonly string[]) => Promise<void>
}

/** The relay refused to open or attach. */
export class OpenRefused extends Error {
  override readonly name = 'OpenRefused'
  readonly code: OpenProblem
  /** The key that the host presented, when that was the trouble or the question. */
  readonly presented: ControlBody<'HOSTKEY'> | undefined
  /** The index of the jump host where it happened; absent: at the target. */
  readonly jump: number | undefined
  constructor({ code, jump }: ControlBody<'OPEN_FAIL'>, presented: ControlBody<'HOSTKEY'> | undefined) {
    super(code)
    this.code = code
    this.presented = presented
    this.jump = jump
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

/** A grant, and the secrets that are sealed to it; the plaintext is overwritten once it is. */
export interface Grant {
  readonly relay: RelayConfig
  readonly who: DialerIdentity
  readonly request: GrantRequest
  readonly secrets: Partial<Secrets>
  readonly creditBytes: number
  readonly traceparent: string
  /** Aborted while the relay opens it: then it is not to begin. */
  readonly signal?: AbortSignal
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
  readonly sealAnswer: SealAnswer
  waiting: Waiting | undefined
  timer: ReturnType<typeof setTimeout> | null
  presented: ControlBody<'HOSTKEY'> | undefined
  hasSaidClose: boolean
  isOver: boolean
}

type SealAnswer = (prompt: ControlBody<'PROMPT'>, answers: readonly string[]) => Promise<ControlBody<'ANSWER'>>

/** A grant that is signed and sealed for its link; the relay has not heard of it. */
export interface PreparedStream {
  /** The relay is asked on its link before this returns. @throws OpenRefused, LinkLost, or the reason of the signal when nothing was asked of the relay */
  open(link: RelayLink, events: StreamEvents): Promise<RelayStream>
}

/** Opens what the grant says. @throws as {@link PreparedStream} */
export const openStream = async (link: RelayLink, grant: Grant, events: StreamEvents): Promise<RelayStream> =>
  (await prepareStream(link.challenge, grant)).open(link, events)

type Challenge = RelayLink['challenge']

/** Signs the grant, and seals its secrets to it, for the one link that has this challenge. */
export async function prepareStream(challenge: Challenge, grant: Grant): Promise<PreparedStream> {
  const { request, creditBytes, traceparent, secrets, signal } = grant
  try {
    const { token, jti } = await signGrantToken(grant.relay, grant.who, { nonce: challenge.nonce, request })
    const sealed = await sealSecrets(challenge, grant, jti)
    const sealAnswer: SealAnswer = async ({ id, jump = jumpsIn(request).length }, answers) => {
      const plain = new Uint8Array(utf8.encode(JSON.stringify(answers)))
      return { id, answers: await sealFor(challenge, grant, { index: jump, jti: `${jti} prompt ${id}`, plain }) }
    }
    const asking = { grant: token, creditBytes, traceparent, ...sealed }
    return {
      open: (link, events) => askUnlessStopped({ link, events, sealAnswer }, () => link.send('OPEN', STREAM, asking), signal),
    }
  } finally {
    for (const secret of [secrets.credential, ...(secrets.jumpCredentials ?? [])]) secret?.fill(0)
  }
}

async function askUnlessStopped(parts: Parameters<typeof ask>[0], send: () => void, signal: AbortSignal | undefined): Promise<RelayStream> {
  const { link } = parts
  const giveUp = () => {
    // What has just been opened ends by the CLOSE, what is being opened by the end of its link.
    link.send('CLOSE', STREAM, { reason: 'dialer' })
    link.close('stopped')
  }
  signal?.throwIfAborted()
  const asked = ask(parts, send)
  signal?.addEventListener('abort', giveUp)
  return asked.finally(() => signal?.removeEventListener('abort', giveUp))
}

/** Asks a host for its keys and opens nothing. @throws OpenRefused or LinkLost */
export async function scanKeys(link: RelayLink, grant: Grant): Promise<readonly ControlBody<'HOSTKEY'>[]> {
  const keys: ControlBody<'HOSTKEY'>[] = []
  await openStream(link, grant, { hostKey: (key) => keys.push(key) })
  return keys
}

/** Takes a shell of this object over from an earlier link. @throws OpenRefused or LinkLost */
export function attachStream(
  link: RelayLink,
  at: { readonly shellId: string; readonly fromOffset: number; readonly creditBytes: number; readonly traceparent: string },
  events: StreamEvents,
): Promise<RelayStream> {
  const { shellId: shell, fromOffset, creditBytes, traceparent } = at
  const sealAnswer = () => Promise.reject(new KrpError('frame-order'))
  return ask({ link, events, sealAnswer }, () => link.send('ATTACH', STREAM, { shell, fromOffset, creditBytes, traceparent }))
}

const utf8 = new TextEncoder()
const jumpsIn = (request: GrantRequest): readonly Jump[] => request.jumps ?? []

async function sealSecrets(challenge: Challenge, grant: Grant, jti: string) {
  const { credential, jumpCredentials = [] } = grant.secrets
  const jumps = await Promise.all(jumpCredentials.map((plain, index) => sealFor(challenge, grant, { index, jti, plain })))
  const target = credential && (await sealFor(challenge, grant, { index: jumpsIn(grant.request).length, jti, plain: credential }))
  return { ...(target ? { credential: target } : {}), ...(jumps.length > 0 ? { jumpCredentials: jumps } : {}) }
}

/** Seals for the host at this place of the way; behind the jumps is the target. */
async function sealFor(
  { sealingKey }: Challenge,
  { who, request }: Grant,
  to: { readonly index: number; readonly jti: string; readonly plain: Uint8Array<ArrayBuffer> },
) {
  const jumps = jumpsIn(request)
  const at = jumps[to.index] ?? { ...request, pins: 'pins' in request ? request.pins : [] }
  const binding = { shell: who.shellId, host: at.host, port: at.port, pins: at.pins, via: viaOf(jumps, to.index) }
  return sealCredential(sealingKey, await sealAad({ ...binding, relayKeyId: sealingKey.kid, jti: to.jti }), to.plain)
}

async function ask(parts: Pick<State, 'link' | 'events' | 'sealAnswer'>, send: () => void): Promise<RelayStream> {
  const { link } = parts
  const state: State = { ...parts, waiting: undefined, timer: null, presented: undefined, hasSaidClose: false, isOver: false }
  const answer = new Promise<void>((resolve, reject) => {
    state.waiting = { resolve, reject }
  })
  awaitAnswer(state, ANSWER_MS)
  link.use({ take: (frame) => takeFrame(state, frame), lost: (why) => takeLoss(state, why) })
  send()
  try {
    await answer
    return streamOf(state)
  } finally {
    clearTimeout(state.timer)
  }
}

function awaitAnswer(state: State, ms: number): void {
  clearTimeout(state.timer)
  state.timer = setTimeout(() => state.link.close('no-answer'), ms)
}

function takePrompt(state: State, prompt: ControlBody<'PROMPT'>): void {
  // The person's time comes on top of the host's.
  awaitAnswer(state, PROMPT_SECONDS_MAX * 1000 + ANSWER_MS)
  state.events.prompt?.({
    ...prompt,
    async answer(answers) {
      const answer = await state.sealAnswer(prompt, answers)
      if (state.waiting) state.link.send('ANSWER', STREAM, answer)
    },
  })
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
  } else if (name === 'PROMPT') takePrompt(state, decodeControl('PROMPT', payload))
  else if (name === 'GAP') state.events.gap?.(decodeControl('GAP', payload))
  else if (name === 'OPENED') {
    state.events.opened?.(decodeControl('OPENED', payload))
    settle(state)?.resolve()
  } else if (name === 'ATTACHED') {
    state.events.attached?.(decodeControl('ATTACHED', payload))
    settle(state)?.resolve()
  } else if (name === 'OPEN_FAIL') {
    const failed = decodeControl('OPEN_FAIL', payload)
    end(state)
    settle(state)?.reject(new OpenRefused(failed, state.presented))
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
