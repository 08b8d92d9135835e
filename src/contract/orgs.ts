import * as z from 'zod'
import { endpoint } from './endpoint.ts'
import { lineOf, Moment, PageQuery, pageOf, prefixedId } from './id.ts'
import { UserId } from './identity.ts'

/** Longest organisation name, in UTF-16 units. */
export const ORG_NAME_CHARS_MAX = 80
/** Organisations one user may own, unless the deployment says otherwise. */
export const ORGS_PER_OWNER_MAX = 20
/** Members of one organisation, unless the deployment says otherwise. */
export const ORG_MEMBERS_MAX = 1000
/** Open invitations of one organisation, unless the deployment says otherwise. */
export const ORG_INVITATIONS_MAX = 100

/** Id of an organisation. */
export const OrgId = prefixedId('org', 'OrgId')
/** Id of an organisation. */
export type OrgId = z.infer<typeof OrgId>

/** Roles in an organisation: owners administer, operators act on hosts, readers watch. */
export const OrgRole = z.enum(['owner', 'operator', 'reader']).meta({ id: 'OrgRole' })
/** Roles in an organisation. */
export type OrgRole = z.infer<typeof OrgRole>

/** An organisation as one of its members sees it. */
export const Org = z.object({ id: OrgId, name: z.string(), role: OrgRole, createdAt: Moment }).meta({ id: 'Org' })
/** An organisation as one of its members sees it. */
export type Org = z.infer<typeof Org>

/** What `createOrg` takes. */
export const CreateOrg = z.strictObject({ name: lineOf(ORG_NAME_CHARS_MAX) }).meta({ id: 'CreateOrg' })
/** What `createOrg` takes. */
export type CreateOrg = z.output<typeof CreateOrg>

/** What `renameOrg` takes. */
export const RenameOrg = CreateOrg.meta({ id: 'RenameOrg' })

/** What `transferOrg` takes: the member who becomes owner. */
export const TransferOrg = z.strictObject({ userId: UserId }).meta({ id: 'TransferOrg' })

/** A user's place in an organisation. */
export const OrgMember = z.object({ userId: UserId, role: OrgRole, addedAt: Moment }).meta({ id: 'OrgMember' })
/** A user's place in an organisation. */
export type OrgMember = z.infer<typeof OrgMember>

const OrgPath = z.strictObject({ orgId: OrgId })
const MemberPath = z.strictObject({ orgId: OrgId, userId: UserId })

/** The organisation operations. */
export const orgEndpoints = {
  createOrg: endpoint({
    id: 'createOrg',
    method: 'POST',
    path: '/v1/orgs',
    tag: 'orgs',
    access: 'user',
    scope: 'orgs:write',
    summary: 'Found an organisation and own it.',
    body: CreateOrg,
    success: 201,
    response: Org,
    problems: ['limit-reached'],
  }),
  listOrgs: endpoint({
    id: 'listOrgs',
    method: 'GET',
    path: '/v1/orgs',
    tag: 'orgs',
    access: 'user',
    scope: 'orgs:read',
    summary: 'The organisations you belong to, newest first.',
    query: PageQuery,
    success: 200,
    response: pageOf(Org, 'OrgPage'),
    problems: [],
  }),
  getOrg: endpoint({
    id: 'getOrg',
    method: 'GET',
    path: '/v1/orgs/:orgId',
    tag: 'orgs',
    access: 'user',
    scope: 'orgs:read',
    summary: 'One organisation you belong to.',
    params: OrgPath,
    success: 200,
    response: Org,
    problems: ['not-found'],
  }),
  renameOrg: endpoint({
    id: 'renameOrg',
    method: 'PATCH',
    path: '/v1/orgs/:orgId',
    tag: 'orgs',
    access: 'user',
    scope: 'orgs:write',
    summary: 'Give the organisation another name. Owners only.',
    params: OrgPath,
    body: RenameOrg,
    success: 200,
    response: Org,
    problems: ['not-found', 'forbidden'],
  }),
  deleteOrg: endpoint({
    id: 'deleteOrg',
    method: 'DELETE',
    path: '/v1/orgs/:orgId',
    tag: 'orgs',
    access: 'user',
    isSensitive: true,
    summary: 'Delete the organisation with its members and invitations. Owners only; its hosts must be deleted before, else `conflict`.',
    params: OrgPath,
    success: 204,
    response: z.undefined(),
    problems: ['not-found', 'forbidden', 'conflict'],
  }),
  transferOrg: endpoint({
    id: 'transferOrg',
    method: 'POST',
    path: '/v1/orgs/:orgId/transfer',
    tag: 'orgs',
    access: 'user',
    isSensitive: true,
    summary: 'Make another member owner in your place, in one step; you become operator.',
    params: OrgPath,
    body: TransferOrg,
    success: 200,
    response: Org,
    problems: ['not-found', 'forbidden', 'conflict', 'limit-reached'],
  }),
  listOrgMembers: endpoint({
    id: 'listOrgMembers',
    method: 'GET',
    path: '/v1/orgs/:orgId/members',
    tag: 'orgs',
    access: 'user',
    scope: 'orgs:read',
    summary: 'Who belongs to the organisation.',
    params: OrgPath,
    query: PageQuery,
    success: 200,
    response: pageOf(OrgMember, 'OrgMemberPage'),
    problems: ['not-found'],
  }),
  putOrgMember: endpoint({
    id: 'putOrgMember',
    method: 'PUT',
    path: '/v1/orgs/:orgId/members/:userId',
    tag: 'orgs',
    access: 'user',
    isSensitive: true,
    scope: 'orgs:write',
    summary: 'Change the role of a member. Owners only; the last owner stays owner. People come in by invitation.',
    params: MemberPath,
    body: z.strictObject({ role: OrgRole }),
    success: 200,
    response: OrgMember,
    problems: ['not-found', 'forbidden', 'conflict', 'limit-reached'],
  }),
  removeOrgMember: endpoint({
    id: 'removeOrgMember',
    method: 'DELETE',
    path: '/v1/orgs/:orgId/members/:userId',
    tag: 'orgs',
    access: 'user',
    isSensitive: true,
    scope: 'orgs:write',
    summary: 'Remove a user, or leave. The last owner cannot go.',
    params: MemberPath,
    success: 204,
    response: z.undefined(),
    problems: ['not-found', 'forbidden', 'conflict'],
  }),
}
