import * as z from 'zod'
import { endpoint } from './endpoint.ts'
import { Moment, PageQuery, pageOf, prefixedId } from './id.ts'
import { Email, LinkToken, Locale, UserId } from './identity.ts'
import { MailedApp } from './mailed-link.ts'
import { Org, OrgId, OrgRole } from './orgs.ts'

/** How long an invitation can be accepted. */
export const INVITATION_TTL_SECONDS = 7 * 86_400
/** How often one invitation may be mailed. */
export const INVITATION_MAILS_MAX = 5

/** Id of an invitation. */
export const InvitationId = prefixedId('inv', 'InvitationId')
/** Id of an invitation. */
export type InvitationId = z.infer<typeof InvitationId>

/** An invitation as the owners of its organisation see it. It never tells whether the address has an account. */
export const Invitation = z
  .object({
    id: InvitationId,
    email: z.string(),
    role: OrgRole,
    inviterId: UserId.nullable().meta({ description: 'Who invited; null once they are gone.' }),
    createdAt: Moment,
    expiresAt: Moment,
  })
  .meta({ id: 'Invitation' })
/** An invitation as the owners of its organisation see it. */
export type Invitation = z.infer<typeof Invitation>

/** What `inviteOrgMember` takes; without a locale the mail is in the language of whoever invites. */
export const InviteOrgMember = z
  .strictObject({ email: Email, role: OrgRole, locale: Locale.optional(), app: MailedApp })
  .meta({ id: 'InviteOrgMember' })
/** What `inviteOrgMember` takes. */
export type InviteOrgMember = z.output<typeof InviteOrgMember>

/** The token of a mailed invitation. */
export const InvitationToken = z.strictObject({ token: LinkToken }).meta({ id: 'InvitationToken' })

/** An invitation as the invited user sees it. */
export const ReceivedInvitation = z.object({ orgName: z.string(), role: OrgRole, expiresAt: Moment }).meta({ id: 'ReceivedInvitation' })
/** An invitation as the invited user sees it. */
export type ReceivedInvitation = z.infer<typeof ReceivedInvitation>

const OrgPath = z.strictObject({ orgId: OrgId })
const InvitationPath = z.strictObject({ orgId: OrgId, invitationId: InvitationId })

/** The operations on invitations into organisations. */
export const invitationEndpoints = {
  inviteOrgMember: endpoint({
    id: 'inviteOrgMember',
    method: 'POST',
    path: '/v1/orgs/:orgId/invitations',
    tag: 'orgs',
    access: 'user',
    isSensitive: true,
    scope: 'orgs:write',
    summary: 'Invite whoever owns a mail address, for 7 days. Owners only. The answer never tells whether the address has an account.',
    params: OrgPath,
    body: InviteOrgMember,
    success: 201,
    response: Invitation,
    limit: 'register',
    problems: ['not-found', 'forbidden', 'conflict', 'limit-reached'],
  }),
  listOrgInvitations: endpoint({
    id: 'listOrgInvitations',
    method: 'GET',
    path: '/v1/orgs/:orgId/invitations',
    tag: 'orgs',
    access: 'user',
    scope: 'orgs:read',
    summary: 'The open invitations, newest first. Owners only: addresses are theirs to see.',
    params: OrgPath,
    query: PageQuery,
    success: 200,
    response: pageOf(Invitation, 'InvitationPage'),
    problems: ['not-found', 'forbidden'],
  }),
  resendOrgInvitation: endpoint({
    id: 'resendOrgInvitation',
    method: 'POST',
    path: '/v1/orgs/:orgId/invitations/:invitationId/resend',
    tag: 'orgs',
    access: 'user',
    isSensitive: true,
    scope: 'orgs:write',
    summary: `Mail an invitation again with a new link, for 7 more days; the link before it no longer works. ${INVITATION_MAILS_MAX} mails at most.`,
    params: InvitationPath,
    success: 200,
    response: Invitation,
    limit: 'register',
    problems: ['not-found', 'forbidden', 'limit-reached'],
  }),
  withdrawOrgInvitation: endpoint({
    id: 'withdrawOrgInvitation',
    method: 'DELETE',
    path: '/v1/orgs/:orgId/invitations/:invitationId',
    tag: 'orgs',
    access: 'user',
    scope: 'orgs:write',
    summary: 'Take an invitation back. Owners only.',
    params: InvitationPath,
    success: 204,
    response: z.undefined(),
    problems: ['not-found', 'forbidden'],
  }),
  showInvitation: endpoint({
    id: 'showInvitation',
    method: 'POST',
    path: '/v1/invitations/show',
    tag: 'orgs',
    access: 'user',
    summary: 'What a mailed invitation is to, for the user who has the invited address.',
    body: InvitationToken,
    success: 200,
    response: ReceivedInvitation,
    problems: ['not-found'],
  }),
  acceptInvitation: endpoint({
    id: 'acceptInvitation',
    method: 'POST',
    path: '/v1/invitations/accept',
    tag: 'orgs',
    access: 'user',
    summary:
      'Join the organisation of a mailed invitation. Only the user who has the invited address can. Who belongs already keeps their role.',
    body: InvitationToken,
    success: 200,
    response: Org,
    problems: ['not-found', 'limit-reached'],
  }),
  declineInvitation: endpoint({
    id: 'declineInvitation',
    method: 'POST',
    path: '/v1/invitations/decline',
    tag: 'orgs',
    access: 'user',
    summary: 'Refuse a mailed invitation; it is gone.',
    body: InvitationToken,
    success: 204,
    response: z.undefined(),
    problems: ['not-found'],
  }),
}
