import { drizzle } from 'drizzle-orm/d1'
import { parseConfig } from '../../src/edge/platform/config.ts'
import { newId } from '../../src/edge/platform/id.ts'
import type { Scope } from '../../src/edge/platform/scope.ts'
import { traceFrom } from '../../src/edge/platform/trace.ts'
import type { Edge } from '../harness.ts'

/** What a verb may touch, over the Worker's own database and secrets, at a time of the test's choosing. */
export function scopeOf(edge: Edge, now: () => number = Date.now): Scope {
  return {
    env: { DB: edge.db },
    config: parseConfig(edge.settings),
    db: drizzle(edge.db as unknown as Parameters<typeof drizzle>[0]),
    actor: undefined,
    now,
    newId: (prefix: string) => newId(prefix, now()),
    trace: traceFrom(undefined),
    log: () => undefined,
    waitUntil: () => undefined,
    deliver: () => undefined,
  } as unknown as Scope
}
