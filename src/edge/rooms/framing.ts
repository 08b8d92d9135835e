import { createDecoder, type Decoder, readVarUint, readVarUint8Array } from 'lib0/decoding'
import { type Encoder, encode, writeVarString, writeVarUint, writeVarUint8Array } from 'lib0/encoding'
import { Problem } from '../../contract/problem.ts'
import { ROOM_SOCKETS_MAX } from '../../contract/rooms.ts'

/** Message types of y-websocket (y-protocols `PROTOCOL.md`), and 102 by which y-sweet asks for an echo. */
const SYNC = 0
const AWARENESS = 1
const AUTH = 2
const QUERY_AWARENESS = 3
const ECHO = 102

/** Kinds of a sync message. */
const STEP1 = 0
const STEP2 = 1
const UPDATE = 2

const PERMISSION_DENIED = 0

/** An echo carries a counter. */
const ECHO_BYTES_MAX = 64
/** More states than sockets are nobody's presence; twice covers those that left meanwhile. */
const ENTRIES_MAX = 2 * ROOM_SOCKETS_MAX
/** Providers send one message per frame; newer ones may pack a few. */
const MESSAGES_PER_FRAME_MAX = 32

/** What one client says of one presence. `json` is the state as sent, or the word `null`. */
export interface PresenceEntry {
  readonly clientId: number
  readonly clock: number
  readonly json: Uint8Array
}

/** One message from a client. */
export type Message =
  | { readonly kind: 'step1'; readonly stateVector: Uint8Array }
  | { readonly kind: 'step2' | 'update'; readonly update: Uint8Array }
  | { readonly kind: 'awareness'; readonly entries: readonly PresenceEntry[] }
  | { readonly kind: 'query-awareness' }
  | { readonly kind: 'echo'; readonly frame: Uint8Array }

const malformed = () => new Problem('invalid-request')

function readSync(decoder: Decoder): Message {
  const kind = readVarUint(decoder)
  const block = readVarUint8Array(decoder)
  if (kind === STEP1) return { kind: 'step1', stateVector: block }
  if (kind === STEP2) return { kind: 'step2', update: block }
  if (kind === UPDATE) return { kind: 'update', update: block }
  throw malformed()
}

function readEntries(block: Uint8Array): readonly PresenceEntry[] {
  const decoder = createDecoder(block)
  const count = readVarUint(decoder)
  if (count > ENTRIES_MAX) throw malformed()
  return Array.from({ length: count }, () => {
    const clientId = readVarUint(decoder)
    const clock = readVarUint(decoder)
    if (!Number.isSafeInteger(clientId) || !Number.isSafeInteger(clock)) throw malformed()
    return { clientId, clock, json: readVarUint8Array(decoder) }
  })
}

/** One message, and the decoder behind it. @throws whatever the bytes do not allow */
export function readMessage(decoder: Decoder): Message {
  const start = decoder.pos
  const type = readVarUint(decoder)
  if (type === SYNC) return readSync(decoder)
  if (type === AWARENESS) return { kind: 'awareness', entries: readEntries(readVarUint8Array(decoder)) }
  // What follows these two belongs to them: y-sweet's provider adds a block to its query.
  const rest = decoder.arr.subarray(start)
  decoder.pos = decoder.arr.length
  if (type === QUERY_AWARENESS) return { kind: 'query-awareness' }
  if (type === ECHO && rest.byteLength <= ECHO_BYTES_MAX) return { kind: 'echo', frame: rest }
  throw malformed()
}

/** The messages of one frame from a client. @throws Problem `invalid-request` when it is not y-websocket framing */
export function readFrame(frame: Uint8Array): readonly Message[] {
  const decoder = createDecoder(frame)
  const messages: Message[] = []
  try {
    do messages.push(readMessage(decoder))
    while (decoder.pos < frame.byteLength && messages.length < MESSAGES_PER_FRAME_MAX)
  } catch {
    throw malformed()
  }
  if (decoder.pos < frame.byteLength) throw malformed()
  return messages
}

const syncFrame = (kind: number, block: Uint8Array): Uint8Array =>
  encode((e) => {
    writeVarUint(e, SYNC)
    writeVarUint(e, kind)
    writeVarUint8Array(e, block)
  })

/** Asks the peer for what a state vector lacks. */
export const step1Frame = (stateVector: Uint8Array): Uint8Array => syncFrame(STEP1, stateVector)

/** Answers a step 1. */
export const step2Frame = (update: Uint8Array): Uint8Array => syncFrame(STEP2, update)

/** Tells of a change. */
export const updateFrame = (update: Uint8Array): Uint8Array => syncFrame(UPDATE, update)

/** Asks who a client knows of; every provider answers. */
export const queryAwarenessFrame: Uint8Array = Uint8Array.of(QUERY_AWARENESS)

/** Tells of presences. */
export const awarenessFrame = (entries: readonly PresenceEntry[]): Uint8Array =>
  encode((e) => {
    writeVarUint(e, AWARENESS)
    writeVarUint8Array(
      e,
      encode((body) => writeEntries(body, entries)),
    )
  })

function writeEntries(e: Encoder, entries: readonly PresenceEntry[]): void {
  writeVarUint(e, entries.length)
  for (const { clientId, clock, json } of entries) {
    writeVarUint(e, clientId)
    writeVarUint(e, clock)
    writeVarUint8Array(e, json)
  }
}

/** Tells a client that what it changed was not accepted; y-websocket's provider prints it and goes on. */
export const deniedFrame = (reason: string): Uint8Array =>
  encode((e) => {
    writeVarUint(e, AUTH)
    writeVarUint(e, PERMISSION_DENIED)
    writeVarString(e, reason)
  })
