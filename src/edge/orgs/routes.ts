import { AUDIT_FILE_PATH, auditEndpoints as record } from '../../contract/audit.ts'
import { invitationEndpoints as invitations } from '../../contract/invitations.ts'
import { orgEndpoints as api } from '../../contract/orgs.ts'
import { type EdgeApp, implement } from '../http/implement.ts'
import {
  acceptInvitation,
  declineInvitation,
  inviteOrgMember,
  listOrgInvitations,
  resendOrgInvitation,
  showInvitation,
  withdrawOrgInvitation,
} from './invitations.ts'
import { listOrgMembers, putOrgMember, removeOrgMember, transferOrg } from './members.ts'
import { createOrgAuditExport, listOrgAudit, listOrgCheckpoints, openOrgAuditFile, verifyOrgAudit } from './record.ts'
import { createOrg, deleteOrg, getOrg, listOrgs, renameOrg } from './service.ts'

/** Mounts the organisation operations. */
export function mountOrgs(app: EdgeApp): void {
  implement(app, api.createOrg, ({ scope, actor, body }) => createOrg(scope, actor, body))
  implement(app, api.listOrgs, ({ scope, actor, query }) => listOrgs(scope, actor, query))
  implement(app, api.getOrg, ({ scope, actor, params }) => getOrg(scope, actor, params.orgId))
  implement(app, api.listOrgMembers, ({ scope, actor, params, query }) => listOrgMembers(scope, actor, { orgId: params.orgId, query }))
  implement(app, api.putOrgMember, ({ scope, actor, params, body }) => putOrgMember(scope, actor, { ...params, role: body.role }))
  implement(app, api.removeOrgMember, ({ scope, actor, params }) => removeOrgMember(scope, actor, params).then(() => undefined))
  implement(app, api.renameOrg, ({ scope, actor, params, body }) => renameOrg(scope, actor, { ...params, ...body }))
  implement(app, api.deleteOrg, ({ scope, actor, params }) => deleteOrg(scope, actor, params.orgId).then(() => undefined))
  implement(app, api.transferOrg, ({ scope, actor, params, body }) => transferOrg(scope, actor, { ...params, ...body }))
  mountInvitations(app)
  mountRecord(app)
}

function mountInvitations(app: EdgeApp): void {
  implement(app, invitations.inviteOrgMember, ({ scope, actor, params, body }) =>
    inviteOrgMember(scope, actor, { ...params, wanted: body }),
  )
  implement(app, invitations.listOrgInvitations, ({ scope, actor, params, query }) =>
    listOrgInvitations(scope, actor, { ...params, query }),
  )
  implement(app, invitations.resendOrgInvitation, ({ scope, actor, params }) => resendOrgInvitation(scope, actor, params))
  implement(app, invitations.withdrawOrgInvitation, ({ scope, actor, params }) =>
    withdrawOrgInvitation(scope, actor, params).then(() => undefined),
  )
  implement(app, invitations.showInvitation, ({ scope, actor, body }) => showInvitation(scope, actor, body.token))
  implement(app, invitations.acceptInvitation, ({ scope, actor, body }) => acceptInvitation(scope, actor, body.token))
  implement(app, invitations.declineInvitation, ({ scope, actor, body }) =>
    declineInvitation(scope, actor, body.token).then(() => undefined),
  )
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
