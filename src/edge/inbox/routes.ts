import { inboxEndpoints as api, inboxSockets } from '../../contract/inbox.ts'
import { type EdgeApp, implement, implementSocket } from '../http/implement.ts'
import { joinInbox } from './join.ts'
import { getPush, subscribePush, unsubscribePush } from './pushing.ts'
import { createInboxTicket, deleteNotification, getUnread, listNotifications, readNotification, readNotifications } from './service.ts'

/** Mounts the inbox operations. */
export function mountInbox(app: EdgeApp): void {
  // Before what takes `push` for the id of a notification.
  implement(app, api.getPush, ({ scope, actor }) => getPush(scope, actor))
  implement(app, api.subscribePush, ({ scope, actor, body }) => subscribePush(scope, actor, body).then(() => undefined))
  implement(app, api.unsubscribePush, ({ scope, actor }) => unsubscribePush(scope, actor).then(() => undefined))
  implement(app, api.listNotifications, ({ scope, actor, query }) => listNotifications(scope, actor, query))
  implement(app, api.getUnread, ({ scope, actor }) => getUnread(scope, actor))
  implement(app, api.readNotifications, ({ scope, actor, body }) => readNotifications(scope, actor, body.upTo))
  implement(app, api.readNotification, ({ scope, actor, params }) => readNotification(scope, actor, params.notificationId))
  implement(app, api.deleteNotification, ({ scope, actor, params }) =>
    deleteNotification(scope, actor, params.notificationId).then(() => undefined),
  )
  implement(app, api.createInboxTicket, ({ scope, actor }) => createInboxTicket(scope, actor))
  implementSocket(app, inboxSockets.joinInbox, joinInbox)
}
