/**
 * KRP/1 framing: how a dialer (a Durable Object) and the relay cut one TCP byte stream into frames.
 *
 *     u32 len | u8 type | u32 stream | payload        integers big-endian; len counts everything after itself (5 + payload)
 *
 * DATA and EXTDATA carry `u64 offset | raw bytes`; every other payload is one JSON object (`krp.ts`). Runs in workerd, browsers and Node.
 */

/** Frame types on the wire. Below 0x10: the link itself, stream 0. From 0x10: one stream, chosen by the dialer, 1 or more. */
export const FRAME = {
  HELLO: 0x01,
  CHALLENGE: 0x02,
  AUTH: 0x03,
  READY: 0x04,
  ERR: 0x05,
  PING: 0x06,
  PONG: 0x07,
  GOAWAY: 0x08,
  OPEN: 0x10,
  OPENED: 0x11,
  OPEN_FAIL: 0x12,
  DATA: 0x13,
  EXTDATA: 0x14,
  ACK: 0x15,
  CREDIT: 0x16,
  RESIZE: 0x17,
  SIGNAL: 0x18,
  EOF: 0x19,
  EXIT: 0x1a,
  CLOSE: 0x1b,
  ATTACH: 0x1c,
  ATTACHED: 0x1d,
  GAP: 0x1e,
  HOSTKEY: 0x1f,
  PROMPT: 0x20,
  ANSWER: 0x21,
} as const
/** The name of a frame type. */
export type FrameName = keyof typeof FRAME

/** Largest `len`: 1 MiB bounds what one frame can make a peer hold, and is far above the 256 KiB a chunk of output takes. */
export const FRAME_BYTES_MAX = 1024 * 1024
/** Largest `len` before READY: a token fits, and a thousand strangers cannot make the relay hold much. */
export const FRAME_BYTES_UNAUTHENTICATED_MAX = 16 * 1024
/** Largest JSON payload: the longest command, escaped, inside a base64url token (256 KiB), four of the longest sealed credentials (140 kB), and air. */
export const CONTROL_BYTES_MAX = 960 * 1024
/** Most raw bytes in one DATA or EXTDATA: large enough to coalesce, small enough that a keystroke's echo never waits long. */
export const DATA_BYTES_MAX = 256 * 1024
/** Highest stream id of one link: ids only grow and are never reused, so this also bounds OPENs per link. */
export const STREAM_MAX = 0x7fffffff

const HEADER_BYTES = 9
const LEN_BYTES_MIN = 5
const OFFSET_BYTES = 8
const NAMES: ReadonlyMap<number, FrameName> = new Map(Object.entries(FRAME).map(([name, type]) => [type, name as FrameName]))

/** Why a peer ends the link (ERR `code`). */
export const LINK_ERRORS = {
  'frame-short': 'A frame is shorter than its header.',
  'frame-oversize': 'A frame is longer than allowed now.',
  'frame-type': 'The frame type does not exist.',
  'frame-payload': 'The payload does not match its schema.',
  'frame-order': 'This frame is not allowed in this state or direction.',
  'stream-range': 'The stream id is not allowed for this frame.',
  'stream-reused': 'A stream id was used twice.',
  'stream-unknown': 'The stream was never opened or is closed on both sides.',
  'credit-overflow': 'The granted credit exceeds its maximum.',
  'credit-exceeded': 'More data was sent than credit allowed.',
  'offset-range': 'An offset is ahead of what was sent, or no safe integer.',
  'auth-timeout': 'The handshake did not finish in time.',
  'auth-refused': 'The handshake was refused.',
  'epoch-stale': 'A link of the same or a later epoch exists.',
  fenced: 'A link with a later epoch took over.',
  'heartbeat-timeout': 'Nothing was heard within the heartbeat time.',
  'slow-peer': 'The peer does not read what it asked for.',
  busy: 'The relay has no room for another link.',
  draining: 'The relay is shutting down.',
  internal: 'Something failed on this side.',
} as const
/** The code of an ERR frame. */
export type LinkErrorCode = keyof typeof LINK_ERRORS

/** A violation of the protocol; its code goes into the ERR frame, after which the link is closed. */
export class KrpError extends Error {
  override readonly name = 'KrpError'
  /** What the peer is told. */
  readonly code: LinkErrorCode
  constructor(code: LinkErrorCode, options?: ErrorOptions) {
    super(LINK_ERRORS[code], options)
    this.code = code
  }
}

/** One whole frame; `payload` belongs to the receiver alone. */
export interface Frame {
  readonly name: FrameName
  readonly stream: number
  readonly payload: Uint8Array
}

/** The bytes of one frame. Throws `KrpError` rather than build a frame that the peer must refuse. */
export function encodeFrame(name: FrameName, stream: number, ...parts: readonly Uint8Array[]): Uint8Array {
  const payloadBytes = parts.reduce((sum, part) => sum + part.length, 0)
  const bytes = new Uint8Array(HEADER_BYTES + payloadBytes)
  writeHeader(bytes, { name, stream, payloadBytes })
  let at = HEADER_BYTES
  for (const part of parts) {
    bytes.set(part, at)
    at += part.length
  }
  return bytes
}

function writeHeader(
  bytes: Uint8Array<ArrayBuffer>,
  { name, stream, payloadBytes }: { readonly name: FrameName; readonly stream: number; readonly payloadBytes: number },
): void {
  checkStream(name, stream)
  if (LEN_BYTES_MIN + payloadBytes > FRAME_BYTES_MAX) throw new KrpError('frame-oversize')
  const view = new DataView(bytes.buffer)
  view.setUint32(0, LEN_BYTES_MIN + payloadBytes)
  view.setUint8(4, FRAME[name])
  view.setUint32(5, stream)
}

