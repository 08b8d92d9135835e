import { AUDIT_FILE_PATH, auditEndpoints as record } from '../../contract/audit.ts'
import { orgEndpoints as api } from '../../contract/orgs.ts'
import { type EdgeApp, implement } from '../http/implement.ts'
import { listOrgMembers, putOrgMember, removeOrgMember } from './members.ts'
import { createOrgAuditExport, listOrgAudit, listOrgCheckpoints, openOrgAuditFile, verifyOrgAudit } from './record.ts'
import { createOrg, getOrg, listOrgs } from './service.ts'

/** Mounts the organisation operations. */
export function mountOrgs(app: EdgeApp): void {
  implement(app, api.createOrg, ({ scope, actor, body }) => createOrg(scope, actor, body))
  implement(app, api.listOrgs, ({ scope, actor, query }) => listOrgs(scope, actor, query))
  implement(app, api.getOrg, ({ scope, actor, params }) => getOrg(scope, actor, params.orgId))
  implement(app, api.listOrgMembers, ({ scope, actor, params, query }) => listOrgMembers(scope, actor, { orgId: params.orgId, query }))
  implement(app, api.putOrgMember, ({ scope, actor, params, body }) => putOrgMember(scope, actor, { ...params, role: body.role }))
  implement(app, api.removeOrgMember, ({ scope, actor, params }) => removeOrgMember(scope, actor, params).then(() => undefined))
  mountRecord(app)
}

/** The audit knows no organisations, so what it keeps of one is mounted here, behind its roles. */
function mountRecord(app: EdgeApp): void {
  implement(app, record.listOrgAudit, ({ scope, actor, params, query }) => listOrgAudit(scope, actor, { ...params, query }))
  implement(app, record.verifyOrgAudit, ({ scope, actor, params, query }) => verifyOrgAudit(scope, actor, { ...params, query }))
  implement(app, record.listOrgCheckpoints, ({ scope, actor, params, query }) => listOrgCheckpoints(scope, actor, { ...params, query }))
  implement(app, record.createOrgAuditExport, ({ scope, actor, params, body }) =>
    createOrgAuditExport(scope, actor, { ...params, wanted: body }),
  )
  // A file, not JSON: it streams past the contract's answer.
  app.get(AUDIT_FILE_PATH, (c) => {
    c.set('route', AUDIT_FILE_PATH)
    return openOrgAuditFile(c.get('scope'), { orgId: c.req.param('orgId'), url: c.req.url })
  })
}
