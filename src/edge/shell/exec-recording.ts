import { Problem } from '../../contract/problem.ts'
import type { Env } from '../env.ts'
import { objectScope } from '../platform/object-scope.ts'
import type { Scope } from '../platform/scope.ts'
import type { Kept } from './command.ts'
import { createKeeper, type Keeper, type KeeperParts, NOT_RECORDED } from './keeper.ts'
import { createRecorder, openRecorder } from './recorder.ts'
import type { ExecOrder } from './rpc.ts'
import { createTape, openTape } from './tape.ts'

/** Long after a command must have ended, its object looks whether a crash left a recording behind. */
const LEFT_BEHIND_MS = 120_000
/** What an answer takes to leave. */
const ANSWER_MS = 20
/** Storage that failed is asked again. */
const RETRY_MS = 30_000

/** A place for the output of a command that outlives this memory. It is made when it is first looked at. */
export function keepOutput(scope: Scope, ctx: DurableObjectState, order: ExecOrder): Kept {
  let place: Place | undefined
  const made = (): Place => {
    const room = { onRoom: () => kept.onRoom(), onFailed: (reason: string) => kept.onFailed(reason) }
    place ??= makePlace(scope, ctx, { order, ...room })
    return place
  }
  const kept: Kept = {
    get tape() {
      return made().tape
    },
    get keeper() {
      return made().keeper
    },
    asked() {
      const { recorder } = made().keeper
      if (!recorder.state().isOpened) recorder.change({ isOpened: true })
    },
    refused: () => made().keeper.recorder.change({ isOpened: false }),
    sync: () => ctx.storage.sync(),
    onRoom: () => undefined,
    onFailed: () => undefined,
  }
  return kept
}

type Place = Pick<Kept, 'tape' | 'keeper'>

interface NewPlace extends Pick<KeeperParts, 'onRoom' | 'onFailed'> {
  readonly order: ExecOrder
}

function makePlace(scope: Scope, ctx: DurableObjectState, { order, ...room }: NewPlace): Place {
  const { shellId, orgId, target, isStrict, traceparent, timeoutSeconds } = order
  const { sql } = ctx.storage
  createTape(sql)
  const startedAt = scope.now()
  const recorder = createRecorder(sql, {
    shellId,
    orgId,
    hostId: target.hostId,
    kind: 'exec',
    startedAt,
    isStrict,
    recordsInput: false,
    traceparent,
  })
  ctx.waitUntil(ctx.storage.setAlarm(startedAt + timeoutSeconds * 1000 + LEFT_BEHIND_MS))
  return keepingOf(sql, { recorder, scope: () => scope, ...room })
}

function keepingOf(sql: SqlStorage, parts: Omit<KeeperParts, 'tape'>): Place {
  const tape = openTape(sql, () => parts.recorder.state().keptOffset)
  return { tape, keeper: createKeeper({ ...parts, tape }) }
}

/** What must be recorded does not begin where it cannot be. @throws Problem `unavailable` */
export async function beginOutput({ keeper }: Kept): Promise<void> {
  try {
    await keeper.begin()
  } catch (cause) {
    throw new Problem('unavailable', { detail: NOT_RECORDED }, { cause })
  }
}

/** Whoever waits for the answer comes before the recording, which takes the same thread as long again; should this memory go, the alarm sees to it. */
export async function finishSoon(ctx: DurableObjectState, keeper: Keeper): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, ANSWER_MS))
  await finishOutput(ctx, keeper)
}

/** Brings the rest of an ended command into the recording; then its object holds nothing any more. */
async function finishOutput(ctx: DurableObjectState, keeper: Keeper): Promise<void> {
  await keeper.keep()
  if (!keeper.isDone()) return ctx.storage.setAlarm(Date.now() + RETRY_MS)
  await ctx.storage.deleteAlarm()
  await ctx.storage.deleteAll()
}

/** A command's object that died, or could not reach storage, has left its recording unfinished. */
export async function finishLeftOutput(ctx: DurableObjectState, env: Env): Promise<void> {
  const recorder = openRecorder(ctx.storage.sql)
  if (!recorder) return
  const scope = objectScope(ctx, env, recorder.state().traceparent)
  const { keeper } = keepingOf(ctx.storage.sql, { recorder, scope: () => scope, onRoom: () => undefined, onFailed: () => undefined })
  keeper.end()
  await finishOutput(ctx, keeper)
}
