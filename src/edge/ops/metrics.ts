import { Problem } from '../../contract/problem.ts'
import type { Metrics } from '../http/feature.ts'
import { describeError } from '../platform/log.ts'
import { mailStandings, type WayStanding } from '../platform/mail/delivery.ts'
import { MAIL_TOPIC } from '../platform/mail/outbox.ts'
import { exposition, type Sample, sample } from '../platform/metrics.ts'
import { deadCount, pendingOf, pendingSummary } from '../platform/outbox/store.ts'
import type { Scope } from '../platform/scope.ts'

/** What tells how it stands, by name. */
export type Sources = Readonly<Record<string, Metrics>>

function ofWay({ way, sent, failed, isResting }: WayStanding): readonly Sample[] {
  const labels = { way: way.name }
  const quota = way.dailyMax
  return [
    sample('parvis_mail_sent_today', sent, labels),
    sample('parvis_mail_failed_today', failed, labels),
    sample('parvis_mail_way_resting', isResting ? 1 : 0, labels),
    ...(quota === undefined
      ? []
      : [sample('parvis_mail_quota_today', quota, labels), sample('parvis_mail_quota_used_ratio', sent / Math.max(quota, 1), labels)]),
  ]
}

/** Mail: what each way has carried, and what waits. */
export const mailMetrics: Metrics = async (scope) => {
  const [standings, [queued]] = await Promise.all([mailStandings(scope), pendingOf(scope.db, MAIL_TOPIC)])
  return [...standings.flatMap(ofWay), sample('parvis_mail_queued', queued?.pending ?? 0, {})]
}

/** Effects that leave D1. */
export const outboxMetrics: Metrics = async ({ db, now }) => {
  const [[waiting], [given]] = await db.batch([pendingSummary(db), deadCount(db)])
  const ageMs = waiting?.oldest ? now() - waiting.oldest : 0
  return [
    sample('parvis_outbox_waiting', waiting?.pending ?? 0, {}),
    sample('parvis_outbox_oldest_seconds', Math.max(0, ageMs) / 1000, {}),
    sample('parvis_outbox_dead', given?.dead ?? 0, {}),
  ]
}

async function ask(scope: Scope, [source, collect]: readonly [string, Metrics]): Promise<readonly Sample[]> {
  try {
    return [...(await collect(scope)), sample('parvis_metrics_source_up', 1, { source })]
  } catch (error) {
    scope.log('metrics.failed', { source, ...describeError(error) })
    return [sample('parvis_metrics_source_up', 0, { source })]
  }
}

/** How everything stands, as Prometheus reads it; a part that fails is told as down and hides no other. */
export async function metricsText(scope: Scope, sources: Sources): Promise<string> {
  const samples = await Promise.all(Object.entries(sources).map((source) => ask(scope, source)))
  return exposition(samples.flat())
}

const digest = (text: string) => crypto.subtle.digest('SHA-256', new TextEncoder().encode(text))

/** Lets the holder of the configured token in; without one there is nothing here. @throws Problem `not-found` or `unauthenticated` */
export async function demandScraper({ config }: Scope, authorization: string | null): Promise<void> {
  if (config.metricsToken === undefined) throw new Problem('not-found')
  // Digests are of one length and tell nothing of what they are of, so the comparison takes one time for all.
  const [given, right] = await Promise.all([digest(authorization ?? ''), digest(`Bearer ${config.metricsToken}`)])
  if (!crypto.subtle.timingSafeEqual(given, right)) throw new Problem('unauthenticated')
}
