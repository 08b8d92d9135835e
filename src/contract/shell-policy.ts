import * as z from 'zod'
import { endpoint } from './endpoint.ts'
import { HostId, HostTag } from './hosts.ts'
import { EntityTag, lineOf, Moment, PageQuery, pageOf, prefixedId } from './id.ts'
import { UserId } from './identity.ts'
import { RemotePath } from './krp.ts'
import { OrgId, OrgRole } from './orgs.ts'

/** Rules of each kind in one policy. */
export const POLICY_RULES_MAX = 50
/** Words of a command rule. */
export const RULE_WORDS_MAX = 32
/** Shortest access that can be asked for. */
export const ACCESS_SECONDS_MIN = 300
/** Longest access that can be given: a working day. */
export const ACCESS_SECONDS_MAX = 8 * 3600
/** Requests of one person that wait for a decision. */
export const ACCESS_REQUESTS_MAX = 10
/** A request that nobody decides is over after this. */
export const ACCESS_REQUEST_HOURS = 24

/** Id of an access request. */
export const AccessRequestId = prefixedId('acr', 'AccessRequestId')
/** Id of an access request. */
export type AccessRequestId = z.infer<typeof AccessRequestId>

/** What is done on a host. */
export const HostUse = z.enum(['shell', 'exec', 'files']).meta({ id: 'HostUse' })
/** What is done on a host. */
export type HostUse = z.infer<typeof HostUse>

const ReachRule = z
  .strictObject({
    to: z.union([z.strictObject({ role: OrgRole.exclude(['owner', 'reader']) }), z.strictObject({ userId: UserId })]),
    tags: z
      .array(z.union([HostTag, z.literal('*')]))
      .min(1)
      .max(POLICY_RULES_MAX),
  })
  .meta({ id: 'ReachRule', description: 'Whoever it names reaches every host that carries one of these tags; `*` is every host.' })

/**
 * Words of a command in order. `*` in a word stands for any characters, a last word `**` for any further words. A program without a path is
 * denied under every path; it is allowed under that very name only.
 */
export const CommandRule = z
  .array(
    z
      .string()
      .min(1)
      .max(256)
      // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is refused.
      .regex(/^[^\u0000-\u001f\u007f]+$/),
  )
  .min(1)
  .max(RULE_WORDS_MAX)
  .meta({ id: 'CommandRule', example: ['systemctl', 'status', '*'] })
/** Words of a command in order. */
export type CommandRule = z.infer<typeof CommandRule>

/** Words that raise an alert when a terminal shows them on one line, whatever their colour; nothing is held back. */
export const AlertRule = z.object({ name: z.string(), text: z.string() }).meta({ id: 'AlertRule' })
/** Words that raise an alert. */
export type AlertRule = z.infer<typeof AlertRule>

const Fields = {
  uses: z
    .array(HostUse)
    .transform((uses) => [...new Set(uses)].sort())
    .meta({
      description: 'What may be done at all. Command rules bind only where `shell` is left out: who has a terminal types what they like.',
    }),
  stepUp: z.boolean().meta({ description: 'Whoever uses a host must have proven lately that it is them (`stepUp`); API keys cannot.' }),
  reach: z
    .array(ReachRule)
    .max(POLICY_RULES_MAX)
    .nullable()
    .meta({ description: 'Null: every operator reaches every host. Owners always do.' }),
  allow: z.array(CommandRule).max(POLICY_RULES_MAX).nullable().meta({ description: 'Nothing else runs; null: everything may.' }),
  deny: z.array(CommandRule).max(POLICY_RULES_MAX).meta({ description: 'What never runs, whatever is allowed.' }),
  alerts: z.array(z.strictObject({ name: lineOf(80), text: lineOf(128) })).max(POLICY_RULES_MAX),
  fileRoots: z
    .array(RemotePath)
    .min(1)
    .max(32)
    .nullable()
    .meta({ description: 'Folders under which files may be listed, read and written, once links are followed; null: everywhere.' }),
}

/** What an organisation lets its members do on its hosts. */
export const ShellPolicy = z
  .object({ ...Fields, uses: z.array(HostUse), alerts: z.array(AlertRule), etag: EntityTag })
  .meta({ id: 'ShellPolicy' })
/** What an organisation lets its members do on its hosts. */
export type ShellPolicy = z.infer<typeof ShellPolicy>

/** What `putShellPolicy` takes: the whole of it. */
export const PutShellPolicy = z.strictObject(Fields).meta({ id: 'PutShellPolicy' })
/** What `putShellPolicy` takes. */
export type PutShellPolicy = z.output<typeof PutShellPolicy>

