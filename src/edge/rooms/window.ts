import type * as Y from 'yjs'
import { isProblem } from '../../contract/problem.ts'
import { describeError, type Log, logFor } from '../platform/log.ts'
import { closeWith } from '../platform/socket.ts'
import type { Trace } from '../platform/trace.ts'
import { entryOf, inFrames, type Presence } from './awareness.ts'
import { forget, isEmptyUpdate, type Settlement, settle, stateOf, takeIn, work } from './document.ts'
import { awarenessFrame, queryAwarenessFrame, updateFrame } from './framing.ts'
import type { Hub } from './hub.ts'
import { type LiveRoom, newGathering, sendFramed, windowOf } from './live.ts'
import { feed } from './outlet.ts'
import type { Peer } from './peer.ts'
import { warnOfSize } from './size.ts'
import { VERSION_EVERY_MS, VERSION_EVERY_WINDOWS } from './versions.ts'

/** A window that has gathered this much ends early: it must fit one row. */
const WINDOW_BYTES_MAX = 524_288

/** Gathers a change of the document; answers as `takeIn`. @throws Problem `invalid-request` or `payload-too-large` */
export function gatherChange(room: LiveRoom, update: Uint8Array, trace: Trace): boolean {
  try {
    const isLacking = takeIn(room.document, update)
    if (!isEmptyUpdate(update)) room.tally.count('updates', 'accepted')
    return isLacking
  } catch (error) {
    room.tally.count('updates', isProblem(error) ? error.slug : 'internal')
    throw error
  } finally {
    const { unsettledBytes } = room.document
    if (unsettledBytes > 0) openWindow(room)
    room.gathering.trace ??= trace
    if (unsettledBytes > WINDOW_BYTES_MAX) endWindow(room)
  }
}

/** Gathers a change that is made here. @throws as `work` */
export function gatherWork(room: LiveRoom, trace: Trace, change: (doc: Y.Doc) => void): void {
  work(room.document, change)
  room.tally.count('updates', 'accepted')
  room.gathering.trace ??= trace
  if (room.document.unsettledBytes > 0) openWindow(room)
}

/** Gathers a presence; only the latest of each client is sent. */
export function gatherPresence(room: LiveRoom, presence: Presence): void {
  room.gathering.presences.set(presence.clientId, entryOf(presence))
  openWindow(room)
}

/** Sends an echo once all that came before it is stored: at once, when the window ends, or when the client has answered. */
export function gatherEcho(room: LiveRoom, socket: Peer, frame: Uint8Array): void {
  const asked = room.asked.get(socket)
  if (asked) asked.push(frame)
  else if (room.timer === undefined) sendFramed(room, socket, frame)
  else room.gathering.echoes.push({ socket, frame })
}

function openWindow(room: LiveRoom): void {
  room.timer ??= setTimeout(() => endWindow(room), windowOf(room, room.lastWindow))
}

/** Stores what was gathered as one row, then sends it as few frames: whoever sees a change may rely on it. */
export function endWindow(room: LiveRoom): void {
  if (room.timer !== undefined) clearTimeout(room.timer)
  room.timer = undefined
  room.lastWindow = { endedAt: Date.now(), wasShared: room.document.unsettled.length > 1 }
  const { presences, echoes, trace } = room.gathering
  room.gathering = newGathering()
  room.leaves.brace()
  const stored = store(room, trace)
  if (!stored) return
  if (stored.updates.length > 0) warnOfSize(room)
  const frames = [...stored.updates.map(updateFrame), ...inFrames([...presences.values()]).map(awarenessFrame)]
  whenKept(room, () => {
    broadcast(room, frames)
    for (const { socket, frame } of echoes) sendFramed(room, socket, frame)
  })
}

/** Waits for the disk once, where the runtime would hold back each frame by itself, which costs a fifth of what sending does. */
function whenKept(room: LiveRoom, telling: () => void): void {
  room.untold += 1
  room.telling = room.telling
    .then(() => room.document.storage.sync())
    .then(telling)
    .catch((error: unknown) => giveUp(room, logFor(undefined, { roomId: room.roomId }), error))
    .finally(() => {
      room.untold -= 1
    })
}

/** Keeps a version of its own accord when it is time to. What cannot be kept now is kept later. */
function keepNow(room: LiveRoom, trace: Trace | undefined): void {
  const now = Date.now()
  room.windows++
  room.keptAt ??= room.versions.lastAt() ?? now
  if (now - room.keptAt < VERSION_EVERY_MS && room.windows < VERSION_EVERY_WINDOWS) return
  room.windows = 0
  room.keptAt = now
  room.versions.keep(stateOf(room.document), { kind: 'automatic', now }).catch((error: unknown) => {
    logFor(trace, { roomId: room.roomId })('room.version-failed', describeError(error))
  })
}

/** A storage that fails ends every socket: the clients come back and bring what was not stored. */
function store(room: LiveRoom, trace: Trace | undefined): Settlement | undefined {
  const log = logFor(trace, { roomId: room.roomId })
  try {
    const settlement = settle(room.document)
    if (settlement.updates.length > 0) keepNow(room, trace)
    if (settlement.compaction) log('room.compacted', { ...settlement.compaction })
    if (settlement.failure) log('room.compaction-failed', describeError(settlement.failure))
    return settlement
  } catch (error) {
    forget(room.document)
    giveUp(room, log, error)
    return undefined
  }
}

function giveUp(room: LiveRoom, log: Log, error: unknown): void {
  log('room.failed', describeError(error))
  for (const socket of room.hub.open()) {
    closeWith(socket, 'unavailable')
    room.hub.change(socket, { isGone: true, presence: null })
  }
}

/** To everybody, the sender too: providers take silence for a dead socket, and see in the echo that a change arrived. */
function broadcast({ hub, leaves, endOverfed }: LiveRoom, frames: readonly Uint8Array[]): void {
  if (frames.length === 0) return
  leaves.cast({ kind: 'document', frames }, bytesOf(frames))
  fanOut(hub, frames, endOverfed)
}

const bytesOf = (frames: readonly Uint8Array[]): number => frames.reduce((sum, frame) => sum + frame.byteLength, 0)

/** Sends to all sockets held here that follow the document, but to those that read too little of it: no close event comes of one that reads nothing. */
export function fanOut(hub: Hub, frames: readonly Uint8Array[], endOverfed: (socket: WebSocket) => void): void {
  const now = Date.now()
  const bytes = bytesOf(frames)
  for (const socket of hub.near) {
    const { expiresAt, live } = hub.placeOf(socket)
    if (expiresAt <= now || (live && !live.streams.includes('document'))) continue
    const course = feed(socket, bytes)
    if (course === 'end') endOverfed(socket)
    else for (const frame of course === 'send' ? frames : [...frames, queryAwarenessFrame]) sendFramed({ hub }, socket, frame)
  }
}
