import { RUN_FOLLOW_SECONDS } from '../../contract/runs.ts'
import type { LiveRun } from './run-drive.ts'

/** Hosts read at a time: as much as a slow follower makes us hold. */
const HOSTS_PER_READ = 8
/** A sign of life for whoever waits for a line. */
const BEAT_MS = 15_000

const encoder = new TextEncoder()

/**
 * The changes of a run's hosts after `seq` as Server-Sent Events, in their order, then the run itself when it is over. Nothing is made that the
 * follower has not asked for, so a slow one costs nothing.
 */
export function eventsOf(run: LiveRun, after: number): ReadableStream<Uint8Array> {
  const endsAt = Date.now() + RUN_FOLLOW_SECONDS * 1000
  let seq = after
  let awake: () => void = () => undefined
  const wake = () => awake()
  run.wakes.add(wake)
  const leave = () => run.wakes.delete(wake)
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
        return { text: `event: run\ndata: ${JSON.stringify(run.book.view())}\n\n`, isLast: true }
      if (leftMs <= 0) return { text: ': come back\n\n', isLast: true }
      const isQuiet = changed(Math.min(leftMs, BEAT_MS))
      await isQuiet
      if (run.book.changedAfter(seq, 1).length === 0 && run.book.record().endedAt === null && Date.now() < endsAt)
        return { text: ': \n\n', isLast: false }
    }
  }

  return new ReadableStream<Uint8Array>({
    start: (controller) => controller.enqueue(encoder.encode('retry: 1000\n\n')),
    async pull(controller) {
      const { text, isLast } = await next()
      controller.enqueue(encoder.encode(text))
      if (!isLast) return
      leave()
      controller.close()
    },
    cancel: () => void leave(),
  })
}
