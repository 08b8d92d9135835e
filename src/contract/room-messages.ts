import * as z from 'zod'
import { endpoint } from './endpoint.ts'
import { PAGE_ITEMS_MAX } from './id.ts'
import { UserId } from './identity.ts'
import { RoomId } from './rooms.ts'

/** Longest message, in UTF-16 units. */
export const MESSAGE_CHARS_MAX = 4_000
/** Longest reaction: an emoji with its modifiers, in UTF-16 units. */
export const REACTION_CHARS_MAX = 32
/** Shortest time that messages can be kept. */
export const MESSAGES_TTL_SECONDS_MIN = 60
/** Longest time that messages can be kept by a rule: ten years. */
export const MESSAGES_TTL_SECONDS_MAX = 315_360_000
/** Bytes of messages a room keeps; the oldest go first. */
export const MESSAGES_BYTES_MAX = 67_108_864

/** Names one stretch of a room's messages: numbers of different epochs have nothing to do with each other. */
export const MessagesEpoch = z.string().regex(/^[a-z0-9]{16}$/)
/** Number of an event in its epoch, from 1 on, without order lost or number reused. */
export const MessageSeq = z.int().min(1)
/** What its sender calls an event, so that sending it again counts once. */
export const MessageCid = z.string().regex(/^[A-Za-z0-9_-]{8,64}$/)

/** Control characters but tab and line feed, and what turns the direction of text around. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is refused.
const UNSEEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069\ufeff]/

const Text = z
  .string()
  .min(1)
  .max(MESSAGE_CHARS_MAX)
  .refine((text) => text.trim() !== '' && !UNSEEN.test(text) && !/\p{Surrogate}/u.test(text), 'is empty or holds control characters')

const Emoji = z
  .string()
  .min(1)
  .max(REACTION_CHARS_MAX)
  .regex(/^(?:\p{Emoji}|\p{Emoji_Component})+$/u, 'is not an emoji')

/** What somebody does to the messages of a room. */
export const MessageAction = z
  .discriminatedUnion('kind', [
    z.strictObject({ kind: z.literal('post'), text: Text, replyTo: MessageSeq.optional() }),
    z.strictObject({ kind: z.literal('edit'), message: MessageSeq, text: Text }),
    z.strictObject({ kind: z.literal('delete'), message: MessageSeq }),
    z.strictObject({ kind: z.literal('react'), message: MessageSeq, emoji: Emoji }),
    z.strictObject({ kind: z.literal('unreact'), message: MessageSeq, emoji: Emoji }),
  ])
  .meta({ id: 'MessageAction', description: 'A message, or a change of the message whose `post` has the number `message`.' })
/** What somebody does to the messages of a room. */
export type MessageAction = z.infer<typeof MessageAction>

const Event = {
  seq: MessageSeq,
  at: z.int().meta({ description: 'When it was taken, Unix milliseconds.' }),
  userId: UserId,
  cid: MessageCid,
}

/** One event of a room's messages. A text that was deleted is empty in every event that held it. */
export const MessageEvent = z
  .discriminatedUnion('kind', [
    z.object({ ...Event, kind: z.literal('post'), text: z.string(), replyTo: MessageSeq.optional() }),
    z.object({ ...Event, kind: z.literal('edit'), message: MessageSeq, text: z.string() }),
    z.object({ ...Event, kind: z.literal('delete'), message: MessageSeq }),
    z.object({ ...Event, kind: z.literal('react'), message: MessageSeq, emoji: z.string() }),
    z.object({ ...Event, kind: z.literal('unreact'), message: MessageSeq, emoji: z.string() }),
  ])
  .meta({ id: 'MessageEvent' })
/** One event of a room's messages. */
export type MessageEvent = z.infer<typeof MessageEvent>

