/**
 * What a client and a room say to each other over `GET /v1/rooms/:roomId/live`. Text messages are JSON frames; binary messages are the
 * document in y-websocket framing, and flow once the stream `document` is subscribed. `docs/live-protocol.md` is printed from this file.
 */
import * as z from 'zod'
import { UserId } from './identity.ts'
import { PROBLEMS } from './problem.ts'
import { MessageAction, MessageCid, MessageEvent, MessageSeq, MessagesEpoch } from './room-messages.ts'
import { PRESENCE_BYTES_MAX, RoomRole } from './rooms.ts'

/** Longest text frame, in UTF-16 units: every frame fits many times over. */
export const LIVE_FRAME_CHARS_MAX = 65_536
/** Longest first frame of a socket that opened the door without a credential, in UTF-16 units. */
export const LIVE_KNOCK_CHARS_MAX = 8_192
/** A socket that opened the door without a credential must authenticate this soon. */
export const LIVE_AUTHENTICATE_SECONDS = 10
/** Largest signal, in bytes of JSON. */
export const SIGNAL_BYTES_MAX = 16_384
/** What a client sends to show it lives; answered without waking the room. */
export const LIVE_PING = 'ping'
/** What comes back. */
export const LIVE_PONG = 'pong'
/** A client reports what it has read at least this often, in UTF-16 units. */
export const LIVE_REPORT_CHARS = 65_536
/** With more than this unreported, what is ephemeral is left out, and presence ends with `behind`. */
export const LIVE_EPHEMERAL_CHARS_MAX = 262_144
/** With more than this unreported, messages stop and the client is told that it is `behind`. */
export const LIVE_BEHIND_CHARS = 1_048_576
/** Members that are told one by one; above it a presence frame holds counts and a sample. */
export const PRESENCE_MEMBERS_MAX = 200
/** Members in a sample. */
export const PRESENCE_SAMPLE = 50
/** Events sent for one `subscribe`; when there are more, `behind` follows and the client subscribes again from its cursor. */
export const CATCH_UP_EVENTS = 500

/** What can be subscribed. */
export const LiveStream = z.enum(['document', 'messages', 'presence', 'signals'])
/** What can be subscribed. */
export type LiveStream = z.infer<typeof LiveStream>

/** A place in the stream of messages: everything up to `seq` is known. */
export const LiveCursor = z.strictObject({ epoch: MessagesEpoch, seq: z.int().min(0) })
/** A place in the stream of messages. */
export type LiveCursor = z.infer<typeof LiveCursor>

const Token = z.string().min(1).max(4_096)
const State = z.record(z.string(), z.json())

const frame = <const T extends string, S extends z.ZodRawShape>(type: T, description: string, shape: S) =>
  z.strictObject({ type: z.literal(type), ...shape }).meta({ description })

/** Every text frame of a client but `ping`. */
export const LiveClientFrame = z.discriminatedUnion('type', [
  frame('authenticate', `First frame of a socket that opened the door without a credential, within ${LIVE_AUTHENTICATE_SECONDS} seconds.`, {
    token: Token.meta({ description: 'An access token.' }),
  }),
  frame('refresh', 'A newer access token of the same user, before the old one expires. Answered by `ready`.', { token: Token }),
  frame('subscribe', 'Starts a stream. Of `messages`: all after `since`, else the newest `last`. Subscribing again starts it anew.', {
    stream: LiveStream,
    since: LiveCursor.optional(),
    last: z.int().min(0).max(CATCH_UP_EVENTS).default(50),
  }),
  frame('unsubscribe', 'Ends a stream.', { stream: LiveStream }),
  frame('publish', 'A message, or a change of one. The same `cid` of the same user counts once, on whatever socket it comes.', {
    cid: MessageCid,
    action: MessageAction,
  }),
  frame('read', 'Everything up to `seq` is read; markers only move forward.', { seq: MessageSeq }),
  frame('typing', 'A message is being written; repeat it every 3 seconds while that is so.', {}),
  frame(
    'presence',
    `What this socket shows of its user, at most ${PRESENCE_BYTES_MAX} bytes of JSON; null shows nothing but that they are here.`,
    {
      state: State.nullable(),
    },
  ),
  frame(
    'signal',
    `Something for now only, at most ${SIGNAL_BYTES_MAX} bytes of JSON: to all who subscribe \`signals\`, or to one user of them. In a room with an audience only owners and editors may.`,
    {
      data: z.json(),
      to: UserId.optional(),
    },
  ),
  frame('received', `How many UTF-16 units of text frames this socket has got so far; sent at least every ${LIVE_REPORT_CHARS}.`, {
    chars: z.int().min(0),
  }),
])
/** Every text frame of a client but `ping`. */
export type LiveClientFrame = z.output<typeof LiveClientFrame>

