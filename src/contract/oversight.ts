import * as z from 'zod'
import { endpoint } from './endpoint.ts'
import { OrgId } from './orgs.ts'

/** Longest time that recordings are kept, in days. */
export const RETENTION_DAYS_MAX = 3650
/** How long they are kept unless an organisation says otherwise, in days. */
export const RETENTION_DAYS_DEFAULT = 90

/** What an organisation asks of its shells; it holds for those that are opened afterwards, retention and readership for all. */
export const Oversight = z
  .strictObject({
    isStrict: z.boolean().meta({ description: 'A shell or command ends when its recording cannot be kept; else the gap is recorded.' }),
    recordsInput: z.boolean().meta({ description: 'Also what is typed into terminals, where the terminal showed it.' }),
    isOpen: z
      .boolean()
      .meta({ description: 'Every member may watch recordings and read the command log; else owners, and each their own.' }),
    retentionDays: z.int().min(1).max(RETENTION_DAYS_MAX).meta({ description: 'Recordings are deleted this many days after they began.' }),
    needsWatcher: z.boolean().meta({ description: 'Input waits until another member watches, and stops when the last leaves.' }),
  })
  .meta({ id: 'Oversight' })
/** What an organisation asks of its shells. */
export type Oversight = z.infer<typeof Oversight>

/** What holds where nothing was asked. */
export const OVERSIGHT_DEFAULT: Oversight = {
  isStrict: false,
  recordsInput: false,
  isOpen: false,
  retentionDays: RETENTION_DAYS_DEFAULT,
  needsWatcher: false,
}

const OrgPath = z.strictObject({ orgId: OrgId })

/** The oversight operations. */
export const oversightEndpoints = {
  getOversight: endpoint({
    id: 'getOversight',
    method: 'GET',
    path: '/v1/orgs/:orgId/oversight',
    tag: 'recordings',
    access: 'user',
    scope: 'shells:read',
    summary: 'How the organisation records and watches its shells.',
    params: OrgPath,
    success: 200,
    response: Oversight,
    problems: ['not-found'],
  }),
  putOversight: endpoint({
    id: 'putOversight',
    method: 'PUT',
    path: '/v1/orgs/:orgId/oversight',
    tag: 'recordings',
    access: 'user',
    isSensitive: true,
    summary: 'Change how shells are recorded and watched. Owners only.',
    params: OrgPath,
    body: Oversight,
    success: 200,
    response: Oversight,
    problems: ['not-found', 'forbidden'],
  }),
}
