import type { Trace } from './trace.ts'

/** What a log line may carry: flat and small, never a body, a header or a secret. */
export type LogFields = Readonly<Record<string, string | number | boolean | undefined>>

/** Writes one structured line. */
export type Log = (event: string, fields?: LogFields) => void

/** A logger whose every line carries the trace. */
export function logFor(trace: Trace | undefined, base: LogFields = {}): Log {
  return (event, fields = {}) => {
    console.log(JSON.stringify({ ts: new Date().toISOString(), event, traceId: trace?.traceId, ...base, ...fields }))
  }
}

/**
 * What may be said of an unexpected error. Database wrappers put bound parameters into their message,
 * so only the innermost cause speaks, and of the stack only its frames.
 */
export function describeError(error: unknown): LogFields {
  let inner = error
  while (inner instanceof Error && inner.cause instanceof Error) inner = inner.cause
  if (!(inner instanceof Error)) return { error: typeof inner }
  const frames = (inner.stack ?? '').split('\n').filter((line) => line.startsWith('    at '))
  return { error: inner.name, message: inner.message.slice(0, 300), stack: frames.slice(0, 8).join('\n') }
}
