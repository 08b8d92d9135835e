import type { ApiKeyId } from '../../contract/api-keys.ts'
import type { HostId } from '../../contract/hosts.ts'
import type { SessionId, UserId } from '../../contract/identity.ts'
import { isProblem, Problem } from '../../contract/problem.ts'
import type { ExecCommand, ExecResult, ShellId, StoppedCommand } from '../../contract/shell.ts'
import { auditEntry } from '../audit/service.ts'
import type { StreamAnswer } from '../http/implement.ts'
import { isOutage } from '../platform/db.ts'
import { open, type Sealed, seal } from '../platform/rpc.ts'
import type { Actor, Scope } from '../platform/scope.ts'
import { type Prepared, prepareOnHost } from './beginning.ts'
import { groundFor } from './ground.ts'
import { endTelling } from './hook-news.ts'
import { commandLost } from './policy.ts'
import { judgeCommand } from './reach-policy.ts'
import { insertRecording } from './recording-store.ts'
import type { Begun, ExecOrder, ShellRpc } from './rpc.ts'
import { commandFor } from './store.ts'

/** A command has no terminal; its recording is played in one of this size. */
const EXEC_SIZE = { columns: 80, rows: 24 } as const
const NOBODY_WATCHES = 'The organisation asks for a watcher, and nobody can watch a command; open a shell and run it there.'
const ASKS_LIVE = 'This host asks its questions live; open a shell and run the command there.'

/** Whose command, and what. */
export interface NewCommand extends ExecCommand {
  readonly hostId: HostId
  readonly userId: UserId
  readonly sessionId: SessionId | ApiKeyId
  readonly shellId?: ShellId
  /** Absent in a run, whose starter was asked for their proof. */
  readonly actor?: Actor
}

/**
 * Finds out what a command meets, and says what its object is to do.
 *
 * @throws Problem `not-found`, `forbidden`, `step-up-required`, `command-forbidden`, `host-unsuited`, `hook-refused`, `hook-failed` or `host-refused`
 */
async function prepareCommand(scope: Scope, wanted: NewCommand): Promise<Prepared<ExecOrder>> {
  const { command, timeoutSeconds, env, stdin, userId, sessionId, shellId } = wanted
  const ground = await groundFor(scope, { ...wanted, use: 'exec' })
  const judged = judgeCommand(ground.policy, command)
  const { order, begin } = await prepareOnHost(scope, ground, {
    userId,
    sessionId,
    shellId,
    asked: { command: judged, ...givenTo(wanted) },
    command,
    timeoutSeconds,
    act: { action: 'shell.exec', cause: ground.host.id },
    beside: (id, now) => [insertRecording(scope.db, { id, kind: 'exec', ...EXEC_SIZE, now })],
    refusals: { asksLive: ASKS_LIVE, nobodyWatches: NOBODY_WATCHES },
  })
  return { order: { ...order, command: judged, timeoutSeconds, env, stdin, isStrict: ground.oversight.isStrict }, begin }
}

/**
 * Puts a command on record before it starts, and says what its object is to do.
 *
 * @throws Problem as {@link prepareCommand}, `access-required`, `limit-reached` or `quota-reached`; then nothing was begun
 */
export async function beginCommand(scope: Scope, wanted: NewCommand): Promise<ExecOrder> {
  const { order, begin } = await prepareCommand(scope, wanted)
  await begin()
  return order
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

/**
 * Lets the object find its way to the host while the command is put on record; what it runs it runs only then.
 *
 * @throws Problem as {@link beginCommand}
 */
async function whileBeginning<T>(
  scope: Scope,
  { order, begin }: Prepared<ExecOrder>,
  ask: (object: DurableObjectStub<ShellRpc>, begun: Begun) => Promise<Sealed<T>>,
): Promise<T> {
  const begun = begin()
  const asked = ask(scope.env.SHELLS.getByName(order.shellId), () => seal(() => begun))
  scope.waitUntil(asked.catch(() => undefined))
  await begun
  return orLost(scope, order, asked)
}

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
 * Runs one command and waits for its end. The end of the caller's access ends it too.
 *
 * @throws Problem `not-found`, `forbidden`, `limit-reached`, `target-forbidden`, `host-unreachable`, `host-key-unknown`,
 * `host-key-mismatch`, `host-refused`, `rate-limited` or `unavailable`
 */
export async function execCommand(scope: Scope, actor: Actor, at: { readonly hostId: HostId } & ExecCommand): Promise<ExecResult> {
  const { userId, sessionId } = actor
  const prepared = await prepareCommand(scope, { ...at, userId, sessionId, actor })
  return whileBeginning(scope, prepared, (object, begun) => object.runCommand(prepared.order, begun))
}

/**
 * Runs one command and tells its parts as they come. Whoever goes away ends it, and so does the end of their access.
 *
 * @throws Problem as {@link execCommand}, before the command has begun
 */
export async function streamCommand(scope: Scope, actor: Actor, at: { readonly hostId: HostId } & ExecCommand): Promise<StreamAnswer> {
  const { userId, sessionId } = actor
  const prepared = await prepareCommand(scope, { ...at, userId, sessionId, actor })
  return { body: await whileBeginning(scope, prepared, (object, begun) => object.streamCommand(prepared.order, begun)) }
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
