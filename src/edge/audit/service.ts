import { sql } from 'drizzle-orm'
import type { Scope } from '../platform/scope.ts'
import { auditEntries } from './tables.ts'

/** One thing to put on record. */
export interface Act {
  readonly action: `${string}.${string}`
  readonly subject: string
  readonly orgId?: string
  readonly cause?: string
  /** Who acted, when the scope does not know yet: at sign-in, or in a sweep. */
  readonly actorId?: string
}

const rowOf = (scope: Scope, act: Act) => ({
  at: scope.now(),
  orgId: act.orgId ?? null,
  actorId: act.actorId ?? scope.actor?.userId ?? 'system',
  action: act.action,
  subject: act.subject,
  cause: act.cause ?? null,
  traceId: scope.trace.traceId,
})

/**
 * A statement, not a write: put it in the same batch as the change it records, so a change
 * without its trace cannot be committed.
 */
export const auditEntry = (scope: Scope, act: Act) => scope.db.insert(auditEntries).values(rowOf(scope, act))

/**
 * As {@link auditEntry}, written only if the statement right before it in the batch changed a row:
 * a conditional change that did not happen leaves no entry. Any statement between the two breaks the link.
 */
export function auditIfChanged(scope: Scope, act: Act) {
  const r = rowOf(scope, act)
  return scope.db
    .insert(auditEntries)
    .select(
      sql`SELECT NULL AS id, ${r.at} AS at, ${r.orgId} AS org_id, ${r.actorId} AS actor_id, ${r.action} AS action, ${r.subject} AS subject, ${r.cause} AS cause, ${r.traceId} AS trace_id WHERE changes() > 0`,
    )
}
