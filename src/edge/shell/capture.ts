/** Decodes output piece by piece. A byte order mark is output like any other. */
export const outputDecoder = () => new TextDecoder('utf-8', { fatal: false, ignoreBOM: true })

/** What is kept of one output stream: its head, and its tail once the middle had to go. */
export interface Capture {
  readonly push: (bytes: Uint8Array) => void
  readonly totalBytes: () => number
  readonly isTruncated: () => boolean
  /** UTF-8 with replacement; where the middle is gone a line says how much. */
  readonly text: () => string
}

/** Keeps at most `bytesMax`, half from the beginning and half from the end. */
export function createCapture(bytesMax: number): Capture {
  const headMax = bytesMax >> 1
  const tailMax = bytesMax - headMax
  const head: Uint8Array[] = []
  let tail: Uint8Array[] = []
  let headBytes = 0
  let tailBytes = 0
  let totalBytes = 0

  function pushTail(bytes: Uint8Array): void {
    tail.push(bytes)
    tailBytes += bytes.length
    // Halving at twice the size keeps a flood of small chunks from being copied again and again.
    if (tailBytes < tailMax * 2) return
    const kept = joined(tail).slice(-tailMax)
    tail = [kept]
    tailBytes = kept.length
  }

  const droppedBytes = () => Math.max(0, totalBytes - headBytes - tailMax)

  return {
    push(bytes) {
      totalBytes += bytes.length
      const toHead = bytes.slice(0, headMax - headBytes)
      if (toHead.length > 0) head.push(toHead)
      headBytes += toHead.length
      if (toHead.length < bytes.length) pushTail(bytes.slice(toHead.length))
    },
    totalBytes: () => totalBytes,
    isTruncated: () => droppedBytes() > 0,
    text() {
      const dropped = droppedBytes()
      const decoder = new TextDecoder()
      if (dropped === 0) return decoder.decode(joined([...head, ...tail]))
      return `${decoder.decode(joined(head))}\n[${dropped} bytes dropped]\n${decoder.decode(joined(tail).slice(-tailMax))}`
    },
  }
}

/** All of these bytes in a buffer that holds nothing else, as SQLite takes them. */
export function joined(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    whole.set(part, at)
    at += part.length
  }
  return whole
}
