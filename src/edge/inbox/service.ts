import type { PageQuery } from '../../contract/id.ts'
import { toMoment } from '../../contract/id.ts'
import type { Ticket, UserId } from '../../contract/identity.ts'
import { NotificationId, type NotificationPage, type Unread } from '../../contract/inbox.ts'
import { Problem } from '../../contract/problem.ts'
import { afterKey, toPage } from '../platform/page.ts'
import { open } from '../platform/rpc.ts'
import type { Actor, Scope } from '../platform/scope.ts'
import { mintTicket } from '../platform/ticket.ts'

/** What tickets to the live inbox are for. */
export const INBOX_AUDIENCE = 'inbox'

const inboxOf = ({ env }: Scope, userId: UserId) => env.INBOXES.getByName(userId)

/** What the caller was told, newest first. @throws Problem `invalid-request` */
export async function listNotifications(scope: Scope, actor: Actor, query: PageQuery): Promise<NotificationPage> {
  const key = afterKey(query)
  if (key !== undefined && !NotificationId.safeParse(key).success) {
    throw new Problem('invalid-request', { errors: [{ detail: 'is not a cursor of this list', pointer: '#/query/cursor' }] })
  }
  const { items, unread } = await inboxOf(scope, actor.userId).list({ before: key, limit: query.limit + 1 })
  return { ...toPage(items, query, { key: ({ id }) => id, item: (item) => item }), unread }
}

/** How many of the caller's notifications are unread. */
export const getUnread = async (scope: Scope, actor: Actor): Promise<Unread> => ({ unread: await inboxOf(scope, actor.userId).unread() })

/** Marks a notification and all older ones as read. */
export const readNotifications = (scope: Scope, actor: Actor, upTo: NotificationId): Promise<Unread> =>
  open(inboxOf(scope, actor.userId).markRead(upTo, true))

/** Marks one as read. @throws Problem `not-found` */
export const readNotification = (scope: Scope, actor: Actor, id: NotificationId): Promise<Unread> =>
  open(inboxOf(scope, actor.userId).markRead(id, false))

/** Deletes one. @throws Problem `not-found` */
export const deleteNotification = (scope: Scope, actor: Actor, id: NotificationId): Promise<void> =>
  open(inboxOf(scope, actor.userId).remove(id))

/** A pass for one socket. */
export async function createInboxTicket(scope: Scope, actor: Actor): Promise<Ticket> {
  const { ticket, expiresAt } = await mintTicket(scope, actor, INBOX_AUDIENCE)
  return { ticket, expiresAt: toMoment(expiresAt) }
}

/** Everything a user was told and has not deleted. */
export const exportInbox = async (scope: Scope, userId: UserId): Promise<object> => ({
  notifications: await inboxOf(scope, userId).exportAll(),
})

/** Forgets what a user was told. */
export const eraseInbox = (scope: Scope, userId: UserId): Promise<void> => inboxOf(scope, userId).erase()
