/**
 * What a viewer and a shell say to each other over `GET /v1/shells/:shellId/view`. Text messages are JSON frames, binary messages are bytes.
 *
 *     viewer  attach{since, clientId}     shell  hello{role, offsets, size, state}     then gap? and output from `since` on
 *     viewer  input(binary) resize ack    shell  output(binary) accepted resend resized gap state exit refused
 *     viewer  answer                      shell  prompt
 *     viewer  lock                        shell  presence ending
 *     viewer  here                        shell  probe
 *
 * Binary messages, both ways: `u64 offset (big-endian) | bytes`. Output has one offset space for all viewers; input has one per `clientId`.
 *
 * Output. The shell sends at most `VIEW_WINDOW_BYTES` beyond the last `ack`, so a viewer acks what it has drawn, at least every
 * `VIEW_ACK_BYTES`. The opener's acks pace the remote program; a watcher that lags gets a `gap` and the tail instead. Offsets never jump
 * without a `gap`. After a reconnect the viewer attaches with `since` = the offset after the last byte it has.
 *
 * Input. A viewer keeps the bytes it sent until `accepted` says that the relay has them, at most `VIEW_INPUT_WINDOW_BYTES`. After a reconnect
 * with the same `clientId` it sends again from `hello.inputOffset`; on `resend` (the object behind the socket was replaced) from that offset.
 * The shell drops bytes it already took, so no keystroke is lost or doubled.
 *
 * Watching. `presence` tells everybody who looks and whether what the opener types goes on. While it waits (`locked` by an owner, `unwatched` where
 * the organisation asks for a watcher) the shell drops input, the viewer keeps it, and `resend` asks for it when it may go on. There a watcher counts
 * for `VIEW_WATCH_SECONDS` after it was last heard of: whoever is asked by `probe` says `here` at once, from a page in the background too.
 *
 * Login. While the state is `connecting` the host may ask its opener something: `prompt`, answered by `answer` with the same id. What was answered
 * goes sealed to the relay and is kept nowhere.
 *
 * Time. Where its host or an approval bounds it, a shell says `ending` a minute before: with `idle` it goes on when its opener types, and says so.
 *
 * `hello` may already name a final state; what is kept, `exit` and `state` still follow it.
 *
 * Life. The text message `ping` is answered `pong` without waking the shell; send one at least every `VIEW_PING_SECONDS`, a viewer that is
 * silent for three times as long is dropped. The end is `exit` (when the program ended), `state` closed or failed, and close code 1000.
 * Other close codes are 4000 + the status of the problem named by the reason: 4401 asks to come back with a fresh token.
 */

import * as z from 'zod'
import { HostId } from './hosts.ts'
import { UserId } from './identity.ts'
import { ANSWER_CHARS_MAX, PROMPTS_MAX, PTY_SIDE_MAX } from './krp.ts'
import { ShellState } from './shell.ts'

/** Most unacknowledged output in flight to one viewer: 10 MB/s over a 50 ms round trip. */
export const VIEW_WINDOW_BYTES = 512 * 1024
/** A viewer acks at least this often, so the window never runs dry. */
export const VIEW_ACK_BYTES = 64 * 1024
/** Most unaccepted input of one viewer: a pasted file goes in slices. */
export const VIEW_INPUT_WINDOW_BYTES = 64 * 1024
/** Most bytes of one input message. */
export const VIEW_INPUT_BYTES_MAX = 16 * 1024
/** Longest text message of a viewer, in UTF-16 units: every frame fits, a full set of long answers too. */
export const VIEW_FRAME_CHARS_MAX = 16_384
/** A viewer must attach this soon after the upgrade. */
export const VIEW_ATTACH_SECONDS = 10
/** A viewer pings at least this often. */
export const VIEW_PING_SECONDS = 30
/** Where a shell needs a watcher, one counts for so long after it was last heard of. */
export const VIEW_WATCH_SECONDS = 30
/** What a viewer sends to show it lives. */
export const VIEW_PING = 'ping'
/** What comes back. */
export const VIEW_PONG = 'pong'

const Columns = z.int().min(1).max(PTY_SIDE_MAX)
const Rows = z.int().min(1).max(PTY_SIDE_MAX)
const Offset = z.int().min(0).max(Number.MAX_SAFE_INTEGER)

/** The first frame. Without `since` the kept tail is sent from its beginning. */
export const AttachFrame = z.strictObject({
  type: z.literal('attach'),
  /** The output offset to go on from: that after the last byte the viewer has. */
  since: Offset.optional(),
  /** Random name of this viewer's input, the same across its reconnects. Without it every socket starts at input offset 0. */
  clientId: z
    .string()
    .regex(/^[A-Za-z0-9_-]{16,64}$/)
    .optional(),
})
/** The first frame. */
export type AttachFrame = z.infer<typeof AttachFrame>

/** What the opener answers to a `prompt`, as many answers as questions. */
export const AnswerFrame = z.strictObject({
  type: z.literal('answer'),
  id: z.int().min(1),
  answers: z.array(z.string().max(ANSWER_CHARS_MAX)).max(PROMPTS_MAX),
})
/** What the opener answers to a `prompt`. */
export type AnswerFrame = z.infer<typeof AnswerFrame>

