import { integer, primaryKey, sqliteTable, text } from 'drizzle-orm/sqlite-core'

/** What each way out for mail has carried on a day, and how it stands. */
export const mailDays = sqliteTable(
  'mail_days',
  {
    way: text('way').notNull(),
    /** Whole days since 1970, UTC. */
    day: integer('day').notNull(),
    /** Handed over, or on its way; what surely did not leave is taken off again. */
    sent: integer('sent').notNull(),
    failed: integer('failed').notNull().default(0),
    /** Failures since the last mail that left. */
    failedInRow: integer('failed_in_row').notNull().default(0),
    restsUntil: integer('rests_until').notNull().default(0),
  },
  (t) => [primaryKey({ columns: [t.way, t.day] })],
)
