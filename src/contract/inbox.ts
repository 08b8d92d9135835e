/**
 * What a user is told wherever they are: the list over REST, and the same as a stream of events over `GET /v1/inbox/live`.
 * Messages on the socket are JSON text, but `ping`, which is answered `pong`. A close code is 4000 + a problem's status.
 */
import * as z from 'zod'
import { endpoint, socketEndpoint } from './endpoint.ts'
import { Moment, PageQuery, prefixedId } from './id.ts'
import { SessionId, Ticket, UserId } from './identity.ts'
import { InvitationId } from './invitations.ts'
import { OrgId, OrgRole } from './orgs.ts'
import { PROBLEMS } from './problem.ts'
import { RoomId, RoomRole } from './rooms.ts'
import { WebhookId } from './webhooks.ts'

/** Notifications that are kept of one user; beyond that the oldest go. */
export const NOTIFICATIONS_MAX = 500
/** How long a notification is kept, in days. */
export const NOTIFICATION_DAYS_MAX = 90
/** Events of the stream that can be caught up with; who was away for more reads the list. */
export const INBOX_EVENTS_MAX = 1_000
/** Longest frame of a client, in UTF-16 units. */
export const INBOX_FRAME_CHARS_MAX = 8_192
/** People whose presence one inbox follows, and who follow it; of more, those of the newest rooms. */
export const INBOX_PEERS_MAX = 100
/** In a room with more members than this they are no company: its presence is told inside it only. */
export const INBOX_PEER_ROOM_MEMBERS_MAX = 50
/** A socket that opened the door without a credential must authenticate this soon, in seconds. */
export const INBOX_AUTHENTICATE_SECONDS = 10
/** What a client sends to show it lives; answered without waking the inbox. */
export const INBOX_PING = 'ping'
/** What comes back. */
export const INBOX_PONG = 'pong'

/** Id of a notification; they sort by time. */
export const NotificationId = prefixedId('ntf', 'NotificationId')
/** Id of a notification. */
export type NotificationId = z.infer<typeof NotificationId>

const about = <const K extends string, S extends z.ZodRawShape>(kind: K, shape: S) => z.object({ kind: z.literal(kind), ...shape })

/** What a notification says. Clients ignore kinds that they do not know. */
export const NotificationContent = z
  .discriminatedUnion('kind', [
    about('org-invited', { orgId: OrgId, invitationId: InvitationId, role: OrgRole }),
    about('org-member', { orgId: OrgId, role: OrgRole.nullable().meta({ description: 'Null when you were removed.' }) }),
    about('room-member', { roomId: RoomId, role: RoomRole.nullable().meta({ description: 'Null when your seat was taken away.' }) }),
    about('webhook-stopped', { webhookId: WebhookId, orgId: OrgId.nullable(), reason: z.enum(['failures', 'gone']) }),
    about('new-device', {
      sessionId: SessionId,
      browser: z.string().nullable(),
      system: z.string().nullable(),
      country: z.string().nullable(),
    }),
  ])
  .meta({ id: 'NotificationContent' })
/** What a notification says. */
export type NotificationContent = z.infer<typeof NotificationContent>

/** One notification. */
export const Notification = z
  .object({ id: NotificationId, content: NotificationContent, createdAt: Moment, isRead: z.boolean() })
  .meta({ id: 'Notification' })
/** One notification. */
export type Notification = z.infer<typeof Notification>

const unread = z.int().min(0).meta({ description: 'Unread notifications in the whole inbox.' })

/** How many are unread. */
export const Unread = z.object({ unread }).meta({ id: 'Unread' })
/** How many are unread. */
export type Unread = z.infer<typeof Unread>

/** A page of the inbox, the newest first. */
export const NotificationPage = z
  .object({ items: z.array(Notification), nextCursor: z.string().optional(), unread })
  .meta({ id: 'NotificationPage' })
/** A page of the inbox. */
export type NotificationPage = z.infer<typeof NotificationPage>

