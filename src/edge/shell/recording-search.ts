import type { OrgId } from '../../contract/orgs.ts'
import { type RecordingMatch, type RecordingSearchQuery, SEARCH_CHUNKS_MAX } from '../../contract/recordings.ts'
import type { ShellId } from '../../contract/shell.ts'
import { orgRoleOf } from '../orgs/service.ts'
import { fromBase64Url, toBase64Url } from '../platform/base64.ts'
import type { Actor, Scope } from '../platform/scope.ts'
import { createLineScreen } from './line-screen.ts'
import { momentsOf, readChunk } from './recording-reader.ts'
import { chunksOf, type RecordingRow, type RecordingSelection, recordingsOf } from './recording-store.ts'
import { selectionOf, shellIdOf } from './recordings.ts'

const LINE_CHARS_MAX = 500
/** Matches of one call: a word that stands everywhere does not make an endless answer. */
const MATCHES_MAX = 200
const RECORDINGS_PER_READ = 20

/** Where a search stands: in this recording, before this chunk. */
interface Place {
  readonly shellId: ShellId
  readonly seq: number
}

interface Search {
  readonly scope: Scope
  readonly text: string
  readonly found: RecordingMatch[]
  chunksLeft: number
}

/** Lines with a text, from the newest recording back, as far as one call reads. @throws Problem `not-found` or `invalid-request` */
export async function searchRecordings(
  scope: Scope,
  actor: Actor,
  at: { readonly orgId: OrgId; readonly query: RecordingSearchQuery },
): Promise<{ items: RecordingMatch[]; nextCursor?: string }> {
  const { text, cursor, ...filter } = at.query
  await orgRoleOf(scope, actor, at.orgId)
  const of = { id: at.orgId, callerId: actor.userId, ...selectionOf(filter), shellId: filter.shellId }
  const search: Search = { scope, text: text.toLowerCase(), found: [], chunksLeft: SEARCH_CHUNKS_MAX }
  const stop = await searchFrom(search, of, cursor === undefined ? undefined : readCursor(cursor))
  const nextCursor = stop && toBase64Url(new TextEncoder().encode(`${stop.shellId}.${stop.seq}`))
  return { items: search.found, ...(nextCursor === undefined ? {} : { nextCursor }) }
}

function readCursor(cursor: string): Place {
  const [id, seq] = new TextDecoder().decode(fromBase64Url(cursor) ?? new Uint8Array()).split('.')
  return { shellId: shellIdOf(id), seq: Math.trunc(Number(seq)) || 0 }
}

/** Answers where to go on, if there is more. */
async function searchFrom(
  search: Search,
  of: { readonly id: OrgId; readonly callerId: Actor['userId'] } & RecordingSelection,
  from: Place | undefined,
): Promise<Place | undefined> {
  let place = from
  let before: ShellId | undefined
  for (;;) {
    const through = before === undefined ? place?.shellId : undefined
    const recordings = await recordingsOf(search.scope.db, of, { before, through, limit: RECORDINGS_PER_READ })
    for (const recording of recordings) {
      const seq = await searchOne(search, recording, place?.shellId === recording.id ? place.seq : 0)
      if (seq !== undefined) return { shellId: recording.id, seq }
      place = undefined
    }
    before = recordings.at(-1)?.id
    if (recordings.length < RECORDINGS_PER_READ) return undefined
  }
}

/** Answers the chunk before which it had to stop, if any. */
async function searchOne(search: Search, recording: RecordingRow, fromSeq: number): Promise<number | undefined> {
  const { scope, text, found } = search
  let atMs = 0
  let isCounted = fromSeq === 0
  const screen = createLineScreen(recording.columns, (line) => {
    if (isCounted && line.toLowerCase().includes(text))
      found.push({ shellId: recording.id, hostId: recording.hostId, atMs, line: line.trim().slice(0, LINE_CHARS_MAX) })
  })
  // One chunk earlier: a line may begin there.
  const rows = await chunksOf(scope.db, recording.id, { after: fromSeq - 2, limit: search.chunksLeft + 2 })
  for (const row of rows) {
    if (row.seq >= fromSeq && (search.chunksLeft === 0 || found.length >= MATCHES_MAX)) return row.seq
    const { chunk } = await readChunk(scope, recording, row)
    isCounted = row.seq >= fromSeq
    if (isCounted) search.chunksLeft -= 1
    for (const moment of chunk ? momentsOf(chunk) : []) {
      atMs = moment.atMs
      screen.feed(moment.bytes)
    }
  }
  screen.feed(NEW_LINE)
  return undefined
}

const NEW_LINE = new Uint8Array([10])
