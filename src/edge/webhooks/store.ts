import { and, asc, desc, eq, inArray, isNull, lt, type SQL, sql } from 'drizzle-orm'
import type { UserId } from '../../contract/identity.ts'
import type { OrgId } from '../../contract/orgs.ts'
import { WEBHOOKS_MAX, type WebhookBody, type WebhookEventId, type WebhookId, type WebhookKind } from '../../contract/webhooks.ts'
import { orgRoleSql } from '../orgs/service.ts'
import type { Db } from '../platform/db.ts'
import { webhookDeliveries as d, webhookEvents as e, webhooks as w } from './tables.ts'

/** Unfinished deliveries of one webhook; beyond that, what comes is given up at once and can be replayed. */
const BACKLOG_MAX = 1_000

/** Whose webhooks: an organisation's, or a user's. */
export type Owner = { readonly orgId: OrgId; readonly userId: null } | { readonly orgId: null; readonly userId: UserId }

const ownedBy = ({ orgId, userId }: Owner): SQL => (orgId === null ? sql`${w.userId} = ${userId}` : sql`${w.orgId} = ${orgId}`)

/** Whether the caller may change it: the condition of every statement that does. */
const isOwner = (callerId: UserId): SQL =>
  sql`(${w.userId} = ${callerId} OR (${w.orgId} IS NOT NULL AND ${orgRoleSql(sql`${w.orgId}`, callerId)} = 'owner'))`

/** One row unless its owner has enough of them, or the caller owns the organisation no more. */
export const insertWebhook = (
  db: Db,
  hook: Owner & Pick<typeof w.$inferSelect, 'id' | 'url' | 'kinds' | 'secret' | 'createdAt'>,
  callerId: UserId,
) =>
  db.insert(w).select(
    sql`SELECT ${hook.id} AS id, ${hook.orgId} AS org_id, ${hook.userId} AS user_id, ${hook.url} AS url, ${JSON.stringify(hook.kinds)} AS kinds,
      ${hook.secret} AS secret, NULL AS previous_secret, NULL AS previous_until, ${hook.createdAt} AS created_at, NULL AS succeeded_at,
      NULL AS failing_since, NULL AS disabled_at, NULL AS disabled_for
      WHERE (SELECT count(*) FROM webhooks AS w2 WHERE ${hook.orgId === null ? sql`w2.user_id = ${hook.userId}` : sql`w2.org_id = ${hook.orgId}`}) < ${WEBHOOKS_MAX}
        AND EXISTS (SELECT 1 FROM users WHERE users.id = ${callerId} AND users.disabled_at IS NULL)
        ${hook.orgId === null ? sql`` : sql`AND ${orgRoleSql(hook.orgId, callerId)} = 'owner'`}`,
  )

export const webhookById = (db: Db, id: WebhookId) => db.select().from(w).where(eq(w.id, id)).limit(1)

export const webhooksOf = (db: Db, owner: Owner, page: { readonly before?: WebhookId | undefined; readonly limit: number }) =>
  db
    .select()
    .from(w)
    .where(and(ownedBy(owner), page.before === undefined ? undefined : lt(w.id, page.before)))
    .orderBy(desc(w.id))
    .limit(page.limit)

/** Changes a webhook while the caller owns it. */
export const changeWebhook = (
  db: Db,
  at: { readonly id: WebhookId; readonly callerId: UserId; readonly secret?: string },
  to: Partial<typeof w.$inferInsert>,
) =>
  db
    .update(w)
    .set(to)
    .where(and(eq(w.id, at.id), isOwner(at.callerId), at.secret === undefined ? undefined : eq(w.secret, at.secret)))

/** Deletes a webhook with its log, while the caller owns it. */
export const deleteWebhookLog = (db: Db, at: { readonly id: WebhookId; readonly callerId: UserId }) =>
  db.delete(d).where(sql`${d.webhookId} IN (SELECT ${w.id} FROM ${w} WHERE ${w.id} = ${at.id} AND ${isOwner(at.callerId)})`)
