/** A position in a W3C trace (https://www.w3.org/TR/trace-context/). */
export interface Trace {
  readonly traceId: string
  readonly spanId: string
  readonly isSampled: boolean
}

const TRACEPARENT = /^00-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})$/

const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'))

const POOL_BYTES = 1024
let pool: Uint8Array = new Uint8Array()
let drawn = 0

/** Every request draws one, so bytes come from a pool and digits from a table. */
function randomHex(bytes: number): string {
  if (drawn + bytes > pool.length) {
    pool = crypto.getRandomValues(new Uint8Array(POOL_BYTES))
    drawn = 0
  }
  let text = ''
  for (const byte of pool.subarray(drawn, drawn + bytes)) text += HEX[byte]
  drawn += bytes
  return text
}

/** Joins the caller's trace when its header is well formed, else starts one; either way with a span of our own. */
export function traceFrom(traceparent: string | null | undefined): Trace {
  const [, traceId, , flags] = TRACEPARENT.exec(traceparent ?? '') ?? []
  if (!traceId || !flags) return { traceId: randomHex(16), spanId: randomHex(8), isSampled: true }
  return { traceId, spanId: randomHex(8), isSampled: (Number.parseInt(flags, 16) & 1) === 1 }
}

/** The header that hands a trace on. */
export const traceparentOf = (t: Trace): string => `00-${t.traceId}-${t.spanId}-${t.isSampled ? '01' : '00'}`
