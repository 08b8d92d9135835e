import { setTimeout as wait } from 'node:timers/promises'
import { Readiness } from '../contract/health.ts'
import { Complaint } from './complaint.ts'

/** The Worker keeps an answer about its health for five seconds; this leaves room for a second and third opinion. */
const READY_MS_MAX = 15_000
const POLL_MS = 250
/** Above the budgets of all dependencies together; without a limit a Worker that cannot start holds the request for good. */
const ANSWER_MS_MAX = 5_000
/** As the cron of wrangler.toml, which the local runtime has nobody to ring. */
const SWEEP_MS = 60_000

/** Asks the Worker for its health until it is ready. @returns what is not, when it can do without @throws Complaint when it cannot */
export async function untilReady(origin: string, signal: AbortSignal): Promise<readonly string[]> {
  const deadlineAt = performance.now() + READY_MS_MAX
  let readiness = await askReadiness(origin)
  while (readiness?.status !== 'ready' && performance.now() < deadlineAt) {
    await wait(POLL_MS, undefined, { signal })
    readiness = await askReadiness(origin)
  }
  if (!readiness) throw new Complaint('The Worker runs but does not answer about its health.')
  const failing = Object.entries(readiness.dependencies).filter(([, { ok }]) => !ok)
  const said = failing.map(([name, { detail }]) => `${name}${detail ? ` (${detail})` : ''}`)
  if (readiness.status === 'down') throw new Complaint(`The Worker is not ready because of ${said.join(', ')}.`)
  return said
}

async function askReadiness(origin: string): Promise<Readiness | undefined> {
  const live = await ask(origin, '/health/live')
  if (!live?.ok) return undefined
  const body = await (await ask(origin, '/health/ready'))?.json().catch(() => undefined)
  return Readiness.safeParse(body).data
}

const ask = (origin: string, path: string): Promise<Response | undefined> =>
  fetch(new URL(path, origin), { signal: AbortSignal.timeout(ANSWER_MS_MAX) }).catch(() => undefined)

/** Rings the Worker's cron now, for what a kill left half done, and once a minute. @returns how to stop */
export function startSweeps(origin: string): () => void {
  const ring = async () => void (await ask(origin, '/cdn-cgi/local/scheduled'))?.body?.cancel()
  const timer = setInterval(() => void ring(), SWEEP_MS)
  void ring()
  return () => clearInterval(timer)
}
