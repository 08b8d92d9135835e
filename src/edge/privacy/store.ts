import { and, asc, count, eq, lte, min, type SQL, sql } from 'drizzle-orm'
import type { Db } from '../platform/db.ts'
import { erasures as t } from './tables.ts'

/** Begins an erasure where the condition holds. */
export const insertErasureIf = (db: Db, row: typeof t.$inferSelect, condition: SQL) =>
  db
    .insert(t)
    .select(
      sql`SELECT ${row.id} AS id, ${row.userId} AS user_id, ${row.requestedAt} AS requested_at, ${row.nextAttemptAt} AS next_attempt_at
        WHERE ${condition}`,
    )
    .onConflictDoNothing()

/** Whether this very batch has begun it. */
export const isBegun = (id: string): SQL => sql`EXISTS (SELECT 1 FROM erasures WHERE erasures.id = ${id})`

export const dueErasures = (db: Db, now: number, limit: number) =>
  db.select().from(t).where(lte(t.nextAttemptAt, now)).orderBy(asc(t.nextAttemptAt)).limit(limit)

/** Takes an erasure for one attempt; nobody else tries before the time that is given. */
export const claimErasure = (db: Db, id: string, at: { readonly now: number; readonly until: number }) =>
  db
    .update(t)
    .set({ nextAttemptAt: at.until })
    .where(and(eq(t.id, id), lte(t.nextAttemptAt, at.now)))

export const deleteErasure = (db: Db, id: string) => db.delete(t).where(eq(t.id, id))

export const waitingErasures = (db: Db) => db.select({ oldest: min(t.requestedAt), waiting: count() }).from(t)
