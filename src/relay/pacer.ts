/** What is taken from a host at once costs the whole process its time, so a connection takes turns when it costs much. */
export interface Pacer {
  /** A connection's place. `take` may cost time; `drained` says that all that waited was taken. */
  join(take: (bytes: Buffer) => void, drained: () => void): Lane
}

/** The input of one connection. */
export interface Lane {
  /** Takes what may be taken now; the rest waits for its turns. */
  push(bytes: Buffer): void
  /** Whether something waits: then no more is to be read. */
  isWaiting(): boolean
  leave(): void
}

/** The clock, milliseconds, and the next turn of the loop. */
export interface PacerTime {
  readonly now: () => number
  readonly soon: (turn: () => void) => void
}

/** Cost is forgotten by half in this time. */
const HALF_LIFE_MS = 100
/** Who has cost less than this lately, as a terminal does, is served on the spot. */
const LIGHT_MS = 1
/** All that was served on the spot lately, by however many: beyond it even the light ones take turns. */
const LIGHT_ALL_MS = 5
/** What one turn should cost at most. A packet or a key exchange is taken whole, whatever it costs. */
const SLICE_MS = 0.5
const SLICE_BYTES_MIN = 256
const SLICE_BYTES_FIRST = 1024
/** Who was cheap before and is dear now costs no more than this at once. */
const SLICE_BYTES_MAX = 16 * 1024

interface Cost {
  ms: number
  at: number
}

interface State extends Cost {
  readonly take: (bytes: Buffer) => void
  readonly drained: () => void
  waiting: Buffer
  sliceBytes: number
  hasLeft: boolean
}

const EMPTY = Buffer.alloc(0)
const REAL: PacerTime = { now: () => performance.now(), soon: (turn) => void setImmediate(turn) }

/**
 * One slice of one connection per turn of the loop, the one that has cost least first; between two turns everybody's sockets and timers are
 * served. So what a target sends, however dear each byte is made, delays others by one slice, and however many targets do it.
 */
export function createPacer({ now, soon }: PacerTime = REAL): Pacer {
  const queue = new Set<State>()
  const light: Cost = { ms: 0, at: 0 }
  let isTurnDue = false

  function costOf(of: Cost, at = now()): number {
    of.ms *= 0.5 ** ((at - of.at) / HALF_LIFE_MS)
    of.at = at
    return of.ms
  }

  /** Takes one slice, and learns from its cost how long the next may be. */
  function takeSlice(lane: State): number {
    const slice = lane.waiting.subarray(0, lane.sliceBytes)
    lane.waiting = lane.waiting.subarray(slice.length)
    const startedAt = now()
    lane.take(slice)
    const ms = now() - startedAt
    costOf(lane)
    lane.ms += ms
    if (ms > SLICE_MS) lane.sliceBytes = Math.max(SLICE_BYTES_MIN, slice.length >> 1)
    else if (ms < SLICE_MS / 4) lane.sliceBytes = Math.min(SLICE_BYTES_MAX, lane.sliceBytes * 2)
    return ms
  }

  function cheapest(): State | undefined {
    const at = now()
    let found: State | undefined
    for (const lane of queue) if (costOf(lane, at) < (found?.ms ?? Number.POSITIVE_INFINITY)) found = lane
    return found
  }

  function turn(): void {
    isTurnDue = false
    const lane = cheapest()
    if (!lane) return
    try {
      takeSlice(lane)
    } finally {
      // Whatever one connection does to its turn, the others get theirs.
      const isEmpty = lane.waiting.length === 0
      if (isEmpty) queue.delete(lane)
      schedule()
      if (isEmpty && !lane.hasLeft) lane.drained()
    }
  }

  function schedule(): void {
    if (isTurnDue || queue.size === 0) return
    isTurnDue = true
    soon(turn)
  }

  const isLight = (lane: State): boolean => !queue.has(lane) && costOf(lane) < LIGHT_MS && costOf(light) < LIGHT_ALL_MS

  return {
    join(take, drained) {
      const lane: State = { take, drained, waiting: EMPTY, sliceBytes: SLICE_BYTES_FIRST, hasLeft: false, ms: 0, at: now() }
      return {
        push(bytes) {
          if (lane.hasLeft) return
          lane.waiting = lane.waiting.length === 0 ? bytes : Buffer.concat([lane.waiting, bytes])
          while (lane.waiting.length > 0 && isLight(lane)) {
            const ms = takeSlice(lane)
            light.ms = costOf(light) + ms
          }
          if (lane.waiting.length === 0) return
          queue.add(lane)
          schedule()
        },
        isWaiting: () => lane.waiting.length > 0,
        leave() {
          lane.hasLeft = true
          lane.waiting = EMPTY
          queue.delete(lane)
        },
      }
    },
  }
}

/** The one of this process's loop. */
export const pacer: Pacer = createPacer()
