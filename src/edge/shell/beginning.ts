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

/** What may begin as far as anybody knows, and is not on record yet. */
export interface Prepared<O extends HostOrder> {
  /** What its object is to do. */
  readonly order: O
  /** Puts it on record: before that nothing begins. @throws Problem `not-found`, `forbidden`, `access-required`, `limit-reached` or `quota-reached` */
  readonly begin: () => Promise<void>
}

/**
 * Asks whoever has a say, and tells what is to be done and how it goes on record.
 *
 * @throws Problem `forbidden`, `hook-refused`, `hook-failed` or `host-refused`, or as `begin`
 */
export async function prepareOnHost(scope: Scope, ground: Ground, beginning: Beginning): Promise<Prepared<HostOrder>> {
  const { host, oversight, hooks, target } = ground
  const { userId, sessionId, asked, refusals } = beginning
  if (host.login === 'keyboard-interactive') throw new Problem('host-refused', { detail: refusals.asksLive })
  if (oversight.needsWatcher) throw new Problem('forbidden', { detail: refusals.nobodyWatches })
  const { shellId = ShellId.parse(scope.newId('shl')) } = beginning
  const use = asked.file === undefined ? 'exec' : 'files'
  const hooked = await askHooks(scope, hooks, { shellId, userId, use, host, what: asked })
  const order = { shellId, orgId: host.orgId, userId, sessionId, traceparent: traceparentOf(scope.trace), target, ...hooked }
  return { order, begin: () => putOnRecord(scope, order, beginning) }
}

/** As {@link prepareOnHost}, on record already. */
export async function beginOnHost(scope: Scope, ground: Ground, beginning: Beginning): Promise<HostOrder> {
  const { order, begin } = await prepareOnHost(scope, ground, beginning)
  await begin()
  return order
}

async function putOnRecord(scope: Scope, { shellId, orgId, userId, target }: HostOrder, beginning: Beginning): Promise<void> {
  const { command, timeoutSeconds, act, beside } = beginning
  const { hostId } = target
  const now = scope.now()
  const results = (await commit(scope, [
    insertCommand(scope.db, { id: shellId, hostId, userId, command, timeoutSeconds, now, quotas: scope.config.shellQuotas }),
    auditIfChanged(scope, { ...act, subject: shellId, orgId, actorId: userId }),
    ...(beside?.(shellId, now) ?? []),
  ])) as readonly D1Result[]
  if (results[0]?.meta.changes !== 1) throw await startRefused(scope, { userId, hostId })
}
