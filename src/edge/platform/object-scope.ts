import type { Env } from '../env.ts'
import { readConfig } from './config.ts'
import { openDb } from './db.ts'
import { newId } from './id.ts'
import { logFor } from './log.ts'
import type { Scope } from './scope.ts'
import { traceFrom } from './trace.ts'

/** What a Durable Object's own D1 statements and audit entries need. */
export function objectScope(ctx: Pick<DurableObjectState, 'waitUntil'>, env: Env, traceparent: string | null): Scope {
  const trace = traceFrom(traceparent)
  return {
    env,
    config: readConfig(env),
    db: openDb(env.DB, undefined).db,
    actor: undefined,
    now: Date.now,
    newId: (prefix) => newId(prefix, Date.now()),
    trace,
    log: logFor(trace),
    waitUntil: (work) => ctx.waitUntil(work),
    // An object causes no events; if it ever does, the sweep finds them.
    deliver: () => undefined,
  }
}
