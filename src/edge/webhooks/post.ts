import { toMoment } from '../../contract/id.ts'
import type { WebhookBody, WebhookDelivery } from '../../contract/webhooks.ts'
import { isPublicUrl, leadsOutside } from '../platform/public-url.ts'
import type { Scope } from '../platform/scope.ts'
import { signedHeaders } from './signature.ts'
import type { webhooks } from './tables.ts'

/** Why nothing, or nothing useful, came back. */
export type Failure = NonNullable<WebhookDelivery['failure']>

/** What an event is about; what is undefined is left out. */
export type EventData = { readonly [name: string]: WebhookBody['data'][string] | undefined }

/** The body of an event: what is posted and signed. */
export const bodyOf = (type: WebhookBody['type'], at: number, data: EventData): string =>
  JSON.stringify({ type, timestamp: toMoment(at), data } satisfies Omit<WebhookBody, 'data'> & { readonly data: EventData })

/** What is sent: one event, as it is signed. */
export interface Message {
  readonly id: string
  readonly body: string
}

/** Posts one message to where a webhook leads, signed with every secret that is good now, and goes nowhere else. */
export async function post(
  scope: Scope,
  hook: typeof webhooks.$inferSelect,
  { id: eventId, body, signal }: Message & { readonly signal: AbortSignal },
): Promise<Response | Failure> {
  if (hook.disabledAt !== null) return 'disabled'
  const { isDev, webhookDnsUrl } = scope.config
  try {
    // What was allowed when it was set may lead elsewhere by now.
    const mayGo = isPublicUrl(hook.url, scope.config) && (await leadsOutside(hook.url, { isDev, dnsUrl: webhookDnsUrl }))
    if (!mayGo) return 'target-forbidden'
    const now = scope.now()
    const hasTwo = hook.previousSecret !== null && hook.previousUntil !== null && hook.previousUntil > now
    const secrets = [hook.secret, ...(hasTwo && hook.previousSecret !== null ? [hook.previousSecret] : [])]
    const headers = {
      ...(await signedHeaders(scope, secrets, { webhookId: hook.id, eventId, timestamp: Math.floor(now / 1000), body })),
      'content-type': 'application/json',
      'user-agent': 'Parvis-Webhooks',
    }
    return await fetch(hook.url, { method: 'POST', headers, body, redirect: 'manual', signal })
  } catch (error) {
    return failureOf(error)
  }
}

/** What an error of a call means. */
export const failureOf = (error: unknown): Failure => (error instanceof Error && error.name === 'TimeoutError' ? 'timeout' : 'connection')

/** What a status means: nothing is wrong with 2xx. */
export function failureOfStatus(status: number): Failure | null {
  if (status >= 200 && status < 300) return null
  return status >= 300 && status < 400 ? 'redirect' : 'answer'
}
