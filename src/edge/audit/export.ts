import { AUDIT_FILE_PATH, type AuditExport, CreateAuditExport, EXPORT_ENTRIES_MAX } from '../../contract/audit.ts'
import { toMoment } from '../../contract/id.ts'
import { OrgId } from '../../contract/orgs.ts'
import { Problem } from '../../contract/problem.ts'
import type { Actor, Scope } from '../platform/scope.ts'
import { checkTicket, mintTicket } from '../platform/ticket.ts'
import { rowOf } from './act.ts'
import { chainOf, type Entry, type Link } from './link.ts'
import { selectionOf } from './listing.ts'
import { csvCell } from './policy.ts'
import { countEntries, entriesUpTo, insertEntryIf, isFirst, newestEntry } from './store.ts'

/** About a megabyte of text; a hundred thousand entries are fifty reads, D1's limit per request on the free plan. */
const ENTRIES_PER_CHUNK = 2000

const MEDIA = { csv: 'text/csv; charset=utf-8; header=present', jsonl: 'application/jsonl; charset=utf-8' } as const

const CSV_COLUMNS = [
  'seq',
  'at',
  'actorId',
  'action',
  'subject',
  'cause',
  'country',
  'sessionId',
  'traceId',
  'id',
  'prevHash',
  'hash',
] as const

/** A download that its ticket allows. */
export interface GrantedExport {
  readonly orgId: OrgId
  readonly actor: Actor
  readonly ticketId: string
  readonly wanted: CreateAuditExport
}

/** The path without its ticket: what the ticket is bound to, so it opens no other selection. */
function pathOf(orgId: OrgId, wanted: CreateAuditExport): string {
  const given = Object.entries(wanted).filter((pair): pair is [string, string] => pair[1] !== undefined)
  return `${AUDIT_FILE_PATH.replace(':orgId', orgId)}?${new URLSearchParams(given.sort())}`
}

/** A path that streams the entries once, within half a minute. @throws Problem `invalid-request` when it selects too many */
export async function grantExport(
  scope: Scope,
  actor: Actor,
  { orgId, wanted }: Pick<GrantedExport, 'orgId' | 'wanted'>,
): Promise<AuditExport> {
  const [counted] = await countEntries(scope.db, orgId, { selection: selectionOf(wanted), max: EXPORT_ENTRIES_MAX + 1 })
  if ((counted?.entries ?? 0) > EXPORT_ENTRIES_MAX) {
    const detail = `selects more than ${EXPORT_ENTRIES_MAX} entries; narrow the time range`
    throw new Problem('invalid-request', { errors: [{ detail, pointer: '#/body' }] })
  }
  const path = pathOf(orgId, wanted)
  const { ticket, expiresAt } = await mintTicket(scope, actor, path)
  return { path: `${path}&ticket=${ticket}`, expiresAt: toMoment(expiresAt) }
}

/** Reads such a path. @throws Problem `ticket-invalid` */
export async function checkExport(scope: Scope, at: { readonly orgId: string; readonly url: string }): Promise<GrantedExport> {
  const { ticket = '', ...query } = Object.fromEntries(new URL(at.url).searchParams)
  const orgId = OrgId.safeParse(at.orgId)
  const wanted = CreateAuditExport.safeParse(query)
  if (!orgId.success || !wanted.success) throw new Problem('ticket-invalid')
  const { actor, jti } = await checkTicket(scope, ticket, pathOf(orgId.data, wanted.data))
  return { orgId: orgId.data, actor, ticketId: jti, wanted: wanted.data }
}

/** Streams the file. The entry that records the download is also what uses the ticket up. @throws Problem `ticket-invalid` */
export async function streamExport(scope: Scope, granted: GrantedExport): Promise<Response> {
  const { orgId, actor, ticketId, wanted } = granted
  const row = rowOf({ ...scope, actor }, { action: 'audit.export', subject: ticketId, orgId, cause: wanted.format })
  const [newest, written] = await scope.db.batch([newestEntry(scope.db), insertEntryIf(scope.db, row, isFirst(row))])
  if (written.meta.changes !== 1) throw new Problem('ticket-invalid')
  const name = `audit-${orgId}-${toMoment(scope.now()).slice(0, 10)}.${wanted.format}`
  return new Response(streamOf(scope, granted, newest[0]?.id ?? 0), {
    headers: { 'content-type': MEDIA[wanted.format], 'content-disposition': `attachment; filename="${name}"` },
  })
}

/** Entries up to `through`, a chunk whenever the reader has room for one. A failure cuts the stream, so no file looks whole that is not. */
function streamOf(scope: Scope, { orgId, wanted }: GrantedExport, through: number): ReadableStream<Uint8Array> {
  const text = new TextEncoder()
  const selection = selectionOf(wanted)
  let after = Number.MIN_SAFE_INTEGER
  return new ReadableStream<Uint8Array>({
    start(controller) {
      if (wanted.format === 'csv') controller.enqueue(text.encode(csvLine(CSV_COLUMNS)))
    },
    async pull(controller) {
      const rows = await entriesUpTo(scope.db, orgId, { selection, after, through, limit: ENTRIES_PER_CHUNK })
      after = rows.at(-1)?.entry.id ?? after
      if (rows.length > 0) controller.enqueue(text.encode(rows.map((row) => lineOf(row, wanted.format)).join('')))
      if (rows.length < ENTRIES_PER_CHUNK) controller.close()
    },
  })
}

const csvLine = (cells: readonly (string | number | null)[]): string => `${cells.map(csvCell).join(',')}\r\n`

/** One entry as a line. Unsealed entries, the newest, have no place in the chain yet. */
function lineOf({ entry, link }: { readonly entry: Entry; readonly link: Link | null }, format: CreateAuditExport['format']): string {
  const place = { chain: chainOf(entry), seq: link?.seq ?? null, prevHash: link?.prevHash ?? null, hash: link?.hash ?? null }
  const record = { ...place, ...entry, at: toMoment(entry.at) }
  return format === 'csv' ? csvLine(CSV_COLUMNS.map((column) => record[column])) : `${JSON.stringify(record)}\n`
}
