import { integer, primaryKey, sqliteTable, text } from 'drizzle-orm/sqlite-core'

/** What happened, by whom, to what. A trigger refuses every change and removal. */
export const auditEntries = sqliteTable('audit_entries', {
  id: integer('id').primaryKey({ autoIncrement: true }),
  at: integer('at').notNull(),
  /** Organisation the entry belongs to; null for the platform. */
  orgId: text('org_id'),
  /** User id, `system`, or `anonymous`. */
  actorId: text('actor_id').notNull(),
  action: text('action').notNull(),
  /** Id of the thing acted on. */
  subject: text('subject').notNull(),
  /** Why, where the action alone does not say. */
  cause: text('cause'),
  traceId: text('trace_id').notNull(),
  /** The signed-in device it was done from. */
  sessionId: text('session_id'),
  /** From where, no closer than the country: entries outlive the person, so an address has no place here. */
  country: text('country'),
})

/** Each entry's place in its chain, sealed. Triggers refuse every change, removal and fork. */
export const auditLinks = sqliteTable(
  'audit_links',
  {
    chain: text('chain').notNull(),
    seq: integer('seq').notNull(),
    entryId: integer('entry_id').notNull(),
    prevHash: text('prev_hash').notNull(),
    hash: text('hash').notNull(),
    mac: text('mac').notNull(),
  },
  (t) => [primaryKey({ columns: [t.chain, t.seq] })],
)

/** Signed statements of what a chain was. */
export const auditCheckpoints = sqliteTable(
  'audit_checkpoints',
  {
    chain: text('chain').notNull(),
    seq: integer('seq').notNull(),
    kid: text('kid').notNull(),
    hash: text('hash').notNull(),
    at: integer('at').notNull(),
    signed: text('signed').notNull(),
  },
  (t) => [primaryKey({ columns: [t.chain, t.seq, t.kid] })],
)

/** When each chain is due for a checkpoint, and what the last check met. No evidence rests on it. */
export const auditChains = sqliteTable('audit_chains', {
  chain: text('chain').primaryKey(),
  dueAt: integer('due_at'),
  kid: text('kid'),
  fault: text('fault'),
})
