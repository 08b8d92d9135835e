import { orgEndpoints as api } from '../../contract/orgs.ts'
import { type EdgeApp, implement } from '../http/implement.ts'
import { listOrgMembers, putOrgMember, removeOrgMember } from './members.ts'
import { createOrg, getOrg, listOrgs } from './service.ts'

/** Mounts the organisation operations. */
export function mountOrgs(app: EdgeApp): void {
  implement(app, api.createOrg, ({ scope, actor, body }) => createOrg(scope, actor, body))
  implement(app, api.listOrgs, ({ scope, actor, query }) => listOrgs(scope, actor, query))
  implement(app, api.getOrg, ({ scope, actor, params }) => getOrg(scope, actor, params.orgId))
  implement(app, api.listOrgMembers, ({ scope, actor, params, query }) => listOrgMembers(scope, actor, { orgId: params.orgId, query }))
  implement(app, api.putOrgMember, ({ scope, actor, params, body }) => putOrgMember(scope, actor, { ...params, role: body.role }))
  implement(app, api.removeOrgMember, ({ scope, actor, params }) => removeOrgMember(scope, actor, params).then(() => undefined))
}
