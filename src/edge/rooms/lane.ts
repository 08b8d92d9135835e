import { within } from '../platform/within.ts'

/** What goes in one call: an RPC of the runtime carries 32 MiB at most. */
const CALL_BYTES_MAX = 8_388_608
/** What all calls of a room carry at one moment: each copies what it carries, and an object has 128 MB. */
const CALLS_BYTES_MAX = 33_554_432
/** What may wait; beyond it the other side does not keep up. */
const WAITING_BYTES_MAX = 33_554_432
/** A call that is not answered by then has failed. */
const CALL_MS_MAX = 15_000
const RETRY_MS = 100
const RETRY_MS_MAX = 5_000

/** Carries items to another object in the order they came. */
export interface Lane<T> {
  /** Sends with the next call; answers false, and does not, when too much waits already. What is exempt always goes, and others do not wait for it. */
  readonly push: (item: T, bytes?: number, isExempt?: boolean) => boolean
  /** Whether all was carried. */
  readonly isIdle: () => boolean
  /** Resolves when it was. */
  readonly carried: () => Promise<void>
  /** Drops what waits. */
  readonly clear: () => void
}

/** Opens a lane: one call at a time, and what comes meanwhile goes along with the next. Nobody knows of a call that failed whether it was heard. */
export function openLane<T>({
  carry,
  onLost,
  onDone = () => undefined,
  calls = { bytes: 0 },
}: {
  readonly carry: (items: readonly T[]) => Promise<void>
  readonly onLost: (items: readonly T[], error: unknown) => void
  /** These wait no more, whatever became of them. */
  readonly onDone?: (items: readonly T[]) => void
  /** What is being carried, on this lane and those it shares memory with: the less is left, the less goes in a call, one item at least. */
  readonly calls?: { bytes: number }
}): Lane<T> {
  let waiting: { readonly item: T; readonly bytes: number; readonly isExempt: boolean }[] = []
  let waitingBytes = 0
  let failures = 0
  let moving: Promise<void> | undefined

  function takeCall(): { readonly items: readonly T[]; readonly bytes: number } {
    const most = Math.min(CALL_BYTES_MAX, CALLS_BYTES_MAX - calls.bytes)
    let bytes = 0
    const end = waiting.findIndex((next, i) => {
      bytes += next.bytes
      return i > 0 && bytes > most
    })
    const call = waiting.splice(0, end < 0 ? waiting.length : end)
    waitingBytes -= call.reduce((sum, next) => sum + (next.isExempt ? 0 : next.bytes), 0)
    return { items: call.map(({ item }) => item), bytes: call.reduce((sum, next) => sum + next.bytes, 0) }
  }

  async function carryNext(): Promise<void> {
    const { items, bytes } = takeCall()
    calls.bytes += bytes
    const end = () => {
      calls.bytes -= bytes
      onDone(items)
    }
    try {
      await withinTime(carry(items)).finally(end)
      failures = 0
    } catch (error) {
      failures += 1
      onLost(items, error)
      await pause(Math.min(RETRY_MS_MAX, RETRY_MS * 2 ** failures))
    }
  }

  async function move(): Promise<void> {
    try {
      while (waiting.length > 0) await carryNext()
    } finally {
      moving = undefined
    }
  }

  return {
    push(item, bytes = 64, isExempt = false) {
      if (!isExempt && waitingBytes + bytes > WAITING_BYTES_MAX) return false
      waiting.push({ item, bytes, isExempt })
      waitingBytes += isExempt ? 0 : bytes
      // What else is said in this turn goes along.
      moving ??= Promise.resolve().then(move)
      return true
    },
    isIdle: () => moving === undefined,
    carried: () => withinTime(moving ?? Promise.resolve()),
    clear() {
      const dropped = waiting.map(({ item }) => item)
      waiting = []
      waitingBytes = 0
      onDone(dropped)
    },
  }
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => void setTimeout(resolve, ms))

/** Waits for a call between a room and a leaf. @throws Error when it has not ended in time */
export const withinTime = <T>(work: Promise<T>): Promise<T> => within(work, CALL_MS_MAX)
