import { adminEndpoints as api } from '../../contract/admin.ts'
import { type EdgeApp, implement } from '../http/implement.ts'
import { disableUser, enableUser, endAllSessions, endUserSessions, getUser, listUsers, setUserRoles } from './admin.ts'

/** Mounts what looks after users and their roles. */
export function mountAdmin(app: EdgeApp): void {
  implement(app, api.listUsers, ({ scope, query }) => listUsers(scope, query))
  implement(app, api.getUser, ({ scope, actor, params }) => getUser(scope, actor, params.userId))
  implement(app, api.disableUser, ({ scope, actor, params }) => disableUser({ scope, actor, ...params }).then(() => undefined))
  implement(app, api.enableUser, ({ scope, actor, params }) => enableUser({ scope, actor, ...params }).then(() => undefined))
  implement(app, api.endUserSessions, ({ scope, actor, params }) => endUserSessions({ scope, actor, ...params }).then(() => undefined))
  implement(app, api.endAllSessions, ({ scope, actor }) => endAllSessions(scope, actor).then(() => undefined))
  implement(app, api.setUserRoles, ({ scope, actor, params, body }) => setUserRoles({ scope, actor, ...params }, body.roles))
}
