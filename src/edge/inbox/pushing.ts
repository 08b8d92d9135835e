import type { UserId } from '../../contract/identity.ts'
import type { Notification, PushState, SubscribePush } from '../../contract/inbox.ts'
import { Problem } from '../../contract/problem.ts'
import { isSessionLive } from '../identity/service.ts'
import { fromBase64Url } from '../platform/base64.ts'
import { dayOf } from '../platform/metrics.ts'
import { isPushService } from '../platform/push-services.ts'
import type { Actor, Scope } from '../platform/scope.ts'
import { AUTH_PURPOSE, push } from './push.ts'
import { importPushKey } from './push-message.ts'
import { addPushed } from './store.ts'
import type { PushSubscription } from './subscriptions.ts'
import { pushPublicKey } from './vapid.ts'

/** The key to subscribe with, and whether the caller's device is subscribed. */
export async function getPush(scope: Scope, { userId, sessionId }: Actor): Promise<PushState> {
  const isSubscribed = await scope.env.INBOXES.getByName(userId).isSubscribed(sessionId)
  return { publicKey: await pushPublicKey(scope), isSubscribed }
}

const refused = (detail: string, pointer: string) => new Problem('invalid-request', { errors: [{ detail, pointer }] })

/** Pushes to the caller's device from now on. @throws Problem `invalid-request`, or `session-ended` at once */
export async function subscribePush(scope: Scope, actor: Actor, { endpoint, keys }: SubscribePush): Promise<void> {
  if (!isPushService(endpoint, scope.config)) throw refused('is not at a push service that is listed here', '#/body/endpoint')
  const point = fromBase64Url(keys.p256dh) as Uint8Array<ArrayBuffer> | undefined
  const isKey =
    point &&
    (await importPushKey(point).then(
      () => true,
      () => false,
    ))
  if (!isKey) throw refused('is no public key on P-256', '#/body/keys/p256dh')
  const secret = fromBase64Url(keys.auth)
  if (!secret) throw refused('is not base64url', '#/body/keys/auth')
  if (!(await isSessionLive(scope, actor))) throw new Problem('session-ended')
  const { userId, sessionId } = actor
  const auth = await scope.config.keyring.seal(AUTH_PURPOSE, sessionId, secret)
  const vapidKey = await pushPublicKey(scope)
  await scope.env.INBOXES.getByName(userId).subscribe({ sessionId, endpoint, p256dh: keys.p256dh, auth, vapidKey })
}

/** Pushes no more to the caller's device. */
export const unsubscribePush = (scope: Scope, { userId, sessionId }: Actor): Promise<void> =>
  scope.env.INBOXES.getByName(userId).unsubscribe(sessionId)

/** Pushes to every device that has not got it. @throws Error when some must be tried again, which the event then is */
export async function pushToAll(
  scope: Scope,
  userId: UserId,
  { notification, targets }: { readonly notification: Notification; readonly targets: readonly PushSubscription[] },
): Promise<void> {
  const inbox = scope.env.INBOXES.getByName(userId)
  const outcomes = await Promise.all(
    targets.map(async (target) => {
      const { sessionId, endpoint } = target
      if (!(await isSessionLive(scope, { sessionId: sessionId as Actor['sessionId'] })))
        return inbox.unsubscribe(sessionId).then(() => 'gone' as const)
      const outcome = await push(scope, target, notification)
      scope.log('inbox.pushed', { notificationId: notification.id, service: new URL(endpoint).hostname, outcome })
      if (outcome === 'gone') await inbox.unsubscribe(sessionId, endpoint)
      else if (outcome !== 'later') await inbox.notePushed({ notificationId: notification.id, sessionId })
      return outcome
    }),
  )
  if (outcomes.length > 0) await addPushed(scope.db, dayOf(scope.now()), outcomes)
  if (outcomes.includes('later')) throw new Error('a push service did not take the notification')
}
