import { CREDIT_BYTES_MAX } from '../contract/krp.ts'
import { KrpError } from '../contract/krp-frame.ts'
import type { StreamPort } from './port.ts'
import { Refusal } from './refusal.ts'
import type { Ring } from './ring.ts'

/** So much is a frame of its own: fewer and larger ones would make a keystroke's echo wait behind them. */
const FRAME_BYTES = 64 * 1024
/** Less waits so long behind the frame before it, since a terminal is read 4 KiB at a time; what comes alone, as an echo does, goes at once. */
const GATHER_MS = 4

/** The way from a ring to whoever is attached. */
export interface Sender {
  /** Goes on at `fromOffset`. @throws Refusal offset-unknown */
  attach(port: StreamPort, fromOffset: number, creditBytes: number): void
  detach(): void
  /** Sends what credit and the link allow. */
  pump(): void
  /** The ring has more. */
  gather(): void
  /** @throws KrpError credit-overflow */
  addCredit(bytes: number): void
  /** What the ring held counts as sent. */
  skip(): void
  sentOffset(): number
}

/** `onAllSent` is called when nothing is left to send. */
export function createSender(ring: Ring, onAllSent: () => void): Sender {
  let port: StreamPort | undefined
  let sentOffset = 0
  let sentOffsetMax = 0
  let creditOffset = 0
  let sentAt = Number.NEGATIVE_INFINITY
  let gathering: NodeJS.Timeout | undefined

  const unsentBytes = (): number => ring.nextOffset() - sentOffset
  const sendFrames = (bytesMin: number): void => {
    while (port?.isWritable() === true && sentOffset < creditOffset && unsentBytes() >= bytesMin) {
      const run = ring.read(sentOffset, Math.min(FRAME_BYTES, creditOffset - sentOffset))
      if (run === undefined) break
      sentOffset += run.bytes.length
      sentOffsetMax = Math.max(sentOffsetMax, sentOffset)
      sentAt = performance.now()
      port.sendOutput(run)
    }
  }
  const stopGathering = (): void => {
    clearTimeout(gathering)
    gathering = undefined
  }
  const pump = (): void => {
    stopGathering()
    sendFrames(1)
    if (unsentBytes() === 0) onAllSent()
  }
  const gather = (): void => {
    const isQuiet = performance.now() - sentAt >= GATHER_MS
    if (!isQuiet) sendFrames(FRAME_BYTES)
    if (isQuiet || unsentBytes() === 0) pump()
    else gathering ??= setTimeout(pump, GATHER_MS)
  }
  return {
    attach(newPort, fromOffset, creditBytes) {
      if (fromOffset > sentOffsetMax) throw new Refusal('offset-unknown')
      ring.acknowledge(fromOffset)
      port = newPort
      sentOffset = Math.max(fromOffset, ring.firstOffset())
      creditOffset = sentOffset + creditBytes
    },
    detach() {
      stopGathering()
      port = undefined
    },
    pump,
    gather,
    addCredit(bytes) {
      if (creditOffset + bytes - sentOffset > CREDIT_BYTES_MAX) throw new KrpError('credit-overflow')
      creditOffset += bytes
      gather()
    },
    skip() {
      sentOffset = ring.nextOffset()
    },
    sentOffset: () => sentOffset,
  }
}
