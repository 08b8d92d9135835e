import * as z from 'zod'
import { UserId } from '../../contract/identity.ts'
import { NotificationContent, NotificationId } from '../../contract/inbox.ts'
import { userIdOfAddress } from '../identity/service.ts'
import type { Consumer } from '../platform/outbox/outbox.ts'
import { pushToAll } from './pushing.ts'

const Told = z.union([
  z.strictObject({ userId: UserId, content: NotificationContent }),
  z.strictObject({ email: z.string(), content: NotificationContent }),
])

/** Puts a notification into the inbox of whom it is for. Its id is the event's, so an event that comes twice tells once. */
export const deliverNotification: Consumer = async (scope, { id, payload }) => {
  const told = Told.parse(payload)
  const userId = 'userId' in told ? told.userId : await userIdOfAddress(scope, told.email)
  if (!userId) return
  const notificationId = NotificationId.parse(`ntf_${id.slice(id.indexOf('_') + 1)}`)
  const { notification, targets } = await scope.env.INBOXES.getByName(userId).notify({ id: notificationId, content: told.content })
  if (notification && targets.length > 0) await pushToAll(scope, userId, { notification, targets })
}
