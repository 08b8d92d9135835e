import * as z from 'zod'
import { WebhookEventId, WebhookId } from '../../contract/webhooks.ts'
import { auditIfChanged } from '../audit/service.ts'
import { ownersOfOrg } from '../orgs/service.ts'
import { openDb } from '../platform/db.ts'
import { notifyIf } from '../platform/notify.ts'
import { type Consumer, commit, LaterError, outboxEventIf } from '../platform/outbox/outbox.ts'
import type { Scope } from '../platform/scope.ts'
import { isLast, reasonToStop, waitMs } from './policy.ts'
import { type Failure, failureOfStatus, post } from './post.ts'
import { deliveryAt, isStopped, isWaiting, markQueued, noteAttempt, noteFailure, noteSuccess, stopWebhook, waiting } from './store.ts'

/** Topic of the events that tell one event to one webhook: `{ webhookId, eventId }`. */
export const DELIVER_WEBHOOK = 'webhooks.deliver'

const At = z.strictObject({ webhookId: WebhookId, eventId: WebhookEventId })
type At = z.infer<typeof At>

/** A receiver puts what it got aside and answers; it does not work meanwhile. */
const TIMEOUT_MS = 10_000
const PER_BATCH = 20

type Found = Awaited<ReturnType<typeof deliveryAt>>[number]

/** How an attempt went: nothing is wrong when there is no failure. */
interface Outcome {
  readonly status: number | null
  readonly failure: Failure | null
}

/** Reads and writes at the primary: a batch before this may not have reached a replica yet. */
const atPrimary = (scope: Scope): Scope => ({ ...scope, db: openDb(scope.env.DB, undefined).db })

/** Gives every waiting delivery an outbox event, so that one receiver's troubles are its own. */
export const queueWaiting: Consumer = async (given) => {
  const scope = atPrimary(given)
  for (;;) {
    const rows = await waiting(scope.db, PER_BATCH)
    if (rows.length === 0) return
    const events = await Promise.all(
      rows.map((at) => outboxEventIf(scope, { topic: DELIVER_WEBHOOK, payload: at, condition: isWaiting(at) })),
    )
    await commit(
      scope,
      rows.flatMap((at, i) => [...(events[i] ? [events[i].statement] : []), markQueued(scope.db, at)]),
    )
    for (const { id } of events) given.deliver([id])
  }
}

/** Makes one attempt. @throws LaterError when there is to be another */
export const deliverWebhook: Consumer = async (given, { payload }) => {
  const at = At.parse(payload)
  const scope = atPrimary(given)
  const [found] = await deliveryAt(scope.db, at)
  if (found?.delivery.state !== 'queued') return
  const outcome = await attempt(scope, found)
  const attempts = found.delivery.attempts + 1
  scope.log('webhook.attempted', { ...at, attempts, status: outcome.status ?? 0, failure: outcome.failure ?? '' })
  if (outcome.failure === null) return succeed(scope, at, { ...outcome, attempts })
  const isOver = outcome.failure === 'disabled' || isLast(attempts, outcome.status)
  const note = { ...outcome, attempts, attemptedAt: scope.now(), state: isOver ? ('dead' as const) : ('queued' as const) }
  await commit(scope, [
    noteAttempt(scope.db, at, note),
    ...(outcome.failure === 'disabled' ? [] : [noteFailure(scope.db, at.webhookId, scope.now())]),
  ])
  if (!isOver) throw new LaterError(waitMs(attempts, chance()))
  if (outcome.failure !== 'disabled') await stopIfHopeless(scope, found.hook, outcome)
}

const chance = (): number => (crypto.getRandomValues(new Uint32Array(1))[0] ?? 0) / 2 ** 32

async function succeed(scope: Scope, at: At, { status, attempts }: Outcome & { readonly attempts: number }): Promise<void> {
  const now = scope.now()
  await commit(scope, [
    noteAttempt(scope.db, at, { state: 'done', attempts, status, failure: null, attemptedAt: now }),
    noteSuccess(scope.db, at.webhookId, now),
  ])
}

/** Sends the event. What the receiver says beyond its status is not read. */
async function attempt(scope: Scope, { hook, event }: Found): Promise<Outcome> {
  const answer = await post(scope, hook, { ...event, signal: AbortSignal.timeout(TIMEOUT_MS) })
  if (!(answer instanceof Response)) return { status: null, failure: answer }
  await answer.body?.cancel()
  return { status: answer.status, failure: failureOfStatus(answer.status) }
}

/** Stops a webhook whose receiver is gone or took nothing for days, and tells its owners once. */
async function stopIfHopeless(scope: Scope, hook: Found['hook'], { status }: Outcome): Promise<void> {
  const now = scope.now()
  const reason = reasonToStop({ now, failingSince: hook.failingSince, status })
  if (!reason) return
  const { id, orgId, userId } = hook
  const owners = orgId === null ? (userId === null ? [] : [userId]) : await ownersOfOrg(scope, orgId)
  const content = { kind: 'webhook-stopped', webhookId: id, orgId, reason } as const
  const told = await Promise.all(owners.map((owner) => notifyIf(scope, { userId: owner }, { content, condition: isStopped(id, now) })))
  await commit(scope, [
    stopWebhook(scope.db, id, { now, reason }),
    auditIfChanged(scope, { action: 'webhook.stop', subject: id, cause: reason, ...(orgId === null ? {} : { orgId }) }),
    ...told.map(({ statement }) => statement),
  ])
  scope.deliver(told.map((event) => event.id))
}
