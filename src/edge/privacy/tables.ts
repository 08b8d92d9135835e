import { integer, sqliteTable, text } from 'drizzle-orm/sqlite-core'
import type { UserId } from '../../contract/identity.ts'

/** Accounts that are deleted and not yet forgotten everywhere. */
export const erasures = sqliteTable('erasures', {
  id: text('id').primaryKey(),
  userId: text('user_id').$type<UserId>().notNull(),
  requestedAt: integer('requested_at').notNull(),
  nextAttemptAt: integer('next_attempt_at').notNull(),
})
