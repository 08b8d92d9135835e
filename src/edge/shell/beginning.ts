import type { BatchItem } from 'drizzle-orm/batch'
import type { ApiKeyId } from '../../contract/api-keys.ts'
import type { SessionId, UserId } from '../../contract/identity.ts'
import { Problem } from '../../contract/problem.ts'
import { ShellId } from '../../contract/shell.ts'
import { auditIfChanged } from '../audit/service.ts'
import { commit } from '../platform/outbox/outbox.ts'
import type { Scope } from '../platform/scope.ts'
import { traceparentOf } from '../platform/trace.ts'
import type { Ground } from './ground.ts'
import { askHooks, type Beginner } from './hook-ask.ts'
import type { HostOrder } from './rpc.ts'
import { startRefused } from './starting.ts'
import { insertCommand } from './store.ts'

/** A command or a transfer that is about to begin. */
export interface Beginning {
  readonly userId: UserId
  readonly sessionId: SessionId | ApiKeyId
  /** The caller's to choose where it must be known before anything begins. */
  readonly shellId?: ShellId | undefined
  /** What hooks are asked about. */
  readonly asked: NonNullable<Beginner['what']>
  /** As the log has it. */
  readonly command: string
  readonly timeoutSeconds: number
  /** As the audit record has it. */
  readonly act: { readonly action: `${string}.${string}`; readonly cause: string }
  /** What stands behind the row of the log in its batch. */
  readonly beside?: (id: ShellId, now: number) => readonly BatchItem<'sqlite'>[]
  /** What a person reads where it needs somebody live, or to be watched. */
  readonly refusals: { readonly asksLive: string; readonly nobodyWatches: string }
}

/**
 * Puts on record what begins on a host, before it does, and says what its object is to do.
 *
 * @throws Problem `forbidden`, `access-required`, `limit-reached`, `hook-refused`, `hook-failed` or `host-refused`; then nothing was begun
 */
export async function beginOnHost(scope: Scope, { host, oversight, hooks, target }: Ground, beginning: Beginning): Promise<HostOrder> {
  const { userId, sessionId, asked, command, timeoutSeconds, act, beside, refusals } = beginning
  if (host.login === 'keyboard-interactive') throw new Problem('host-refused', { detail: refusals.asksLive })
  if (oversight.needsWatcher) throw new Problem('forbidden', { detail: refusals.nobodyWatches })
  const { shellId = ShellId.parse(scope.newId('shl')) } = beginning
  const use = asked.file === undefined ? 'exec' : 'files'
  const hooked = await askHooks(scope, hooks, { shellId, userId, use, host, what: asked })
  const now = scope.now()
  const { id: hostId, orgId } = host
  const results = (await commit(scope, [
    insertCommand(scope.db, { id: shellId, hostId, userId, command, timeoutSeconds, now, quotas: scope.config.shellQuotas }),
    auditIfChanged(scope, { ...act, subject: shellId, orgId, actorId: userId }),
    ...(beside?.(shellId, now) ?? []),
  ])) as readonly D1Result[]
  if (results[0]?.meta.changes !== 1) throw await startRefused(scope, { userId, hostId })
  return { shellId, orgId, userId, sessionId, traceparent: traceparentOf(scope.trace), target, ...hooked }
}