const InboxEpoch = z.string().min(1).max(64)
const Token = z.string().min(1).max(4_096)

/** A place in the stream: everything up to `seq` is known. */
export const InboxCursor = z.strictObject({ epoch: InboxEpoch, seq: z.int().min(0) })
/** A place in the stream. */
export type InboxCursor = z.infer<typeof InboxCursor>

/** How to take part in presence: `shown` sees others and is seen by them, `incognito` sees them only. */
export const InboxSight = z.enum(['shown', 'incognito'])
/** How to take part in presence. */
export type InboxSight = z.infer<typeof InboxSight>

/** Every frame of a client but `ping`. */
export const InboxClientFrame = z.discriminatedUnion('type', [
  z
    .strictObject({ type: z.literal('authenticate'), token: Token })
    .meta({ description: 'First frame of a socket that opened the door without a credential.' }),
  z
    .strictObject({ type: z.literal('refresh'), token: Token })
    .meta({ description: 'A newer access token of the same session, before the old one expires. Answered by `ready`.' }),
  z.strictObject({ type: z.literal('subscribe'), since: InboxCursor.optional(), presence: InboxSight.optional() }).meta({
    description:
      'Starts the stream: with all events after `since`, or with what comes from now on; with `presence` also who of those you share a room with is here.',
  }),
])
/** Every frame of a client but `ping`. */
export type InboxClientFrame = z.infer<typeof InboxClientFrame>

const seq = z.int().min(1)
const ids = z.array(NotificationId)

/** What changes an inbox, on whatever device. */
export const InboxEvent = z.discriminatedUnion('type', [
  z.object({ type: z.literal('added'), seq, notification: Notification, unread }),
  z.object({ type: z.literal('read'), seq, ids, unread }),
  z.object({ type: z.literal('deleted'), seq, ids, unread }),
])
/** What changes an inbox. */
export type InboxEvent = z.infer<typeof InboxEvent>

const slugs = Object.keys(PROBLEMS) as [keyof typeof PROBLEMS, ...(keyof typeof PROBLEMS)[]]

/** Every frame of the inbox but `pong`. Clients ignore fields and frames they do not know. */
export const InboxServerFrame = z.discriminatedUnion('type', [
  z
    .object({ type: z.literal('ready'), userId: UserId, expiresAt: z.int() })
    .meta({ description: 'The client is let in or its token renewed; `refresh` before `expiresAt` (Unix milliseconds), or 4401 follows.' }),
  z
    .object({ type: z.literal('subscribed'), epoch: InboxEpoch, seq: z.int().min(0), recovered: z.boolean().optional(), unread })
    .meta({ description: 'The events to catch up with follow. `recovered: false`: some are gone, so read the list.' }),
  ...InboxEvent.options,
  z.object({ type: z.literal('presence'), isWhole: z.boolean(), on: z.array(UserId), off: z.array(UserId) }).meta({
    description:
      'Who of those you share a room with came or left; with `isWhole` everybody who is here. Told only after `subscribe` with `presence`.',
  }),
  z.object({ type: z.literal('error'), code: z.enum(slugs) }).meta({ description: 'A frame was not taken; the socket goes on.' }),
])
/** Every frame of the inbox but `pong`. */
export type InboxServerFrame = z.infer<typeof InboxServerFrame>

/** The subscription of a browser, as `PushSubscription.toJSON()` gives it (Push API). */
export const SubscribePush = z
  .object({
    endpoint: z.url().max(2_048),
    expirationTime: z.number().nullish(),
    keys: z.object({
      p256dh: z
        .string()
        .regex(/^[A-Za-z0-9_-]{87}$/)
        .meta({ description: 'P-256 point, uncompressed, base64url.' }),
      auth: z
        .string()
        .regex(/^[A-Za-z0-9_-]{22}$/)
        .meta({ description: '16 bytes, base64url.' }),
    }),
  })
  .meta({ id: 'SubscribePush' })
/** The subscription of a browser. */
export type SubscribePush = z.infer<typeof SubscribePush>

