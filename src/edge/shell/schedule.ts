import { DETACH_SECONDS_DEFAULT } from '../../contract/krp.ts'
import { VIEW_ATTACH_SECONDS, VIEW_PING_SECONDS } from '../../contract/viewer.ts'
import { describeError } from '../platform/log.ts'
import { isOver, type LiveShell, logOf } from './live.ts'
import { noticeDues } from './notice.ts'
import type { ShellRecord } from './record.ts'

/** Pages are reloaded and networks change: this soon after the last viewer left, the object lets go of the relay and may hibernate. */
export const EMPTY_GRACE_MS = 3_000
/** While somebody watches, the object looks after itself this often, which also keeps the platform from evicting it with its link. */
const WATCH_MS = 30_000
/** Where a watcher is needed it is asked this often whether it is there. */
const PROBE_MS = 15_000
/** How long the last output of a shell that is over can still be looked at. */
export const KEEP_ENDED_MS = 3_600_000
/** Slow viewers get this long to draw the last bytes. */
export const FLUSH_ENDED_MS = 60_000
/** The relay ends a shell that nobody takes over for its detach time; a little later its last output can be fetched. */
export const UNLINKED_MAX_MS = (DETACH_SECONDS_DEFAULT + 5) * 1000
/** How long nobody may have come back. */
const LEFT_MAX_MS = DETACH_SECONDS_DEFAULT * 1000
/** A shell that goes on alone may end alone: it is looked after soon, and the longer nobody comes the more rarely. */
const LOOK_MS_MIN = 5_000
const LOOK_MS_MAX = 60_000
/** A viewer that missed three pings is gone. */
export const SILENT_MAX_MS = 3 * VIEW_PING_SECONDS * 1000
/** A viewer that never attaches holds a place for nothing. */
export const ATTACH_MAX_MS = VIEW_ATTACH_SECONDS * 1000

/** When there is something to do next, Unix milliseconds. */
function nextDueAt(live: LiveShell, now: number): number {
  const { record, hub } = live
  const sockets = hub.sockets()
  const keeperDue = live.keeper?.dueAt()
  const dues = [
    ...(record.reportedVersion < record.version && !live.reporting ? [live.reportAt] : []),
    ...(sockets.length > 0 ? [now + (record.needsWatcher ? PROBE_MS : WATCH_MS), ...noticeDues(live, now)] : []),
    ...sockets.filter((s) => hub.viewerOf(s).client === '').map((s) => hub.viewerOf(s).joinedAt + ATTACH_MAX_MS),
    ...(keeperDue === undefined ? [] : [keeperDue]),
    ...(isOver(live) ? endedDues(live) : livingDues(live, now)),
  ]
  return Math.max(now, Math.min(...dues))
}

function endedDues({ record, hub }: LiveShell): number[] {
  const endedAt = record.endedAt ?? 0
  return [endedAt + KEEP_ENDED_MS, ...(hub.sockets().length > 0 ? [endedAt + FLUSH_ENDED_MS] : [])]
}

function livingDues(live: LiveShell, now: number): number[] {
  const { record, wire } = live
  const isWatched = live.hub.attached().length > 0
  if (live.opening || live.dialing) return [now + WATCH_MS]
  if (wire) return [isWatched ? now + WATCH_MS : live.emptySince + EMPTY_GRACE_MS]
  if (isWatched || record.ending || record.state === 'connecting') return [live.retryAt]
  return [Math.max(Math.min(lookAt(record, now), leftUntil(record)), live.retryAt)]
}

/** When a shell that goes on alone is looked after. */
export function lookAt({ unlinkedAt, leftAt }: ShellRecord, now: number): number {
  const lastAt = unlinkedAt ?? now
  return lastAt + Math.min(LOOK_MS_MAX, Math.max(LOOK_MS_MIN, lastAt - (leftAt ?? lastAt)))
}

/** Until when somebody may come back. */
export const leftUntil = ({ leftAt }: ShellRecord): number => (leftAt ?? Number.POSITIVE_INFINITY) + LEFT_MAX_MS

/** Sees to it that the object wakes when something is due. An alarm that comes too early does no harm, a write that was not needed costs. */
export function planAlarm(live: LiveShell): void {
  const due = nextDueAt(live, Date.now())
  if (live.alarmAt !== undefined && live.alarmAt <= due) return
  live.alarmAt = due
  live.ctx.storage.setAlarm(due).catch((error: unknown) => logOf(live)('shell.alarm-failed', describeError(error)))
}
