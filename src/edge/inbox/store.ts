import { eq, lt, sql } from 'drizzle-orm'
import type { Db } from '../platform/db.ts'
import { pushDays as d, pushKeys } from './tables.ts'

export const pushKey = (db: Db) => db.select().from(pushKeys).limit(1)

/** The first key stays: devices subscribe to it. */
export const insertPushKey = (db: Db, row: typeof pushKeys.$inferInsert) => db.insert(pushKeys).values(row).onConflictDoNothing()

/** Adds what became of one notification's pushes to the day. */
export const addPushed = (db: Db, day: number, outcomes: readonly (typeof d.$inferSelect)['outcome'][]) =>
  db
    .insert(d)
    .values([...new Set(outcomes)].map((outcome) => ({ day, outcome, counted: outcomes.filter((other) => other === outcome).length })))
    .onConflictDoUpdate({ target: [d.day, d.outcome], set: { counted: sql`${d.counted} + excluded.counted` } })

export const pushedOn = (db: Db, day: number) => db.select().from(d).where(eq(d.day, day))

export const deleteOldPushed = (db: Db, before: number) => db.delete(d).where(lt(d.day, before))
