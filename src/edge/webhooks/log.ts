import { type PageQuery, toMoment } from '../../contract/id.ts'
import { Problem } from '../../contract/problem.ts'
import { type WebhookDelivery, WebhookEventId, type WebhookId } from '../../contract/webhooks.ts'
import { auditIfChanged } from '../audit/service.ts'
import { commit } from '../platform/outbox/outbox.ts'
import { afterKey, toPage } from '../platform/page.ts'
import type { Actor, Scope } from '../platform/scope.ts'
import { webhookFor } from './keeping.ts'
import { wake } from './service.ts'
import { type DeliveryAt, deliveriesOf, deliveryAt, replayDelivery } from './store.ts'

type Row = Awaited<ReturnType<typeof deliveriesOf>>[number]

const STATES = { waiting: 'pending', queued: 'pending', done: 'delivered', dead: 'dead' } as const

const toDelivery = ({ delivery, event }: Row): WebhookDelivery => ({
  eventId: event.id,
  kind: event.kind,
  state: STATES[delivery.state],
  attempts: delivery.attempts,
  status: delivery.status,
  failure: delivery.failure,
  createdAt: toMoment(event.createdAt),
  attemptedAt: delivery.attemptedAt === null ? null : toMoment(delivery.attemptedAt),
})

/** What was told and how it went, newest first. @throws Problem `invalid-request`, `not-found` or `forbidden` */
export async function listDeliveries(
  scope: Scope,
  actor: Actor,
  at: { readonly webhookId: WebhookId; readonly query: PageQuery & { readonly state?: WebhookDelivery['state'] | undefined } },
) {
  const key = afterKey(at.query)
  const before = key === undefined ? undefined : WebhookEventId.safeParse(key)
  if (before?.success === false)
    throw new Problem('invalid-request', { errors: [{ detail: 'is not a cursor of this list', pointer: '#/query/cursor' }] })
  await webhookFor(scope, actor, at.webhookId)
  const page = { before: before?.data, limit: at.query.limit + 1, state: at.query.state }
  const rows = await deliveriesOf(scope.db, at.webhookId, page)
  return toPage(rows, at.query, { key: (row) => row.event.id, item: toDelivery })
}

/** Sends an event again, with the same id. @throws Problem `not-found`, `forbidden`, or `conflict` while it is on its way or the webhook is stopped */
export async function replay(scope: Scope, actor: Actor, at: DeliveryAt): Promise<WebhookDelivery> {
  const hook = await webhookFor(scope, actor, at.webhookId)
  const [known] = await deliveryAt(scope.db, at)
  if (!known) throw new Problem('not-found')
  if (hook.disabledAt !== null) throw new Problem('conflict', { detail: 'The webhook is stopped.' })
  const woken = await wake(scope)
  const [begun] = (await commit(scope, [
    replayDelivery(scope.db, at),
    auditIfChanged(scope, {
      action: 'webhook.replay',
      subject: at.webhookId,
      cause: at.eventId,
      ...(hook.orgId === null ? {} : { orgId: hook.orgId }),
    }),
    woken.statement,
  ])) as readonly D1Result[]
  if (begun?.meta.changes !== 1) throw new Problem('conflict', { detail: 'It is on its way.' })
  scope.deliver([woken.id])
  return toDelivery({ ...known, delivery: { ...known.delivery, state: 'waiting', attempts: 0, failure: null } })
}
