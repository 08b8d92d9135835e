import { RING_BYTES_MAX } from '../contract/krp.ts'
import { KrpError } from '../contract/krp-frame.ts'
import type { StreamPort } from './port.ts'
import { createRing } from './ring.ts'
import { createSender } from './sender.ts'

/** A readable side of a channel. */
export interface OutputSource {
  on(event: 'data', listener: (bytes: Buffer) => void): unknown
  pause(): unknown
  resume(): unknown
}

/** Where a resumed stream stands. */
export interface OutputWindow {
  readonly firstOffset: number
  readonly nextOffset: number
}

/** Output of one shell on its way to whoever is attached: kept until acknowledged, sent as far as credit reaches. */
export interface Output {
  /** Goes on at `fromOffset`. @throws Refusal offset-unknown */
  attach(port: StreamPort, fromOffset: number, creditBytes: number): OutputWindow
  detach(): void
  /** Sends what credit and the link allow. */
  pump(): void
  /** @throws KrpError offset-range */
  acknowledge(offset: number): void
  /** @throws KrpError credit-overflow */
  addCredit(bytes: number): void
  /** From now on output is read and thrown away, so that the remote can end. */
  discard(): void
  isAllSent(): boolean
  nextOffset(): number
  heldBytes(): number
}

interface OutputDeps {
  readonly stdout: OutputSource
  readonly stderr: OutputSource
  /** Called after each chunk, with all bytes so far. */
  readonly onBytes: (totalBytes: number) => void
  /** Called when nothing is left to send. */
  readonly onAllSent: () => void
}

/** Joins both sources in order of arrival and reads them only while there is room. */
export function createOutput({ stdout, stderr, onBytes, onAllSent }: OutputDeps): Output {
  const ring = createRing(RING_BYTES_MAX)
  const sender = createSender(ring, onAllSent)
  let isDiscarding = false

  const regulate = (): void => {
    for (const source of [stdout, stderr]) {
      if (ring.isFull() && !isDiscarding) source.pause()
      else source.resume()
    }
  }
  const take = (bytes: Buffer, isStderr: boolean): void => {
    if (isDiscarding) return
    ring.append(bytes, isStderr)
    if (ring.isFull()) regulate()
    onBytes(ring.nextOffset())
    sender.gather()
  }
  stdout.on('data', (bytes) => take(bytes, false))
  stderr.on('data', (bytes) => take(bytes, true))
  return {
    attach(port, fromOffset, creditBytes) {
      sender.attach(port, fromOffset, creditBytes)
      regulate()
      return { firstOffset: ring.firstOffset(), nextOffset: ring.nextOffset() }
    },
    detach: sender.detach,
    pump: sender.pump,
    acknowledge(offset) {
      if (offset > sender.sentOffset()) throw new KrpError('offset-range')
      ring.acknowledge(offset)
      regulate()
    },
    addCredit: sender.addCredit,
    discard() {
      isDiscarding = true
      ring.acknowledge(ring.nextOffset())
      sender.skip()
      regulate()
    },
    isAllSent: () => sender.sentOffset() === ring.nextOffset(),
    nextOffset: () => ring.nextOffset(),
    heldBytes: () => ring.heldBytes(),
  }
}
