import type { UserId } from '../../contract/identity.ts'
import { isProblem, type ProblemSlug } from '../../contract/problem.ts'
import type { RunState } from '../../contract/runs.ts'
import { type ExecResult, ShellId } from '../../contract/shell.ts'
import { describeError } from '../platform/log.ts'
import { open } from '../platform/rpc.ts'
import type { Scope } from '../platform/scope.ts'
import { beginCommand, finishCommand } from './exec.ts'
import { endTelling } from './hook-news.ts'
import type { ExecOrder } from './rpc.ts'
import { type Book, type HostChange, type HostEntry, isFailure } from './run-book.ts'
import { accessOf, reportRun } from './run-store.ts'
import { commandOf } from './store.ts'

/** Somebody's shells fill the user's places, or the relay's: the host waits its turn again. */
const RETRY_MS = 1_000

/** A run in memory. All but its book can be lost at any moment without harm. */
export interface LiveRun {
  readonly book: Book
  readonly scope: Scope
  /** Places of the hosts on which something happens now. */
  readonly busy: Set<number>
  /** Called after every change, each in the name of who follows. */
  readonly followers: Map<() => void, UserId>
  /** Nothing is begun before. */
  retryAt: number
  timer: ReturnType<typeof setTimeout> | null
}

/** Begins as much as may run at a time; ends the run when nothing is left. Called whenever something has changed. */
export function drive(run: LiveRun): void {
  const { book, busy } = run
  const { state, parallel, endedAt } = book.record()
  if (state === 'starting' || endedAt !== null) return
  for (const host of book.in('running')) if (!busy.has(host.place)) follow(run, host, recover(run, host))
  while (state === 'running' && busy.size < parallel && Date.now() >= run.retryAt) {
    const host = book.firstWaiting()
    if (!host) break
    const shellId = ShellId.parse(run.scope.newId('shl'))
    book.changeHost(host.place, { state: 'running', shellId })
    follow(run, host, runOn(run, { ...host, shellId }))
  }
  if (busy.size === 0 && !book.firstWaiting()) void end(run)
  wake(run)
}

/** Leaves out whoever waits; what runs ends by itself. */
export function stop(run: LiveRun, state: Exclude<RunState, 'running' | 'done'>): void {
  if (run.book.record().state !== 'running') return
  run.book.change({ state })
  run.book.skipWaiting()
  drive(run)
}

function wake({ followers }: LiveRun): void {
  for (const one of followers.keys()) one()
}

/** One host's part: it never fails, whatever happens on the host. */
function follow(run: LiveRun, { place }: HostEntry, work: Promise<HostChange>): void {
  run.busy.add(place)
  const done = (change: HostChange): void => {
    run.book.changeHost(place, change)
    run.busy.delete(place)
    const { state, exitCode = null } = change
    if (run.book.record().stopOnFailure && state !== undefined && isFailure({ state, exitCode })) stop(run, 'stopped')
    drive(run)
  }
  work.then(done, (error: unknown) => {
    run.scope.log('bug', { runId: run.book.record().runId, ...describeError(error) })
    done({ state: 'unknown', problem: 'internal' })
  })
}

type Started = HostEntry & { readonly shellId: ShellId }

async function runOn(run: LiveRun, host: Started): Promise<HostChange> {
  const { scope, book } = run
  const { userId, sessionId, command, timeoutSeconds, env, stdin } = book.record()
  if (userId === null || !(await hasAccess(scope, { userId, sessionId }))) return loseAccess(run)
  if (!isWanted(run)) return LEFT_OUT
  try {
    const { hostId, shellId } = host
    const order = await beginCommand(scope, { userId, sessionId, hostId, shellId, command, timeoutSeconds, env, stdin })
    return isWanted(run) ? toChange(await finishCommand(scope, order)) : await leaveOut(scope, order)
  } catch (error) {
    if (!isProblem(error)) scope.log('run.host-failed', { runId: book.record().runId, shellId: host.shellId, ...describeError(error) })
    return afterFailure(run, host, isProblem(error) ? error.slug : 'internal')
  }
}

