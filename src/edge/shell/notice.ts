import type { EndingFrame } from '../../contract/viewer.ts'
import { tell } from './hub.ts'
import { isOver, type LiveShell } from './live.ts'

/** So long before a shell ends by itself its viewers hear of it; half of its time where that is less. */
const NOTICE_MS_MAX = 60_000

interface End {
  readonly cause: 'idle' | 'expired'
  readonly endsAt: number
  readonly noticeAt: number
}

/** What will end a shell that is left as it is: the relay's clocks, as far as they are known here. */
function endsOf({ record, typedAt }: LiveShell): End[] {
  const { openedAt, limits } = record
  if (openedAt === undefined || !limits) return []
  const end = (cause: End['cause'], from: number, seconds: number | null): End[] => {
    if (seconds === null) return []
    const endsAt = from + seconds * 1000
    return [{ cause, endsAt, noticeAt: endsAt - Math.min(NOTICE_MS_MAX, seconds * 500) }]
  }
  return [...end('idle', Math.max(openedAt, typedAt), limits.idleSeconds), ...end('expired', openedAt, limits.lifeSeconds)]
}

/** When there is notice to give, Unix milliseconds. */
export const noticeDues = (live: LiveShell, now: number): number[] =>
  endsOf(live)
    .map(({ noticeAt }) => noticeAt)
    .filter((at) => at > now)

/** Tells everybody what comes, once, and that it does not come after all. */
export function giveNotice(live: LiveShell): void {
  if (isOver(live)) return
  const now = Date.now()
  const [next] = endsOf(live)
    .filter(({ noticeAt }) => noticeAt <= now)
    .sort((a, b) => a.endsAt - b.endsAt)
  for (const socket of live.hub.attached()) {
    const told = live.noticeTold.get(socket)
    if (told === next?.cause) continue
    live.noticeTold.set(socket, next?.cause)
    const frame: EndingFrame = { type: 'ending', cause: next?.cause ?? null, seconds: secondsUntil(next, now) }
    tell(socket, frame)
  }
}

const secondsUntil = (end: End | undefined, now: number): number | null => (end ? Math.max(0, Math.round((end.endsAt - now) / 1000)) : null)

/** Somebody typed: what was to come for want of that does not. */
export function noteTyping(live: LiveShell): void {
  live.typedAt = Date.now()
  giveNotice(live)
}
