import { and, desc, eq, isNull } from 'drizzle-orm'
import type { UserId } from '../../contract/identity.ts'
import type { Db } from '../platform/db.ts'
import { apiKeys } from './tables.ts'

/** Every key of a user, ended ones too. */
export const keysOf = (db: Db, userId: UserId) => db.select().from(apiKeys).where(eq(apiKeys.userId, userId)).orderBy(desc(apiKeys.id))

/** The keys that nobody has revoked. */
export const openKeysOf = (db: Db, userId: UserId) =>
  db
    .select()
    .from(apiKeys)
    .where(and(eq(apiKeys.userId, userId), isNull(apiKeys.endedAt)))
    .orderBy(desc(apiKeys.id))
