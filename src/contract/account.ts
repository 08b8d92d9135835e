import * as z from 'zod'
import { endpoint } from './endpoint.ts'
import { lineOf } from './id.ts'
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
}
