import { apiKeyEndpoints as api } from '../../contract/api-keys.ts'
import { type EdgeApp, implement } from '../http/implement.ts'
import { createApiKey, listApiKeys, renameApiKey, revokeApiKey } from './api-keys.ts'

/** Mounts what makes, shows and ends one's own API keys. */
export function mountApiKeys(app: EdgeApp): void {
  implement(app, api.createApiKey, ({ scope, actor, body }) => createApiKey(scope, actor, body))
  implement(app, api.listApiKeys, ({ scope, actor }) => listApiKeys(scope, actor))
  implement(app, api.renameApiKey, ({ scope, actor, params, body }) => renameApiKey(scope, actor, { id: params.apiKeyId, name: body.name }))
  implement(app, api.revokeApiKey, ({ scope, actor, params }) => revokeApiKey(scope, actor, params.apiKeyId).then(() => undefined))
}
