import { KrpError, type OffsetChunk } from '../contract/krp-frame.ts'
import type { HostChannel } from './driver.ts'
import type { StreamPort } from './port.ts'

/** Where a resumed stream goes on, and how much may come. */
export interface InputWindow {
  readonly inOffset: number
  readonly creditBytes: number
}

/** Input of one shell: duplicates dropped by offset, holes refused, never more in flight than one window. */
export interface Input {
  attach(port: StreamPort): InputWindow
  detach(): void
  /** @throws KrpError credit-exceeded, offset-range, frame-order */
  receive(chunk: OffsetChunk): void
  /** Input ends at `offset`; saying so twice is fine. @throws KrpError offset-range */
  end(offset: number): void
  acceptedOffset(): number
  /** When input last came, on the clock of `performance`; the beginning counts. */
  heardAt(): number
}

/** Credit is returned when bytes have left for the target, so a target that does not read stops the dialer and not the relay's memory. */
export function createInput(host: Pick<HostChannel, 'input' | 'isAlive' | 'onRoom'>, windowBytes: number): Input {
  const { input } = host
  let port: StreamPort | undefined
  let acceptedOffset = 0
  let creditOffset = windowBytes
  let pendingBytes = 0
  let owedBytes = 0
  let endOffset: number | undefined
  let isAckDue = false
  let heardAt = performance.now()

  const isOpen = (): boolean => host.isAlive() && input.writable && !input.writableEnded
  const acknowledgeSoon = (): void => {
    if (isAckDue) return
    isAckDue = true
    setImmediate(() => {
      isAckDue = false
      port?.send('ACK', { offset: acceptedOffset })
    })
  }
  const giveCredit = (bytes: number): void => {
    pendingBytes -= bytes
    owedBytes += bytes
    if (port === undefined || owedBytes < windowBytes / 4) return
    creditOffset += owedBytes
    port.send('CREDIT', { bytes: owedBytes })
    owedBytes = 0
  }
  const write = (bytes: Uint8Array): void => {
    pendingBytes += bytes.length
    // Nobody reads any more: taken and thrown away, as a closed pipe would.
    if (!isOpen()) giveCredit(bytes.length)
    else input.write(bytes, () => host.onRoom(() => giveCredit(bytes.length)))
  }
  return {
    attach(newPort) {
      port = newPort
      owedBytes = 0
      const creditBytes = Math.max(1, windowBytes - pendingBytes)
      creditOffset = acceptedOffset + creditBytes
      return { inOffset: acceptedOffset, creditBytes }
    },
    detach() {
      port = undefined
    },
    receive({ offset, bytes }) {
      const end = offset + bytes.length
      if (end > creditOffset) throw new KrpError('credit-exceeded')
      if (offset > acceptedOffset) throw new KrpError('offset-range')
      if (endOffset !== undefined && end > endOffset) throw new KrpError('frame-order')
      const fresh = bytes.subarray(acceptedOffset - offset)
      acknowledgeSoon()
      if (fresh.length === 0) return
      acceptedOffset = end
      heardAt = performance.now()
      write(fresh)
    },
    end(offset) {
      if (offset !== acceptedOffset) throw new KrpError('offset-range')
      if (endOffset !== undefined) return
      endOffset = offset
      if (isOpen()) input.end()
    },
    acceptedOffset: () => acceptedOffset,
    heardAt: () => heardAt,
  }
}
