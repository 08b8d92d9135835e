import type { LimitState } from '../../../contract/problem.ts'
import type { BudgetName, Rule } from './limits.ts'

/** One unit to be taken from one budget. */
export interface Charge {
  readonly budget: BudgetName
  /** Keyed hash of the budget and of what it is for. */
  readonly key: string
  readonly rule: Rule
  /** Units taken up to then no longer count, for something succeeded: Unix milliseconds. */
  readonly clearedAt?: number
}

/** How a budget stands after a charge. */
export interface Standing {
  readonly isAdmitted: boolean
  readonly count: number
  /** Until the next unit may be taken. */
  readonly waitMs: number
  /** Until the count is forgotten if nothing more happens. */
  readonly forgetMs: number
}

/** A stored budget. */
export interface LimitRow extends Record<string, number> {
  readonly count: number
  readonly blocked_until: number
  readonly forget_at: number
}

/** In milliseconds beyond any clock, and still exact when added to one. */
export const NEVER_MS = 8e15

/**
 * Takes a unit where one is left, in one statement: nothing can come between the look and the count. A blocked budget answers no row.
 * ?1 key · ?2 now · ?3 cleared at · ?4 steps `[[count, ms], …]` · ?5 forget after ms, NULL for a window. It runs in D1 as in an object.
 */
export const CHARGE = `
INSERT INTO limits (key, count, blocked_until, forget_at, charged_at)
SELECT ?1, n, blocked, iif(?5 IS NULL, ends, max(blocked, ?2) + ?5), ?2
FROM (
  SELECT n, ends, coalesce((
    SELECT max(iif(?5 IS NULL, ends, ?2 + json_extract(value, '$[1]'))) FROM json_each(?4) WHERE json_extract(value, '$[0]') <= n
  ), 0) AS blocked
  FROM (
    SELECT coalesce(old.count, 0) + 1 AS n, coalesce(old.forget_at, ?2 + json_extract(?4, '$[0][1]')) AS ends
    FROM (SELECT 1) LEFT JOIN limits AS old ON old.key = ?1 AND old.forget_at > ?2 AND old.charged_at > ?3
  )
)
WHERE true
ON CONFLICT (key) DO UPDATE SET
  count = excluded.count, blocked_until = excluded.blocked_until, forget_at = excluded.forget_at, charged_at = excluded.charged_at
WHERE limits.blocked_until <= ?2 OR limits.charged_at <= ?3
RETURNING count, blocked_until, forget_at`

/** Why a charge answered no row. */
export const PEEK = 'SELECT count, blocked_until, forget_at FROM limits WHERE key = ?1'

/** Gives one unit back, and with it the wait it caused: while a budget is blocked nobody else is admitted. */
export const GIVE_BACK = 'UPDATE limits SET count = count - 1, blocked_until = 0 WHERE key = ?1 AND count > 0'

/** What {@link CHARGE} binds. */
export const bindingsOf = ({ key, rule, clearedAt = 0 }: Charge, now: number): [string, number, number, string, number | null] => [
  key,
  now,
  clearedAt,
  JSON.stringify(rule.steps.map((step) => [step.count, Math.min(step.seconds * 1000, NEVER_MS)])),
  rule.forgetSeconds === undefined ? null : rule.forgetSeconds * 1000,
]

/** What the two statements answered: the row of a charge, or the one in its way. */
export function standingOf(
  { charged, blocking }: { readonly charged: LimitRow | undefined; readonly blocking: LimitRow | undefined },
  now: number,
): Standing {
  const row = charged ?? blocking
  if (!row) throw new Error('a budget neither took a charge nor stands in its way')
  const waitMs = Math.max(0, row.blocked_until - now)
  return { isAdmitted: charged !== undefined, count: row.count, waitMs, forgetMs: Math.max(0, row.forget_at - now) }
}

/** Whether only a reset ends the wait. */
export const isEndless = ({ waitMs }: Standing): boolean => waitMs > NEVER_MS / 2

/** What a caller is told. A ladder names no time while units are left: they come back with a success, not with a clock. */
export function stateOf({ budget, rule }: Charge, standing: Standing): LimitState {
  const [{ count: quota, seconds: windowSeconds }] = rule.steps
  const isWindow = rule.forgetSeconds === undefined
  const resetMs = standing.waitMs > 0 ? standing.waitMs : isWindow ? standing.forgetMs : undefined
  return {
    policy: budget,
    quota,
    windowSeconds,
    remaining: standing.waitMs > 0 ? 0 : Math.max(0, quota - standing.count),
    ...(resetMs === undefined ? {} : { resetSeconds: Math.ceil(resetMs / 1000) }),
  }
}
