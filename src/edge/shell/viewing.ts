import type { OffsetChunk } from '../../contract/krp-frame.ts'
import { type AttachFrame, encodeViewChunk, VIEW_WINDOW_BYTES, type ViewerRole } from '../../contract/viewer.ts'
import { closeNormally, sendTo, tell, type Viewer } from './hub.ts'
import { isOver, type LiveShell } from './live.ts'
import { mayOperate } from './policy.ts'

/** Most bytes of one message: large enough to be cheap, small enough that a keystroke's echo does not wait behind it. */
const MESSAGE_BYTES_MAX = 64 * 1024

/**
 * Only the opener types, and only while their role lets them act on hosts; where that took a proof, only from the session that gave it: neither
 * from a key nor from a session somebody has stolen.
 */
export function roleOf({ record }: LiveShell, { userId, sessionId, role }: Viewer): ViewerRole {
  const isProven = record.provenSession === undefined || record.provenSession === sessionId
  return userId === record.userId && isProven && mayOperate(role) ? 'opener' : 'watcher'
}

/** The name of a viewer's input: a client cannot go on with somebody else's, and without a name it begins anew. */
const clientOf = (viewer: Viewer, { clientId }: AttachFrame): string =>
  clientId === undefined ? `once:${crypto.randomUUID()}` : `${viewer.userId}:${clientId}`

/** Answers `attach`, then sends what is kept from there on. */
export function greet(live: LiveShell, socket: WebSocket, attach: AttachFrame): void {
  const { record, tape, hub } = live
  const viewer = hub.viewerOf(socket)
  const client = clientOf(viewer, attach)
  const firstOffset = tape.firstOffset()
  const nextOffset = tape.nextOffset()
  const since = Math.min(attach.since ?? firstOffset, nextOffset)
  hub.change(socket, { client, sentOffset: since, ackedOffset: since })
  tell(socket, {
    type: 'hello',
    role: roleOf(live, viewer),
    columns: record.columns,
    rows: record.rows,
    firstOffset,
    nextOffset,
    inputOffset: live.ledger.acceptedOf(client),
    // A final state is told after the output before it.
    state: record.state,
    ...(record.reason === null ? {} : { reason: record.reason }),
  })
  tellPrompt(live, socket)
  deliverTo(live, socket)
}

/** Asks the opener what a host asks, and says which; nobody else hears of it. */
export function tellPrompt(live: LiveShell, socket: WebSocket): void {
  const { asked, hub } = live
  if (!asked || roleOf(live, hub.viewerOf(socket)) !== 'opener') return
  const { id, jump, host, name, instruction, prompts } = asked
  tell(socket, { type: 'prompt', id, host: { id: host.hostId, name: host.name, isJump: jump !== undefined }, name, instruction, prompts })
}

/** Sends everybody what their window lets through. `fresh` is what has just come, so that it need not be read back. */
export function deliver(live: LiveShell, fresh?: OffsetChunk): void {
  for (const socket of live.hub.attached()) deliverTo(live, socket, fresh)
}

/** Sends one viewer what its window lets through, a gap where bytes are gone, and the end after the last byte. */
export function deliverTo(live: LiveShell, socket: WebSocket, fresh?: OffsetChunk): void {
  const { hub, tape } = live
  let { sentOffset, ackedOffset } = hub.viewerOf(socket)
  const before = sentOffset
  while (sentOffset < tape.nextOffset() && sentOffset - ackedOffset < VIEW_WINDOW_BYTES) {
    const bytesMax = Math.min(MESSAGE_BYTES_MAX, VIEW_WINDOW_BYTES - (sentOffset - ackedOffset))
    const run = fresh && sentOffset >= fresh.offset ? cut(fresh, sentOffset, bytesMax) : tape.read(sentOffset, bytesMax)
    const start = run?.offset ?? tape.nextOffset()
    if (start > sentOffset) {
      tell(socket, { type: 'gap', from: sentOffset, to: start })
      // What is gone counts as seen, or a slow viewer would wait for itself for ever.
      ackedOffset = start
      sentOffset = start
    } else if (run) {
      sendTo(socket, encodeViewChunk(run))
      sentOffset += run.bytes.length
    }
  }
  if (sentOffset !== before) hub.change(socket, { sentOffset, ackedOffset })
  if (isOver(live) && sentOffset >= tape.nextOffset()) tellEnd(live, socket)
}

const cut = ({ offset, bytes }: OffsetChunk, from: number, bytesMax: number): OffsetChunk => ({
  offset: from,
  bytes: bytes.subarray(from - offset, from - offset + bytesMax),
})

/** How far the opener lets the remote program run ahead; without an opener only what is kept counts. */
export function paceOffset(live: LiveShell): number {
  const acked = live.hub
    .attached()
    .map((socket) => live.hub.viewerOf(socket))
    .filter((viewer) => roleOf(live, viewer) === 'opener')
    .map((viewer) => viewer.ackedOffset)
  return acked.length === 0 ? Number.POSITIVE_INFINITY : Math.max(...acked) + VIEW_WINDOW_BYTES
}

/** Tells everybody a state that is not the last. */
export function tellState({ hub, record }: LiveShell): void {
  const reason = record.reason === null ? {} : { reason: record.reason }
  for (const socket of hub.attached()) tell(socket, { type: 'state', state: record.state, ...reason })
}

function tellEnd({ hub, record }: LiveShell, socket: WebSocket): void {
  if (hub.viewerOf(socket).isEndTold) return
  hub.change(socket, { isEndTold: true })
  if (record.exit) tell(socket, { type: 'exit', ...record.exit })
  tell(socket, { type: 'state', state: record.state, ...(record.reason === null ? {} : { reason: record.reason }) })
  closeNormally(socket, record.state)
}
