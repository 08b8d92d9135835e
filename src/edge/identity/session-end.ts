import { type SQL, sql } from 'drizzle-orm'
import type { BatchItem } from 'drizzle-orm/batch'
import type { UserId } from '../../contract/identity.ts'
import { EVERYTHING_ENDED, SESSION_ENDED, type SessionsEnded } from '../platform/live-sockets.ts'
import { ofChange } from '../platform/notify.ts'
import { type OutboxEvent, outboxEventIf } from '../platform/outbox/outbox.ts'
import type { Actor, Scope } from '../platform/scope.ts'
import { forgetSession } from './access-token.ts'
import { isBarredAt } from './session-store.ts'

/** The end of sessions, as far as it leaves D1. */
export interface SessionEnd {
  /** Put it in the batch that ends them, after the statements that do. */
  readonly statement: BatchItem<'sqlite'>
  /** Call it after the batch with what ended: this isolate forgets at once, and every live socket closes within a second. */
  readonly tell: (ended: readonly { readonly id: Actor['sessionId'] }[]) => void
}

/** For every verb that ends sessions or API keys of a user at `now`, however many its statements find: their sockets close with them. */
export function sessionEnd(scope: Scope, { userId, now }: { readonly userId: UserId; readonly now: number }): Promise<SessionEnd> {
  const hasEnded = sql`(EXISTS (SELECT 1 FROM sessions WHERE user_id = ${userId} AND ended_at = ${now})
    OR EXISTS (SELECT 1 FROM api_keys WHERE user_id = ${userId} AND ended_at = ${now}))`
  return endOf(scope, { userId, since: now }, hasEnded)
}

/** As {@link sessionEnd}, right behind a statement that changed a row if any has ended: what others end in the same moment is theirs to tell. */
export const sessionEndIfChanged = (
  scope: Scope,
  { userId, now }: { readonly userId: UserId; readonly now: number },
): Promise<SessionEnd> => endOf(scope, { userId, since: now }, ofChange)

/** For the erasure of a user: no row will tell which sessions there were, and none will ever be again. */
export const everySessionEnd = (scope: Scope, userId: UserId): Promise<SessionEnd> => endOf(scope, { userId, isAll: true }, sql`1`)

/** For the rule that ends all that anybody began until `at`, in the batch that makes it. */
export const everybodysEnd = (scope: Scope, at: number): Promise<OutboxEvent> =>
  outboxEventIf(scope, { topic: EVERYTHING_ENDED, payload: { at }, condition: isBarredAt('', at) })

async function endOf(scope: Scope, payload: SessionsEnded, condition: SQL): Promise<SessionEnd> {
  const event = await outboxEventIf(scope, { topic: SESSION_ENDED, payload, condition })
  return {
    statement: event.statement,
    tell(ended) {
      for (const { id } of ended) forgetSession(id)
      if (ended.length > 0) scope.deliver([event.id])
    },
  }
}
