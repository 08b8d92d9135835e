import { endLive } from './closing.ts'
import { LEFT_ALONE, reportState } from './ending.ts'
import { expel } from './exchange.ts'
import { closeNormally } from './hub.ts'
import { isOver, type LiveShell } from './live.ts'
import { giveNotice } from './notice.ts'
import { ATTACH_MAX_MS, EMPTY_GRACE_MS, FLUSH_ENDED_MS, KEEP_ENDED_MS, leftUntil, lookAt, planAlarm, SILENT_MAX_MS } from './schedule.ts'
import { CHECK_MS, checkStanding, OPENER_LEFT } from './standing.ts'
import { noteWatching, probeWatchers } from './watching.ts'
import { connectShell, detachShell, keepIfDue, leaveAlone } from './wiring.ts'

/** Does what is due. Answers whether the shell is to be forgotten. */
export async function tick(live: LiveShell): Promise<boolean> {
  const now = Date.now()
  live.alarmAt = undefined
  dropDeadViewers(live, now)
  keepIfDue(live)
  giveNotice(live)
  probeWatchers(live)
  noteWatching(live)
  if (live.record.reportedVersion < live.record.version && now >= live.reportAt) await reportState(live)
  if (isOver(live)) return tickEnded(live, now)
  if (live.hub.sockets().length > 0 && now - live.checkedAt >= CHECK_MS && !(await checkStanding(live))) await endLive(live, OPENER_LEFT)
  await tickLink(live, now)
  planAlarm(live)
  return false
}

function dropDeadViewers(live: LiveShell, now: number): void {
  for (const socket of live.hub.sockets()) {
    const viewer = live.hub.viewerOf(socket)
    if (viewer.expiresAt <= now) expel(live, socket, 'unauthenticated')
    else if (viewer.client === '' && now - viewer.joinedAt >= ATTACH_MAX_MS) expel(live, socket, 'invalid-request')
    else if (now - live.hub.heardAt(socket) >= SILENT_MAX_MS) expel(live, socket, 'invalid-request')
  }
}

function tickEnded(live: LiveShell, now: number): boolean {
  const endedAt = live.record.endedAt ?? 0
  if (now >= endedAt + FLUSH_ENDED_MS) for (const socket of live.hub.sockets()) closeNormally(socket, live.record.state)
  const isReported = live.record.reportedVersion >= live.record.version
  const isKept = live.keeper === undefined || live.keeper.isDone()
  if (now >= endedAt + KEEP_ENDED_MS && isReported && isKept) return true
  planAlarm(live)
  return false
}

async function tickLink(live: LiveShell, now: number): Promise<void> {
  if (isOver(live) || live.opening || live.dialing) return
  const isWatched = live.hub.attached().length > 0
  const { ending, state } = live.record
  if (live.wire) {
    if (!isWatched && now - live.emptySince >= EMPTY_GRACE_MS) detachShell(live)
    return
  }
  if (!isWatched && !ending && now >= leftUntil(live.record)) return endLive(live, { reason: LEFT_ALONE, actorId: null })
  const isLookDue = state === 'detached' && now >= lookAt(live.record, now)
  if ((isWatched || ending || isLookDue || state === 'connecting') && now >= live.retryAt) await connectShell(live)
  else if (state === 'open') leaveAlone(live)
}
