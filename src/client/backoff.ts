/** How pauses between tries grow. */
export interface Range {
  readonly minMs: number
  /** Bound of the first pause; it doubles with each failure. */
  readonly firstMs: number
  readonly maxMs: number
}

/** Pauses before a socket is opened again: a deployment closes all of them at once, so even the first is spread. */
export const RECONNECT: Range = { minMs: 100, firstMs: 1_000, maxMs: 30_000 }
/** Pauses before a call is repeated. */
export const RETRY: Range = { minMs: 50, firstMs: 250, maxMs: 5_000 }

/** A number in [0, 1). */
function chance(): number {
  const [word = 0] = crypto.getRandomValues(new Uint32Array(1))
  return word / 2 ** 32
}

/** A pause after the n-th failure in a row, anywhere below its bound: clients of one outage do not return in step. */
export function backoffMs(failures: number, { minMs, firstMs, maxMs }: Range): number {
  const boundMs = Math.min(maxMs, firstMs * 2 ** Math.min(failures - 1, 30))
  return Math.round(minMs + chance() * (boundMs - minMs))
}

/** Waits; rejects with the reason of an aborted signal at once. */
export function pause(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason)
    const stop = () => {
      clearTimeout(timer)
      reject(signal?.reason)
    }
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', stop)
      resolve()
    }, ms)
    signal?.addEventListener('abort', stop, { once: true })
  })
}

/** The work's outcome, unless the signal aborts first: then its reason, while the work goes on for others. */
export function unlessAborted<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return work
  return new Promise((resolve, reject) => {
    const stop = () => reject(signal.reason)
    if (signal.aborted) stop()
    signal.addEventListener('abort', stop, { once: true })
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', stop))
  })
}
