import type { HostId } from '../../contract/hosts.ts'
import { isProblem, Problem } from '../../contract/problem.ts'
import { type ExecCommand, type ExecResult, ShellId } from '../../contract/shell.ts'
import { auditIfChanged } from '../audit/service.ts'
import { isOutage } from '../platform/db.ts'
import { commit } from '../platform/outbox/outbox.ts'
import { open } from '../platform/rpc.ts'
import type { Actor, Scope } from '../platform/scope.ts'
import { traceparentOf } from '../platform/trace.ts'
import { hostFor, targetOf } from './hosts.ts'
import { oversightIn } from './oversight.ts'
import { commandLost } from './policy.ts'
import { insertRecording } from './recording-store.ts'
import { startRefused } from './service.ts'
import { endCommand, insertCommand } from './store.ts'

/** A command has no terminal; its recording is played in one of this size. */
const EXEC_SIZE = { columns: 80, rows: 24 } as const
const ASKS_LIVE = 'This host asks its questions live; open a shell and run the command there.'

/**
 * Runs one command and waits for its end. The log has its row before it starts; if its object dies, the row says `unknown` and the
 * command is never run again.
 *
 * @throws Problem `not-found`, `forbidden`, `limit-reached`, `target-forbidden`, `host-unreachable`, `host-key-unknown`,
 * `host-key-mismatch`, `host-refused`, `rate-limited` or `unavailable`
 */
export async function execCommand(scope: Scope, actor: Actor, at: { readonly hostId: HostId } & ExecCommand): Promise<ExecResult> {
  const { command, timeoutSeconds, env, stdin } = at
  const { host } = await hostFor(scope, actor, at.hostId)
  const target = await targetOf(scope, host)
  if (host.login === 'keyboard-interactive') throw new Problem('host-refused', { detail: ASKS_LIVE })
  const shellId = ShellId.parse(scope.newId('shl'))
  const { userId } = actor
  const now = scope.now()
  const { isStrict } = await oversightIn(scope, host.orgId)
  const results = (await commit(scope, [
    insertCommand(scope.db, { id: shellId, hostId: host.id, userId, command, timeoutSeconds, now }),
    auditIfChanged(scope, { action: 'shell.exec', subject: shellId, orgId: host.orgId, cause: host.id }),
    insertRecording(scope.db, { id: shellId, kind: 'exec', ...EXEC_SIZE, now }),
  ])) as readonly D1Result[]
  if (results[0]?.meta.changes !== 1) throw await startRefused(scope, actor, host.id)
  const traceparent = traceparentOf(scope.trace)
  const order = { shellId, orgId: host.orgId, userId, traceparent, target, command, timeoutSeconds, env, stdin, isStrict }
  try {
    return await open(scope.env.SHELLS.getByName(shellId).runCommand(order))
  } catch (error) {
    // A problem was written down by the object itself; anything else means that the object is gone.
    if (isProblem(error)) throw error
    await endCommand(scope.db, shellId, { state: 'unknown', problem: 'internal', endedAt: scope.now() })
    throw isOutage(error) ? commandLost(error) : error
  }
}