/** A person in the room. */
export const LiveMember = z.object({
  userId: UserId,
  state: State.nullable().meta({ description: 'What their latest socket shows.' }),
})
/** A person in the room. */
export type LiveMember = z.infer<typeof LiveMember>

const slugs = Object.keys(PROBLEMS) as [keyof typeof PROBLEMS, ...(keyof typeof PROBLEMS)[]]

/** Every text frame of a room but `pong`. Clients ignore fields and frames they do not know. */
export const LiveServerFrame = z.discriminatedUnion('type', [
  z
    .object({
      type: z.literal('ready'),
      userId: UserId,
      role: RoomRole,
      expiresAt: z
        .int()
        .meta({ description: 'When the token expires, Unix milliseconds; `refresh` before, or the socket closes with 4401.' }),
    })
    .meta({ description: 'The client is let in, its token was renewed, or its role changed.' }),
  z
    .object({
      type: z.literal('subscribed'),
      stream: LiveStream,
      epoch: MessagesEpoch.optional(),
      seq: z.int().optional().meta({ description: 'The newest event.' }),
      firstSeq: z.int().optional().meta({ description: 'The oldest event that is kept.' }),
      recovered: z
        .boolean()
        .optional()
        .meta({ description: 'False: some events after `since` are gone, or the epoch is another; drop what you have.' }),
      ttlSeconds: z.int().nullable().optional().meta({ description: 'How long events are kept; null for as long as there is space.' }),
      reads: z.record(z.string(), z.int()).optional().meta({ description: 'Read markers by user.' }),
    })
    .meta({ description: 'A stream starts. For `messages` the events to catch up with follow.' }),
  z.object({ type: z.literal('messages'), events: z.array(MessageEvent) }).meta({ description: 'Events in the order of `seq`.' }),
  z
    .object({ type: z.literal('ack'), cid: MessageCid, seq: MessageSeq, at: z.int() })
    .meta({ description: 'What was published under `cid` is on disk as event `seq`.' }),
  z
    .object({
      type: z.literal('presence'),
      isWhole: z.boolean().meta({ description: 'Whether `on` is everybody (or the sample) rather than a change.' }),
      on: z.array(LiveMember),
      off: z.array(UserId),
      count: z.int().meta({ description: 'People in the room; those who asked not to be seen are not counted.' }),
      isSample: z.boolean(),
    })
    .meta({
      description: `Who came, changed or left. Above ${PRESENCE_MEMBERS_MAX} people: the count and a sample of ${PRESENCE_SAMPLE}; in a room with an audience the count alone.`,
    }),
  z.object({ type: z.literal('read'), userId: UserId, seq: MessageSeq }).meta({ description: 'Somebody has read up to `seq`.' }),
  z.object({ type: z.literal('typing'), userId: UserId }).meta({ description: 'Somebody writes a message; forget it after 5 seconds.' }),
  z.object({ type: z.literal('signal'), userId: UserId, data: z.json() }).meta({ description: 'A signal and whose it is.' }),
  z
    .object({
      type: z.literal('behind'),
      stream: LiveStream,
      seq: z.int().meta({ description: 'The last event of the messages that was sent; 0 for other streams.' }),
    })
    .meta({
      description: 'No more of the stream is sent here: report what was received and subscribe again, to messages from your cursor.',
    }),
  z
    .object({ type: z.literal('size'), bytes: z.int(), bytesMax: z.int() })
    .meta({ description: 'The document has grown past 80 or 95 percent of what it may be; at the limit only deletions are taken.' }),
  z
    .object({
      type: z.literal('error'),
      code: z.enum(slugs).meta({ description: 'A slug of `/problems`.' }),
      title: z.string(),
      temporary: z.boolean().meta({ description: 'Whether the same frame may succeed later.' }),
      retryAfterMs: z.int().optional(),
      about: z.string().optional().meta({ description: 'Type of the frame that was refused.' }),
      cid: MessageCid.optional(),
    })
    .meta({ description: 'A frame was refused; the socket stays open.' }),
])
/** Every text frame of a room but `pong`. */
export type LiveServerFrame = z.infer<typeof LiveServerFrame>
