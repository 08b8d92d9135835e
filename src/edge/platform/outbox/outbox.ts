import type { SQL } from 'drizzle-orm'
import type { BatchItem } from 'drizzle-orm/batch'
import { describeError } from '../log.ts'
import type { Scope } from '../scope.ts'
import { traceFrom, traceparentOf } from '../trace.ts'
import { claimEvent, deleteDone, dueEventIds, eventState, insertEvent, insertEventIf, markDone, markFailed } from './store.ts'

/** What a feature does with an event. It must be idempotent by `event.id`: a crash can repeat it. */
export type Consumer = (scope: Scope, event: { readonly id: string; readonly payload: unknown }) => Promise<void>

/** Consumers by topic, e.g. `mail.send`. */
export type Consumers = Readonly<Record<string, Consumer>>

/** Consumers of several features as one table. A topic that more than one listens to is handled by each, in order. */
export function joinConsumers(tables: readonly Consumers[]): Consumers {
  const joined: Record<string, Consumer> = {}
  for (const [topic, consume] of tables.flatMap((table) => Object.entries(table))) {
    const before = joined[topic]
    joined[topic] = before ? (scope, event) => before(scope, event).then(() => consume(scope, event)) : consume
  }
  return joined
}

/** An effect to be done after the batch that carries it. */
export interface OutboxEvent {
  readonly id: string
  readonly statement: BatchItem<'sqlite'>
}

/** The consumer says the effect can never succeed: no further attempt is made. */
export class DeadEventError extends Error {
  override readonly name = 'DeadEventError'
}

/** The consumer says when to try again, in place of the usual wait. */
export class LaterError extends Error {
  override readonly name = 'LaterError'
  readonly afterMs: number
  constructor(afterMs: number) {
    super('an attempt failed that is to be repeated')
    this.afterMs = afterMs
  }
}

/** A dead worker's attempt is retried after this long. */
const LEASE_MS = 60_000
/** With doubling waits from 5 s, capped at an hour, this covers about a day. */
const ATTEMPTS_MAX = 30
/** Done events are kept this long for the curious, without their payload. */
const KEEP_DONE_MS = 7 * 86_400_000
const SWEEP_EVENTS_MAX = 50
/** A Worker has six connections at once. */
const SWEEP_AT_ONCE = 5

const PURPOSE = 'outbox'
const retryDelayMs = (attempts: number): number => Math.min(3_600_000, 5_000 * 2 ** Math.min(attempts - 1, 10))

async function sealedRow(scope: Scope, topic: string, payload: object) {
  const id = scope.newId('evt')
  const now = scope.now()
  const sealed = await scope.config.keyring.seal(PURPOSE, id, new TextEncoder().encode(JSON.stringify(payload)))
  return { id, topic, payload: sealed, traceparent: traceparentOf(scope.trace), createdAt: now, nextAttemptAt: now }
}

/** Makes an event whose payload only this deployment can read: mails carry codes. */
export async function outboxEvent(scope: Scope, topic: string, payload: object): Promise<OutboxEvent> {
  const row = await sealedRow(scope, topic, payload)
  return { id: row.id, statement: insertEvent(scope.db, row) }
}

/** As {@link outboxEvent}, for an effect that only the batch itself can decide on: where the condition fails there, nothing comes of it. */
export async function outboxEventIf(
  scope: Scope,
  { topic, payload, condition }: { readonly topic: string; readonly payload: object; readonly condition: SQL },
): Promise<OutboxEvent> {
  const row = await sealedRow(scope, topic, payload)
  return { id: row.id, statement: insertEventIf(scope.db, row, condition) }
}

/** One transaction: the statements and the events they cause; then the events are tried at once. */
export async function commit(
  scope: Scope,
  statements: readonly BatchItem<'sqlite'>[],
  events: readonly OutboxEvent[] = [],
): Promise<unknown[]> {
  const [first, ...rest] = [...statements, ...events.map((e) => e.statement)]
  if (!first) return []
  const results = await scope.db.batch([first, ...rest])
  if (events.length > 0) scope.deliver(events.map((e) => e.id))
  return results
}

/** How an attempt ended; `later` carries the seconds to wait. */
export type Delivery = { readonly outcome: 'done' | 'dead' | 'gone' } | { readonly outcome: 'later'; readonly afterSeconds: number }

