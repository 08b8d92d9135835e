import * as z from 'zod'
import { endpoint } from './endpoint.ts'
import { lineOf, Moment } from './id.ts'
import { Locale, Me } from './identity.ts'

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

/** The operations on one's own account. */
export const accountEndpoints = {
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
