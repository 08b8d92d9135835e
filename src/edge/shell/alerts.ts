import { auditEntry } from '../audit/service.ts'
import { describeError } from '../platform/log.ts'
import { objectScope } from '../platform/object-scope.ts'
import { commitTelling } from './hook-news.ts'
import { type LiveShell, logOf } from './live.ts'

/** Raises an alert for each rule that this output meets. Nothing is held back, for who has a terminal can hide words in many ways. */
export function watchOutput(live: LiveShell, bytes: Uint8Array): void {
  for (const { name } of live.alertScan.push(bytes, Date.now())) {
    logOf(live)('shell.alert', { rule: name })
    live.ctx.waitUntil(recordAlert(live, name).catch((error: unknown) => logOf(live)('shell.audit-failed', describeError(error))))
  }
}

async function recordAlert({ ctx, env, record }: LiveShell, cause: string): Promise<void> {
  const { shellId: subject, orgId, userId: actorId, traceparent } = record
  const scope = objectScope(ctx, env, traceparent)
  const entry = auditEntry(scope, { action: 'shell.alert', subject, orgId, actorId, cause })
  await commitTelling(scope, [entry], { point: 'on-alert', orgId, shellId: subject, use: 'shell', rule: cause })
}
