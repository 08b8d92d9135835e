import { type ControlBody, CREDIT_INTERACTIVE_BYTES, type GrantRequest } from '../../contract/krp.ts'
import { KrpError, type OffsetChunk } from '../../contract/krp-frame.ts'
import { isProblem, Problem } from '../../contract/problem.ts'
import { describeError } from '../platform/log.ts'
import type { RelayConfig } from '../platform/relays.ts'
import { watchOutput } from './alerts.ts'
import { endOf, finishShell, LEFT_ALONE, reportState } from './ending.ts'
import { tell } from './hub.ts'
import { NOT_RECORDED } from './keeper.ts'
import { changeRecord, isOver, type LiveShell, logOf, type Wire } from './live.ts'
import { problemOfRefusal, redialAfterMs, relayUnavailable } from './policy.ts'
import { reachRelay } from './reach.ts'
import type { HostHop } from './rpc.ts'
import { planAlarm, UNLINKED_MAX_MS } from './schedule.ts'
import type { Secrets } from './secrets.ts'
import { type Asked, attachStream, OpenRefused, openStream, type RelayStream, type StreamEvents } from './stream.ts'
import type { DialerIdentity } from './tokens.ts'
import { deliver, paceOffset, roleOf, tellPrompt, tellState } from './viewing.ts'

/** Credit goes out in steps, not byte by byte. */
const CREDIT_STEP_BYTES = 128 * 1024

/** A terminal on a host. */
export type TerminalRequest = Extract<GrantRequest, { kind: 'shell' | 'console' }>

/** What opening needs beyond the record. */
export interface Opening {
  readonly request: TerminalRequest
  /** The hosts of the way in their order, the target last: all that the link may reach. */
  readonly way: readonly HostHop[]
  readonly secretsFor: (relay: RelayConfig) => Promise<Secrets>
}

/** Asks a relay for the shell of this record. A refusal ends the shell. @throws Problem what the caller is told; OpenRefused is its cause */
export async function openShell(live: LiveShell, { request, way, secretsFor }: Opening): Promise<void> {
  const opening = new AbortController()
  live.opening = opening
  try {
    await beginRecording(live)
    const { relay, who, link } = await dialRelay(live, way)
    const { traceparent } = live.record
    const secrets = await secretsFor(relay).catch((cause: unknown) => {
      link.close('no-secret')
      throw isProblem(cause) ? cause : new Problem('internal', { detail: 'A stored credential cannot be opened.' }, { cause })
    })
    const grant = { relay, who, request, secrets, creditBytes: CREDIT_INTERACTIVE_BYTES, traceparent, signal: opening.signal }
    const { events, wire } = wireUp(live, { fromOffset: 0, creditBytes: CREDIT_INTERACTIVE_BYTES })
    const stream = await openStream(link, grant, { ...events, prompt: (asked) => askPerson(live, way, asked) })
    live.asked = undefined
    takeUp(live, wire, stream)
    // Whoever is told that it is open may look it up.
    await reportState(live)
  } catch (error) {
    const problem = problemOf(error)
    finishShell(live, { state: 'failed', reason: problem.message })
    problem.cause ??= error
    throw problem
  } finally {
    live.asked = undefined
    live.opening = undefined
    planAlarm(live)
  }
}

/** A shell that must be recorded is not opened where it cannot be. @throws Problem `unavailable` */
async function beginRecording({ keeper }: LiveShell): Promise<void> {
  try {
    await keeper?.begin()
  } catch (cause) {
    throw new Problem('unavailable', { detail: NOT_RECORDED }, { cause })
  }
}

function problemOf(error: unknown): Problem {
  if (error instanceof OpenRefused) return problemOfRefusal(error.code, error.jump)
  return isProblem(error) ? error : relayUnavailable('The relay cannot be reached.', error)
}

/** A host asks: the opener's viewers hear of it, also those who come later. */
function askPerson(live: LiveShell, way: readonly HostHop[], asked: Asked): void {
  const host = way[asked.jump ?? way.length - 1]
  if (!host) throw new KrpError('frame-payload')
  live.asked = { ...asked, host }
  live.onAsked()
  for (const socket of live.hub.attached()) tellPrompt(live, socket)
}

/** Sees to it that a link is up, or is being made. Never rejects: what fails is tried again by the alarm. */
export function connectShell(live: LiveShell): Promise<void> {
  if (live.wire || live.opening || isOver(live)) return Promise.resolve()
  live.dialing ??= attachShell(live).finally(() => {
    live.dialing = undefined
    planAlarm(live)
  })
  return live.dialing
}

async function attachShell(live: LiveShell): Promise<void> {
  try {
    const { link } = await dialRelay(live, [live.record.target])
    const fromOffset = live.tape.nextOffset()
    const creditBytes = Math.max(1, Math.min(CREDIT_INTERACTIVE_BYTES, paceOffset(live) - fromOffset))
    const { events, wire } = wireUp(live, { fromOffset, creditBytes })
    const { shellId, traceparent } = live.record
    takeUp(live, wire, await attachStream(link, { shellId, fromOffset, creditBytes, traceparent }, events))
  } catch (error) {
    attachFailed(live, error)
  }
}

