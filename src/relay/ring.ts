/** A run of output of one kind: its first offset in the output space, its bytes, and whether it was stderr. */
export interface OutputRun {
  readonly offset: number
  readonly bytes: Uint8Array
  readonly isStderr: boolean
}

/** The unacknowledged output of one shell, by offset. */
export interface Ring {
  /** Takes what the shell wrote. The caller stops reading once `isFull`. */
  append(bytes: Uint8Array, isStderr: boolean): void
  /** Everything before `offset` is kept elsewhere for good, so it is dropped here. */
  acknowledge(offset: number): void
  /** A copy of the longest run from `offset` of one kind, at most `bytesMax`; undefined when nothing is there. */
  read(offset: number, bytesMax: number): OutputRun | undefined
  firstOffset(): number
  nextOffset(): number
  isFull(): boolean
  /** Memory held, for limits and tests. */
  heldBytes(): number
}

const CAPACITY_BYTES_MIN = 4_096
/** An idle shell holds nothing; a flood that is acknowledged as it comes need not allocate again and again. */
const IDLE_MS = 1_000

/**
 * A ring that says it is full at `bytesMax`. Bytes are copied into one buffer, because a slice of a packet would pin the whole packet, and a
 * hostile target can send a million packets of one byte.
 */
export function createRing(bytesMax: number): Ring {
  let buffer = Buffer.alloc(0)
  let firstOffset = 0
  let nextOffset = 0
  const kinds = createKinds()
  let isReleaseDue = false

  const releaseIfIdle = (): void => {
    isReleaseDue = false
    if (firstOffset === nextOffset) buffer = Buffer.alloc(0)
  }
  const releaseSoon = (): void => {
    if (!isReleaseDue) setTimeout(releaseIfIdle, IDLE_MS).unref()
    isReleaseDue = true
  }
  const grow = (neededBytes: number): void => {
    if (neededBytes <= buffer.length) return
    const grown = Buffer.allocUnsafeSlow(Math.max(CAPACITY_BYTES_MIN, 2 ** Math.ceil(Math.log2(neededBytes))))
    const kept = copyOut(buffer, firstOffset, nextOffset)
    copyIn(grown, firstOffset, kept)
    buffer = grown
  }
  return {
    append(bytes, isStderr) {
      if (bytes.length === 0) return
      grow(nextOffset - firstOffset + bytes.length)
      copyIn(buffer, nextOffset, bytes)
      kinds.append(nextOffset, isStderr)
      nextOffset += bytes.length
    },
    acknowledge(offset) {
      if (offset <= firstOffset) return
      firstOffset = Math.min(offset, nextOffset)
      kinds.forgetBefore(firstOffset)
      if (firstOffset === nextOffset) releaseSoon()
    },
    read(offset, runBytesMax) {
      if (offset < firstOffset || offset >= nextOffset) return undefined
      const { isStderr, endOffset } = kinds.runAt(offset)
      return { offset, isStderr, bytes: copyOut(buffer, offset, Math.min(nextOffset, endOffset, offset + runBytesMax)) }
    },
    firstOffset: () => firstOffset,
    nextOffset: () => nextOffset,
    isFull: () => nextOffset - firstOffset >= bytesMax,
    heldBytes: () => buffer.length,
  }
}

/** Where output switches between stdout and stderr: offsets only, so that a target which alternates costs eight bytes a switch. */
function createKinds() {
  let flips: number[] = []
  let isFirstStderr = false
  let isLastStderr = false
  return {
    append(offset: number, isStderr: boolean): void {
      if (isStderr === isLastStderr) return
      flips.push(offset)
      isLastStderr = isStderr
    },
    forgetBefore(offset: number): void {
      const passed = countUpTo(flips, offset)
      if (passed === 0) return
      isFirstStderr = isFirstStderr !== (passed % 2 === 1)
      flips = flips.slice(passed)
    },
    runAt(offset: number): { isStderr: boolean; endOffset: number } {
      const passed = countUpTo(flips, offset)
      return { isStderr: isFirstStderr !== (passed % 2 === 1), endOffset: flips[passed] ?? Number.POSITIVE_INFINITY }
    },
  }
}

function countUpTo(sorted: readonly number[], offset: number): number {
  let low = 0
  let high = sorted.length
  while (low < high) {
    const middle = (low + high) >> 1
    if ((sorted[middle] ?? Number.POSITIVE_INFINITY) <= offset) low = middle + 1
    else high = middle
  }
  return low
}

function copyIn(target: Buffer, offset: number, bytes: Uint8Array): void {
  if (bytes.length === 0) return
  const at = offset % target.length
  const headBytes = Math.min(bytes.length, target.length - at)
  target.set(bytes.subarray(0, headBytes), at)
  target.set(bytes.subarray(headBytes), 0)
}

function copyOut(source: Buffer, from: number, to: number): Uint8Array {
  if (from >= to) return new Uint8Array(0)
  const at = from % source.length
  const headBytes = Math.min(to - from, source.length - at)
  const bytes = new Uint8Array(to - from)
  bytes.set(source.subarray(at, at + headBytes), 0)
  bytes.set(source.subarray(0, to - from - headBytes), headBytes)
  return bytes
}
