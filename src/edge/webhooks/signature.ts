import { WEBHOOK_SECRET_PREFIX } from '../../contract/webhooks.ts'
import { toBase64 } from '../platform/base64.ts'
import { sealedColumn } from '../platform/root-secrets.ts'
import type { Scope } from '../platform/scope.ts'

/** Standard Webhooks asks for 24 to 64 bytes. */
const SECRET_BYTES = 32
const PURPOSE = 'webhook'

/** What signs deliveries now, and what did until a moment ago. */
export const WEBHOOK_SECRETS = ['secret', 'previous_secret'].map((column) =>
  sealedColumn('webhook secrets', 'webhooks', { column, key: 'id', purpose: PURPOSE }),
)

/** A new secret: as its owner sees it once, and as it is stored. */
export async function newSecret({ config }: Scope, webhookId: string): Promise<{ readonly shown: string; readonly sealed: string }> {
  const bytes = crypto.getRandomValues(new Uint8Array(SECRET_BYTES))
  return { shown: `${WEBHOOK_SECRET_PREFIX}${toBase64(bytes)}`, sealed: await config.keyring.seal(PURPOSE, webhookId, bytes) }
}

/** What is signed. */
export interface Signed {
  readonly webhookId: string
  readonly eventId: string
  /** Unix seconds. */
  readonly timestamp: number
  readonly body: string
}

/** The headers of a delivery (Standard Webhooks 1.0), signed with every secret that is good now. */
export async function signedHeaders({ config }: Scope, secrets: readonly string[], message: Signed): Promise<Record<string, string>> {
  const content = new TextEncoder().encode(`${message.eventId}.${message.timestamp}.${message.body}`)
  const signatures = await Promise.all(
    secrets.map(async (sealed) => {
      const bytes = await config.keyring.open(PURPOSE, message.webhookId, sealed)
      const key = await crypto.subtle.importKey('raw', bytes, { name: 'HMAC', hash: 'SHA-256' }, false, ['sign'])
      return `v1,${toBase64(new Uint8Array(await crypto.subtle.sign('HMAC', key, content)))}`
    }),
  )
  return {
    'webhook-id': message.eventId,
    'webhook-timestamp': String(message.timestamp),
    'webhook-signature': signatures.join(' '),
  }
}
