import type { HostId } from '../../contract/hosts.ts'
import type { UserId } from '../../contract/identity.ts'
import { isProblem, Problem } from '../../contract/problem.ts'
import { type ExecCommand, type ExecResult, ShellId, type StoppedCommand } from '../../contract/shell.ts'
import { auditEntry, auditIfChanged } from '../audit/service.ts'
import type { StreamAnswer } from '../http/implement.ts'
import { isOutage } from '../platform/db.ts'
import { commit } from '../platform/outbox/outbox.ts'
import { open, type Sealed } from '../platform/rpc.ts'
import type { Actor, Scope } from '../platform/scope.ts'
import { traceparentOf } from '../platform/trace.ts'
import { askHooks, hooksNow } from './hook-ask.ts'
import { endTelling } from './hook-news.ts'
import { hostFor, requireSsh, targetOf } from './hosts.ts'
import { oversightIn } from './oversight.ts'
import { commandLost, mayOperate } from './policy.ts'
import { judgeCommand, requireUse } from './reach-policy.ts'
import { insertRecording } from './recording-store.ts'
import type { ExecOrder } from './rpc.ts'
import { startRefused } from './starting.ts'
import { commandFor, insertCommand } from './store.ts'

/** A command has no terminal; its recording is played in one of this size. */
const EXEC_SIZE = { columns: 80, rows: 24 } as const
const NOBODY_WATCHES = 'The organisation asks for a watcher, and nobody can watch a command; open a shell and run it there.'
const ASKS_LIVE = 'This host asks its questions live; open a shell and run the command there.'

/** Whose command, and what. The id is the caller's to choose where it must be known before the command begins. */
export interface Beginning extends ExecCommand {
  readonly hostId: HostId
  readonly userId: UserId
  readonly shellId?: ShellId
  /** Absent in a run, whose starter was asked for their proof. */
  readonly actor?: Actor
}

/**
 * Puts a command on record before it starts, and says what its object is to do.
 *
 * @throws Problem `not-found`, `forbidden`, `step-up-required`, `access-required`, `command-forbidden`, `limit-reached`, `host-unsuited`, `hook-refused`,
 * `hook-failed` or `host-refused`; then
 * nothing was begun
 */
export async function beginCommand(scope: Scope, beginning: Beginning): Promise<ExecOrder> {
  const { command, timeoutSeconds, env, stdin, userId } = beginning
  const { host, role } = await hostFor(scope, beginning, beginning.hostId)
  if (!mayOperate(role)) throw new Problem('forbidden')
  requireSsh(host)
  const policy = await requireUse(scope, { orgId: host.orgId, use: 'exec', actor: beginning.actor })
  const judged = judgeCommand(policy, command)
  const target = await targetOf(scope, host)
  if (host.login === 'keyboard-interactive') throw new Problem('host-refused', { detail: ASKS_LIVE })
  const { shellId = ShellId.parse(scope.newId('shl')) } = beginning
  const [{ isStrict, needsWatcher }, hooks] = await Promise.all([oversightIn(scope, host.orgId), hooksNow(scope, host.orgId)])
  if (needsWatcher) throw new Problem('forbidden', { detail: NOBODY_WATCHES })
  const hooked = await askHooks(scope, hooks, { shellId, userId, use: 'exec', host, what: { command: judged, ...givenTo(beginning) } })
  const now = scope.now()
  const results = (await commit(scope, [
    insertCommand(scope.db, { id: shellId, hostId: host.id, userId, command, timeoutSeconds, now, quotas: scope.config.shellQuotas }),
    auditIfChanged(scope, { action: 'shell.exec', subject: shellId, orgId: host.orgId, cause: host.id, actorId: userId }),
    insertRecording(scope.db, { id: shellId, kind: 'exec', ...EXEC_SIZE, now }),
  ])) as readonly D1Result[]
  if (results[0]?.meta.changes !== 1) throw await startRefused(scope, { userId, hostId: host.id })
  return {
    shellId,
    orgId: host.orgId,
    userId,
    traceparent: traceparentOf(scope.trace),
    target,
    command: judged,
    timeoutSeconds,
    env,
    stdin,
    isStrict,
    ...hooked,
  }
}

/** Input and the values of variables may be secret, so hooks hear only how much and which. */
const givenTo = ({ stdin, env }: Pick<ExecCommand, 'stdin' | 'env'>) => ({
  stdinBytes: new TextEncoder().encode(stdin).length,
  envNames: Object.keys(env),
})

/**
 * Runs what was begun and waits for its end. If its object dies, the log says `unknown` and the command is never run again.
 *
 * @throws Problem as {@link execCommand}
 */
export const finishCommand = (scope: Scope, order: ExecOrder): Promise<ExecResult> =>
  orLost(scope, order, scope.env.SHELLS.getByName(order.shellId).runCommand(order))

async function orLost<T>(scope: Scope, order: ExecOrder, asked: Promise<Sealed<T>>): Promise<T> {
  try {
    return await open(asked)
  } catch (error) {
    // A problem was written down by the object itself; anything else means that the object is gone.
    if (isProblem(error)) throw error
    await endTelling(scope, { ...order, use: 'exec' }, { state: 'unknown', problem: 'internal', endedAt: scope.now() })
    throw isOutage(error) ? commandLost(error) : error
  }
}

/**
 * Runs one command and waits for its end.
 *
 * @throws Problem `not-found`, `forbidden`, `limit-reached`, `target-forbidden`, `host-unreachable`, `host-key-unknown`,
 * `host-key-mismatch`, `host-refused`, `rate-limited` or `unavailable`
 */
export async function execCommand(scope: Scope, actor: Actor, at: { readonly hostId: HostId } & ExecCommand): Promise<ExecResult> {
  return finishCommand(scope, await beginCommand(scope, { ...at, userId: actor.userId, actor }))
}

/**
 * Runs one command and tells its parts as they come. Whoever goes away ends it, and so does the end of their access.
 *
 * @throws Problem as {@link execCommand}, before the command has begun
 */
export async function streamCommand(scope: Scope, actor: Actor, at: { readonly hostId: HostId } & ExecCommand): Promise<StreamAnswer> {
  const { userId, sessionId } = actor
  const order = await beginCommand(scope, { ...at, userId, actor })
  const body = await orLost(scope, order, scope.env.SHELLS.getByName(order.shellId).streamCommand({ ...order, sessionId }))
  return { body }
}

/** Ends a command that runs, for whoever ran it and for owners; again is fine. @throws Problem `not-found` or `forbidden` */
export async function stopCommand(scope: Scope, actor: Actor, shellId: ShellId): Promise<StoppedCommand> {
  const [row] = await commandFor(scope.db, { id: shellId, callerId: actor.userId })
  if (!row?.role) throw new Problem('not-found')
  const { command, role } = row
  if (command.userId !== actor.userId && role !== 'owner') throw new Problem('forbidden')
  if (command.endedAt !== null) return { killed: null }
  await auditEntry(scope, { action: 'shell.stop', subject: shellId, orgId: command.orgId, cause: command.hostId })
  return scope.env.SHELLS.getByName(shellId).stopCommand()
}
