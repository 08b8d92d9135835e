import { and, desc, eq, isNull, lt, ne } from 'drizzle-orm'
import type { Db } from '../platform/db.ts'
import { signingKeys } from './tables.ts'

type Row = typeof signingKeys.$inferSelect

export const allSigningKeys = (db: Db) => db.select().from(signingKeys).orderBy(desc(signingKeys.createdAt)).limit(20)

/** Of two isolates that draw a key at once, one wins: an algorithm has one key that nothing will follow yet. */
export const insertSigningKey = (db: Db, row: typeof signingKeys.$inferInsert) => db.insert(signingKeys).values(row).onConflictDoNothing()

/** Lets a key end at a moment, once. */
export const retireSigningKey = (db: Db, kid: string, at: number) =>
  db
    .update(signingKeys)
    .set({ retiredAt: at })
    .where(and(eq(signingKeys.kid, kid), isNull(signingKeys.retiredAt)))

/** Lets the keys of algorithms that are no longer wanted end. */
export const retireOtherAlgorithms = (db: Db, alg: Row['alg'], at: number) =>
  db
    .update(signingKeys)
    .set({ retiredAt: at })
    .where(and(ne(signingKeys.alg, alg), isNull(signingKeys.retiredAt)))

export const deleteRetiredKeys = (db: Db, before: number) => db.delete(signingKeys).where(lt(signingKeys.retiredAt, before))
