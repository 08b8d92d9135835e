import * as z from 'zod'
import { endpoint } from './endpoint.ts'
import { OrgId } from './orgs.ts'

/** Shells, commands and transfers of one organisation at a time, unless the deployment says otherwise. */
export const SHELLS_PER_ORG_MAX = 100

/** Shells, commands and transfers on one host at a time, unless the deployment says otherwise. */
export const SHELLS_PER_HOST_MAX = 100

const bound = z.int().nullable().meta({ description: 'Null: nothing bounds it.' })

/** What an organisation uses of shells, and what it may. */
export const ShellUsage = z
  .object({
    live: z.int().meta({ description: 'Shells, commands and transfers that hold a connection now.' }),
    liveMax: z.int(),
    month: z
      .string()
      .regex(/^\d{4}-\d{2}$/)
      .meta({ description: 'The month in UTC; what ends in it counts in it, and what is live counts already.', example: '2026-11' }),
    minutes: z.int(),
    minutesMax: bound,
    bytes: z.int().meta({ description: 'That hosts sent.' }),
    bytesMax: bound,
  })
  .meta({ id: 'ShellUsage' })
/** What an organisation uses of shells. */
export type ShellUsage = z.infer<typeof ShellUsage>

/** What organisations use of shells. */
export const shellUsageEndpoints = {
  getShellUsage: endpoint({
    id: 'getShellUsage',
    method: 'GET',
    path: '/v1/orgs/:orgId/shell-usage',
    tag: 'shells',
    access: 'user',
    scope: 'shells:read',
    summary: 'What the organisation uses of shells this month, and what it may.',
    params: z.strictObject({ orgId: OrgId }),
    success: 200,
    response: ShellUsage,
    problems: ['not-found'],
  }),
}
