import type { Notification } from '../../contract/inbox.ts'
import { fromBase64Url } from '../platform/base64.ts'
import { isPushService } from '../platform/push-services.ts'
import type { Scope } from '../platform/scope.ts'
import { encryptPush } from './push-message.ts'
import type { PushOutcome, PushSubscription } from './subscriptions.ts'
import { vapidFor } from './vapid.ts'

/** A device that is off for longer finds the notification in its inbox. */
const TTL_SECONDS = 86_400
const TIMEOUT_MS = 10_000
/** What seals the secret that a device shares with us (RFC 8291 §3.2), under the session that subscribed. */
export const AUTH_PURPOSE = 'push-auth'

function outcomeOf(status: number): PushOutcome {
  if (status >= 200 && status < 300) return 'sent'
  if (status === 404 || status === 410) return 'gone'
  // RFC 8292 §4.2. The fault is ours, a clock or an address, say: once it is mended the device is reached again.
  if (status === 401 || status === 403) return 'denied'
  return status === 429 || status >= 500 ? 'later' : 'refused'
}

/** Pushes a notification to a device. Copies have one topic (RFC 8030 §5.4): of those that wait at the service only the last stays. */
export async function push(scope: Scope, subscription: PushSubscription, notification: Notification): Promise<PushOutcome> {
  const { endpoint, sessionId, vapidKey } = subscription
  const p256dh = fromBase64Url(subscription.p256dh)
  // What was allowed when the device subscribed may have been taken off the list since.
  if (!p256dh || !isPushService(endpoint, scope.config)) return 'refused'
  const auth = await scope.config.keyring.open(AUTH_PURPOSE, sessionId, subscription.auth).catch(() => undefined)
  // Sealed by a secret that is not listed any more: the device must subscribe anew.
  if (!auth) return 'gone'
  const { publicKey, authorization } = await vapidFor(scope, endpoint)
  // Subscribed to a key that is no longer ours: nobody reaches it any more.
  if (vapidKey !== null && vapidKey !== publicKey) return 'gone'
  const body = await encryptPush(new TextEncoder().encode(JSON.stringify(notification)), { p256dh, auth })
  const headers = {
    authorization,
    'content-encoding': 'aes128gcm',
    'content-type': 'application/octet-stream',
    ttl: String(TTL_SECONDS),
    urgency: 'normal',
    topic: notification.id.slice(notification.id.indexOf('_') + 1),
  }
  try {
    // A redirect would lead past the list of services.
    const answer = await fetch(endpoint, { method: 'POST', headers, body, redirect: 'manual', signal: AbortSignal.timeout(TIMEOUT_MS) })
    await answer.body?.cancel()
    return outcomeOf(answer.status)
  } catch {
    return 'later'
  }
}