/** How long a room keeps messages. */
export const MessageRetention = z
  .strictObject({
    ttlSeconds: z.int().min(MESSAGES_TTL_SECONDS_MIN).max(MESSAGES_TTL_SECONDS_MAX).nullable().meta({
      description:
        'After it no path serves an event, and ten minutes later it is gone from disk; null keeps them as long as there is space.',
    }),
  })
  .meta({ id: 'MessageRetention' })
/** How long a room keeps messages. */
export type MessageRetention = z.infer<typeof MessageRetention>

/** A cursor of messages: epoch and the last number that is known. */
export const MessageCursor = z.string().regex(/^[a-z0-9]{16}\.(0|[1-9]\d{0,15})$/)

/** Events after a cursor. */
export const MessagePage = z
  .object({
    epoch: MessagesEpoch,
    seq: z.int().meta({ description: 'The newest event.' }),
    firstSeq: z.int().meta({ description: 'The oldest event that is kept.' }),
    recovered: z.boolean().meta({ description: 'False: events after the cursor are gone, or the epoch is another; drop what you have.' }),
    items: z.array(MessageEvent),
    nextCursor: MessageCursor.meta({ description: 'Ask again with it: for the rest when `items` was full, else for what is new by then.' }),
  })
  .meta({ id: 'MessagePage' })
/** Events after a cursor. */
export type MessagePage = z.infer<typeof MessagePage>

/** Where an event was put. */
export const MessageReceipt = z.object({ epoch: MessagesEpoch, seq: MessageSeq, at: z.int() }).meta({ id: 'MessageReceipt' })
/** Where an event was put. */
export type MessageReceipt = z.infer<typeof MessageReceipt>

const RoomPath = z.strictObject({ roomId: RoomId })

/** The operations on a room's messages, for servers and for clients without a socket. */
export const roomMessageEndpoints = {
  listRoomMessages: endpoint({
    id: 'listRoomMessages',
    method: 'GET',
    path: '/v1/rooms/:roomId/messages',
    tag: 'rooms',
    access: 'user',
    scope: 'rooms:read',
    summary: 'Events of a room’s messages, oldest first: those after a cursor, the last ones before one, or the newest.',
    params: RoomPath,
    query: z
      .strictObject({
        cursor: MessageCursor.optional(),
        before: MessageCursor.optional().meta({ description: 'Instead of `cursor`: what came before this event.' }),
        limit: z.coerce.number().int().min(1).max(PAGE_ITEMS_MAX).default(50),
      })
      .refine(({ cursor, before }) => cursor === undefined || before === undefined, 'has both `cursor` and `before`'),
    success: 200,
    response: MessagePage,
    problems: ['not-found'],
  }),
  publishRoomMessage: endpoint({
    id: 'publishRoomMessage',
    method: 'POST',
    path: '/v1/rooms/:roomId/messages',
    tag: 'rooms',
    access: 'user',
    scope: 'rooms:write',
    summary: 'Post, edit, delete or react. The same `cid` of the same user counts once; viewers may not.',
    params: RoomPath,
    body: z.strictObject({ cid: MessageCid, action: MessageAction }),
    success: 201,
    response: MessageReceipt,
    problems: ['not-found', 'forbidden'],
  }),
  getMessageRetention: endpoint({
    id: 'getMessageRetention',
    method: 'GET',
    path: '/v1/rooms/:roomId/messages/retention',
    tag: 'rooms',
    access: 'user',
    scope: 'rooms:read',
    summary: 'How long a room keeps messages.',
    params: RoomPath,
    success: 200,
    response: MessageRetention,
    problems: ['not-found'],
  }),
  setMessageRetention: endpoint({
    id: 'setMessageRetention',
    method: 'PUT',
    path: '/v1/rooms/:roomId/messages/retention',
    tag: 'rooms',
    access: 'user',
    scope: 'rooms:write',
    summary: 'Set how long a room keeps messages, those already there included. Owners only.',
    params: RoomPath,
    body: MessageRetention,
    success: 200,
    response: MessageRetention,
    problems: ['not-found', 'forbidden'],
  }),
}
