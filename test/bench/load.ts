import autocannon from 'autocannon'

/** One thing to ask for, over and over. */
export interface Shot {
  readonly name: string
  readonly url: string
  readonly method?: 'GET' | 'POST'
  readonly headers?: Record<string, string>
  readonly body?: string
  /** Changes the next request by the last answer, for calls that move on. */
  readonly next?: (answer: string) => string
}

/** What a round measured. */
export interface Round {
  readonly perSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly failures: number
}

/** Fires at full speed for a while. Latencies are of the whole request, in milliseconds. */
export async function fire(shot: Shot, load: { readonly connections: number; readonly seconds: number }): Promise<Round> {
  const result = await autocannon({
    url: shot.url,
    connections: load.connections,
    duration: load.seconds,
    method: shot.method ?? 'GET',
    headers: { ...(shot.body === undefined ? {} : { 'content-type': 'application/json' }), ...shot.headers },
    ...(shot.body === undefined ? {} : { body: shot.body }),
  })
  const failures = result.non2xx + result.errors + result.timeouts
  return { perSecond: result.requests.average, p50Ms: result.latency.p50, p99Ms: result.latency.p99, failures }
}

/** One call after another on one connection, timed in microseconds: autocannon counts whole milliseconds. */
export async function pace(shot: Shot, seconds: number): Promise<Round> {
  const times: number[] = []
  let body = shot.body
  let failures = 0
  const until = performance.now() + seconds * 1000
  while (performance.now() < until) {
    const headers = { ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...shot.headers }
    const startedAt = performance.now()
    const response = await fetch(shot.url, { method: shot.method ?? 'GET', headers, ...(body === undefined ? {} : { body }) })
    const answer = await response.text()
    times.push(performance.now() - startedAt)
    if (!response.ok) failures++
    else if (shot.next) body = shot.next(answer)
  }
  times.sort((a, b) => a - b)
  const at = (q: number) => times[Math.min(times.length - 1, Math.floor(times.length * q))] ?? Number.NaN
  return { perSecond: times.length / seconds, p50Ms: at(0.5), p99Ms: at(0.99), failures }
}

/** The middle value. */
export const median = (values: readonly number[]): number => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN
