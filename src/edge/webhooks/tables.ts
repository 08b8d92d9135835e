import { integer, primaryKey, sqliteTable, text } from 'drizzle-orm/sqlite-core'
import type { UserId } from '../../contract/identity.ts'
import type { OrgId } from '../../contract/orgs.ts'
import type { Webhook, WebhookBody, WebhookDelivery, WebhookEventId, WebhookId, WebhookKind } from '../../contract/webhooks.ts'

export const webhooks = sqliteTable('webhooks', {
  id: text('id').$type<WebhookId>().primaryKey(),
  orgId: text('org_id').$type<OrgId>(),
  userId: text('user_id').$type<UserId>(),
  url: text('url').notNull(),
  kinds: text('kinds', { mode: 'json' }).$type<readonly WebhookKind[]>().notNull(),
  /** Sealed; signs. */
  secret: text('secret').notNull(),
  /** Sealed; signs too until `previousUntil`. */
  previousSecret: text('previous_secret'),
  previousUntil: integer('previous_until'),
  createdAt: integer('created_at').notNull(),
  succeededAt: integer('succeeded_at'),
  failingSince: integer('failing_since'),
  disabledAt: integer('disabled_at'),
  disabledFor: text('disabled_for').$type<NonNullable<Webhook['disabledFor']>>(),
})

/** What happened, as it is sent. Kept only when some webhook hears of it. */
export const webhookEvents = sqliteTable('webhook_events', {
  id: text('id').$type<WebhookEventId>().primaryKey(),
  kind: text('kind').$type<WebhookBody['type']>().notNull(),
  body: text('body').notNull(),
  actorId: text('actor_id').$type<UserId>(),
  userId: text('user_id').$type<UserId>(),
  createdAt: integer('created_at').notNull(),
})

export const webhookDeliveries = sqliteTable(
  'webhook_deliveries',
  {
    webhookId: text('webhook_id').$type<WebhookId>().notNull(),
    eventId: text('event_id').$type<WebhookEventId>().notNull(),
    /** Waiting for an outbox event of its own, in the outbox, or over. */
    state: text('state').$type<'waiting' | 'queued' | 'done' | 'dead'>().notNull(),
    attempts: integer('attempts').notNull().default(0),
    status: integer('status'),
    failure: text('failure').$type<NonNullable<WebhookDelivery['failure']>>(),
    attemptedAt: integer('attempted_at'),
  },
  (t) => [primaryKey({ columns: [t.webhookId, t.eventId] })],
)