/** Every text frame of a viewer but `ping`. */
export const ViewerFrame = z.discriminatedUnion('type', [
  AttachFrame,
  /** Everything before `offset` is drawn. */
  z.strictObject({ type: z.literal('ack'), offset: Offset }),
  /** The opener's terminal has a new size. */
  z.strictObject({ type: z.literal('resize'), columns: Columns, rows: Rows }),
  AnswerFrame,
  /** An owner stops what the opener of a shell types, or lets it go on. */
  z.strictObject({ type: z.literal('lock'), isLocked: z.boolean() }),
  /** The answer to `probe`. */
  z.strictObject({ type: z.literal('here') }),
])
/** Every text frame of a viewer but `ping`. */
export type ViewerFrame = z.infer<typeof ViewerFrame>

/** Opener: types and sets the size. Watcher: only looks. */
export const ViewerRole = z.enum(['opener', 'watcher'])
/** What a viewer may do. */
export type ViewerRole = z.infer<typeof ViewerRole>

/** Whether what is typed goes on: `locked` by an owner, or `unwatched` until somebody else looks. */
export const InputGate = z.enum(['open', 'locked', 'unwatched'])
/** Whether what is typed goes on. */
export type InputGate = z.infer<typeof InputGate>

/** Who looks at a shell, each person once, and what that means for its input. */
export const PresenceFrame = z.object({
  type: z.literal('presence'),
  viewers: z.array(z.object({ userId: UserId, role: ViewerRole })),
  input: InputGate,
  /** Whether this viewer may lock, unlock and end it for somebody else. */
  mayModerate: z.boolean(),
})
/** Who looks at a shell. */
export type PresenceFrame = z.infer<typeof PresenceFrame>

/** The answer to `attach`. Kept output is [firstOffset, nextOffset). */
export const HelloFrame = z.object({
  type: z.literal('hello'),
  role: ViewerRole,
  columns: Columns,
  rows: Rows,
  firstOffset: Offset,
  nextOffset: Offset,
  /** Where this `clientId` goes on with its input. */
  inputOffset: Offset,
  state: ShellState,
  reason: z.string().optional(),
})
/** The answer to `attach`. */
export type HelloFrame = z.infer<typeof HelloFrame>

/** The host asks its opener something before it lets them in (RFC 4256): in order, and whether an answer may be seen. */
export const PromptFrame = z.object({
  type: z.literal('prompt'),
  id: z.int().min(1),
  /** Who asks: the host of the shell, or one on the way there. An answer goes to no other. */
  host: z.object({ id: HostId, name: z.string(), isJump: z.boolean() }),
  name: z.string(),
  instruction: z.string(),
  prompts: z.array(z.object({ text: z.string(), isEchoed: z.boolean() })),
})
/** The host asks its opener something. */
export type PromptFrame = z.infer<typeof PromptFrame>

/** The shell will end by itself: nobody types, or its time is over. Said a minute before, or half of its time where that is less; `null`: not after all. */
export const EndingFrame = z.object({
  type: z.literal('ending'),
  /** `idle`: typing postpones it. `expired`: nothing does. */
  cause: z.enum(['idle', 'expired']).nullable(),
  /** Until then. */
  seconds: z.int().min(0).nullable(),
})
/** The shell will end by itself. */
export type EndingFrame = z.infer<typeof EndingFrame>

/** Every text frame of a shell but `pong`. */
export const ShellFrame = z.discriminatedUnion('type', [
  HelloFrame,
  PromptFrame,
  PresenceFrame,
  EndingFrame,
  /** Is anybody there? A timer of a page in the background may come a minute late, an answer does not. */
  z.object({ type: z.literal('probe') }),
  /** The shell changed its state; `reason` is for people. */
  z.object({ type: z.literal('state'), state: ShellState, reason: z.string().optional() }),
  /** How the remote program ended; all its output was sent before. */
  z.object({ type: z.literal('exit'), exitCode: z.int().nullable(), signal: z.string().nullable() }),
  /** The terminal has this size now. */
  z.object({ type: z.literal('resized'), columns: Columns, rows: Rows }),
  /** Output in [from, to) cannot be had any more; it goes on at `to`. */
  z.object({ type: z.literal('gap'), from: Offset, to: Offset }),
  /** The relay has this viewer's input before `inputOffset` for good. */
  z.object({ type: z.literal('accepted'), inputOffset: Offset }),
  /** Input from `inputOffset` on did not arrive: send it again from there. */
  z.object({ type: z.literal('resend'), inputOffset: Offset }),
  /** This viewer only watches: what it sent was dropped. Said once per socket. */
  z.object({ type: z.literal('refused'), what: z.enum(['input', 'resize', 'lock']) }),
])
/** Every text frame of a shell but `pong`. */
export type ShellFrame = z.infer<typeof ShellFrame>

/** Bytes and the offset of the first one: a binary message, either way. */
export interface ViewChunk {
  readonly offset: number
  readonly bytes: Uint8Array
}

const OFFSET_BYTES = 8

/** The binary message of a chunk. */
export function encodeViewChunk({ offset, bytes }: ViewChunk): Uint8Array<ArrayBuffer> {
  const message = new Uint8Array(OFFSET_BYTES + bytes.length)
  new DataView(message.buffer).setBigUint64(0, BigInt(offset))
  message.set(bytes, OFFSET_BYTES)
  return message
}

/** Reads a binary message, or answers `undefined` when it has no bytes or an offset beyond 2^53 - 1. */
export function decodeViewChunk(message: ArrayBuffer): ViewChunk | undefined {
  const bytes = new Uint8Array(message).subarray(OFFSET_BYTES)
  if (bytes.length === 0) return undefined
  const offset = new DataView(message).getBigUint64(0)
  if (offset + BigInt(bytes.length) > BigInt(Number.MAX_SAFE_INTEGER)) return undefined
  return { offset: Number(offset), bytes }
}
