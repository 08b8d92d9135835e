import type { UserId } from '../../contract/identity.ts'
import { RUN_FOLLOW_SECONDS } from '../../contract/runs.ts'
import type { LiveRun } from './run-drive.ts'

/** Hosts read at a time: as much as a slow follower makes us hold. */
const HOSTS_PER_READ = 8
/** A sign of life for whoever waits for a line. */
const BEAT_MS = 15_000

const encoder = new TextEncoder()

/** Who follows, and after which change. */
interface Follower {
  readonly userId: UserId
  readonly after: number
}

/**
 * The changes of a run's hosts after one as Server-Sent Events, in their order, then the run itself when it is over: as one change more, so that
 * whoever was away just then is told too. Nothing is made that the follower has not asked for, so a slow one costs nothing, and one that takes
 * nothing leaves its place when its time is over.
 */
export function eventsOf(run: LiveRun, { userId, after }: Follower): ReadableStream<Uint8Array> {
  const endsAt = Date.now() + RUN_FOLLOW_SECONDS * 1000
  let seq = after
  let isAsked = false
  let awake: () => void = () => undefined
  const wake = () => awake()
  let ending: ReturnType<typeof setTimeout> | null = null
  const leave = () => {
    run.followers.delete(wake)
    clearTimeout(ending)
  }
  const changed = (ms: number) =>
    new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms)
      awake = () => {
        clearTimeout(timer)
        resolve()
      }
    })

  async function next(): Promise<{ readonly text: string; readonly isLast: boolean }> {
    for (;;) {
      const hosts = run.book.changedAfter(seq, HOSTS_PER_READ)
      const leftMs = endsAt - Date.now()
      if (hosts.length > 0 && leftMs > 0) {
        seq = hosts.at(-1)?.seq ?? seq
        const lines = hosts.map(({ place: _, ...host }) => `id: ${host.seq}\nevent: host\ndata: ${JSON.stringify(host)}\n\n`)
        return { text: lines.join(''), isLast: false }
      }
      if (hosts.length === 0 && run.book.record().endedAt !== null)
        return { text: `id: ${run.book.lastSeq() + 1}\nevent: run\ndata: ${JSON.stringify(run.book.view())}\n\n`, isLast: true }
      if (leftMs <= 0) return { text: ': come back\n\n', isLast: true }
      const isQuiet = changed(Math.min(leftMs, BEAT_MS))
      await isQuiet
      if (run.book.changedAfter(seq, 1).length === 0 && run.book.record().endedAt === null && Date.now() < endsAt)
        return { text: ': \n\n', isLast: false }
    }
  }

  return new ReadableStream<Uint8Array>({
    start(controller) {
      run.followers.set(wake, userId)
      controller.enqueue(encoder.encode('retry: 1000\n\n'))
      ending = setTimeout(() => {
        if (isAsked) return
        leave()
        controller.close()
      }, RUN_FOLLOW_SECONDS * 1000)
    },
    async pull(controller) {
      isAsked = true
      const { text, isLast } = await next()
      isAsked = false
      controller.enqueue(encoder.encode(text))
      if (!isLast) return
      leave()
      controller.close()
    },
    cancel: () => void leave(),
  })
}