function attachFailed(live: LiveShell, error: unknown): void {
  if (isOver(live)) return
  const isGone = error instanceof OpenRefused && (error.code === 'shell-unknown' || error.code === 'offset-unknown')
  const { unlinkedAt, ending } = live.record
  const isTooLate = Date.now() - (unlinkedAt ?? Date.now()) > UNLINKED_MAX_MS
  live.attempts += 1
  live.retryAt = Date.now() + redialAfterMs(live.attempts)
  logOf(live)('shell.attach-failed', {
    attempts: live.attempts,
    code: error instanceof OpenRefused ? error.code : undefined,
    ...describeError(error),
  })
  if (ending && (isGone || isTooLate)) finishShell(live, { state: 'closed', reason: ending.reason })
  else if (isGone) finishShell(live, isTooLate ? { state: 'closed', reason: LEFT_ALONE } : LOST)
  else if (isTooLate) finishShell(live, UNREACHABLE)
  else if (live.record.state === 'open') {
    changeRecord(live, { state: 'connecting' })
    tellState(live)
    live.ctx.waitUntil(reportState(live))
  }
}

const LOST = {
  state: 'failed',
  reason: 'The relay does not have this shell any more: it was restarted, or the opening was cut off.',
} as const
const UNREACHABLE = { state: 'failed', reason: 'The relay could not be reached in time.' } as const

/** Each dial is a new epoch, durable before the first byte leaves: the platform holds `connect` back until the write is. */
async function dialRelay(live: LiveShell, targets: DialerIdentity['targets']) {
  changeRecord(live, { epoch: live.record.epoch + 1 })
  const { shellId, orgId, epoch, traceparent } = live.record
  const who = { shellId, orgId, epoch, targets }
  // Records of before there were several name none: theirs is the first.
  const relayId = live.record.relayId ?? (live.opening ? undefined : live.config.relays[0]?.id)
  const reached = await reachRelay({ ctx: live.ctx, config: live.config, who, traceparent, log: logOf(live), relayId })
  if (live.record.relayId !== reached.relay.id) changeRecord(live, { relayId: reached.relay.id })
  return { ...reached, who }
}

/** What becomes of the relay's frames. The wire is the shell's as soon as the relay has answered, not a moment later. */
function wireUp(live: LiveShell, at: { readonly fromOffset: number; readonly creditBytes: number }) {
  const wire: Wire = { stream: undefined, grantedOffset: at.fromOffset + at.creditBytes, ackedOffset: at.fromOffset, isSettling: false }
  const isMine = () => live.wire === wire
  const begin = (input: { readonly inOffset: number; readonly creditBytes: number }) => {
    live.wire = wire
    // Also where the word on the opening was lost with the memory that waited for it.
    live.keeper?.recorder.change({ isOpened: true })
    live.typists.linkUp(input)
  }
  const events: StreamEvents = {
    opened: ({ creditBytes }) => begin({ inOffset: 0, creditBytes }),
    attached: begin,
    output: (chunk) => isMine() && takeOutput(live, wire, chunk),
    gap: (gap) => takeGap(live, wire, gap),
    acked: (offset) => isMine() && takeAck(live, offset),
    credit: (bytes) => isMine() && live.typists.addCredit(bytes),
    exit: ({ code, signal }) => isMine() && changeRecord(live, { exit: { exitCode: code, signal } }),
    closed: (reason) => isMine() && finishShell(live, endOf(live, reason)),
    lost: (why) => isMine() && loseLink(live, why),
  }
  return { events, wire }
}

/** The relay has answered: everybody hears of it, and what waited goes on. */
function takeUp(live: LiveShell, wire: Wire, stream: RelayStream): void {
  wire.stream = stream
  if (isOver(live) || live.wire !== wire) return stream.close()
  live.attempts = 0
  live.emptySince = Date.now()
  changeRecord(live, { unlinkedAt: null })
  logOf(live)('shell.linked', { epoch: live.record.epoch, fromOffset: wire.ackedOffset })
  // Who only looks after a shell that goes on alone changes nothing about it.
  if (live.record.state !== 'detached' || live.hub.attached().length > 0) takeBack(live)
  stream.resize({ cols: live.record.columns, rows: live.record.rows })
  for (const socket of live.hub.attached()) tellResend(live, socket)
  deliver(live)
  if (live.record.ending) stream.close()
  settleOutput(live, wire)
}

/** The shell is somebody's: everybody hears that it is open. */
function takeBack(live: LiveShell): void {
  if (live.record.state !== 'open') {
    changeRecord(live, { state: 'open', leftAt: null, openedAt: live.record.openedAt ?? Date.now() })
    tellState(live)
  }
  live.ctx.waitUntil(reportState(live))
}

/** Somebody has come to watch: what is linked goes on, and what is not is linked. */
export function comeBack(live: LiveShell): void {
  if (!live.wire) return live.ctx.waitUntil(connectShell(live))
  if (live.wire.stream) takeBack(live)
  settleOutput(live, live.wire)
}

