import { type ControlBody, type ControlName, decodeControl, encodeControl, type LinkClaims, STREAMS_MAX } from '../contract/krp.ts'
import { decodeData, encodeDataHead, type Frame, KrpError } from '../contract/krp-frame.ts'
import { errorFields, type Log, traceIdOf } from './log.ts'
import { type OpeningDeps, openGrant } from './opening.ts'
import type { StreamPort } from './port.ts'
import { createQuestions, type Questions } from './questions.ts'
import { Refusal } from './refusal.ts'
import { attachShell, closeShell, detachShell, pumpShell, resizeShell, type Shell, signalShell } from './shell.ts'

/** The streams of one authenticated link. */
export interface Streams {
  /** Takes a frame of a stream. @throws KrpError */
  take(frame: Frame): void
  /** The link can send again. */
  pump(): void
  /** The link is gone: shells wait, what was being opened is given up. */
  detachAll(): void
}

/** What streams need of their link. */
export interface StreamsParts {
  readonly link: LinkClaims
  readonly deps: OpeningDeps
  readonly log: Log
  /** Sends these bytes, one behind the other. */
  readonly send: (...parts: readonly Uint8Array[]) => void
  readonly isWritable: () => boolean
}

/** `over`: the relay has said its last and waits for the dialer's CLOSE. */
type Stream =
  | {
      readonly state: 'opening'
      readonly abort: AbortController
      readonly questions: Questions
      creditBytes: number
      size: ControlBody<'RESIZE'> | undefined
    }
  | { readonly state: 'live'; readonly shell: Shell }
  | { readonly state: 'over'; readonly shell: Shell | undefined }

interface Context extends StreamsParts {
  readonly streams: Map<number, Stream>
  /** Streams on which the dialer has said its last. */
  readonly closedByDialer: Set<number>
  highestId: number
  isDetached: boolean
}

/** Streams that wait for their CLOSE count too, or a dialer that never answers would fill memory. */
const STREAMS_HELD_MAX = 2 * STREAMS_MAX

/** No streams yet. */
export function createStreams(parts: StreamsParts): Streams {
  const context: Context = { ...parts, streams: new Map(), closedByDialer: new Set(), highestId: 0, isDetached: false }
  return {
    take: (frame) => takeStreamFrame(context, frame),
    pump() {
      for (const stream of context.streams.values()) if (stream.state === 'live') pumpShell(stream.shell)
    },
    detachAll() {
      context.isDetached = true
      for (const stream of context.streams.values()) {
        if (stream.state === 'opening') stream.abort.abort()
        else if (stream.shell !== undefined) detachShell(stream.shell)
      }
      context.streams.clear()
    },
  }
}

function takeStreamFrame(context: Context, frame: Frame): void {
  if (frame.name === 'OPEN') takeOpen(context, frame.stream, decodeControl('OPEN', frame.payload))
  else if (frame.name === 'ATTACH') takeAttach(context, frame.stream, decodeControl('ATTACH', frame.payload))
  else takeKnownFrame(context, frame, context.streams.get(frame.stream))
}

function takeKnownFrame(context: Context, frame: Frame, stream: Stream | undefined): void {
  if (stream === undefined) throw new KrpError('stream-unknown')
  if (context.closedByDialer.has(frame.stream)) throw new KrpError('frame-order')
  if (frame.name === 'CLOSE') takeClose(context, frame, stream)
  else if (stream.state === 'live') takeShellFrame(stream.shell, frame)
  else if (stream.state === 'opening') takeEarlyFrame(stream, frame)
  else checkLateFrame(frame)
}

function takeOpen(context: Context, id: number, open: ControlBody<'OPEN'>): void {
  takeId(context, id)
  if (isOverCap(context)) refuse(context, id, new Refusal('too-many-streams'))
  else startOpening(context, id, open)
}

function startOpening(context: Context, id: number, open: ControlBody<'OPEN'>): void {
  const log = withTrace(context.log, open.traceparent).child({ stream: id })
  const questions = createQuestions({ port: createPort(context, id), key: context.deps.sealing })
  const stream: Stream = { state: 'opening', abort: new AbortController(), questions, creditBytes: open.creditBytes, size: undefined }
  context.streams.set(id, stream)
  openGrant({ link: context.link, open, log, ask: questions.ask, signal: stream.abort.signal }, context.deps)
    .then((opened) => {
      if ('scanned' in opened) tellScan(context, id, opened.scanned)
      else goLive(context, { id, shell: opened.shell, opening: stream })
    })
    .catch((error: unknown) => {
      if (!(error instanceof Refusal)) log.error('bug', errorFields(error))
      if (!context.isDetached) refuse(context, id, error instanceof Refusal ? error : new Refusal('internal'))
    })
}

function goLive(context: Context, { id, shell, opening }: { id: number; shell: Shell; opening: Stream & { state: 'opening' } }): void {
  const port = createPort(context, id)
  if (!context.isDetached) {
    const { creditBytes } = attachShell(shell, port, { offset: 0, creditBytes: opening.creditBytes })
    context.streams.set(id, { state: 'live', shell })
    port.send('OPENED', { creditBytes, ...shell.parts.channel.opened })
    if (opening.size !== undefined) resizeShell(shell, opening.size)
  }
  // Nobody is there to hear of it when the link died or the dialer closed the stream meanwhile.
  if (context.isDetached || context.closedByDialer.has(id)) closeShell(shell)
  else pumpShell(shell)
}

