import * as z from 'zod'
import { endpoint } from './endpoint.ts'
import { lineOf, Moment, PageQuery, pageOf } from './id.ts'
import { EMAIL_CHARS_MAX, Locale, UserId } from './identity.ts'
import { PlatformRole } from './permission.ts'
import { SESSIONS_PER_USER_MAX, Session } from './sessions.ts'

/** Every role at most once. */
const Roles = z
  .array(PlatformRole)
  .max(PlatformRole.options.length)
  .refine((roles) => new Set(roles).size === roles.length, 'names a role twice')

/** What `listUsers` takes. */
export const UserQuery = PageQuery.extend({
  text: z
    .string()
    .trim()
    .toLowerCase()
    .min(1)
    .max(EMAIL_CHARS_MAX)
    .optional()
    .meta({ description: 'How the mail address begins, or a part of it after one of `@ . - _ +`; as it is: no pattern.' }),
  role: PlatformRole.optional(),
  state: z.enum(['active', 'disabled']).optional(),
})
/** What `listUsers` takes. */
export type UserQuery = z.output<typeof UserQuery>

/** A user as those who look after the platform see them: no secret, and nothing of what they do. */
export const ManagedUser = z
  .object({
    id: UserId,
    email: z.string(),
    locale: Locale,
    roles: z.array(PlatformRole),
    createdAt: Moment,
    disabledAt: Moment.nullable(),
  })
  .meta({ id: 'ManagedUser' })
/** A user as those who look after the platform see them. */
export type ManagedUser = z.infer<typeof ManagedUser>

/** A user with how they sign in and where they are signed in. */
export const ManagedUserDetail = ManagedUser.extend({
  factors: z.object({
    hasPassword: z.boolean(),
    hasTotp: z.boolean(),
    passkeys: z.int(),
    recoveryCodesLeft: z.int(),
  }),
  sessions: z.array(Session.omit({ isCurrent: true })).max(SESSIONS_PER_USER_MAX),
}).meta({ id: 'ManagedUserDetail' })
/** A user with how they sign in and where they are signed in. */
export type ManagedUserDetail = z.infer<typeof ManagedUserDetail>

/** What `setUserRoles` takes: all the roles the user is to have. */
export const SetUserRoles = z.strictObject({ roles: Roles }).meta({ id: 'SetUserRoles' })
/** What `setUserRoles` takes. */
export type SetUserRoles = z.output<typeof SetUserRoles>

/** Longest reason for what is done to a user's account. */
export const REASON_CHARS_MAX = 200

/** Why a user is shut out, let in again or freed of their factors; it goes on record. */
export const StandingChange = z.strictObject({ reason: lineOf(REASON_CHARS_MAX) }).meta({ id: 'StandingChange' })
/** Why a user is shut out, let in again or freed of their factors. */
export type StandingChange = z.output<typeof StandingChange>

const UserParams = z.object({ userId: UserId })

/** The operations of those who look after the platform. */
export const adminEndpoints = {
  listUsers: endpoint({
    id: 'listUsers',
    method: 'GET',
    path: '/v1/admin/users',
    tag: 'admin',
    access: 'user',
    permission: 'users.read',
    summary: 'The users, the newest first; by how a part of the address begins, role or state.',
    query: UserQuery,
    success: 200,
    response: pageOf(ManagedUser, 'ManagedUserPage'),
    problems: [],
  }),
  getUser: endpoint({
    id: 'getUser',
    method: 'GET',
    path: '/v1/admin/users/:userId',
    tag: 'admin',
    access: 'user',
    permission: 'users.read',
    summary: 'One user: roles, ways to sign in, signed-in devices.',
    params: UserParams,
    success: 200,
    response: ManagedUserDetail,
    problems: ['not-found'],
  }),
  disableUser: endpoint({
    id: 'disableUser',
    method: 'POST',
    path: '/v1/admin/users/:userId/disable',
    tag: 'admin',
    access: 'user',
    permission: 'users.manage',
    stepUp: true,
    summary: 'Shut a user out: their sessions and API keys end for good.',
    params: UserParams,
    body: StandingChange,
    success: 204,
    response: z.undefined(),
    problems: ['not-found', 'last-admin'],
  }),
  enableUser: endpoint({
    id: 'enableUser',
    method: 'POST',
    path: '/v1/admin/users/:userId/enable',
    tag: 'admin',
    access: 'user',
    permission: 'users.manage',
    stepUp: true,
    summary: 'Let a disabled user sign in again.',
    params: UserParams,
    body: StandingChange,
    success: 204,
    response: z.undefined(),
    problems: ['not-found'],
  }),
  endUserSessions: endpoint({
    id: 'endUserSessions',
    method: 'DELETE',
    path: '/v1/admin/users/:userId/sessions',
    tag: 'admin',
    access: 'user',
    permission: 'users.manage',
    stepUp: true,
    summary:
      'End all that a user has begun until now: every session, API key, waiting sign-in and trusted device, also what is being started at this moment.',
    params: UserParams,
    success: 204,
    response: z.undefined(),
    problems: ['not-found'],
  }),
  removeUserFactors: endpoint({
    id: 'removeUserFactors',
    method: 'POST',
    path: '/v1/admin/users/:userId/factors/remove',
    tag: 'admin',
    access: 'user',
    permission: 'users.manage',
    stepUp: true,
    summary:
      'For somebody who has lost them: remove authenticator app, passkeys and recovery codes. Sessions and password end too, so that only who reads the mailbox goes on, with a new password; the owner is mailed.',
    params: UserParams,
    body: StandingChange,
    success: 204,
    response: z.undefined(),
    problems: ['not-found'],
  }),
  endAllSessions: endpoint({
    id: 'endAllSessions',
    method: 'DELETE',
    path: '/v1/admin/sessions',
    tag: 'admin',
    access: 'user',
    permission: 'users.manage',
    stepUp: true,
    summary: 'After a break-in: end every session and every API key of everybody, your own too.',
    success: 204,
    response: z.undefined(),
    problems: [],
  }),
  setUserRoles: endpoint({
    id: 'setUserRoles',
    method: 'PUT',
    path: '/v1/admin/users/:userId/roles',
    tag: 'admin',
    access: 'user',
    permission: 'roles.assign',
    stepUp: true,
    summary: 'Give and take roles on the platform. The last admin keeps theirs.',
    params: UserParams,
    body: SetUserRoles,
    success: 200,
    response: ManagedUser,
    problems: ['not-found', 'last-admin'],
  }),
}
