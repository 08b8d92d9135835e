import type { SQL } from 'drizzle-orm'
import type { BatchItem } from 'drizzle-orm/batch'
import type { UserId } from '../../contract/identity.ts'
import { type WebhookBody, WebhookEventId, type WebhookKind } from '../../contract/webhooks.ts'
import { outboxEventIf } from '../platform/outbox/outbox.ts'
import type { Scope } from '../platform/scope.ts'
import { type Answered, ask, type Question } from './asking.ts'
import { bodyOf, type EventData } from './post.ts'
import { insertDeliveries, insertEventIf, someHear, someWait } from './store.ts'

/** Topic of the events that give every waiting delivery an outbox event of its own. */
export const WEBHOOKS_WAIT = 'webhooks.wait'

/** Something that webhooks may hear of. It names things and holds no text of theirs: what is taken back or expires must not live on here. */
export interface News {
  readonly kind: WebhookBody['type']
  readonly data: EventData
  /** Whom it is about. */
  readonly userId?: UserId
  /** Who did it, when the scope does not know. */
  readonly actorId?: UserId
  /** SQL for the ids of the webhooks that hear of it, as the right side of `IN`; those that are stopped or want other kinds are left out. */
  readonly heardBy: SQL
  /** Whoever hears of it was named for just this, whatever kinds it wants. */
  readonly isAimed?: true
  /** Given where the same news may be told twice. */
  readonly id?: WebhookEventId
  /** When it happened, Unix milliseconds. */
  readonly at?: number
}

/** News as statements of the batch that makes them true, in this order; `id` is the outbox event to try at once. */
export interface Announcement {
  readonly statements: readonly BatchItem<'sqlite'>[]
  readonly id: string
}

/** The statements that write down an event and to whom it goes, without waking anybody. */
export function written(scope: Scope, news: News, condition: SQL): readonly BatchItem<'sqlite'>[] {
  const id = news.id ?? WebhookEventId.parse(scope.newId('evt'))
  const createdAt = news.at ?? scope.now()
  const body = bodyOf(news.kind, createdAt, news.data)
  const actorId = news.actorId ?? scope.actor?.userId ?? null
  const row = { id, kind: news.kind, body, actorId, userId: news.userId ?? null, createdAt }
  const to = { heardBy: news.heardBy, isAimed: news.isAimed === true }
  return [insertEventIf(scope.db, row, { ...to, condition }), insertDeliveries(scope.db, row, to)]
}

/** Wakes what sends, if anything waits. */
export const wake = (scope: Scope) => outboxEventIf(scope, { topic: WEBHOOKS_WAIT, payload: {}, condition: someWait })

/** Tells webhooks of something, where the condition holds in the batch; most often that the statement right before changed a row. */
export async function announceIf(scope: Scope, news: News, condition: SQL): Promise<Announcement> {
  const woken = await wake(scope)
  return { statements: [...written(scope, news, condition), woken.statement], id: woken.id }
}

/** Whether some webhook hears of one of these kinds now. */
export const isHeard = async (scope: Pick<Scope, 'db'>, kinds: readonly WebhookKind[], heardBy: SQL): Promise<boolean> =>
  (await someHear(scope.db, kinds, heardBy)).length > 0

/** Asks a webhook of an organisation now, within a deadline. It never throws for what the receiver does. */
export const askWebhook = (scope: Scope, question: Question): Promise<Answered> => ask(scope, question)
