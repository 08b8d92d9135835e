import { VIEW_INPUT_BYTES_MAX, VIEW_INPUT_WINDOW_BYTES, type ViewChunk } from '../contract/viewer.ts'
import { ContractError } from './failure.ts'

/** What is typed into a shell, kept until the relay has it. */
export interface ShellInput {
  readonly write: (bytes: Uint8Array) => void
  /** The shell goes on from this offset on a new connection, or asks for it again. @throws ContractError */
  readonly resume: (offset: number) => void
  /** The relay has everything before this offset. @throws ContractError */
  readonly accept: (offset: number) => void
  /** Nothing can be sent for now. */
  readonly hold: () => void
  /** It is over: drops what is kept and all that comes. Answers whether there was any. */
  readonly discard: (cause: Error) => boolean
  /** Resolves when the relay has all that was written so far. */
  readonly delivered: () => Promise<void>
}

interface State {
  readonly send: (chunk: ViewChunk) => boolean
  /** Bytes not yet accepted are `buffer[head .. head + length)`; the first has the offset `acceptedTo`. */
  buffer: Uint8Array
  head: number
  length: number
  acceptedTo: number
  /** Offset after the last byte sent on this connection. */
  sentTo: number
  canSend: boolean
  refusal: Error | undefined
  waiters: { readonly offset: number; readonly resolve: () => void; readonly reject: (cause: Error) => void }[]
}

/** Starts with nothing written. `send` answers whether the connection took it. */
export function createShellInput(send: State['send']): ShellInput {
  const s: State = {
    send,
    buffer: new Uint8Array(1024),
    head: 0,
    length: 0,
    acceptedTo: 0,
    sentTo: 0,
    canSend: false,
    refusal: undefined,
    waiters: [],
  }
  return {
    write(bytes) {
      if (s.refusal) return
      append(s, bytes)
      pump(s)
    },
    resume(offset) {
      moveTo(s, offset, endOf(s))
      s.sentTo = offset
      s.canSend = true
      pump(s)
    },
    accept(offset) {
      if (offset <= s.acceptedTo) return
      moveTo(s, offset, endOf(s))
      s.sentTo = Math.max(s.sentTo, offset)
      pump(s)
    },
    hold() {
      s.canSend = false
    },
    discard: (cause) => discard(s, cause),
    delivered: () =>
      new Promise((resolve, reject) => {
        if (s.refusal) reject(s.refusal)
        else if (s.length === 0) resolve()
        else s.waiters.push({ offset: endOf(s), resolve, reject })
      }),
  }
}

const endOf = (s: State): number => s.acceptedTo + s.length

function append(s: State, bytes: Uint8Array): void {
  const { head, length, buffer } = s
  const needed = length + bytes.length
  if (head + needed > buffer.length) {
    // Moving is cheap while at least half of the buffer is free; otherwise it grows.
    const target = needed * 2 > buffer.length ? new Uint8Array(needed * 2) : buffer
    target.set(buffer.subarray(head, head + length))
    s.buffer = target
    s.head = 0
  }
  s.buffer.set(bytes, s.head + length)
  s.length = needed
}

/** Lets go of what lies before an offset that must be among the bytes kept. */
function moveTo(s: State, offset: number, highest: number): void {
  if (offset < s.acceptedTo || offset > highest) throw new ContractError('The shell names input that was not sent.')
  const bytes = offset - s.acceptedTo
  s.head += bytes
  s.length -= bytes
  s.acceptedTo = offset
  const done = s.waiters.filter((w) => w.offset <= offset)
  s.waiters = s.waiters.filter((w) => w.offset > offset)
  for (const { resolve } of done) resolve()
}

function pump(s: State): void {
  const limit = Math.min(endOf(s), s.acceptedTo + VIEW_INPUT_WINDOW_BYTES)
  while (s.canSend && s.sentTo < limit) {
    const size = Math.min(VIEW_INPUT_BYTES_MAX, limit - s.sentTo)
    const at = s.head + s.sentTo - s.acceptedTo
    if (!s.send({ offset: s.sentTo, bytes: s.buffer.subarray(at, at + size) })) return
    s.sentTo += size
  }
}

function discard(s: State, cause: Error): boolean {
  const had = s.length > 0
  const { waiters } = s
  s.refusal = cause
  s.canSend = false
  s.length = 0
  s.waiters = []
  for (const { reject } of waiters) reject(cause)
  return had
}
