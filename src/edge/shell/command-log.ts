import {
  COMMAND_EXPORT_MAX,
  COMMAND_FILE_PATH,
  type CommandExport,
  type CommandRecord,
  type CommandsQuery,
  CreateCommandExport,
} from '../../contract/commands.ts'
import { toMoment } from '../../contract/id.ts'
import { OrgId } from '../../contract/orgs.ts'
import { Problem } from '../../contract/problem.ts'
import { auditOnce, csvLine } from '../audit/service.ts'
import { demandLiveAccess } from '../identity/service.ts'
import { orgRoleOf } from '../orgs/service.ts'
import { fromBase64Url } from '../platform/base64.ts'
import { toPage } from '../platform/page.ts'
import type { Actor, Scope } from '../platform/scope.ts'
import { checkTicket, ticketedPath } from '../platform/ticket.ts'
import { type CommandPlace, type CommandRow, type CommandSelection, commandsIn } from './command-store.ts'
import { notACursor } from './recordings.ts'

const ROWS_PER_CHUNK = 1000
const MEDIA = { csv: 'text/csv; charset=utf-8; header=present', jsonl: 'application/jsonl; charset=utf-8' } as const
const CSV_COLUMNS = [
  'startedAt',
  'userId',
  'hostId',
  'kind',
  'command',
  'state',
  'exitCode',
  'signal',
  'durationMs',
  'stdoutBytes',
  'stderrBytes',
  'fileBytes',
  'fileSha256',
  'problem',
  'shellId',
  'recordingMs',
  'endedAt',
  'id',
] as const satisfies readonly (keyof CommandRecord)[]

const toRecord = (row: CommandRow): CommandRecord => ({
  id: row.id,
  kind: row.kind,
  shellId: row.shellId ?? row.id,
  hostId: row.hostId,
  userId: row.userId,
  command: row.command,
  state: row.state,
  ...(row.problem === null ? {} : { problem: row.problem }),
  exitCode: row.exitCode,
  signal: row.signal,
  stdoutBytes: row.stdoutBytes,
  stderrBytes: row.stderrBytes,
  durationMs: row.durationMs,
  recordingMs: row.recordingMs,
  fileBytes: row.fileBytes,
  fileSha256: row.fileSha256,
  startedAt: toMoment(row.startedAt),
  ...(row.endedAt === null ? {} : { endedAt: toMoment(row.endedAt) }),
})

const selectionOf = ({ from, to, ...filter }: Omit<CommandsQuery, 'cursor' | 'limit'>): CommandSelection => ({
  ...filter,
  from: from === undefined ? undefined : Date.parse(from),
  to: to === undefined ? undefined : Date.parse(to),
})

/** What ran on an organisation's hosts, as far as the caller may know. @throws Problem `not-found` or `invalid-request` */
export async function listCommands(scope: Scope, actor: Actor, at: { readonly orgId: OrgId; readonly query: CommandsQuery }) {
  const { cursor, limit, ...filter } = at.query
  await orgRoleOf(scope, actor, at.orgId)
  const of = { id: at.orgId, callerId: actor.userId, ...selectionOf(filter) }
  const rows = await commandsIn(scope.db, of, { before: cursor === undefined ? undefined : readPlace(cursor), limit: limit + 1 })
  return toPage(rows, at.query, { key: ({ startedAt, id }) => `${startedAt}.${id}`, item: toRecord })
}

function readPlace(cursor: string): CommandPlace {
  const [, startedAt, id] =
    /^(\d{1,15})\.([a-z]{3}_[0-9a-z]{26})$/.exec(new TextDecoder().decode(fromBase64Url(cursor) ?? new Uint8Array())) ?? []
  if (startedAt === undefined || id === undefined) throw notACursor()
  return { startedAt: Number(startedAt), id }
}

/** The path without its ticket: what the ticket is bound to, so it opens no other selection. */
function pathOf(orgId: OrgId, wanted: CreateCommandExport): string {
  const given = Object.entries(wanted).flatMap(([name, value]) => (value === undefined ? [] : [[name, String(value)]]))
  return `${COMMAND_FILE_PATH.replace(':orgId', orgId)}?${new URLSearchParams(given.sort())}`
}

/** A path that streams the log once, within half a minute. @throws Problem `not-found` */
export async function createCommandExport(
  scope: Scope,
  actor: Actor,
  of: { readonly orgId: OrgId; readonly wanted: CreateCommandExport },
): Promise<CommandExport> {
  await orgRoleOf(scope, actor, of.orgId)
  return ticketedPath(scope, actor, pathOf(of.orgId, of.wanted))
}

/** The file behind such a path. The entry that records the download is also what uses the ticket up. @throws Problem `ticket-invalid`, `session-ended` or `not-found` */
export async function openCommandFile(scope: Scope, at: { readonly orgId: string; readonly url: string }): Promise<Response> {
  const { ticket = '', ...query } = Object.fromEntries(new URL(at.url).searchParams)
  const orgId = OrgId.safeParse(at.orgId).data
  const wanted = CreateCommandExport.safeParse(query).data
  if (!orgId || !wanted) throw new Problem('ticket-invalid')
  const { actor, jti } = await checkTicket(scope, ticket, pathOf(orgId, wanted))
  await demandLiveAccess(scope, actor)
  await orgRoleOf(scope, actor, orgId)
  const act = { action: 'command.export', subject: orgId, orgId, cause: `${wanted.format} ${jti}` } as const
  if ((await auditOnce({ ...scope, actor }, act)).meta.changes !== 1) throw new Problem('ticket-invalid')
  const name = `commands-${orgId}-${toMoment(scope.now()).slice(0, 10)}.${wanted.format}`
  const { format, ...filter } = wanted
  return new Response(streamOf(scope, { format, of: { id: orgId, callerId: actor.userId, ...selectionOf(filter) } }), {
    headers: { 'content-type': MEDIA[format], 'content-disposition': `attachment; filename="${name}"`, 'cache-control': 'no-store' },
  })
}

/** Pages as the reader has room for them. A failure cuts the stream, so no file looks whole that is not. */
function streamOf(
  scope: Scope,
  { format, of }: { readonly format: CreateCommandExport['format']; readonly of: Parameters<typeof commandsIn>[1] },
): ReadableStream<Uint8Array> {
  const text = new TextEncoder()
  let before: CommandPlace | undefined
  let written = 0
  return new ReadableStream<Uint8Array>({
    start(controller) {
      if (format === 'csv') controller.enqueue(text.encode(csvLine(CSV_COLUMNS)))
    },
    async pull(controller) {
      const rows = await commandsIn(scope.db, of, { before, limit: ROWS_PER_CHUNK })
      before = rows.at(-1)
      written += rows.length
      if (rows.length > 0) controller.enqueue(text.encode(rows.map((row) => lineOf(toRecord(row), format)).join('')))
      if (rows.length < ROWS_PER_CHUNK || written >= COMMAND_EXPORT_MAX) controller.close()
    },
  })
}

const lineOf = (record: CommandRecord, format: CreateCommandExport['format']): string =>
  format === 'csv' ? csvLine(CSV_COLUMNS.map((column) => record[column] ?? null)) : `${JSON.stringify(record)}\n`
