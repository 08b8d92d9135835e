import type { HostKey } from '../../contract/hosts.ts'
import { type ControlBody, DETACH_SECONDS_DEFAULT } from '../../contract/krp.ts'
import { isProblem, Problem } from '../../contract/problem.ts'
import type { ExecResult, ShellState } from '../../contract/shell.ts'
import type { HostUse } from '../../contract/shell-policy.ts'
import { auditEntry } from '../audit/service.ts'
import { describeError, logFor } from '../platform/log.ts'
import type { Scope } from '../platform/scope.ts'
import { traceFrom } from '../platform/trace.ts'
import { CommandLost, type CommandParts, type CommandRun, runCommand } from './command.ts'
import { beginOutput, finishSoon, keepOutput } from './exec-recording.ts'
import { commitTelling, endTelling, tellConnected } from './hook-news.ts'
import { readHostKey } from './host-key.ts'
import { type LiveShell, openLive } from './live.ts'
import { commandLost, problemOfRefusal, relayUnavailable } from './policy.ts'
import { reachRelay } from './reach.ts'
import { createRecord } from './record.ts'
import { createRecorder } from './recorder.ts'
import type { ExecOrder, FileOrder, HostTarget, OpenOrder, Order, ScanOrder } from './rpc.ts'
import { jumpsOf, openJumps, openSecrets, openWay } from './secrets.ts'
import type { CommandEnd } from './store.ts'
import { LinkLost, OpenRefused, scanKeys } from './stream.ts'
import { openShell, type TerminalRequest } from './wiring.ts'

/** D1 may be out for a moment just when a command ends; beyond that the sweep says `unknown`. */
const END_TRIES = 5
const END_PAUSE_MS = 1_000

/** Asks a host for its keys, whose fingerprints we compute ourselves. @throws Problem */
export async function scanHost(scope: Scope, ctx: DurableObjectState, order: ScanOrder): Promise<HostKey[]> {
  const { shellId, orgId, traceparent, address, port, algorithms, jumps } = order
  const who = { shellId, orgId, epoch: 1, targets: [...jumps, { address, port }] }
  const { relay, link } = await reachRelay({ ctx, config: scope.config, who, traceparent, log: logOf(order) })
  try {
    const request = { kind: 'scan' as const, host: address, port, algorithms, jumps: jumpsOf(jumps) }
    const secrets = { jumpCredentials: await openJumps(scope, order, relay) }
    const presented = await scanKeys(link, { relay, who, request, secrets, creditBytes: 1, traceparent })
    return await Promise.all(presented.map(checkPresented))
  } catch (error) {
    throw asProblem(error)
  } finally {
    link.close('over')
  }
}

async function checkPresented({ type, publicKey, fingerprint }: ControlBody<'HOSTKEY'>): Promise<HostKey> {
  const key = await readHostKey({ type, key: publicKey })
  if (key?.fingerprint !== fingerprint) throw relayUnavailable('The relay told a key that does not hold.')
  return key
}

/** Runs a command once it is on record, and writes down how it went, whatever happens. @throws Problem */
export async function execute(
  scope: Scope,
  { ctx, begin: putOnRecord, ...parts }: Omit<CommandParts, 'kept' | 'onOpened'> & { readonly ctx: DurableObjectState },
  order: ExecOrder,
): Promise<ExecResult> {
  const kept = keepOutput(scope, ctx, order)
  let end: CommandEnd = { state: 'unknown', endedAt: 0 }
  let isRefused = false
  const begin = async () => {
    await putOnRecord().catch((error: unknown) => {
      isRefused = isProblem(error)
      // Whoever puts it on record has the trouble, and tells of it; here it only does not begin.
      throw isRefused ? error : new Problem('unavailable', {}, { cause: error })
    })
    if (order.isStrict) await beginOutput(kept)
  }
  try {
    const onOpened = () => noteConnected(scope, ctx, order)
    const reach = { ctx, config: scope.config, traceparent: order.traceparent, log: logOf(order), kept, begin, onOpened, ...parts }
    const run = await runCommand(order, reach, (relay) => openSecrets(scope, order, relay))
    end = endOfRun(run)
    return run.result
  } catch (error) {
    await noteRefusedKey(scope, order, error)
    const problem = asProblem(error)
    end = {
      state: error instanceof CommandLost ? 'unknown' : 'failed',
      problem: problem instanceof Problem ? problem.slug : 'internal',
      endedAt: 0,
    }
    throw problem
  } finally {
    // What was refused is on no record, so there is no end to write down.
    if (!isRefused) {
      await writeEnd(scope, order, { ...end, endedAt: scope.now() })
      kept.keeper.end()
      ctx.waitUntil(finishSoon(ctx, kept.keeper))
    }
  }
}

const endOfRun = ({ result, stdoutBytes, stderrBytes }: CommandRun): CommandEnd => ({
  state: result.timedOut ? 'timed-out' : result.killed === 'unconfirmed' ? 'unknown' : 'done',
  exitCode: result.exitCode,
  signal: result.signal,
  killed: result.killed,
  durationMs: result.durationMs,
  stdoutBytes,
  stderrBytes,
  endedAt: 0,
})

/** What ends by itself, and so tells of its end: whoever opens a shell tells of it otherwise. */
type Errand = ExecOrder | FileOrder

const useOf = (order: object): HostUse => ('op' in order ? 'files' : 'command' in order ? 'exec' : 'shell')
const ofErrand = (order: Errand) => ({ ...order, use: useOf(order) })

/** Tells whoever wants to hear that the host has let us in. */
export function noteConnected(scope: Scope, ctx: DurableObjectState, order: Errand): void {
  if (!order.isConnectTold) return
  ctx.waitUntil(tellConnected(scope, ofErrand(order)).catch((error: unknown) => logOf(order)('hook.tell-failed', describeError(error))))
}

