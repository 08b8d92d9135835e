import type { Db } from '../platform/db.ts'
import { pushKeys } from './tables.ts'

export const pushKey = (db: Db) => db.select().from(pushKeys).limit(1)

/** The first key stays: devices subscribe to it. */
export const insertPushKey = (db: Db, row: typeof pushKeys.$inferInsert) => db.insert(pushKeys).values(row).onConflictDoNothing()
