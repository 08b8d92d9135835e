import { describeError } from '../platform/log.ts'
import { dayOf } from '../platform/metrics.ts'
import type { Scope } from '../platform/scope.ts'
import { commitTelling, endTelling } from './hook-news.ts'
import { lostCommands, reportShell, staleShells, touchShell } from './store.ts'
import { deleteOldAnswers } from './usage-store.ts'

type StaleShell = Awaited<ReturnType<typeof staleShells>>[number]

/** An opening takes half a minute at most. */
const CONNECTING_MS_MAX = 120_000
/** Every other state is looked after by alarms; once a day their word is checked. */
const QUIET_MS_MAX = 86_400_000
/** Beyond the timeout: dialling, the host's handshake, stopping, and writing it down. */
const COMMAND_SLACK_MS = 120_000
const SHELLS_PER_SWEEP = 50
const ANSWER_DAYS = 30

/** Commands whose object died get their last word: nobody knows how they ended. */
export async function sweepCommands(scope: Scope): Promise<number> {
  const lost = await lostCommands(scope.db, { now: scope.now(), slackMs: COMMAND_SLACK_MS }, SHELLS_PER_SWEEP)
  for (const { id: shellId, orgId, use } of lost)
    await endTelling(scope, { shellId, orgId, use }, { state: 'unknown', endedAt: scope.now() })
  return lost.length
}

/** What hooks answered is told of the present day; a month of it is kept. */
export async function sweepAnswers(scope: Scope): Promise<number> {
  const { meta } = await deleteOldAnswers(scope.db, dayOf(scope.now()) - ANSWER_DAYS)
  return meta.changes
}

/** Asks the objects of rows that stand still; a row whose object was never reached has failed. */
export async function sweepShells(scope: Scope): Promise<number> {
  const now = scope.now()
  const stale = await staleShells(scope.db, { connecting: now - CONNECTING_MS_MAX, others: now - QUIET_MS_MAX }, SHELLS_PER_SWEEP)
  for (const row of stale) {
    try {
      await settleStale(scope, row)
    } catch (error) {
      scope.log('sweep.failed', { name: 'shells', shellId: row.id, ...describeError(error) })
    }
  }
  return stale.length
}

async function settleStale(scope: Scope, { id, orgId, version }: StaleShell): Promise<void> {
  const now = scope.now()
  const isKnown = await scope.env.SHELLS.getByName(id).reportState()
  const report = { id, state: 'failed', reason: 'It could not be opened: the attempt was cut off.', version: version + 1, now } as const
  if (isKnown) await touchShell(scope.db, id, now)
  else await commitTelling(scope, [reportShell(scope.db, report)], { point: 'on-close', orgId, shellId: id, use: 'shell' })
}
