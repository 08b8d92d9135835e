import type { OffsetChunk } from '../../contract/krp-frame.ts'
import { VIEW_INPUT_WINDOW_BYTES } from '../../contract/viewer.ts'
import type { Ledger } from './ledger.ts'

/** What became of an input message. `hole`: bytes before it are missing; `ahead`: more than the window was sent. */
export type Taken = 'taken' | 'known' | 'waiting' | 'hole' | 'ahead'

/**
 * Several inputs (one per viewer's `clientId`) on their way into the one input of the relay. Bytes are held in memory only, until they are
 * sent: a viewer keeps them until the relay has them, so nothing typed is ever at rest here.
 */
export interface Typists {
  /** Takes a client's input as far as it is new. */
  take(client: string, chunk: OffsetChunk): Taken
  /** A link is up: everything the relay does not have is to be sent again by its typist. */
  linkUp(at: { readonly inOffset: number; readonly creditBytes: number }): void
  linkDown(): void
  /** What has not left yet must not leave: it is its typist's again, who sends it once more when asked. */
  hold(): void
  addCredit(bytes: number): void
  /** The relay has everything before `offset`. Answers whose position moved. @throws RangeError when that was never sent */
  acked(offset: number): readonly string[]
}

/** Where the input goes. */
export interface TypistsParts {
  readonly ledger: Ledger
  /** Resolves when what was written before is durable. */
  readonly sync: () => Promise<void>
  readonly send: (chunk: OffsetChunk) => void
}

interface State extends TypistsParts {
  /** What each client has sent so far on this link. */
  taken: Map<string, number>
  queue: { readonly client: string; readonly chunk: OffsetChunk }[]
  sentOffset: number
  creditOffset: number
  /** Counts links, so that what was begun for one is not finished on the next; 0 while none is up. */
  link: number
  linksSoFar: number
  isNoting: boolean
}

/** Nobody types yet and no link is up. */
export function createTypists(parts: TypistsParts): Typists {
  const { ledger } = parts
  const state: State = { ...parts, taken: new Map(), queue: [], sentOffset: 0, creditOffset: 0, link: 0, linksSoFar: 0, isNoting: false }
  return {
    take: (client, chunk) => takeInput(state, client, chunk),
    linkUp({ inOffset, creditBytes }) {
      ledger.settle(inOffset)
      ledger.clear()
      state.linksSoFar += 1
      const link = state.linksSoFar
      Object.assign(state, {
        taken: new Map(),
        queue: [],
        sentOffset: inOffset,
        creditOffset: inOffset + creditBytes,
        link,
        isNoting: false,
      })
    },
    linkDown() {
      state.link = 0
    },
    hold() {
      // The first of a client's waiting bytes tells how far it has got.
      for (const { client, chunk } of state.queue.toReversed()) state.taken.set(client, chunk.offset)
      state.queue = []
    },
    addCredit(bytes) {
      state.creditOffset += bytes
      pump(state)
    },
    acked(offset) {
      if (offset > state.sentOffset) throw new RangeError('acknowledged what was never sent')
      return ledger.settle(offset)
    },
  }
}

function takeInput(state: State, client: string, { offset, bytes }: OffsetChunk): Taken {
  if (state.link === 0) return 'waiting'
  const accepted = state.ledger.acceptedOf(client)
  const expected = Math.max(accepted, state.taken.get(client) ?? 0)
  const end = offset + bytes.length
  if (offset > expected) return 'hole'
  if (end <= expected) return 'known'
  if (end - accepted > VIEW_INPUT_WINDOW_BYTES) return 'ahead'
  state.taken.set(client, end)
  state.queue.push({ client, chunk: { offset: expected, bytes: bytes.slice(expected - offset) } })
  pump(state)
  return 'taken'
}

function pump(state: State): void {
  while (state.link !== 0 && !state.isNoting && state.sentOffset < state.creditOffset) {
    const next = state.queue[0]
    if (!next) return
    if (state.ledger.typist() !== next.client) return noteTypist(state, next)
    const { offset, bytes } = next.chunk
    const now = bytes.subarray(0, state.creditOffset - state.sentOffset)
    state.send({ offset: state.sentOffset, bytes: now })
    state.sentOffset += now.length
    const left = bytes.subarray(now.length)
    if (left.length === 0) state.queue.shift()
    else state.queue[0] = { client: next.client, chunk: { offset: offset + now.length, bytes: left } }
  }
}

/** Another one types: that is durable before the first byte leaves, or a crash could count it as somebody else's. */
function noteTypist(state: State, next: State['queue'][number]): void {
  const { link } = state
  state.ledger.begin({ relayFrom: state.sentOffset, client: next.client, clientFrom: next.chunk.offset })
  state.isNoting = true
  state.sync().then(
    () => {
      if (state.link !== link) return
      state.isNoting = false
      pump(state)
    },
    () => undefined,
  )
}
