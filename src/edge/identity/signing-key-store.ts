import { and, desc, isNull, lt, sql } from 'drizzle-orm'
import type { Db } from '../platform/db.ts'
import { signingKeys } from './tables.ts'

export const allSigningKeys = (db: Db) => db.select().from(signingKeys).orderBy(desc(signingKeys.createdAt)).limit(20)

/** Of two isolates that draw a key at once, one wins: an algorithm has one key that nothing will follow yet. */
export const insertSigningKey = (db: Db, row: typeof signingKeys.$inferInsert) => db.insert(signingKeys).values(row).onConflictDoNothing()

/** Lets these keys end at a moment, each once. Only those that were seen: of sweeps at once, none ends what another has just drawn. */
export const retireSigningKeys = (db: Db, kids: readonly string[], at: number) =>
  db
    .update(signingKeys)
    .set({ retiredAt: at })
    .where(and(sql`${signingKeys.kid} IN (SELECT value FROM json_each(${JSON.stringify(kids)}))`, isNull(signingKeys.retiredAt)))

export const deleteRetiredKeys = (db: Db, before: number) => db.delete(signingKeys).where(lt(signingKeys.retiredAt, before))
