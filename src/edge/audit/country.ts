import type { Trace } from '../platform/trace.ts'

/** What Cloudflare says of Tor (T1) and of the unknown (XX). */
const COUNTRY = /^(?!XX$)[A-Z][A-Z0-9]$/

const requests = new WeakMap<Trace, Request>()

/** Notes which request a trace came in with, so that an entry can say from where. */
export function rememberRequest(trace: Trace, request: Request): void {
  requests.set(trace, request)
}

/** The country of whoever acts, from the edge itself: a header of the client has no say. */
export function countryOf(trace: Trace): string | null {
  const country: unknown = requests.get(trace)?.cf?.['country']
  return typeof country === 'string' && COUNTRY.test(country) ? country : null
}
