import * as z from 'zod'
import { endpoint } from './endpoint.ts'
import { lineOf, Moment } from './id.ts'
import { LinkToken, Locale, Me } from './identity.ts'

/** Longest name that a user can be called by. */
export const DISPLAY_NAME_CHARS_MAX = 60

/** What `updateMe` takes: what it does not name stays as it is. */
export const UpdateMe = z
  .strictObject({ displayName: lineOf(DISPLAY_NAME_CHARS_MAX).nullable().optional(), locale: Locale.optional() })
  .refine((changes) => Object.keys(changes).length > 0, 'names nothing to change')
  .meta({ id: 'UpdateMe' })
/** What `updateMe` takes. */
export type UpdateMe = z.output<typeof UpdateMe>

/** Everything that is kept about a user, by the feature that keeps it; each has a shape of its own, made to be read. */
export const AccountExport = z.object({ exportedAt: Moment, data: z.record(z.string(), z.looseObject({})) }).meta({ id: 'AccountExport' })
/** Everything that is kept about a user. */
export type AccountExport = z.infer<typeof AccountExport>

/**
 * How long an account can be taken back after its address was changed or its first second factor was added, and how far before that
 * factors and API keys go with it.
 */
export const ACCOUNT_RESTORE_SECONDS = 7 * 86_400

/** What `restoreAccount` takes: the token of the link that the owner was mailed. */
export const RestoreAccount = z.strictObject({ token: LinkToken }).meta({ id: 'RestoreAccount' })
/** What `restoreAccount` takes. */
export type RestoreAccount = z.output<typeof RestoreAccount>

/** The operations on one's own account. */
export const accountEndpoints = {
  restoreAccount: endpoint({
    id: 'restoreAccount',
    method: 'POST',
    path: '/v1/auth/account/restore',
    tag: 'identity',
    access: 'public',
    summary:
      'Take an account back with the link that was mailed when its address was changed or its first second factor was added. That address holds again; sign-in methods and API keys since then, and of the 7 days before, go; every device is signed out; a new password must be chosen.',
    body: RestoreAccount,
    success: 204,
    response: z.undefined(),
    problems: ['code-invalid', 'conflict'],
  }),
  updateMe: endpoint({
    id: 'updateMe',
    method: 'PATCH',
    path: '/v1/me',
    tag: 'identity',
    access: 'user',
    summary: 'Change what you are called, and the language of your mails; `null` takes the name back.',
    body: UpdateMe,
    success: 200,
    response: Me,
    hasEtag: true,
    ifMatch: true,
    problems: [],
  }),
  exportMe: endpoint({
    id: 'exportMe',
    method: 'GET',
    path: '/v1/me/export',
    tag: 'identity',
    access: 'user',
    summary: 'Everything that is kept about you.',
    success: 200,
    response: AccountExport,
    stepUp: true,
    limit: 'write',
    problems: [],
  }),
  deleteMe: endpoint({
    id: 'deleteMe',
    method: 'DELETE',
    path: '/v1/me',
    tag: 'identity',
    access: 'user',
    summary:
      'Delete your account: every session ends at once and everything that is kept about you is erased within minutes, for good. What you alone own must be transferred or deleted before, else `conflict`.',
    success: 204,
    response: z.undefined(),
    stepUp: true,
    problems: ['conflict', 'last-admin'],
  }),
}
