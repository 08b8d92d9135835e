import type { ControlBody } from '../../contract/krp.ts'
import type { ShellId } from '../../contract/shell.ts'
import { auditIfChanged } from '../audit/service.ts'
import { describeError } from '../platform/log.ts'
import { objectScope } from '../platform/object-scope.ts'
import { relayDialer } from './dialer.ts'
import { commitTelling } from './hook-news.ts'
import { changeRecord, isOver, type LiveShell, logOf } from './live.ts'
import type { ShellRecord } from './record.ts'
import { planAlarm } from './schedule.ts'
import { reportShell } from './store.ts'
import { addShellUsage } from './usage-store.ts'
import { deliver } from './viewing.ts'

/** D1 is usually back within a moment; after that once a minute is enough. */
const REPORT_RETRY_MS = 2_000

/** What a person reads when nobody came back. */
export const LEFT_ALONE = 'Nobody came back in time, so it was ended.'

/** How a shell ends. */
export type End = Pick<ShellRecord, 'reason'> & { readonly state: 'closed' | 'failed' }

/** The end, once: the record, everybody who watches, D1, and whoever waits for it. */
export function finishShell(live: LiveShell, end: End): void {
  if (isOver(live)) return
  const { wire } = live
  live.wire = undefined
  live.typists.linkDown()
  changeRecord(live, { ...end, endedAt: Date.now(), unlinkedAt: null })
  logOf(live)('shell.ended', { state: end.state, reason: end.reason ?? undefined, outputBytes: live.tape.nextOffset() })
  wire?.stream?.leave('ended')
  live.asked = undefined
  live.opening?.abort()
  live.keeper?.end()
  if (live.keeper) live.ctx.waitUntil(live.keeper.keep())
  deliver(live)
  for (const wake of live.onEnded) wake()
  live.ctx.waitUntil(reportState(live))
  live.ctx.waitUntil(releaseRelay(live))
}

/** What a person reads when the relay says that a shell is over. */
export function endOf({ record }: LiveShell, reason: ControlBody<'CLOSE'>['reason']): End {
  if (record.ending) return { state: 'closed', reason: record.ending.reason }
  if (reason === 'done') return { state: 'closed', reason: exitReason(record.exit) }
  if (reason === 'detached-too-long') return { state: 'closed', reason: LEFT_ALONE }
  if (reason === 'idle') return { state: 'closed', reason: 'Nobody typed for as long as its host allows, so it was ended.' }
  if (reason === 'expired') return { state: 'closed', reason: 'It lived as long as its host or its approval allows, so it was ended.' }
  if (reason === 'gone') return { state: 'failed', reason: 'The connection to the host broke.' }
  if (reason === 'draining') return { state: 'failed', reason: 'The relay was shut down.' }
  return { state: 'failed', reason: 'The relay ended it.' }
}

function exitReason(exit: ShellRecord['exit']): string {
  if (exit?.signal) return `The remote program was ended by signal ${exit.signal}.`
  if (exit?.exitCode == null) return 'The host ended the connection.'
  return `The remote program ended with exit code ${exit.exitCode}.`
}

/** Brings D1 up to date with the record, with the audit entry of an end. What fails is tried again by the alarm. */
export function reportState(live: LiveShell): Promise<void> {
  live.reporting ??= report(live).finally(() => {
    live.reporting = undefined
    planAlarm(live)
  })
  return live.reporting
}

async function report(live: LiveShell): Promise<void> {
  while (live.record.reportedVersion < live.record.version) {
    const { record } = live
    try {
      await writeReport(live, record)
      changeRecord(live, { reportedVersion: record.version, ...(record.state === 'open' ? { isConnectTold: true } : {}) })
    } catch (error) {
      live.reportAt = Date.now() + REPORT_RETRY_MS
      logOf(live)('shell.report-failed', describeError(error))
      return
    }
  }
}

async function writeReport({ ctx, env, tape }: LiveShell, record: ShellRecord): Promise<void> {
  const scope = objectScope(ctx, env, record.traceparent)
  const { shellId: id, orgId, state, reason, version, ending } = record
  const update = reportShell(scope.db, { id: id as ShellId, state, reason, version, now: record.endedAt ?? Date.now() })
  const actor = ending?.actorId ? { actorId: ending.actorId } : {}
  const entry = auditIfChanged(scope, {
    action: 'shell.close',
    subject: id,
    orgId,
    ...(reason === null ? {} : { cause: reason }),
    ...actor,
  })
  const of = { orgId, shellId: id as ShellId, use: 'shell' as const }
  const used = addShellUsage(scope.db, { id: of.shellId, now: record.endedAt ?? 0, bytes: tape.nextOffset() })
  if (record.endedAt !== null) await commitTelling(scope, [update, used, entry], { point: 'on-close', ...of })
  else if (state === 'open' && !record.isConnectTold) await commitTelling(scope, [update], { point: 'after-connect', ...of })
  else await scope.db.batch([update])
}

/** A container that was started for this shell alone has no more to do. */
async function releaseRelay({ ctx, config }: LiveShell): Promise<void> {
  const relay = config.relays.find(({ transport }) => transport.kind === 'container')
  if (relay && ctx.container) await relayDialer(relay, ctx.container).release()
}
