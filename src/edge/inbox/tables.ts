import { integer, primaryKey, sqliteTable, text } from 'drizzle-orm/sqlite-core'
import type { PushOutcome } from './subscriptions.ts'

/** The key by which push services know this deployment (RFC 8292). One row, made on first use. */
export const pushKeys = sqliteTable('push_keys', {
  id: integer('id').primaryKey(),
  publicKey: text('public_key').notNull(),
  sealedPrivate: text('sealed_private').notNull(),
  createdAt: integer('created_at').notNull(),
})

/** What became of pushes, by Unix day. */
export const pushDays = sqliteTable(
  'push_days',
  {
    day: integer('day').notNull(),
    outcome: text('outcome').$type<PushOutcome>().notNull(),
    counted: integer('counted').notNull(),
  },
  (t) => [primaryKey({ columns: [t.day, t.outcome] })],
)
