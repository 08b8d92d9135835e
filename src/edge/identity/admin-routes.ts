import { adminEndpoints as api } from '../../contract/admin.ts'
import { adminAuditEndpoints as record } from '../../contract/admin-audit.ts'
import { PLATFORM_AUDIT_FILE_PATH, PLATFORM_CHAIN } from '../../contract/audit.ts'
import { createExport, listActivity, listEntries, verifyChain } from '../audit/service.ts'
import { type EdgeApp, implement } from '../http/implement.ts'
import { disableUser, enableUser, endAllSessions, endUserSessions, getUser, listUsers, removeUserFactors, setUserRoles } from './admin.ts'
import { openPlatformAuditFile } from './admin-record.ts'

/** Mounts what looks after users and their roles. */
export function mountAdmin(app: EdgeApp): void {
  implement(app, api.listUsers, ({ scope, query }) => listUsers(scope, query))
  implement(app, api.getUser, ({ scope, actor, params }) => getUser(scope, actor, params.userId))
  implement(app, api.disableUser, ({ scope, actor, params, body }) =>
    disableUser({ scope, actor, ...params }, body.reason).then(() => undefined),
  )
  implement(app, api.enableUser, ({ scope, actor, params, body }) =>
    enableUser({ scope, actor, ...params }, body.reason).then(() => undefined),
  )
  implement(app, api.endUserSessions, ({ scope, actor, params }) => endUserSessions({ scope, actor, ...params }).then(() => undefined))
  implement(app, api.removeUserFactors, ({ scope, actor, params, body }) =>
    removeUserFactors({ scope, actor, ...params }, body.reason).then(() => undefined),
  )
  implement(app, api.endAllSessions, ({ scope, actor }) => endAllSessions(scope, actor).then(() => undefined))
  implement(app, api.setUserRoles, ({ scope, actor, params, body }) => setUserRoles({ scope, actor, ...params }, body.roles))
  mountRecord(app)
}

/** The audit knows no permissions, so the platform's record is mounted here, behind them. */
function mountRecord(app: EdgeApp): void {
  implement(app, record.listUserActivity, ({ scope, params, query }) => listActivity(scope, params.userId, query))
  implement(app, record.listPlatformAudit, ({ scope, query }) => listEntries(scope, PLATFORM_CHAIN, query))
  implement(app, record.verifyPlatformAudit, ({ scope, query }) => verifyChain(scope, PLATFORM_CHAIN, query))
  implement(app, record.createPlatformAuditExport, ({ scope, actor, body }) =>
    createExport(scope, actor, { chain: PLATFORM_CHAIN, wanted: body }),
  )
  // A file, not JSON: it streams past the contract's answer.
  app.get(PLATFORM_AUDIT_FILE_PATH, (c) => {
    c.set('route', PLATFORM_AUDIT_FILE_PATH)
    return openPlatformAuditFile(c.get('scope'), c.req.url)
  })
}
