/** What a log line may carry. Secrets, commands and bytes of a session never do. */
export type LogFields = Readonly<Record<string, string | number | boolean | null | undefined>>

/** Writes one JSON object per line; `child` adds fields to every line of a link or a shell. */
export interface Log {
  info(event: string, fields?: LogFields): void
  warn(event: string, fields?: LogFields): void
  error(event: string, fields?: LogFields): void
  child(fields: LogFields): Log
}

/** A log into `write`, standard output unless told. */
export function createLog(fields: LogFields, write: (line: string) => void = (line) => process.stdout.write(line)): Log {
  const line = (level: string, event: string, more: LogFields = {}): void =>
    write(`${JSON.stringify({ at: new Date().toISOString(), level, event, ...fields, ...more })}\n`)
  return {
    info: (event, more) => line('info', event, more),
    warn: (event, more) => line('warn', event, more),
    error: (event, more) => line('error', event, more),
    child: (more) => createLog({ ...fields, ...more }, write),
  }
}

/** The trace id inside a `traceparent`, for log lines. */
export function traceIdOf(traceparent: string | undefined): string | undefined {
  return traceparent?.slice(3, 35)
}

/** What may be said of an unexpected error: its class and code. Its message can quote input, so it stays inside. */
export function errorFields(error: unknown): LogFields {
  if (!(error instanceof Error)) return { error: typeof error }
  const code = 'code' in error && typeof error.code === 'string' ? error.code : undefined
  const frame = error.stack?.split('\n').find((text) => text.startsWith('    at '))
  return { error: error.name, code, frame: frame?.trim().slice(0, 200) }
}
