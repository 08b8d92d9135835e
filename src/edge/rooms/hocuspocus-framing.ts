import { createDecoder, readVarString, readVarUint } from 'lib0/decoding'
import { type Encoder, encode, writeUint8Array, writeVarString, writeVarUint } from 'lib0/encoding'
import { Problem } from '../../contract/problem.ts'
import { type Message, readMessage } from './framing.ts'

/** Message types of Hocuspocus (`@hocuspocus/provider` `types.ts`); 0, 1 and 3 are those of y-websocket. */
const SYNC = 0
const AUTH = 2
const SYNC_REPLY = 4
const STATELESS = 5
const CLOSE = 7
const SYNC_STATUS = 8
const PING = 9
const PONG = 10

/** Kinds of an auth message (`@hocuspocus/common` `auth.ts`). */
const TOKEN = 0
const PERMISSION_DENIED = 1
const AUTHENTICATED = 2

/** What stands between a document's name and a provider's session id (`@hocuspocus/common` `routingKey.ts`). */
const SEPARATOR = '\0'
/** A room's id and a provider's session id. */
const KEY_CHARS_MAX = 128
/** An access token is below 600 characters. */
const TOKEN_CHARS_MAX = 4096

/** One frame of a Hocuspocus client: all but pings name the document, and maybe the provider's session. */
export type NamedFrame =
  | { readonly kind: 'ping' }
  | { readonly kind: 'pong' }
  | { readonly kind: 'token'; readonly key: string; readonly token: string }
  | { readonly kind: 'close' | 'stateless'; readonly key: string }
  | { readonly kind: 'message'; readonly key: string; readonly message: Message }

const malformed = () => new Problem('invalid-request')

/** The document that a routing key names. */
export const documentOf = (key: string): string => key.split(SEPARATOR, 1)[0] ?? ''

/** Reads a frame. @throws Problem `invalid-request` when it is not Hocuspocus framing, or says what only servers say */
export function readNamedFrame(frame: Uint8Array): NamedFrame {
  // A byte alone is a sign of life of the connection; nothing with a name is that short.
  if (frame.byteLength === 1) {
    if (frame[0] === PING) return { kind: 'ping' }
    if (frame[0] === PONG) return { kind: 'pong' }
    throw malformed()
  }
  try {
    return readNamed(frame)
  } catch {
    throw malformed()
  }
}

function readNamed(frame: Uint8Array): NamedFrame {
  const decoder = createDecoder(frame)
  const key = readVarString(decoder)
  if (key.length > KEY_CHARS_MAX) throw malformed()
  const start = decoder.pos
  const type = readVarUint(decoder)
  if (type === CLOSE || type === STATELESS) return { kind: type === CLOSE ? 'close' : 'stateless', key }
  if (type === AUTH) {
    const kind = readVarUint(decoder)
    const token = readVarString(decoder)
    if (kind !== TOKEN || token.length > TOKEN_CHARS_MAX) throw malformed()
    return { kind: 'token', key, token }
  }
  const rest = type === SYNC_REPLY ? Uint8Array.from([SYNC, ...frame.subarray(decoder.pos)]) : frame.subarray(start)
  const inner = createDecoder(rest)
  const message = readMessage(inner)
  if (message.kind === 'echo' || inner.pos < rest.byteLength) throw malformed()
  return { kind: 'message', key, message }
}

/** A frame of y-websocket framing, for the provider that this routing key names. */
export const named = (key: string, frame: Uint8Array): Uint8Array =>
  encode((e) => {
    writeVarString(e, key)
    writeUint8Array(e, frame)
  })

const authFrame = (kind: number, write: (e: Encoder) => void): Uint8Array =>
  encode((e) => {
    writeVarUint(e, AUTH)
    writeVarUint(e, kind)
    write(e)
  })

/** Tells that a token was accepted and whether its bearer may write. */
export const authenticatedFrame = (mayWrite: boolean): Uint8Array =>
  authFrame(AUTHENTICATED, (e) => writeVarString(e, mayWrite ? 'read-write' : 'readonly'))

/** Tells why a token was not accepted. */
export const refusedFrame = (reason: string): Uint8Array => authFrame(PERMISSION_DENIED, (e) => writeVarString(e, reason))

/** Asks for a fresh token. */
export const tokenRequestFrame: Uint8Array = authFrame(TOKEN, () => undefined)

/** Tells whether a change is stored, or will not be. */
export const syncStatusFrame = (isStored: boolean): Uint8Array => Uint8Array.from([SYNC_STATUS, isStored ? 1 : 0])

/** Answers a ping of the connection. */
export const pongFrame: Uint8Array = Uint8Array.from([PONG])