/** Writes down how something ended, as often as it takes. */
export async function writeEnd(scope: Scope, order: Errand, end: CommandEnd): Promise<void> {
  for (let tries = 1; tries <= END_TRIES; tries++) {
    try {
      await endTelling(scope, ofErrand(order), end)
      return
    } catch (error) {
      logOf(order)('command.report-failed', { tries, ...describeError(error) })
      await new Promise((resolve) => setTimeout(resolve, END_PAUSE_MS))
    }
  }
}

/**
 * Begins the life of a shell and opens it at the relay. When the host asks something it answers `connecting` at once, for only a viewer can
 * answer; how it went is then told to the viewers alone.
 *
 * @throws Problem
 */
export async function openOrdered(
  scope: Scope,
  parts: { readonly ctx: DurableObjectState; readonly live: LiveShell },
  order: OpenOrder,
): Promise<ShellState> {
  const { live, ctx } = parts
  const opening = openShell(live, {
    request: terminalOn(order),
    way: [...order.target.jumps, order.target],
    secretsFor: (relay) => (order.target.kind === 'ssh' ? openSecrets(scope, order, relay) : openWay(scope, order, relay)),
  })
  const opened = opening.then(
    (): ShellState => 'open',
    async (error: unknown) => {
      await noteRefusedKey(scope, order, error)
      throw asProblem(error)
    },
  )
  ctx.waitUntil(opened.catch(() => undefined))
  const asked = new Promise<ShellState>((resolve) => {
    live.onAsked = () => resolve('connecting')
  })
  return Promise.race([opened, asked])
}

/** What is asked of the relay: a terminal, by what its host speaks. */
function terminalOn({ target, pty }: OpenOrder): TerminalRequest {
  const { address: host, port, keepaliveSeconds, idleSeconds, lifeSeconds } = target
  const limits = { ...(idleSeconds === null ? {} : { idleSeconds }), ...(lifeSeconds === null ? {} : { lifeSeconds }) }
  const common = { host, port, keepaliveSeconds, jumps: jumpsOf(target.jumps), pty, detachSeconds: DETACH_SECONDS_DEFAULT, ...limits }
  if (target.kind !== 'ssh') return { kind: 'console', protocol: target.kind, ...common }
  return { kind: 'shell', username: target.user, pins: [...target.pins], algorithms: target.algorithms, env: {}, ...common }
}

/** The memory of a shell that is about to be opened. */
export function beginShell(ctx: DurableObjectState, env: LiveShell['env'], order: OpenOrder): LiveShell {
  const { shellId, orgId, userId, target, pty, traceparent, oversight } = order
  createRecord(ctx.storage.sql, {
    shellId,
    orgId,
    userId,
    ...(order.provenSession === undefined ? {} : { provenSession: order.provenSession }),
    target: { address: target.address, port: target.port },
    limits: { idleSeconds: target.idleSeconds, lifeSeconds: target.lifeSeconds },
    relayId: null,
    state: 'connecting',
    reason: null,
    needsWatcher: oversight.needsWatcher,
    lockedBy: null,
    columns: pty.cols,
    rows: pty.rows,
    epoch: 0,
    version: 0,
    reportedVersion: 0,
    exit: null,
    ending: null,
    unlinkedAt: Date.now(),
    endedAt: null,
    alerts: order.alerts,
    traceparent,
  })
  const { isStrict, recordsInput } = oversight
  createRecorder(ctx.storage.sql, {
    shellId,
    orgId,
    hostId: target.hostId,
    kind: 'pty',
    startedAt: Date.now(),
    isStrict,
    recordsInput,
    traceparent,
  })
  const live = openLive(ctx, env)
  if (!live) throw new Error('a record that was just written is there')
  return live
}

/** A host that presents another key goes on record, and where it has changed whoever hears of alerts is told: it is a mistake, or somebody in between. */
export async function noteRefusedKey(scope: Scope, order: Order & { readonly target: HostTarget }, error: unknown): Promise<void> {
  const refused = refusalIn(error)
  if (!refused?.code.startsWith('host-key-')) return
  const presented = refused.presented ? `${refused.presented.type} ${refused.presented.fingerprint}` : 'no accepted type'
  const { target, orgId, shellId } = order
  const { hostId, pins } = (refused.jump === undefined ? undefined : target.jumps[refused.jump]) ?? target
  const act = { action: 'host.key-refused', subject: hostId, orgId, actorId: order.userId } as const
  const entry = auditEntry(scope, { ...act, cause: `${refused.code}: ${presented}` })
  const hostKey = { hostId, pinned: pins.map(({ fingerprint }) => fingerprint), presented: refused.presented?.fingerprint ?? null }
  try {
    if (pins.length === 0) await entry
    else await commitTelling(scope, [entry], { point: 'on-alert', orgId, shellId, use: useOf(order), hostKey })
  } catch (failure) {
    logOf(order)('shell.audit-failed', { code: refused.code, presented, ...describeError(failure) })
  }
}

function refusalIn(error: unknown): OpenRefused | undefined {
  if (error instanceof OpenRefused) return error
  return error instanceof Error && error.cause instanceof OpenRefused ? error.cause : undefined
}

/** What the caller meets; a bug stays one. */
export function asProblem(error: unknown): unknown {
  if (error instanceof OpenRefused) return problemOfRefusal(error.code, error.jump)
  if (error instanceof CommandLost) return commandLost(error)
  if (error instanceof LinkLost) return relayUnavailable('The relay broke off.', error)
  return error
}

const logOf = ({ shellId, orgId, traceparent }: Order) => logFor(traceFrom(traceparent), { shellId, orgId })
