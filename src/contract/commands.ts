import * as z from 'zod'
import { AuditFormat } from './audit.ts'
import { endpoint } from './endpoint.ts'
import { HostId } from './hosts.ts'
import { Moment, PageQuery, pageOf } from './id.ts'
import { UserId } from './identity.ts'
import { OrgId } from './orgs.ts'
import { ShellId } from './shell.ts'

/** Most commands of one file. */
export const COMMAND_EXPORT_MAX = 100_000

/** What ran on a host, and how it went. */
export const CommandRecord = z
  .object({
    id: z.string().meta({ description: 'Of a command that was run, its `shellId`.' }),
    kind: z.enum(['exec', 'pty']).meta({
      description:
        '`exec`: it was run as it stands here. `pty`: a terminal showed this line when Enter was hit; best effort, for programs draw what they like.',
    }),
    shellId: ShellId.meta({ description: 'Whose recording shows it.' }),
    hostId: HostId,
    userId: UserId.nullable().meta({ description: 'Null once they are erased.' }),
    command: z.string(),
    state: z.enum(['running', 'done', 'timed-out', 'failed', 'unknown']).meta({ description: '`unknown`: nobody saw the end.' }),
    problem: z.string().optional(),
    exitCode: z.int().nullable().meta({ description: 'Null where it is not known, as in a terminal.' }),
    signal: z.string().nullable(),
    stdoutBytes: z.int().nullable(),
    stderrBytes: z.int().nullable(),
    durationMs: z.int().nullable(),
    recordingMs: z.int().nullable().meta({ description: 'Where in the recording, in milliseconds since its beginning.' }),
    fileBytes: z.int().nullable().meta({ description: 'Of a file that was read or written: how many of its bytes were carried.' }),
    fileSha256: z.string().nullable().meta({ description: 'SHA-256 of those bytes, in lower-case hex.' }),
    startedAt: Moment,
    endedAt: Moment.optional(),
  })
  .meta({ id: 'CommandRecord' })
/** What ran on a host. */
export type CommandRecord = z.infer<typeof CommandRecord>

const CommandFilter = z.strictObject({
  userId: UserId.optional(),
  hostId: HostId.optional(),
  shellId: ShellId.optional(),
  kind: z.enum(['exec', 'pty']).optional(),
  exitCode: z.coerce.number().int().min(0).max(4_294_967_295).optional(),
  text: z.string().min(1).max(200).optional().meta({ description: 'Stands in the command, in any case.' }),
  from: Moment.optional().meta({ description: 'Begun at this moment or later.' }),
  to: Moment.optional().meta({ description: 'Begun before this moment.' }),
})

/** Query of the command log. */
export const CommandsQuery = PageQuery.extend(CommandFilter.shape)
/** Query of the command log. */
export type CommandsQuery = z.output<typeof CommandsQuery>

/** What a file of the command log holds, newest first. */
export const CreateCommandExport = CommandFilter.extend({ format: AuditFormat.default('jsonl') }).meta({ id: 'CreateCommandExport' })
/** What a file of the command log holds. */
export type CreateCommandExport = z.output<typeof CreateCommandExport>

/** Where to fetch the file: once, and soon. */
export const CommandExport = z
  .object({ path: z.string().meta({ description: 'GET it at this origin; needs no other credential.' }), expiresAt: Moment })
  .meta({ id: 'CommandExport' })
/** Where to fetch the file. */
export type CommandExport = z.infer<typeof CommandExport>

/** Path template of the file itself. */
export const COMMAND_FILE_PATH = '/v1/orgs/:orgId/commands/file'

const OrgPath = z.strictObject({ orgId: OrgId })

/** The operations of the command log. */
export const commandEndpoints = {
  listCommands: endpoint({
    id: 'listCommands',
    method: 'GET',
    path: '/v1/orgs/:orgId/commands',
    tag: 'recordings',
    access: 'user',
    scope: 'shells:read',
    summary: 'What ran on the hosts, newest first: your own, and all of it for owners and where the organisation is open.',
    params: OrgPath,
    query: CommandsQuery,
    success: 200,
    response: pageOf(CommandRecord, 'CommandRecordPage'),
    problems: ['not-found'],
  }),
  createCommandExport: endpoint({
    id: 'createCommandExport',
    method: 'POST',
    path: '/v1/orgs/:orgId/commands/exports',
    tag: 'recordings',
    access: 'user',
    scope: 'shells:read',
    summary: 'Get a path that streams the command log once, within 30 seconds, as CSV or JSON Lines; the download is on record.',
    params: OrgPath,
    body: CreateCommandExport,
    success: 201,
    response: CommandExport,
    problems: ['not-found'],
  }),
}
