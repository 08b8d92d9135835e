import type { UserId } from '../../contract/identity.ts'
import type { OrgRole } from '../../contract/orgs.ts'
import type { ProblemSlug } from '../../contract/problem.ts'
import {
  type AnswerFrame,
  decodeViewChunk,
  VIEW_FRAME_CHARS_MAX,
  VIEW_INPUT_BYTES_MAX,
  VIEW_PING,
  VIEW_PONG,
  ViewerFrame,
} from '../../contract/viewer.ts'
import { isAmong, type SessionIds } from '../platform/live-sockets.ts'
import { describeError } from '../platform/log.ts'
import { closeWith } from '../platform/socket.ts'
import { sendTo, tell } from './hub.ts'
import { changeRecord, isOver, type LiveShell, logOf } from './live.ts'
import { giveNotice, noteTyping } from './notice.ts'
import { planAlarm } from './schedule.ts'
import { deliverTo, greet, roleOf, tellPrompt } from './viewing.ts'
import { gateOf, noteRefusal, noteWatcher, noteWatching, probeWatchers, setLock } from './watching.ts'
import { comeBack, connectShell, settleOutput } from './wiring.ts'

/** Messages of one viewer: a paste comes in slices, and 10 MB/s of output are acknowledged 160 times a second. */
const MESSAGES_PER_SECOND_MAX = 500
const MESSAGES_BURST_MAX = 2_000
/** Sockets that are remembered, many times what a shell may have at once. */
const SENDERS_MAX = 1_024

/** Takes one message of a viewer. Whatever it holds ends at most the viewer's own socket. */
export function receive(live: LiveShell, socket: WebSocket, data: ArrayBuffer | string): void {
  const { hub } = live
  if (hub.viewerOf(socket).expiresAt <= Date.now()) return expel(live, socket, 'unauthenticated')
  hub.hear(socket)
  if (isFlood(live, socket)) return expel(live, socket, 'rate-limited')
  if (data === VIEW_PING) return sendTo(socket, VIEW_PONG)
  const refusal = typeof data === 'string' ? takeFrame(live, socket, data) : takeBytes(live, socket, data)
  if (refusal) expel(live, socket, refusal)
}

/** More than anybody types, resizes or acknowledges at any speed of output; whoever sends more costs others their turn. */
function isFlood({ ctx, traffic }: LiveShell, socket: WebSocket): boolean {
  const now = Date.now()
  const [name = ''] = ctx.getTags(socket)
  const { left, at } = traffic.get(name) ?? { left: MESSAGES_BURST_MAX, at: now }
  const rest = Math.min(MESSAGES_BURST_MAX, left + ((now - at) * MESSAGES_PER_SECOND_MAX) / 1000) - 1
  if (traffic.size > SENDERS_MAX) traffic.clear()
  traffic.set(name, { left: rest, at: now })
  return rest < 0
}

/** Ends one viewer's socket. */
export function expel(live: LiveShell, socket: WebSocket, slug: ProblemSlug): void {
  logOf(live)('viewer.expelled', { userId: live.hub.viewerOf(socket).userId, problem: slug })
  closeWith(socket, slug)
  viewerGone(live)
}

/** A viewer has left: the pace may have changed, and the last one lets the shell go. */
export function viewerGone(live: LiveShell): void {
  if (live.hub.attached().length === 0) live.emptySince = Date.now()
  if (live.wire) settleOutput(live, live.wire)
  noteWatching(live)
  planAlarm(live)
}

/** Ends a user's sockets of sessions that have ended. */
export function expelSessions(live: LiveShell, userId: UserId, ids: SessionIds): void {
  for (const socket of live.hub.sockets()) {
    const viewer = live.hub.viewerOf(socket)
    if (viewer.userId === userId && isAmong(ids, viewer.sessionId)) expel(live, socket, 'session-ended')
  }
}

/** Brings a member's sockets in line with their role; without one they must go. */
export function applyRole(live: LiveShell, userId: UserId, role: OrgRole | null): void {
  for (const socket of live.hub.sockets()) {
    const viewer = live.hub.viewerOf(socket)
    if (viewer.userId !== userId || viewer.role === role) continue
    if (role === null) expel(live, socket, 'forbidden')
    else live.hub.change(socket, { role, isRefusalTold: false })
  }
  noteWatching(live)
}

function takeFrame(live: LiveShell, socket: WebSocket, text: string): ProblemSlug | undefined {
  if (text.length > VIEW_FRAME_CHARS_MAX) return 'payload-too-large'
  const frame = parseFrame(text)
  const isAttached = live.hub.viewerOf(socket).client !== ''
  if (!frame || (frame.type === 'attach') === isAttached) return 'invalid-request'
  if (frame.type === 'attach') takeAttach(live, socket, frame)
  else if (frame.type === 'ack') return takeAck(live, socket, frame.offset)
  else if (frame.type === 'answer') takeAnswer(live, socket, frame)
  else if (frame.type === 'lock') takeLock(live, socket, frame.isLocked)
  else if (frame.type === 'here') noteWatching(live)
  else takeResize(live, socket, frame)
  return undefined
}