/** Where a typist goes on after a link was made: what was on its way on the one before is lost. */
function tellResend(live: LiveShell, socket: WebSocket): void {
  const viewer = live.hub.viewerOf(socket)
  if (roleOf(live, viewer) === 'opener') tell(socket, { type: 'resend', inputOffset: live.ledger.acceptedOf(viewer.client) })
}

function takeOutput(live: LiveShell, wire: Wire, chunk: OffsetChunk): void {
  if (chunk.offset !== live.tape.nextOffset()) throw new KrpError('offset-range')
  if (chunk.offset + chunk.bytes.length > wire.grantedOffset) throw new KrpError('credit-exceeded')
  live.tape.append(chunk.bytes)
  record(live, chunk)
  watchOutput(live, chunk.bytes)
  deliver(live, chunk)
  settleOutput(live, wire)
}

/** Output is in the object's storage already; how soon it must be in the recording is the alarm's to know. */
function record(live: LiveShell, { offset, bytes }: OffsetChunk): void {
  const { keeper } = live
  if (!keeper) return
  const wasQuiet = keeper.recorder.oldestMs() === undefined
  keeper.took(offset)
  live.detector.shown(bytes)
  keepIfDue(live)
  if (wasQuiet) planAlarm(live)
}

/** Brings what is due into the recording. */
export function keepIfDue(live: LiveShell): void {
  const dueAt = live.keeper?.dueAt()
  if (dueAt !== undefined && dueAt <= Date.now()) live.ctx.waitUntil(live.keeper?.keep() ?? Promise.resolve())
}

/** The relay never drops what was not acknowledged, so this says that our own storage lost bytes. Everybody is told. */
function takeGap(live: LiveShell, wire: Wire, { from, to }: ControlBody<'GAP'>): void {
  logOf(live)('shell.gap', { from, to })
  live.keeper?.recorder.mark('g', from, String(to - from))
  live.tape.skipTo(to)
  wire.grantedOffset += to - from
  wire.ackedOffset = to
}

function takeAck(live: LiveShell, offset: number): void {
  const moved = live.typists.acked(offset)
  for (const socket of live.hub.attached()) {
    const { client } = live.hub.viewerOf(socket)
    if (moved.includes(client)) tell(socket, { type: 'accepted', inputOffset: live.ledger.acceptedOf(client) })
  }
}

/** Acknowledges what is durable and grants what is drawn: nothing that a crash could lose is ever forgotten by the relay. */
export function settleOutput(live: LiveShell, wire: Wire): void {
  if (wire.isSettling || !isSettlementDue(live, wire)) return
  wire.isSettling = true
  const keptOffset = live.tape.nextOffset()
  live.ctx.storage.sync().then(
    () => {
      wire.isSettling = false
      if (live.wire !== wire) return
      if (keptOffset > wire.ackedOffset) wire.stream?.ack(keptOffset)
      wire.ackedOffset = Math.max(wire.ackedOffset, keptOffset)
      grant(live, wire)
      settleOutput(live, wire)
    },
    () => loseLink(live, 'storage-failed'),
  )
}

const creditTarget = (live: LiveShell): number =>
  Math.min(live.tape.nextOffset() + CREDIT_INTERACTIVE_BYTES, paceOffset(live), live.keeper?.roomOffset() ?? Number.POSITIVE_INFINITY)

function isCreditDue(live: LiveShell, wire: Wire): boolean {
  const more = creditTarget(live) - wire.grantedOffset
  const left = wire.grantedOffset - live.tape.nextOffset()
  return more >= CREDIT_STEP_BYTES || (more > 0 && left < CREDIT_STEP_BYTES)
}

const isSettlementDue = (live: LiveShell, wire: Wire): boolean =>
  wire.stream !== undefined && (live.tape.nextOffset() > wire.ackedOffset || isCreditDue(live, wire))

function grant(live: LiveShell, wire: Wire): void {
  if (!isCreditDue(live, wire)) return
  const target = creditTarget(live)
  wire.stream?.giveCredit(target - wire.grantedOffset)
  wire.grantedOffset = target
}

/** The link broke; the shell waits in the relay. */
function loseLink(live: LiveShell, why: string): void {
  const { wire } = live
  if (!wire) return
  live.wire = undefined
  live.typists.linkDown()
  live.retryAt = Date.now()
  changeRecord(live, { unlinkedAt: Date.now() })
  logOf(live)('shell.link-lost', { why })
  wire.stream?.leave(why)
  planAlarm(live)
}

/** Nobody watches: the link is let go, so that the object may hibernate while the remote program lives on in the relay. */
export function detachShell(live: LiveShell): void {
  loseLink(live, 'detached')
  leaveAlone(live)
}

/** The shell goes on without anybody. */
export function leaveAlone(live: LiveShell): void {
  changeRecord(live, { state: 'detached', leftAt: live.record.leftAt ?? Date.now() })
  live.ctx.waitUntil(reportState(live))
}
