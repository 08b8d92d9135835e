import { createDecoder, type Decoder, hasContent, readVarString, readVarUint, readVarUint8Array } from 'lib0/decoding'
import { type Encoder, encode, writeVarString, writeVarUint, writeVarUint8Array } from 'lib0/encoding'

/** Message types of y-websocket (y-protocols `PROTOCOL.md`), and 102, which y-sweet's server echoes too. */
const SYNC = 0
const AWARENESS = 1
const AUTH = 2
const QUERY_AWARENESS = 3
const ECHO = 102

/** One message of a room. */
export type RoomMessage =
  /** What the service knows: send what it lacks. */
  | { readonly kind: 'step1'; readonly stateVector: Uint8Array }
  /** What was missing here; `isAnswer` when it answers our own step 1. */
  | { readonly kind: 'update'; readonly update: Uint8Array; readonly isAnswer: boolean }
  | { readonly kind: 'awareness'; readonly update: Uint8Array }
  | { readonly kind: 'query-awareness' }
  /** Changes of ours were not accepted. */
  | { readonly kind: 'denied'; readonly reason: string }
  /** Everything sent before this counter is stored. */
  | { readonly kind: 'echo'; readonly counter: number }

const STEP1 = 0
const STEP2 = 1
const UPDATE = 2

function readSync(decoder: Decoder): RoomMessage {
  const kind = readVarUint(decoder)
  const block = readVarUint8Array(decoder)
  if (kind === STEP1) return { kind: 'step1', stateVector: block }
  if (kind === STEP2 || kind === UPDATE) return { kind: 'update', update: block, isAnswer: kind === STEP2 }
  throw new RangeError(`unknown sync message ${kind}`)
}

function readDenial(decoder: Decoder): RoomMessage {
  readVarUint(decoder)
  return { kind: 'denied', reason: readVarString(decoder) }
}

function readMessage(decoder: Decoder): RoomMessage {
  const type = readVarUint(decoder)
  if (type === SYNC) return readSync(decoder)
  if (type === AWARENESS) return { kind: 'awareness', update: readVarUint8Array(decoder) }
  if (type === AUTH) return readDenial(decoder)
  if (type === QUERY_AWARENESS) return { kind: 'query-awareness' }
  if (type === ECHO) return { kind: 'echo', counter: readVarUint(decoder) }
  throw new RangeError(`unknown message ${type}`)
}

/** The messages of one frame. @throws when it is not y-websocket framing */
export function* readRoomFrame(frame: ArrayBuffer): Iterable<RoomMessage> {
  const decoder = createDecoder(new Uint8Array(frame))
  while (hasContent(decoder)) yield readMessage(decoder)
}

const frameOf = (write: (encoder: Encoder) => void): Uint8Array<ArrayBuffer> => new Uint8Array(encode(write))

const syncFrame = (kind: number, block: Uint8Array): Uint8Array<ArrayBuffer> =>
  frameOf((e) => {
    writeVarUint(e, SYNC)
    writeVarUint(e, kind)
    writeVarUint8Array(e, block)
  })

/** Says what is known here. */
export const step1Frame = (stateVector: Uint8Array): Uint8Array<ArrayBuffer> => syncFrame(STEP1, stateVector)

/** Answers a step 1. */
export const step2Frame = (update: Uint8Array): Uint8Array<ArrayBuffer> => syncFrame(STEP2, update)

/** Tells of a change. */
export const updateFrame = (update: Uint8Array): Uint8Array<ArrayBuffer> => syncFrame(UPDATE, update)

/** An awareness update without one client's entry, unless the entry ends it (y-protocols `PROTOCOL.md`). */
export function withoutClient(update: Uint8Array, clientId: number): Uint8Array {
  const decoder = createDecoder(update)
  const entries = Array.from({ length: readVarUint(decoder) }, () => ({
    clientId: readVarUint(decoder),
    clock: readVarUint(decoder),
    json: readVarString(decoder),
  }))
  const kept = entries.filter((entry) => entry.clientId !== clientId || entry.json === 'null')
  return encode((e) => {
    writeVarUint(e, kept.length)
    for (const entry of kept) {
      writeVarUint(e, entry.clientId)
      writeVarUint(e, entry.clock)
      writeVarString(e, entry.json)
    }
  })
}

/** Tells of presences. */
export const awarenessFrame = (update: Uint8Array): Uint8Array<ArrayBuffer> =>
  frameOf((e) => {
    writeVarUint(e, AWARENESS)
    writeVarUint8Array(e, update)
  })

/** Asks to hear this counter back once all that was sent before is stored. */
export const echoFrame = (counter: number): Uint8Array<ArrayBuffer> =>
  frameOf((e) => {
    writeVarUint(e, ECHO)
    writeVarUint(e, counter)
  })