function parseFrame(text: string): ViewerFrame | undefined {
  try {
    return ViewerFrame.safeParse(JSON.parse(text)).data
  } catch {
    return undefined
  }
}

function takeAttach(live: LiveShell, socket: WebSocket, frame: Extract<ViewerFrame, { type: 'attach' }>): void {
  greet(live, socket, frame)
  noteWatcher(live, live.hub.viewerOf(socket))
  noteWatching(live)
  giveNotice(live)
  if (isOver(live)) return
  comeBack(live)
  planAlarm(live)
}

function takeAck(live: LiveShell, socket: WebSocket, offset: number): ProblemSlug | undefined {
  const { sentOffset, ackedOffset } = live.hub.viewerOf(socket)
  if (offset > sentOffset) return 'invalid-request'
  if (offset <= ackedOffset) return undefined
  live.hub.change(socket, { ackedOffset: offset })
  deliverTo(live, socket)
  if (live.wire) settleOutput(live, live.wire)
  return undefined
}

/** The opener's word on what the target asks. A question is answered once; a late answer is dropped, as another tab was faster. */
function takeAnswer(live: LiveShell, socket: WebSocket, { id, answers }: AnswerFrame): void {
  const { asked } = live
  if (refuseWatcher(live, socket, 'input') || isOver(live) || asked?.id !== id) return
  if (answers.length !== asked.prompts.length) return tellPrompt(live, socket)
  live.asked = undefined
  live.ctx.waitUntil(asked.answer(answers).catch((error: unknown) => logOf(live)('shell.answer-failed', describeError(error))))
}

function takeLock(live: LiveShell, socket: WebSocket, isLocked: boolean): void {
  if (setLock(live, live.hub.viewerOf(socket), isLocked)) return
  logOf(live)('viewer.refused', { userId: live.hub.viewerOf(socket).userId, what: 'lock' })
  tell(socket, { type: 'refused', what: 'lock' })
}

function takeResize(live: LiveShell, socket: WebSocket, { columns, rows }: { readonly columns: number; readonly rows: number }): void {
  if (refuseWatcher(live, socket, 'resize') || isOver(live)) return
  if (columns === live.record.columns && rows === live.record.rows) return
  changeRecord(live, { columns, rows })
  live.wire?.stream?.resize({ cols: columns, rows })
  live.detector.resize(columns)
  live.keeper?.recorder.mark('r', live.tape.nextOffset(), `${columns}x${rows}`)
  for (const other of live.hub.attached()) if (other !== socket) tell(other, { type: 'resized', columns, rows })
}

function takeBytes(live: LiveShell, socket: WebSocket, data: ArrayBuffer): ProblemSlug | undefined {
  const chunk = decodeViewChunk(data)
  const { client } = live.hub.viewerOf(socket)
  if (!chunk || client === '') return 'invalid-request'
  if (chunk.bytes.length > VIEW_INPUT_BYTES_MAX) return 'payload-too-large'
  if (refuseWatcher(live, socket, 'input') || isOver(live)) return undefined
  // It is asked for again when the gate opens, or when the role is read.
  probeWatchers(live)
  if (gateOf(live) !== live.gate) noteWatching(live)
  if (live.gate !== 'open') return undefined
  if (live.unchecked.has(socket)) return void live.unchecked.set(socket, true)
  const taken = live.typists.take(client, chunk)
  if (taken === 'ahead') return 'payload-too-large'
  if (taken === 'taken') {
    live.detector.typed(chunk.bytes)
    noteTyping(live)
  }
  // Whoever repeats what is known has missed the word on it.
  if (taken === 'known') tell(socket, { type: 'accepted', inputOffset: live.ledger.acceptedOf(client) })
  if (taken === 'hole') tellHole(live, socket, live.ledger.acceptedOf(client))
  // The link comes back with a word on where to go on; until then the viewer keeps what it sent.
  if (taken === 'waiting') live.ctx.waitUntil(connectShell(live))
  return undefined
}

/** Input is missing: said once per position, or all that was sent behind the hole would ask again. */
function tellHole(live: LiveShell, socket: WebSocket, inputOffset: number): void {
  if (live.holesTold.get(socket) === inputOffset) return
  live.holesTold.set(socket, inputOffset)
  tell(socket, { type: 'resend', inputOffset })
}

/** What a watcher sends is dropped, and said so once. */
function refuseWatcher(live: LiveShell, socket: WebSocket, what: 'input' | 'resize'): boolean {
  const viewer = live.hub.viewerOf(socket)
  if (roleOf(live, viewer) === 'opener') return false
  if (!viewer.isRefusalTold) {
    live.hub.change(socket, { isRefusalTold: true })
    noteRefusal(live, viewer, what)
    tell(socket, { type: 'refused', what })
  }
  return true
}