/** How this device stands with Web Push. */
export const PushState = z
  .object({
    publicKey: z.string().meta({ description: '`applicationServerKey` to subscribe with, base64url.' }),
    isSubscribed: z.boolean(),
  })
  .meta({ id: 'PushState' })
/** How this device stands with Web Push. */
export type PushState = z.infer<typeof PushState>

const NotificationPath = z.strictObject({ notificationId: NotificationId })

/** The inbox operations. */
export const inboxEndpoints = {
  listNotifications: endpoint({
    id: 'listNotifications',
    method: 'GET',
    path: '/v1/inbox',
    tag: 'inbox',
    access: 'user',
    summary: 'What you were told, newest first.',
    query: PageQuery,
    success: 200,
    response: NotificationPage,
    problems: [],
  }),
  getUnread: endpoint({
    id: 'getUnread',
    method: 'GET',
    path: '/v1/inbox/unread',
    tag: 'inbox',
    access: 'user',
    summary: 'How many notifications are unread.',
    success: 200,
    response: Unread,
    problems: [],
  }),
  readNotifications: endpoint({
    id: 'readNotifications',
    method: 'POST',
    path: '/v1/inbox/read',
    tag: 'inbox',
    access: 'user',
    summary: 'Mark one notification and all older ones as read, on every device.',
    body: z.strictObject({ upTo: NotificationId }).meta({ id: 'ReadNotifications' }),
    success: 200,
    response: Unread,
    problems: [],
  }),
  readNotification: endpoint({
    id: 'readNotification',
    method: 'POST',
    path: '/v1/inbox/:notificationId/read',
    tag: 'inbox',
    access: 'user',
    summary: 'Mark one notification as read.',
    params: NotificationPath,
    success: 200,
    response: Unread,
    problems: ['not-found'],
  }),
  deleteNotification: endpoint({
    id: 'deleteNotification',
    method: 'DELETE',
    path: '/v1/inbox/:notificationId',
    tag: 'inbox',
    access: 'user',
    summary: 'Delete one notification.',
    params: NotificationPath,
    success: 204,
    response: z.undefined(),
    problems: ['not-found'],
  }),
  getPush: endpoint({
    id: 'getPush',
    method: 'GET',
    path: '/v1/inbox/push',
    tag: 'inbox',
    access: 'user',
    summary: 'The key to subscribe to Web Push with, and whether this device is subscribed.',
    success: 200,
    response: PushState,
    problems: [],
  }),
  subscribePush: endpoint({
    id: 'subscribePush',
    method: 'PUT',
    path: '/v1/inbox/push',
    tag: 'inbox',
    access: 'user',
    summary: 'Push notifications to this device while no socket listens. Ends with the session.',
    body: SubscribePush,
    success: 204,
    response: z.undefined(),
    problems: [],
  }),
  unsubscribePush: endpoint({
    id: 'unsubscribePush',
    method: 'DELETE',
    path: '/v1/inbox/push',
    tag: 'inbox',
    access: 'user',
    summary: 'Push nothing to this device any more.',
    success: 204,
    response: z.undefined(),
    problems: [],
  }),
  createInboxTicket: endpoint({
    id: 'createInboxTicket',
    method: 'POST',
    path: '/v1/inbox/tickets',
    tag: 'inbox',
    access: 'user',
    summary: 'A single-use pass to the live inbox, valid 30 seconds, for clients that cannot send headers with a WebSocket.',
    success: 201,
    response: Ticket,
    problems: [],
  }),
}

/** The WebSocket door of the inbox. */
export const inboxSockets = {
  joinInbox: socketEndpoint({
    id: 'joinInbox',
    path: '/v1/inbox/live',
    tag: 'inbox',
    summary: 'Your notifications as they come, and what your other devices read and delete.',
    params: z.strictObject({}),
    problems: ['unauthenticated', 'session-ended', 'ticket-invalid', 'origin-untrusted', 'limit-reached', 'upgrade-required'],
  }),
}
