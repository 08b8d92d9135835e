import { webhookEndpoints as api } from '../../contract/webhooks.ts'
import { type EdgeApp, implement } from '../http/implement.ts'
import { createWebhook, deleteWebhook, getWebhook, listWebhooks, rotateSecret, updateWebhook } from './keeping.ts'
import { listDeliveries, replay } from './log.ts'

/** Mounts the webhook operations. */
export function mountWebhooks(app: EdgeApp): void {
  implement(app, api.createWebhook, ({ scope, actor, body }) => createWebhook(scope, actor, body))
  implement(app, api.listWebhooks, ({ scope, actor, query }) => listWebhooks(scope, actor, query))
  implement(app, api.getWebhook, ({ scope, actor, params }) => getWebhook(scope, actor, params.webhookId))
  implement(app, api.updateWebhook, ({ scope, actor, params, body }) => updateWebhook(scope, actor, { ...params, change: body }))
  implement(app, api.deleteWebhook, ({ scope, actor, params }) => deleteWebhook(scope, actor, params.webhookId).then(() => undefined))
  implement(app, api.rotateWebhookSecret, ({ scope, actor, params }) => rotateSecret(scope, actor, params.webhookId))
  implement(app, api.listWebhookDeliveries, ({ scope, actor, params, query }) => listDeliveries(scope, actor, { ...params, query }))
  implement(app, api.replayWebhookDelivery, ({ scope, actor, params }) => replay(scope, actor, params))
}
