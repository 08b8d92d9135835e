import { FILE_SECONDS_MAX } from '../../contract/files.ts'
import { type ControlBody, CREDIT_EXEC_BYTES } from '../../contract/krp.ts'
import { DATA_BYTES_MAX, KrpError, type OffsetChunk } from '../../contract/krp-frame.ts'
import { Problem } from '../../contract/problem.ts'
import type { Config } from '../platform/config.ts'
import { logFor } from '../platform/log.ts'
import type { RelayConfig } from '../platform/relays.ts'
import { traceFrom } from '../platform/trace.ts'
import { reachRelay } from './reach.ts'
import type { FileOrder } from './rpc.ts'
import { jumpsOf, keptForOf, type Secrets } from './secrets.ts'
import { openStream, type RelayStream, type StreamEvents } from './stream.ts'

const CREDIT_STEP_BYTES = CREDIT_EXEC_BYTES / 4

/** One file on its way. */
export interface Transfer {
  readonly stream: RelayStream
  /** How many bytes a read brings, when that is known. */
  readonly fileBytes: number | undefined
  /** The next bytes of a read; nothing at its end. @throws Problem when the host failed or the transfer was cut */
  next(): Promise<Uint8Array | undefined>
  /** Sends bytes of a write, as the host takes them. @throws Problem */
  send(bytes: Uint8Array): Promise<void>
  /** Resolves when the host has all of a write. @throws Problem */
  finish(): Promise<void>
  /** Gives it up, or lets it go. */
  leave(): void
}

interface State {
  readonly queue: Uint8Array[]
  readonly wakes: Set<() => void>
  queuedTo: number
  owedBytes: number
  creditBytes: number
  sentOffset: number
  exit: ControlBody<'EXIT'> | undefined
  isOver: boolean
  isLost: boolean
}

/** Opens a transfer at the relay. @throws OpenRefused, Problem `unavailable` */
export async function openTransfer(
  order: FileOrder,
  by: { readonly ctx: DurableObjectState; readonly config: Config; readonly secretsFor: (relay: RelayConfig) => Promise<Secrets> },
): Promise<Transfer> {
  const { target, shellId, orgId, traceparent, op, path, roots, bytesMax, overwrite } = order
  const who = { shellId, orgId, epoch: 1, targets: [...target.jumps, target] }
  const log = logFor(traceFrom(traceparent), { shellId, orgId })
  const { relay, link } = await reachRelay({ ctx: by.ctx, config: by.config, who, traceparent, log })
  const request = {
    kind: 'file' as const,
    keptFor: keptForOf(order),
    host: target.address,
    port: target.port,
    username: target.user,
    pins: [...target.pins],
    algorithms: target.algorithms,
    keepaliveSeconds: target.keepaliveSeconds,
    jumps: jumpsOf(target.jumps),
    env: {},
    op,
    path,
    roots: [...roots],
    bytesMax,
    overwrite,
    detachSeconds: 0 as const,
    timeoutSeconds: FILE_SECONDS_MAX,
  }
  const state: State = {
    queue: [],
    wakes: new Set(),
    queuedTo: 0,
    owedBytes: 0,
    creditBytes: 0,
    sentOffset: 0,
    exit: undefined,
    isOver: false,
    isLost: false,
  }
  let fileBytes: number | undefined
  const events = eventsOf(state, (opened) => {
    fileBytes = opened.fileBytes
  })
  try {
    const secrets = await by.secretsFor(relay)
    const stream = await openStream(link, { relay, who, request, secrets, creditBytes: CREDIT_EXEC_BYTES, traceparent }, events)
    return transferOver(stream, state, fileBytes)
  } catch (error) {
    link.close('not-opened')
    throw error
  }
}

function eventsOf(state: State, opened: (body: ControlBody<'OPENED'>) => void): StreamEvents {
  const wake = () => {
    for (const one of state.wakes) one()
  }
  return {
    opened(body) {
      state.creditBytes = body.creditBytes
      opened(body)
    },
    output(chunk: OffsetChunk, isStderr) {
      if (isStderr || chunk.offset !== state.queuedTo) throw new KrpError('offset-range')
      state.queuedTo += chunk.bytes.length
      state.queue.push(chunk.bytes.slice())
      wake()
    },
    credit(bytes) {
      state.creditBytes += bytes
      wake()
    },
    exit(exit) {
      state.exit = exit
    },
    closed() {
      state.isOver = true
      wake()
    },
    lost() {
      state.isOver = true
      state.isLost = true
      wake()
    },
  }
}

/** What the end of a transfer means. */
function checkEnd({ exit, isLost }: State): void {
  if (isLost || !exit) throw new Problem('unavailable', { detail: 'The transfer was cut off.', retryAfterSeconds: 5 })
  if (exit.cause === 'timeout') throw new Problem('file-failed', { detail: 'The transfer took too long.' })
  if (exit.code === 3) throw new Problem('file-denied')
  if (exit.code !== 0) throw new Problem('file-failed')
}

function transferOver(stream: RelayStream, state: State, fileBytes: number | undefined): Transfer {
  const changed = () =>
    new Promise<void>((resolve) => {
      const wake = () => {
        state.wakes.delete(wake)
        resolve()
      }
      state.wakes.add(wake)
    })

  function settle(bytes: number): void {
    state.owedBytes += bytes
    if (state.owedBytes < CREDIT_STEP_BYTES) return
    stream.giveCredit(state.owedBytes)
    state.owedBytes = 0
  }

  return {
    stream,
    fileBytes,
    async next() {
      while (state.queue.length === 0 && !state.isOver) await changed()
      const chunk = state.queue.shift()
      if (!chunk) {
        checkEnd(state)
        return undefined
      }
      stream.ack(state.queuedTo - state.queue.reduce((sum, { length }) => sum + length, 0))
      settle(chunk.length)
      return chunk
    },
    async send(bytes) {
      for (let at = 0; at < bytes.length; ) {
        while (state.creditBytes === 0 && !state.isOver) await changed()
        if (state.isOver) return checkEnd(state)
        const part = bytes.subarray(at, at + Math.min(DATA_BYTES_MAX, state.creditBytes))
        stream.input({ offset: state.sentOffset, bytes: part })
        state.sentOffset += part.length
        state.creditBytes -= part.length
        at += part.length
      }
    },
    async finish() {
      stream.endInput(state.sentOffset)
      while (!state.isOver) await changed()
      checkEnd(state)
    },
    leave() {
      stream.close()
    },
  }
}
