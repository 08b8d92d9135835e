import {
  AUDIT_FILE_PATH,
  type AuditExport,
  CreateAuditExport,
  EXPORT_ENTRIES_MAX,
  PLATFORM_AUDIT_FILE_PATH,
  PLATFORM_CHAIN,
} from '../../contract/audit.ts'
import { toMoment } from '../../contract/id.ts'
import { Problem } from '../../contract/problem.ts'
import type { Actor, Scope } from '../platform/scope.ts'
import { checkTicket, ticketedPath } from '../platform/ticket.ts'
import { rowOf } from './act.ts'
import { type Chain, chainOf, type Entry, type Link } from './link.ts'
import { selectionOf } from './listing.ts'
import { csvLineOf } from './policy.ts'
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
  readonly chain: Chain
  readonly actor: Actor
  readonly ticketId: string
  readonly wanted: CreateAuditExport
}

/** The path without its ticket: what the ticket is bound to, so it opens no other selection. */
function pathOf(chain: Chain, wanted: CreateAuditExport): string {
  const path = chain === PLATFORM_CHAIN ? PLATFORM_AUDIT_FILE_PATH : AUDIT_FILE_PATH.replace(':orgId', chain)
  const given = Object.entries(wanted).filter((pair): pair is [string, string] => pair[1] !== undefined)
  return `${path}?${new URLSearchParams(given.sort())}`
}

/** A path that streams the entries once, within half a minute. @throws Problem `invalid-request` when it selects too many */
export async function grantExport(
  scope: Scope,
  actor: Actor,
  { chain, wanted }: Pick<GrantedExport, 'chain' | 'wanted'>,
): Promise<AuditExport> {
  const [counted] = await countEntries(scope.db, chain, { selection: selectionOf(wanted), max: EXPORT_ENTRIES_MAX + 1 })
  if ((counted?.entries ?? 0) > EXPORT_ENTRIES_MAX) {
    const detail = `selects more than ${EXPORT_ENTRIES_MAX} entries; narrow the time range`
    throw new Problem('invalid-request', { errors: [{ detail, pointer: '#/body' }] })
  }
  return ticketedPath(scope, actor, pathOf(chain, wanted))
}

/** Reads such a path. @throws Problem `ticket-invalid` */
export async function checkExport(scope: Scope, { chain, url }: { readonly chain: Chain; readonly url: string }): Promise<GrantedExport> {
  const { ticket = '', ...query } = Object.fromEntries(new URL(url).searchParams)
  const wanted = CreateAuditExport.safeParse(query)
  if (!wanted.success) throw new Problem('ticket-invalid')
  const { actor, jti } = await checkTicket(scope, ticket, pathOf(chain, wanted.data))
  return { chain, actor, ticketId: jti, wanted: wanted.data }
}

/** Streams the file. The entry that records the download is also what uses the ticket up. @throws Problem `ticket-invalid` */
export async function streamExport(scope: Scope, granted: GrantedExport): Promise<Response> {
  const { chain, actor, ticketId, wanted } = granted
  const of = chain === PLATFORM_CHAIN ? {} : { orgId: chain }
  const row = rowOf({ ...scope, actor }, { action: 'audit.export', subject: ticketId, cause: wanted.format, ...of })
  const [newest, written] = await scope.db.batch([newestEntry(scope.db), insertEntryIf(scope.db, row, isFirst(row))])
  if (written.meta.changes !== 1) throw new Problem('ticket-invalid')
  const name = `audit-${chain}-${toMoment(scope.now()).slice(0, 10)}.${wanted.format}`
  return new Response(streamOf(scope, granted, newest[0]?.id ?? 0), {
    headers: { 'content-type': MEDIA[wanted.format], 'content-disposition': `attachment; filename="${name}"` },
  })
}

/** Entries up to `through`, a chunk whenever the reader has room for one. A failure cuts the stream, so no file looks whole that is not. */
function streamOf(scope: Scope, { chain, wanted }: GrantedExport, through: number): ReadableStream<Uint8Array> {
  const text = new TextEncoder()
  const selection = selectionOf(wanted)
  let after = Number.MIN_SAFE_INTEGER
  return new ReadableStream<Uint8Array>({
    start(controller) {
      if (wanted.format === 'csv') controller.enqueue(text.encode(csvLineOf(CSV_COLUMNS)))
    },
    async pull(controller) {
      const rows = await entriesUpTo(scope.db, chain, { selection, after, through, limit: ENTRIES_PER_CHUNK })
      after = rows.at(-1)?.entry.id ?? after
      if (rows.length > 0) controller.enqueue(text.encode(rows.map((row) => lineOf(row, wanted.format)).join('')))
      if (rows.length < ENTRIES_PER_CHUNK) controller.close()
    },
  })
}

/** One entry as a line. Unsealed entries, the newest, have no place in the chain yet. */
function lineOf({ entry, link }: { readonly entry: Entry; readonly link: Link | null }, format: CreateAuditExport['format']): string {
  const place = { chain: chainOf(entry), seq: link?.seq ?? null, prevHash: link?.prevHash ?? null, hash: link?.hash ?? null }
  const record = { ...place, ...entry, at: toMoment(entry.at) }
  return format === 'csv' ? csvLineOf(CSV_COLUMNS.map((column) => record[column])) : `${JSON.stringify(record)}\n`
}
