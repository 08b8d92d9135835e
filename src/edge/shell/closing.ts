import { finishShell, reportState } from './ending.ts'
import { changeRecord, isOver, type LiveShell } from './live.ts'
import type { EndOrder } from './rpc.ts'
import { planAlarm } from './schedule.ts'
import { connectShell } from './wiring.ts'

/** The relay signals, waits, kills and waits again; then it has told the end or cannot. */
const END_MS = 8_000

/** Ends the remote program through the relay, and the shell in any case: without a relay the program ends when its detach time is over. */
export async function endLive(live: LiveShell, order: EndOrder): Promise<void> {
  if (isOver(live)) return
  if (!live.record.ending) changeRecord(live, { ending: order })
  planAlarm(live)
  const ended = untilEnded(live, END_MS)
  await Promise.race([connectShell(live), ended])
  live.wire?.stream?.close()
  // Without a link there is nobody to wait for, and while a host asks a person nothing runs yet.
  if (live.wire || (live.opening && !live.asked)) await ended
  finishShell(live, { state: 'closed', reason: live.record.ending?.reason ?? order.reason })
  await reportState(live)
}

async function untilEnded(live: LiveShell, withinMs: number): Promise<void> {
  if (isOver(live)) return
  await new Promise<void>((resolve) => {
    const timer = setTimeout(() => wake(), withinMs)
    const wake = () => {
      clearTimeout(timer)
      live.onEnded.delete(wake)
      resolve()
    }
    live.onEnded.add(wake)
  })
}