function takeAttach(context: Context, id: number, attach: ControlBody<'ATTACH'>): void {
  takeId(context, id)
  const log = withTrace(context.log, attach.traceparent).child({ stream: id, shell: attach.shell })
  try {
    if (isOverCap(context)) throw new Refusal('too-many-streams')
    const shell = context.deps.registry.find({ tenant: context.link.tenant, sub: context.link.sub, shell: attach.shell })
    const port = createPort(context, id)
    const attached = attachShell(shell, port, { offset: attach.fromOffset, creditBytes: attach.creditBytes })
    shell.isHeard = true
    context.streams.set(id, { state: 'live', shell })
    if (attached.firstOffset > attach.fromOffset) port.send('GAP', { from: attach.fromOffset, to: attached.firstOffset })
    port.send('ATTACHED', attached)
    log.info('shell-attached', { fromOffset: attach.fromOffset, ...attached })
    pumpShell(shell)
  } catch (error) {
    if (!(error instanceof Refusal)) throw error
    log.warn('attach-refused', { code: error.code })
    refuse(context, id, error)
  }
}

function takeClose(context: Context, frame: Frame, stream: Stream): void {
  decodeControl('CLOSE', frame.payload)
  context.closedByDialer.add(frame.stream)
  if (stream.state === 'opening') stream.abort.abort()
  else if (stream.shell !== undefined) closeShell(stream.shell)
  if (stream.state === 'over') forget(context, frame.stream)
}

function takeShellFrame(shell: Shell, { name, payload }: Frame): void {
  shell.isHeard = true
  if (name === 'DATA') shell.input.receive(decodeData(payload))
  else if (name === 'ACK') shell.output.acknowledge(decodeControl('ACK', payload).offset)
  else if (name === 'CREDIT') shell.output.addCredit(decodeControl('CREDIT', payload).bytes)
  else if (name === 'RESIZE') resizeShell(shell, decodeControl('RESIZE', payload))
  else if (name === 'SIGNAL') signalShell(shell, decodeControl('SIGNAL', payload))
  else if (name === 'EOF') shell.input.end(decodeControl('EOF', payload).offset)
  // Sent when the question was already over.
  else if (name === 'ANSWER') decodeControl('ANSWER', payload)
  else throw new KrpError('frame-order')
}

function takeEarlyFrame(stream: Stream & { state: 'opening' }, { name, payload }: Frame): void {
  if (name === 'RESIZE') stream.size = decodeControl('RESIZE', payload)
  else if (name === 'ANSWER') stream.questions.take(decodeControl('ANSWER', payload))
  else throw new KrpError('frame-order')
}

// Sent before the dialer could know that the stream is over.
function checkLateFrame({ name }: Frame): void {
  if (!['DATA', 'ACK', 'CREDIT', 'RESIZE', 'SIGNAL', 'EOF', 'ANSWER'].includes(name)) throw new KrpError('frame-order')
}

function takeId(context: Context, id: number): void {
  if (id <= context.highestId) throw new KrpError('stream-reused')
  if (context.streams.size >= STREAMS_HELD_MAX) throw new KrpError('stream-range')
  context.highestId = id
}

function isOverCap({ streams, link }: Context): boolean {
  return [...streams.values()].filter((stream) => stream.state !== 'over').length >= link.caps.streamsMax
}

function tellScan(context: Context, id: number, keys: readonly ControlBody<'HOSTKEY'>[]): void {
  if (context.isDetached) return
  const port = createPort(context, id)
  for (const key of keys) port.send('HOSTKEY', key)
  port.send('CLOSE', { reason: 'done' })
}

function refuse(context: Context, id: number, refusal: Refusal): void {
  const port = createPort(context, id)
  if (refusal.presented !== undefined) port.send('HOSTKEY', refusal.presented)
  port.send('OPEN_FAIL', { code: refusal.code, ...(refusal.jump === undefined ? {} : { jump: refusal.jump }) })
}

function createPort(context: Context, id: number): StreamPort {
  return {
    send<N extends ControlName>(name: N, body: ControlBody<N>) {
      if (context.isDetached) return
      context.send(encodeControl(name, id, body))
      if (name !== 'CLOSE' && name !== 'OPEN_FAIL') return
      if (context.closedByDialer.has(id)) forget(context, id)
      else context.streams.set(id, { state: 'over', shell: shellOf(context.streams.get(id)) })
    },
    sendOutput: (run) => context.send(encodeDataHead(run.isStderr ? 'EXTDATA' : 'DATA', id, run), run.bytes),
    isWritable: () => !context.isDetached && context.isWritable(),
  }
}

function shellOf(stream: Stream | undefined): Shell | undefined {
  return stream === undefined || stream.state === 'opening' ? undefined : stream.shell
}

function forget(context: Context, id: number): void {
  context.streams.delete(id)
  context.closedByDialer.delete(id)
}

function withTrace(log: Log, traceparent: string | undefined): Log {
  return traceparent === undefined ? log : log.child({ trace: traceIdOf(traceparent) })
}
