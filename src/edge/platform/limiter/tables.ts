import { integer, sqliteTable, text } from 'drizzle-orm/sqlite-core'

export const limits = sqliteTable('limits', {
  key: text('key').primaryKey(),
  count: integer('count').notNull(),
  blockedUntil: integer('blocked_until').notNull(),
  forgetAt: integer('forget_at').notNull(),
  chargedAt: integer('charged_at').notNull(),
})