/** A DATA or EXTDATA frame: `offset` is the position of its first byte in the stream's direction. */
export function encodeData(name: 'DATA' | 'EXTDATA', stream: number, chunk: OffsetChunk): Uint8Array {
  const head = encodeDataHead(name, stream, chunk)
  const bytes = new Uint8Array(head.length + chunk.bytes.length)
  bytes.set(head)
  bytes.set(chunk.bytes, head.length)
  return bytes
}

/** What goes before the bytes of a chunk, so that a flood of output need not be copied into frames. */
export function encodeDataHead(name: 'DATA' | 'EXTDATA', stream: number, { offset, bytes }: OffsetChunk): Uint8Array {
  if (!Number.isSafeInteger(offset + bytes.length) || offset < 0) throw new KrpError('offset-range')
  if (bytes.length === 0 || bytes.length > DATA_BYTES_MAX) throw new KrpError('frame-payload')
  const head = new Uint8Array(HEADER_BYTES + OFFSET_BYTES)
  writeHeader(head, { name, stream, payloadBytes: OFFSET_BYTES + bytes.length })
  new DataView(head.buffer).setBigUint64(HEADER_BYTES, BigInt(offset))
  return head
}

/** A run of bytes and where it begins. */
export interface OffsetChunk {
  readonly offset: number
  readonly bytes: Uint8Array
}

/** Splits the payload of DATA or EXTDATA. Throws `KrpError` on a short, empty or oversize payload and on offsets beyond 2^53 - 1. */
export function decodeData(payload: Uint8Array): OffsetChunk {
  const bytes = payload.subarray(OFFSET_BYTES)
  if (payload.length <= OFFSET_BYTES || bytes.length > DATA_BYTES_MAX) throw new KrpError('frame-payload')
  const offset = new DataView(payload.buffer, payload.byteOffset, OFFSET_BYTES).getBigUint64(0)
  if (offset + BigInt(bytes.length) > BigInt(Number.MAX_SAFE_INTEGER)) throw new KrpError('offset-range')
  return { offset: Number(offset), bytes }
}

/** Reassembles frames from chunks of any size. */
export interface FrameDecoder {
  /** Takes the next bytes; calls `take` once per whole frame, in order. Throws `KrpError`, after which the link must be closed. */
  push(chunk: Uint8Array): void
  /** Changes the largest accepted `len`, from the next header on: READY raises it. */
  setFrameBytesMax(bytes: number): void
  /** How much of an unfinished frame is held, never above the largest accepted frame. */
  bufferedBytes(): number
}

/** A decoder that holds at most one unfinished frame, and never more memory than twice what has arrived of it. */
export function createFrameDecoder(take: (frame: Frame) => void, initialFrameBytesMax: number = FRAME_BYTES_MAX): FrameDecoder {
  let frameBytesMax = initialFrameBytesMax
  let held = new Uint8Array(HEADER_BYTES)
  let heldBytes = 0
  let wantBytes = HEADER_BYTES

  const takeFrom = (chunk: Uint8Array, at: number): number => {
    const count = Math.min(wantBytes - heldBytes, chunk.length - at)
    held = grow(held, heldBytes, Math.min(wantBytes, Math.max(heldBytes + count, held.length * 2)))
    held.set(chunk.subarray(at, at + count), heldBytes)
    heldBytes += count
    return at + count
  }
  const emit = (header: Header): void => {
    const payload = held.subarray(HEADER_BYTES, wantBytes)
    held = new Uint8Array(HEADER_BYTES)
    heldBytes = 0
    wantBytes = HEADER_BYTES
    take({ name: header.name, stream: header.stream, payload })
  }
  return {
    push(chunk) {
      let at = 0
      while (at < chunk.length) {
        at = takeFrom(chunk, at)
        if (heldBytes < wantBytes) return
        const header = readHeader(held, frameBytesMax)
        wantBytes = header.frameBytes
        if (heldBytes === wantBytes) emit(header)
      }
    },
    setFrameBytesMax(bytes) {
      frameBytesMax = bytes
    },
    bufferedBytes: () => heldBytes,
  }
}

interface Header {
  readonly name: FrameName
  readonly stream: number
  readonly frameBytes: number
}

function readHeader(bytes: Uint8Array, frameBytesMax: number): Header {
  const view = new DataView(bytes.buffer, bytes.byteOffset, HEADER_BYTES)
  const len = view.getUint32(0)
  if (len < LEN_BYTES_MIN) throw new KrpError('frame-short')
  if (len > frameBytesMax) throw new KrpError('frame-oversize')
  const name = NAMES.get(view.getUint8(4))
  if (name === undefined) throw new KrpError('frame-type')
  const stream = view.getUint32(5)
  checkStream(name, stream)
  return { name, stream, frameBytes: HEADER_BYTES - LEN_BYTES_MIN + len }
}

function checkStream(name: FrameName, stream: number): void {
  const isLinkFrame = FRAME[name] < FRAME.OPEN
  const isAllowed = Number.isInteger(stream) && (isLinkFrame ? stream === 0 : stream >= 1 && stream <= STREAM_MAX)
  if (!isAllowed) throw new KrpError('stream-range')
}

function grow(bytes: Uint8Array<ArrayBuffer>, usedBytes: number, capacity: number): Uint8Array<ArrayBuffer> {
  if (bytes.length >= capacity) return bytes
  const grown = new Uint8Array(capacity)
  grown.set(bytes.subarray(0, usedBytes))
  return grown
}
