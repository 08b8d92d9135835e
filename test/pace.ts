import type { Edge } from './harness.ts'

/** A call that a machine at ease answers in less; a promise in milliseconds holds where it does. */
const AT_EASE_MS = 25
const CALLS = 5

/** How long a promise of so many milliseconds may take here and now: on a machine that answers a plain call later than one at ease, so many times longer. */
export async function allowedMs(edge: Pick<Edge, 'request'>, promisedMs: number): Promise<number> {
  const tookMs: number[] = []
  for (let i = 0; i < CALLS; i++) {
    const askedAt = performance.now()
    await (await edge.request('/health/live')).arrayBuffer()
    tookMs.push(performance.now() - askedAt)
  }
  const median = tookMs.sort((a, b) => a - b)[Math.floor(CALLS / 2)] ?? 0
  return promisedMs * Math.max(1, median / AT_EASE_MS)
}