/** Ended: withdrawn, taken back, or run out. */
export const AccessState = z.enum(['pending', 'approved', 'denied', 'ended']).meta({ id: 'AccessState' })
/** Where a request stands. */
export type AccessState = z.infer<typeof AccessState>

/** Somebody's wish to reach one host for a time. */
export const AccessRequest = z
  .object({
    id: AccessRequestId,
    orgId: OrgId,
    hostId: HostId,
    userId: UserId,
    reason: z.string(),
    seconds: z.int().meta({ description: 'How long, from the decision on.' }),
    state: AccessState,
    decidedBy: UserId.nullable(),
    createdAt: Moment,
    expiresAt: Moment.meta({
      description: 'Of a pending one, until when it can be decided; of an approved one, until when the host can be reached.',
    }),
  })
  .meta({ id: 'AccessRequest' })
/** Somebody's wish to reach one host for a time. */
export type AccessRequest = z.infer<typeof AccessRequest>

/** What `requestAccess` takes. */
export const RequestAccess = z
  .strictObject({ reason: lineOf(300), seconds: z.int().min(ACCESS_SECONDS_MIN).max(ACCESS_SECONDS_MAX).default(3600) })
  .meta({ id: 'RequestAccess' })
/** What `requestAccess` takes. */
export type RequestAccess = z.output<typeof RequestAccess>

/** What `decideAccess` takes. */
export const DecideAccess = z.strictObject({ isApproved: z.boolean() }).meta({ id: 'DecideAccess' })

const OrgPath = z.strictObject({ orgId: OrgId })
const RequestPath = z.strictObject({ requestId: AccessRequestId })

/** Who may do what on hosts. */
export const shellPolicyEndpoints = {
  getShellPolicy: endpoint({
    id: 'getShellPolicy',
    method: 'GET',
    path: '/v1/orgs/:orgId/shell-policy',
    tag: 'shells',
    access: 'user',
    scope: 'shells:read',
    summary: 'What the organisation lets its members do on its hosts.',
    params: OrgPath,
    success: 200,
    response: ShellPolicy,
    hasEtag: true,
    problems: ['not-found'],
  }),
  putShellPolicy: endpoint({
    id: 'putShellPolicy',
    method: 'PUT',
    path: '/v1/orgs/:orgId/shell-policy',
    tag: 'shells',
    access: 'user',
    isSensitive: true,
    summary: 'Change it as a whole. Owners only; shells whose opener may not reach their host any more end.',
    params: OrgPath,
    body: PutShellPolicy,
    success: 200,
    response: ShellPolicy,
    hasEtag: true,
    ifMatch: true,
    problems: ['not-found', 'forbidden'],
  }),
  requestAccess: endpoint({
    id: 'requestAccess',
    method: 'POST',
    path: '/v1/hosts/:hostId/access-requests',
    tag: 'shells',
    access: 'user',
    scope: 'shells:write',
    summary: 'Ask the owners for access to a host for a time. Operators.',
    params: z.strictObject({ hostId: HostId }),
    body: RequestAccess,
    success: 201,
    response: AccessRequest,
    problems: ['not-found', 'forbidden', 'limit-reached'],
  }),
  listAccessRequests: endpoint({
    id: 'listAccessRequests',
    method: 'GET',
    path: '/v1/orgs/:orgId/access-requests',
    tag: 'shells',
    access: 'user',
    scope: 'shells:read',
    summary: 'Requests for access, newest first: owners see all, others their own.',
    params: OrgPath,
    query: PageQuery,
    success: 200,
    response: pageOf(AccessRequest, 'AccessRequestPage'),
    problems: ['not-found'],
  }),
  decideAccess: endpoint({
    id: 'decideAccess',
    method: 'POST',
    path: '/v1/access-requests/:requestId/decision',
    tag: 'shells',
    access: 'user',
    isSensitive: true,
    summary: 'Approve or deny a request, once. Owners only, and never their own.',
    params: RequestPath,
    body: DecideAccess,
    success: 200,
    response: AccessRequest,
    problems: ['not-found', 'forbidden', 'conflict'],
  }),
  endAccess: endpoint({
    id: 'endAccess',
    method: 'DELETE',
    path: '/v1/access-requests/:requestId',
    tag: 'shells',
    access: 'user',
    scope: 'shells:write',
    isSensitive: true,
    summary: 'Withdraw a request or take an approval back; shells that it let in end. Whoever asked, and owners.',
    params: RequestPath,
    success: 204,
    response: z.undefined(),
    problems: ['not-found', 'forbidden'],
  }),
}