export const deleteWebhookRow = (db: Db, at: { readonly id: WebhookId; readonly callerId: UserId }) =>
  db.delete(w).where(and(eq(w.id, at.id), isOwner(at.callerId)))

/** Every webhook of an owner that is gone, with its log. */
export const deleteWebhooksOf = (db: Db, owner: Owner) => [
  db.delete(d).where(sql`${d.webhookId} IN (SELECT ${w.id} FROM ${w} WHERE ${ownedBy(owner)})`),
  db.delete(w).where(ownedBy(owner)),
]

/** Everything told of a user until a moment. */
export const deleteEventsAbout = (db: Db, userId: UserId, until: number) => {
  const about = sql`(${e.actorId} = ${userId} OR ${e.userId} = ${userId}) AND ${e.createdAt} <= ${until}`
  return [db.delete(d).where(sql`${d.eventId} IN (SELECT ${e.id} FROM ${e} WHERE ${about})`), db.delete(e).where(about)] as const
}

/** To whom news go: SQL for ids, of which those that want the kind hear of it, or all where they were named for just this. */
interface Hearers {
  readonly heardBy: SQL
  readonly isAimed: boolean
}

const hears = (kind: WebhookBody['type'], { heardBy, isAimed }: Hearers): SQL =>
  sql`hook.disabled_at IS NULL AND hook.id IN ${heardBy}
    AND (${isAimed ? 1 : 0} OR EXISTS (SELECT 1 FROM json_each(hook.kinds) WHERE value = ${kind}))`

/** Writes down what happened, if some webhook hears of it. The same id counts once. */
export const insertEventIf = (db: Db, row: typeof e.$inferSelect, by: Hearers & { readonly condition: SQL }) =>
  db
    .insert(e)
    .select(
      sql`SELECT ${row.id} AS id, ${row.kind} AS kind, ${row.body} AS body, ${row.actorId} AS actor_id, ${row.userId} AS user_id,
        ${row.createdAt} AS created_at
        WHERE ${by.condition} AND EXISTS (SELECT 1 FROM webhooks AS hook WHERE ${hears(row.kind, by)})`,
    )
    .onConflictDoNothing()

/** One delivery to each webhook that hears of the event which the statement before has written. */
export const insertDeliveries = (db: Db, event: { readonly id: WebhookEventId; readonly kind: WebhookBody['type'] }, to: Hearers) =>
  db.insert(d).select(
    sql`SELECT hook.id AS webhook_id, ${event.id} AS event_id, CASE WHEN ${isFull} THEN 'dead' ELSE 'waiting' END AS state,
      0 AS attempts, NULL AS status, CASE WHEN ${isFull} THEN 'backlog' END AS failure, NULL AS attempted_at
      FROM webhooks AS hook WHERE changes() > 0 AND ${hears(event.kind, to)}`,
  )

const isFull = sql`(SELECT count(*) FROM (SELECT 1 FROM webhook_deliveries AS open WHERE open.webhook_id = hook.id AND open.state = 'queued'
  LIMIT ${BACKLOG_MAX})) >= ${BACKLOG_MAX}`

/** Whether some webhook hears of one of these kinds. */
export const someHear = (db: Db, kinds: readonly WebhookKind[], heardBy: SQL) =>
  db.all<{ readonly id: string }>(
    sql`SELECT hook.id FROM webhooks AS hook WHERE hook.disabled_at IS NULL AND hook.id IN ${heardBy}
      AND EXISTS (SELECT 1 FROM json_each(hook.kinds) WHERE value IN (SELECT value FROM json_each(${JSON.stringify(kinds)}))) LIMIT 1`,
  )

/** Whether anything waits for an outbox event of its own. */
export const someWait: SQL = sql`EXISTS (SELECT 1 FROM webhook_deliveries WHERE state = 'waiting')`

/** One webhook and one event. */
export interface DeliveryAt {
  readonly webhookId: WebhookId
  readonly eventId: WebhookEventId
}

