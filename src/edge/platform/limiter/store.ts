import { sql } from 'drizzle-orm'
import type { Db } from '../db.ts'
import type { Scope } from '../scope.ts'
import { limits } from './tables.ts'

const SWEEP_ROWS_MAX = 500

/** Drops budgets of D1 that nobody has touched for as long as they count. */
export const deleteForgotten = (db: Db, now: number) =>
  db.delete(limits).where(sql`${limits.key} IN (SELECT key FROM limits WHERE forget_at <= ${now} LIMIT ${SWEEP_ROWS_MAX})`)

/** Cron: forgets what no longer counts; the objects see to their own. */
export async function sweepLimits({ db, now }: Scope): Promise<number> {
  const { meta } = await deleteForgotten(db, now())
  return meta.changes
}