const LEFT_OUT: HostChange = { state: 'skipped', shellId: null }

/** A run may be cancelled or stopped while policy, hooks and storage are asked about one of its hosts. */
const isWanted = ({ book }: LiveRun): boolean => book.record().state === 'running'

/** What is on record already ends there, before it begins. */
async function leaveOut(scope: Scope, order: ExecOrder): Promise<HostChange> {
  await scope.env.SHELLS.getByName(order.shellId).stopCommand()
  await finishCommand(scope, order).catch(() => undefined)
  return { ...LEFT_OUT, shellId: order.shellId }
}

async function hasAccess(scope: Scope, of: Omit<Parameters<typeof accessOf>[1], 'now'>): Promise<boolean> {
  const [access] = await accessOf(scope.db, { ...of, now: scope.now() })
  return access?.isLive === 1
}

/** The access with which the run was started has ended, so nothing more begins. */
function loseAccess(run: LiveRun): HostChange {
  stop(run, 'cancelled')
  return LEFT_OUT
}

/** Whether a command that met trouble ever began is in the log alone. */
async function afterFailure(run: LiveRun, { shellId }: Started, problem: ProblemSlug): Promise<HostChange> {
  const [logged] = await commandOf(run.scope.db, shellId)
  if (logged) return { state: logged.state === 'failed' ? 'failed' : 'unknown', problem }
  if (problem !== 'limit-reached' || run.book.record().state !== 'running') return { state: 'failed', shellId: null, problem }
  run.retryAt = Date.now() + RETRY_MS
  run.timer ??= setTimeout(() => {
    run.timer = null
    drive(run)
  }, RETRY_MS)
  return { state: 'waiting', shellId: null }
}

const toChange = (result: ExecResult): HostChange => {
  const { shellId, timedOut, ...rest } = result
  return { ...rest, shellId, state: timedOut ? 'timed-out' : 'done' }
}

/**
 * What became of a command whose run's memory was lost. Its own object knows if it lives; else the log says whether it began. What began is
 * never begun again.
 */
async function recover(run: LiveRun, host: HostEntry): Promise<HostChange> {
  const { scope } = run
  const { shellId } = host
  if (shellId === null) return { state: 'waiting' }
  try {
    const known = await scope.env.SHELLS.getByName(shellId).awaitCommand()
    if (known) return toChange(await open(Promise.resolve(known)))
    const [logged] = await commandOf(scope.db, shellId)
    if (!logged) return { state: run.book.record().state === 'running' ? 'waiting' : 'skipped', shellId: null }
    await endTelling(scope, { shellId, orgId: logged.orgId, use: 'exec' }, { state: 'unknown', endedAt: scope.now() })
    const { state, exitCode, signal, killed, durationMs } = logged
    return { state: state === 'running' ? 'unknown' : state, exitCode, signal, killed, durationMs, truncated: true }
  } catch (error) {
    return afterFailure(run, { ...host, shellId }, isProblem(error) ? error.slug : 'internal')
  }
}

/** Tells D1 how it stands; the alarm tries again what fails. */
export async function report(run: LiveRun): Promise<void> {
  const { book, scope } = run
  const { runId: id, endedAt, isReported } = book.record()
  if (isReported) return
  const { state, succeeded, failed } = book.view()
  try {
    await reportRun(scope.db, { id, state, succeeded, failed, endedAt })
    if (endedAt !== null) book.change({ isReported: true })
  } catch (error) {
    scope.log('run.report-failed', { runId: id, ...describeError(error) })
  }
}

async function end(run: LiveRun): Promise<void> {
  const { state } = run.book.record()
  run.book.change({ state: state === 'running' ? 'done' : state, endedAt: Date.now(), stdin: '', env: {} })
  await report(run)
}