const isAt = (at: DeliveryAt) => and(eq(d.webhookId, at.webhookId), eq(d.eventId, at.eventId))

export const waiting = (db: Db, limit: number) =>
  db.select({ webhookId: d.webhookId, eventId: d.eventId }).from(d).where(eq(d.state, 'waiting')).orderBy(asc(d.eventId)).limit(limit)

export const isWaiting = (at: DeliveryAt): SQL =>
  sql`EXISTS (SELECT 1 FROM webhook_deliveries AS one WHERE one.webhook_id = ${at.webhookId} AND one.event_id = ${at.eventId} AND one.state = 'waiting')`

export const markQueued = (db: Db, at: DeliveryAt) =>
  db
    .update(d)
    .set({ state: 'queued' })
    .where(and(isAt(at), eq(d.state, 'waiting')))

export const deliveryAt = (db: Db, at: DeliveryAt) =>
  db
    .select({ delivery: d, event: e, hook: w })
    .from(d)
    .innerJoin(e, eq(e.id, d.eventId))
    .innerJoin(w, eq(w.id, d.webhookId))
    .where(isAt(at))
    .limit(1)

/** Notes how an attempt went. */
export const noteAttempt = (
  db: Db,
  at: DeliveryAt,
  to: Pick<typeof d.$inferSelect, 'state' | 'attempts' | 'status' | 'failure' | 'attemptedAt'>,
) =>
  db
    .update(d)
    .set(to)
    .where(and(isAt(at), eq(d.state, 'queued')))

export const noteSuccess = (db: Db, id: WebhookId, now: number) =>
  db.update(w).set({ succeededAt: now, failingSince: null }).where(eq(w.id, id))

export const noteFailure = (db: Db, id: WebhookId, now: number) =>
  db
    .update(w)
    .set({ failingSince: sql`coalesce(${w.failingSince}, ${now})` })
    .where(eq(w.id, id))

/** Stops a webhook, once. */
export const stopWebhook = (db: Db, id: WebhookId, by: { readonly now: number; readonly reason: 'gone' | 'failures' }) =>
  db
    .update(w)
    .set({ disabledAt: by.now, disabledFor: by.reason })
    .where(and(eq(w.id, id), isNull(w.disabledAt)))

/** States as the contract tells them. */
const STATES = { pending: ['waiting', 'queued'], delivered: ['done'], dead: ['dead'] } as const

export const deliveriesOf = (
  db: Db,
  webhookId: WebhookId,
  page: { readonly before?: WebhookEventId | undefined; readonly limit: number; readonly state?: keyof typeof STATES | undefined },
) =>
  db
    .select({ delivery: d, event: e })
    .from(d)
    .innerJoin(e, eq(e.id, d.eventId))
    .where(
      and(
        eq(d.webhookId, webhookId),
        page.state === undefined ? undefined : inArray(d.state, [...STATES[page.state]]),
        page.before === undefined ? undefined : lt(d.eventId, page.before),
      ),
    )
    .orderBy(desc(d.eventId))
    .limit(page.limit)

/** Lets a delivery that is over begin anew. */
export const replayDelivery = (db: Db, at: DeliveryAt) =>
  db
    .update(d)
    .set({ state: 'waiting', attempts: 0, failure: null })
    .where(and(isAt(at), inArray(d.state, ['done', 'dead'])))

/** Forgets old events and their deliveries, some at a time. */
export const deleteOldEvents = (db: Db, before: number, limit: number) => {
  const old = sql`(SELECT ${e.id} FROM ${e} WHERE ${e.createdAt} < ${before} ORDER BY ${e.createdAt} LIMIT ${limit})`
  return [db.delete(d).where(sql`${d.eventId} IN ${old}`), db.delete(e).where(sql`${e.id} IN ${old}`)] as const
}

/** Whether the batch has stopped it just now. */
export const isStopped = (id: WebhookId, now: number): SQL =>
  sql`EXISTS (SELECT 1 FROM webhooks AS stopped WHERE stopped.id = ${id} AND stopped.disabled_at = ${now})`