/** Attempts one event under a lease. Nobody else's lease is touched, a finished event is left alone. */
export async function deliverEvent(scope: Scope, consumers: Consumers, id: string): Promise<Delivery> {
  const now = scope.now()
  const [event] = await claimEvent(scope.db, id, { now, leaseUntil: now + LEASE_MS })
  if (!event) return standing(scope, id)
  try {
    const consume = consumers[event.topic]
    if (!consume || event.payload === null) throw new DeadEventError(`no consumer for ${event.topic}`)
    const payload: unknown = JSON.parse(new TextDecoder().decode(await scope.config.keyring.open(PURPOSE, id, event.payload)))
    const trace = traceFrom(event.traceparent)
    await consume({ ...scope, trace }, { id, payload })
    await markDone(scope.db, id, scope.now())
    return { outcome: 'done' }
  } catch (error) {
    return fail(scope, event, error)
  }
}

async function standing(scope: Scope, id: string): Promise<Delivery> {
  const [state] = await eventState(scope.db, id)
  if (!state || state.doneAt !== null) return { outcome: 'gone' }
  if (state.deadAt !== null) return { outcome: 'dead' }
  return { outcome: 'later', afterSeconds: Math.max(1, Math.ceil((state.nextAttemptAt - scope.now()) / 1000)) }
}

async function fail(
  scope: Scope,
  event: { readonly id: string; readonly topic: string; readonly attempts: number },
  error: unknown,
): Promise<Delivery> {
  const isDead = error instanceof DeadEventError || event.attempts >= ATTEMPTS_MAX
  const delayMs = error instanceof LaterError ? error.afterMs : retryDelayMs(event.attempts)
  const said = describeError(error)
  scope.log('outbox.failed', {
    eventId: event.id,
    topic: event.topic,
    attempts: event.attempts,
    isDead,
    error: said['error'],
    message: said['message'],
  })
  await markFailed(scope.db, event.id, {
    error: `${said['error']}: ${said['message'] ?? ''}`.slice(0, 200),
    nextAttemptAt: scope.now() + delayMs,
    deadAt: isDead ? scope.now() : null,
  })
  return isDead ? { outcome: 'dead' } : { outcome: 'later', afterSeconds: Math.ceil(delayMs / 1000) }
}

/** Tries fresh events; those that must wait are handed to the queue, and the cron sweep stands behind both. */
export async function deliverEvents(scope: Scope, consumers: Consumers, ids: readonly string[]): Promise<void> {
  for (const id of ids) {
    const delivery = await deliverEvent(scope, consumers, id)
    if (delivery.outcome === 'later') await scope.env.OUTBOX.send({ eventId: id }, { delaySeconds: delivery.afterSeconds })
  }
}

/** Leaves fresh events to the queue, for effects that must not be told by how busy this isolate is around its answer. */
export const queueEvents = (scope: Scope, ids: readonly string[]): void =>
  scope.waitUntil(scope.env.OUTBOX.sendBatch(ids.map((eventId) => ({ body: { eventId } }))))

/** The queue's side: each message is one event id; what must wait is retried after its own delay, and nobody waits for a slow receiver. */
export async function consumeBatch(scope: Scope, consumers: Consumers, batch: MessageBatch): Promise<void> {
  await Promise.all(
    batch.messages.map(async (message) => {
      const { eventId } = message.body as { readonly eventId?: unknown }
      const delivery: Delivery = typeof eventId === 'string' ? await deliverEvent(scope, consumers, eventId) : { outcome: 'gone' }
      if (delivery.outcome === 'later') message.retry({ delaySeconds: delivery.afterSeconds })
      else message.ack()
    }),
  )
}

/** Cron: finishes what a dead Worker or a lost queue message left behind, and forgets old finished events. */
export async function sweepOutbox(scope: Scope, consumers: Consumers): Promise<number> {
  const due = await dueEventIds(scope.db, scope.now(), SWEEP_EVENTS_MAX)
  for (let i = 0; i < due.length; i += SWEEP_AT_ONCE)
    await Promise.all(due.slice(i, i + SWEEP_AT_ONCE).map(({ id }) => deliverEvent(scope, consumers, id)))
  await deleteDone(scope.db, scope.now() - KEEP_DONE_MS)
  return due.length
}
