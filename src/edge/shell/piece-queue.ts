/** Output of both streams in its order, until somebody takes it. It costs its bytes and little more, in however small pieces it comes. */
export interface PieceQueue {
  push(bytes: Uint8Array, isStderr: boolean): void
  /** The next bytes that stand together, copied; nothing when all is taken. */
  take(bytesMax: number): { readonly bytes: Uint8Array; readonly isStderr: boolean } | undefined
}

const BLOCK_BYTES = 64 * 1024
/** Runs that were taken are let go in bulk: one by one each would move all that wait. */
const RUNS_TAKEN_MAX = 4_096

/** An empty queue. */
export function createPieceQueue(): PieceQueue {
  let blocks: Uint8Array[] = []
  let filled = BLOCK_BYTES
  let taken = 0
  /** Lengths of runs of one stream; those of errors are negative. */
  let runs: number[] = []
  let run = 0

  function append(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; ) {
      if (filled === BLOCK_BYTES) {
        blocks.push(new Uint8Array(BLOCK_BYTES))
        filled = 0
      }
      const part = bytes.subarray(at, at + BLOCK_BYTES - filled)
      blocks.at(-1)?.set(part, filled)
      filled += part.length
      at += part.length
    }
  }

  function copy(length: number): Uint8Array {
    const bytes = new Uint8Array(length)
    for (let at = 0; at < length; ) {
      const part = blocks[0]?.subarray(taken, Math.min(BLOCK_BYTES, taken + length - at)) ?? bytes
      bytes.set(part, at)
      at += part.length
      taken += part.length
      if (taken < BLOCK_BYTES) continue
      blocks = blocks.slice(1)
      taken = 0
    }
    return bytes
  }

  return {
    push(bytes, isStderr) {
      if (bytes.length === 0) return
      append(bytes)
      const change = isStderr ? -bytes.length : bytes.length
      const last = runs.length - 1
      const isSame = last >= run && Math.sign(runs[last] ?? 0) === Math.sign(change)
      if (isSame) runs[last] = (runs[last] ?? 0) + change
      else runs.push(change)
    },
    take(bytesMax) {
      const length = runs[run]
      if (length === undefined) return undefined
      const isStderr = length < 0
      const taking = Math.min(bytesMax, Math.abs(length))
      if (taking < Math.abs(length)) runs[run] = length + (isStderr ? taking : -taking)
      else run += 1
      if (run >= RUNS_TAKEN_MAX) {
        runs = runs.slice(run)
        run = 0
      }
      return { bytes: copy(taking), isStderr }
    },
  }
}
