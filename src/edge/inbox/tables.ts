import { integer, sqliteTable, text } from 'drizzle-orm/sqlite-core'

/** The key by which push services know this deployment (RFC 8292). One row, made on first use. */
export const pushKeys = sqliteTable('push_keys', {
  id: integer('id').primaryKey(),
  publicKey: text('public_key').notNull(),
  sealedPrivate: text('sealed_private').notNull(),
  createdAt: integer('created_at').notNull(),
})
