import type { UserId } from '../../contract/identity.ts'
import { type InputGate, type ShellFrame, VIEW_WATCH_SECONDS } from '../../contract/viewer.ts'
import { auditEntry } from '../audit/service.ts'
import { describeError } from '../platform/log.ts'
import { objectScope } from '../platform/object-scope.ts'
import { tell, type Viewer } from './hub.ts'
import { changeRecord, isOver, type LiveShell, logOf } from './live.ts'
import { roleOf } from './viewing.ts'

/** A watcher that was not heard of for so long is asked whether it is there, and not again before it had time to answer. */
const PROBE_AFTER_MS = 10_000
const PROBE_PAUSE_MS = 3_000

/** Whoever watches for the organisation: a member who has attached, and is not the one who is watched. */
const watchersOf = (live: LiveShell): WebSocket[] =>
  live.hub.attached().filter((socket) => live.hub.viewerOf(socket).userId !== live.record.userId)

/** A network that was cut says nothing of it, so a watcher counts for a while after its last word. */
const isThere = (live: LiveShell, socket: WebSocket): boolean => Date.now() - live.hub.seenAt(socket) < VIEW_WATCH_SECONDS * 1000

/** Asks watchers who were silent for a while, where it matters whether they are there. */
export function probeWatchers(live: LiveShell): void {
  if (!live.record.needsWatcher) return
  const now = Date.now()
  for (const socket of watchersOf(live)) {
    if (now - live.hub.seenAt(socket) < PROBE_AFTER_MS || now - (live.probedAt.get(socket) ?? 0) < PROBE_PAUSE_MS) continue
    live.probedAt.set(socket, now)
    tell(socket, { type: 'probe' })
  }
}

/** Whether what is typed goes on now. It is asked for every message, so a watcher who has left counts no longer, told or not. */
export function gateOf(live: LiveShell): InputGate {
  if (live.record.lockedBy) return 'locked'
  return live.record.needsWatcher && !watchersOf(live).some((socket) => isThere(live, socket)) ? 'unwatched' : 'open'
}

/** Owners look after the shells of others; nobody lifts a lock from their own. */
const mayModerate = (live: LiveShell, { userId, role }: Viewer): boolean => role === 'owner' && userId !== live.record.userId

/** Somebody came, left, or changed what holds: what is typed waits or goes on, and everybody hears of it. */
export function noteWatching(live: LiveShell): void {
  if (isOver(live)) return
  const gate = gateOf(live)
  const wasOpen = live.gate === 'open'
  live.gate = gate
  if (gate !== 'open') live.typists.hold()
  else if (!wasOpen) askAgain(live)
  tellPresence(live, gate)
}

/** What waits at its typist comes once more; what had already gone on is known by its offset. */
export function askAgain(live: LiveShell): void {
  if (!live.wire) return
  for (const socket of live.hub.attached()) {
    const viewer = live.hub.viewerOf(socket)
    if (roleOf(live, viewer) === 'opener') tell(socket, { type: 'resend', inputOffset: live.ledger.acceptedOf(viewer.client) })
  }
}

function tellPresence(live: LiveShell, input: InputGate): void {
  const sockets = live.hub.attached()
  const people = new Map(sockets.map((socket) => live.hub.viewerOf(socket)).map((viewer) => [viewer.userId, viewer]))
  const viewers = [...people.values()].map((viewer) => ({ userId: viewer.userId, role: roleOf(live, viewer) }))
  for (const socket of sockets) {
    const frame: ShellFrame = { type: 'presence', viewers, input, mayModerate: mayModerate(live, live.hub.viewerOf(socket)) }
    const text = JSON.stringify(frame)
    if (live.presenceTold.get(socket) === text) continue
    live.presenceTold.set(socket, text)
    tell(socket, frame)
  }
}

/** Stops or lets go on what the opener types. Answers whether this viewer may. */
export function setLock(live: LiveShell, viewer: Viewer, isLocked: boolean): boolean {
  if (!mayModerate(live, viewer)) return false
  if (Boolean(live.record.lockedBy) === isLocked || isOver(live)) return true
  changeRecord(live, { lockedBy: isLocked ? viewer.userId : null })
  putOnRecord(live, { action: isLocked ? 'shell.lock' : 'shell.unlock', actorId: viewer.userId })
  noteWatching(live)
  return true
}

/** A member begins to watch somebody else's shell: once, however many windows they have. */
export function noteWatcher(live: LiveShell, viewer: Viewer): void {
  const windows = watchersOf(live).filter((socket) => live.hub.viewerOf(socket).userId === viewer.userId)
  if (viewer.userId !== live.record.userId && windows.length === 1) putOnRecord(live, { action: 'shell.watch', actorId: viewer.userId })
}

/** A watcher tried to take part: once, whatever else comes from that window. */
export function noteRefusal(live: LiveShell, { userId }: Viewer, what: 'input' | 'resize'): void {
  logOf(live)('viewer.refused', { userId, what })
  putOnRecord(live, { action: 'shell.refuse', actorId: userId, cause: what })
}

interface WatchingAct {
  readonly action: 'shell.lock' | 'shell.unlock' | 'shell.watch' | 'shell.refuse'
  readonly actorId: UserId
  readonly cause?: string
}

function putOnRecord(live: LiveShell, act: WatchingAct): void {
  const { ctx, env, record } = live
  const entry = auditEntry(objectScope(ctx, env, record.traceparent), { ...act, subject: record.shellId, orgId: record.orgId })
  ctx.waitUntil(entry.then(undefined, (error: unknown) => logOf(live)('shell.audit-failed', { ...act, ...describeError(error) })))
}
