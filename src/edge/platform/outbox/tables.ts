import { integer, sqliteTable, text } from 'drizzle-orm/sqlite-core'

/** Effects that leave D1, written in the batch that decides them and kept until done. */
export const outboxEvents = sqliteTable('outbox_events', {
  id: text('id').primaryKey(),
  topic: text('topic').notNull(),
  /** Sealed JSON; wiped once the event is done. */
  payload: text('payload'),
  traceparent: text('traceparent').notNull(),
  createdAt: integer('created_at').notNull(),
  attempts: integer('attempts').notNull().default(0),
  nextAttemptAt: integer('next_attempt_at').notNull(),
  lastError: text('last_error'),
  doneAt: integer('done_at'),
  deadAt: integer('dead_at'),
})
