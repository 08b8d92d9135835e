import { integer, sqliteTable, text } from 'drizzle-orm/sqlite-core'

/** What happened, by whom, to what. A trigger refuses every change and removal. */
export const auditEntries = sqliteTable('audit_entries', {
  id: integer('id').primaryKey({ autoIncrement: true }),
  at: integer('at').notNull(),
  /** Organisation the entry belongs to; null for the platform. */
  orgId: text('org_id'),
  /** User id, or `system`. */
  actorId: text('actor_id').notNull(),
  action: text('action').notNull(),
  /** Id of the thing acted on. */
  subject: text('subject').notNull(),
  /** Why, where the action alone does not say. */
  cause: text('cause'),
  traceId: text('trace_id').notNull(),
})
