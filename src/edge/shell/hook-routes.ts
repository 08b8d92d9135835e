import { hookEndpoints as api } from '../../contract/hooks.ts'
import { type EdgeApp, implement } from '../http/implement.ts'
import { deleteHook, listHooks, putHook } from './hooks.ts'

/** Mounts whom an organisation asks and tells about its shells. */
export function mountHooks(app: EdgeApp): void {
  implement(app, api.listHooks, ({ scope, actor, params }) => listHooks(scope, actor, params.orgId))
  implement(app, api.putHook, ({ scope, actor, params, body }) => putHook(scope, actor, { ...params, wanted: body }))
  implement(app, api.deleteHook, ({ scope, actor, params }) => deleteHook(scope, actor, params).then(() => undefined))
}
