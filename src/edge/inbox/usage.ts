import type { Metrics } from '../http/feature.ts'
import { dayOf, sample } from '../platform/metrics.ts'
import type { Scope } from '../platform/scope.ts'
import { deleteOldPushed, pushedOn } from './store.ts'

const PUSH_DAYS = 30

/** What became of pushes today. No label names anybody, nor a service. */
export const inboxMetrics: Metrics = async ({ db, now }) =>
  (await pushedOn(db, dayOf(now()))).map(({ outcome, counted }) => sample('parvis_push_today', counted, { outcome }))

/** What became of pushes is told of the present day; a month of it is kept. */
export async function sweepPushDays({ db, now }: Scope): Promise<number> {
  const { meta } = await deleteOldPushed(db, dayOf(now()) - PUSH_DAYS)
  return meta.changes
}
