import type { Scope } from '../platform/scope.ts'
import { countryOf } from './country.ts'

/** One thing to put on record. */
export interface Act {
  readonly action: `${string}.${string}`
  readonly subject: string
  readonly orgId?: string
  readonly cause?: string
  /** Who acted, when the scope does not know yet: at sign-in, or in a sweep. */
  readonly actorId?: string
}

/** An act as a row. */
export const rowOf = (scope: Scope, act: Act) => ({
  at: scope.now(),
  orgId: act.orgId ?? null,
  actorId: act.actorId ?? scope.actor?.userId ?? 'system',
  action: act.action,
  subject: act.subject,
  cause: act.cause ?? null,
  traceId: scope.trace.traceId,
  sessionId: scope.actor?.sessionId ?? null,
  country: countryOf(scope.trace),
})

/** An act as a row. */
export type ActRow = ReturnType<typeof rowOf>
