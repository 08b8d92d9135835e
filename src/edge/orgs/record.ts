import type { AuditQuery, CreateAuditExport, VerifyQuery } from '../../contract/audit.ts'
import type { PageQuery } from '../../contract/id.ts'
import { OrgId } from '../../contract/orgs.ts'
import { Problem } from '../../contract/problem.ts'
import { createExport, listCheckpoints, listEntries, openExport, verifyChain } from '../audit/service.ts'
import { demandLiveAccess } from '../identity/service.ts'
import type { Actor, Scope } from '../platform/scope.ts'
import { requireOrgRole } from './service.ts'

/** The record tells what every member did, so it is for those who answer for them. @throws Problem `not-found` or `forbidden` */
const requireOwner = (scope: Scope, actor: Actor, orgId: OrgId) => requireOrgRole(scope, actor, { orgId, roles: ['owner'] })

/** What happened in the organisation, for its owners. @throws Problem `not-found`, `forbidden` or `invalid-request` */
export async function listOrgAudit(scope: Scope, actor: Actor, at: { readonly orgId: OrgId; readonly query: AuditQuery }) {
  await requireOwner(scope, actor, at.orgId)
  return listEntries(scope, at.orgId, at.query)
}

/** Checks the organisation's chain, for its owners. @throws Problem `not-found`, `forbidden` or `invalid-request` */
export async function verifyOrgAudit(scope: Scope, actor: Actor, at: { readonly orgId: OrgId; readonly query: VerifyQuery }) {
  await requireOwner(scope, actor, at.orgId)
  return verifyChain(scope, at.orgId, at.query)
}

/** The signed checkpoints, for owners. @throws Problem `not-found`, `forbidden` or `invalid-request` */
export async function listOrgCheckpoints(scope: Scope, actor: Actor, at: { readonly orgId: OrgId; readonly query: PageQuery }) {
  await requireOwner(scope, actor, at.orgId)
  return listCheckpoints(scope, at.orgId, at.query)
}

/** A path to the record as a file, for owners. @throws Problem `not-found`, `forbidden` or `invalid-request` */
export async function createOrgAuditExport(scope: Scope, actor: Actor, at: { readonly orgId: OrgId; readonly wanted: CreateAuditExport }) {
  await requireOwner(scope, actor, at.orgId)
  return createExport(scope, actor, { chain: at.orgId, wanted: at.wanted })
}

/** The file itself, if whoever got the path is signed in and an owner still. @throws Problem `ticket-invalid`, `session-ended`, `not-found` or `forbidden` */
export async function openOrgAuditFile(scope: Scope, at: { readonly orgId: string; readonly url: string }): Promise<Response> {
  const { data: orgId } = OrgId.safeParse(at.orgId)
  if (!orgId) throw new Problem('ticket-invalid')
  return openExport(scope, { chain: orgId, url: at.url }, async (actor) => {
    await demandLiveAccess(scope, actor)
    await requireOwner(scope, actor, orgId)
  })
}
