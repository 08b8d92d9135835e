import { and, asc, count, eq, isNull, lte, type SQL, sql } from 'drizzle-orm'
import type { Db } from '../db.ts'
import { outboxEvents as t } from './tables.ts'

const isPending = and(isNull(t.doneAt), isNull(t.deadAt))

type NewEvent = Pick<typeof t.$inferSelect, 'id' | 'topic' | 'payload' | 'traceparent' | 'createdAt' | 'nextAttemptAt'>

export const insertEvent = (db: Db, event: NewEvent) => db.insert(t).values(event)

/** Writes the event only where the condition holds. */
export const insertEventIf = (db: Db, e: NewEvent, condition: SQL) =>
  db.insert(t).select(
    sql`SELECT ${e.id} AS id, ${e.topic} AS topic, ${e.payload} AS payload, ${e.traceparent} AS traceparent, ${e.createdAt} AS created_at,
      0 AS attempts, ${e.nextAttemptAt} AS next_attempt_at, NULL AS last_error, NULL AS done_at, NULL AS dead_at WHERE ${condition}`,
  )

/** Takes the event for one attempt: whoever gets the row back owns it until `leaseUntil`. */
export const claimEvent = (db: Db, id: string, at: { readonly now: number; readonly leaseUntil: number }) =>
  db
    .update(t)
    .set({ attempts: sql`${t.attempts} + 1`, nextAttemptAt: at.leaseUntil })
    .where(and(eq(t.id, id), isPending, lte(t.nextAttemptAt, at.now)))
    .returning()

export const markDone = (db: Db, id: string, now: number) =>
  db
    .update(t)
    .set({ doneAt: now, payload: null, lastError: null })
    .where(and(eq(t.id, id), isNull(t.doneAt)))

export const markFailed = (
  db: Db,
  id: string,
  failure: { readonly error: string; readonly nextAttemptAt: number; readonly deadAt: number | null },
) =>
  db
    .update(t)
    .set({ lastError: failure.error, nextAttemptAt: failure.nextAttemptAt, deadAt: failure.deadAt })
    .where(and(eq(t.id, id), isPending))

export const dueEventIds = (db: Db, now: number, limit: number) =>
  db
    .select({ id: t.id })
    .from(t)
    .where(and(isPending, lte(t.nextAttemptAt, now)))
    .orderBy(asc(t.nextAttemptAt))
    .limit(limit)

export const eventState = (db: Db, id: string) =>
  db.select({ doneAt: t.doneAt, deadAt: t.deadAt, nextAttemptAt: t.nextAttemptAt }).from(t).where(eq(t.id, id)).limit(1)

export const pendingSummary = (db: Db) =>
  db
    .select({
      oldest: sql<number | null>`min(iif(${t.lastError} LIKE 'LaterError:%', max(${t.createdAt}, ${t.nextAttemptAt}), ${t.createdAt}))`,
      pending: count(),
    })
    .from(t)
    .where(isPending)

/** How many events of a topic wait. */
export const pendingOf = (db: Db, topic: string) =>
  db
    .select({ pending: count() })
    .from(t)
    .where(and(isPending, eq(t.topic, topic)))

export const deadCount = (db: Db) => db.select({ dead: count() }).from(t).where(sql`${t.deadAt} IS NOT NULL`)

export const deleteDone = (db: Db, before: number) =>
  db.delete(t).where(sql`${t.id} IN (SELECT id FROM outbox_events WHERE done_at < ${before} LIMIT 500)`)
