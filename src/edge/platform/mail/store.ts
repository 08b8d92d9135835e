import { and, eq, gt, lt, sql } from 'drizzle-orm'
import type { Db } from '../db.ts'
import { mailDays as t } from './tables.ts'

/** One way on one day. */
export interface WayDay {
  readonly way: string
  readonly day: number
}

const isIt = ({ way, day }: WayDay) => and(eq(t.way, way), eq(t.day, day))

/** Counts a mail before it leaves, so that mails that race cannot exceed the day's number; no row when the number is reached or it rests. */
export const takeSlot = (db: Db, { way, day }: WayDay, at: { readonly max: number; readonly now: number }) =>
  db
    .insert(t)
    .values({ way, day, sent: 1 })
    .onConflictDoUpdate({
      target: [t.way, t.day],
      set: { sent: sql`${t.sent} + 1` },
      setWhere: sql`${t.sent} < ${at.max} AND ${t.restsUntil} <= ${at.now}`,
    })
    .returning({ failedInRow: t.failedInRow })

/** Notes a failure and lets the way rest, the longer the more of them come in a row. */
export const noteFailure = (db: Db, at: WayDay, failure: { readonly isBack: boolean; readonly restsUntil: number }) =>
  db
    .update(t)
    .set({
      failed: sql`${t.failed} + 1`,
      failedInRow: sql`${t.failedInRow} + 1`,
      restsUntil: failure.restsUntil,
      ...(failure.isBack ? { sent: sql`${t.sent} - 1` } : {}),
    })
    .where(isIt(at))

export const noteRecovery = (db: Db, at: WayDay) =>
  db
    .update(t)
    .set({ failedInRow: 0, restsUntil: 0 })
    .where(and(isIt(at), gt(t.failedInRow, 0)))

export const daysOf = (db: Db, day: number) => db.select().from(t).where(eq(t.day, day))

export const deleteDays = (db: Db, before: number) => db.delete(t).where(lt(t.day, before))
