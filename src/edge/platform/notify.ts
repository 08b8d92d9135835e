import { type SQL, sql } from 'drizzle-orm'
import type { UserId } from '../../contract/identity.ts'
import type { NotificationContent } from '../../contract/inbox.ts'
import { type OutboxEvent, outboxEventIf } from './outbox/outbox.ts'
import type { Scope } from './scope.ts'

/** Topic of the events that tell a user something: `{ userId | email, content }`. */
export const NOTIFY = 'inbox.notify'

/** Whom to tell: a user, or whoever has an address. */
export type Recipient = { readonly userId: UserId } | { readonly email: string }

/** Tells a user something once the batch is in, where the condition holds there. The event's id makes telling twice telling once. */
export const notifyIf = (
  scope: Scope,
  to: Recipient,
  { content, condition }: { readonly content: NotificationContent; readonly condition: SQL },
): Promise<OutboxEvent> => outboxEventIf(scope, { topic: NOTIFY, payload: { ...to, content }, condition })

/** The condition that the statement right before the event in the batch has changed a row. */
export const ofChange: SQL = sql`changes() > 0`
