import { type PageQuery, toMoment } from '../../contract/id.ts'
import type { OrgId } from '../../contract/orgs.ts'
import { Problem } from '../../contract/problem.ts'
import type { Recording, RecordingChunk, RecordingsQuery } from '../../contract/recordings.ts'
import { ShellId } from '../../contract/shell.ts'
import { orgRoleOf } from '../orgs/service.ts'
import { fromBase64Url, toBase64Url } from '../platform/base64.ts'
import { afterKey, toPage } from '../platform/page.ts'
import type { Actor, Scope } from '../platform/scope.ts'
import { chunksOf, type RecordingRow, type RecordingSelection, recordingOf, recordingsOf } from './recording-store.ts'

/** A recording as members see it. */
export const toRecording = (row: RecordingRow): Recording => ({
  shellId: row.id,
  orgId: row.orgId,
  hostId: row.hostId,
  userId: row.userId,
  kind: row.kind,
  columns: row.columns,
  rows: row.rows,
  bytes: row.bytes,
  chunks: row.chunks,
  gaps: row.gaps,
  durationMs: row.durationMs,
  startedAt: toMoment(row.startedAt),
  ...(row.endedAt === null ? {} : { endedAt: toMoment(row.endedAt) }),
  ...(row.hash === null ? {} : { hash: row.hash }),
  ...(row.signed === null ? {} : { signed: row.signed }),
})

const unixOf = (moment: string | undefined): number | undefined => (moment === undefined ? undefined : Date.parse(moment))

/** A filter as statements take it. */
export const selectionOf = (query: Omit<RecordingsQuery, 'cursor' | 'limit'>): RecordingSelection => ({
  ...query,
  from: unixOf(query.from),
  to: unixOf(query.to),
})

/** The recording, if the caller may watch it. @throws Problem `not-found` for strangers, `forbidden` for other members */
export async function watchable(scope: Scope, actor: Actor, shellId: ShellId): Promise<RecordingRow> {
  const [row] = await recordingOf(scope.db, { id: shellId, callerId: actor.userId })
  if (!row) throw new Problem('not-found')
  if (row.mayWatch !== 1) throw new Problem('forbidden')
  return row.recording
}

/** Recordings that the caller may watch, newest first. @throws Problem `not-found` or `invalid-request` */
export async function listRecordings(scope: Scope, actor: Actor, at: { readonly orgId: OrgId; readonly query: RecordingsQuery }) {
  const { cursor, limit, ...filter } = at.query
  await orgRoleOf(scope, actor, at.orgId)
  const of = { id: at.orgId, callerId: actor.userId, ...selectionOf(filter) }
  const key = afterKey({ cursor, limit })
  const rows = await recordingsOf(scope.db, of, { before: key === undefined ? undefined : (key as ShellId), limit: limit + 1 })
  return toPage(rows, at.query, { key: (row) => row.id, item: toRecording })
}

/** One recording. @throws Problem `not-found` or `forbidden` */
export const getRecording = async (scope: Scope, actor: Actor, shellId: ShellId): Promise<Recording> =>
  toRecording(await watchable(scope, actor, shellId))

/** Its time index, a page of it. @throws Problem `not-found`, `forbidden` or `invalid-request` */
export async function listChunks(scope: Scope, actor: Actor, at: { readonly shellId: ShellId; readonly query: PageQuery }) {
  await watchable(scope, actor, at.shellId)
  const [after = -1] = readPlace(at.query.cursor, 1)
  const rows = await chunksOf(scope.db, at.shellId, { after, limit: at.query.limit + 1 })
  const item = ({ seq, atMs, firstOffset, bytes, prevHash, hash }: (typeof rows)[number]): RecordingChunk => {
    return { seq, atMs, firstOffset, bytes, prevHash, hash }
  }
  return toPage(rows, at.query, { key: ({ seq }) => String(seq), item })
}

/** A place of numbers as a cursor. */
export const placeOf = (...numbers: readonly number[]): string => toBase64Url(new TextEncoder().encode(numbers.join('.')))

/** Reads {@link placeOf}; nothing without a cursor. @throws Problem `invalid-request` */
export function readPlace(cursor: string | undefined, count: number): readonly number[] {
  if (cursor === undefined) return []
  const bytes = fromBase64Url(cursor)
  const numbers = bytes ? new TextDecoder().decode(bytes).split('.') : []
  if (numbers.length !== count || !numbers.every((n) => /^\d{1,15}$/.test(n))) throw notACursor()
  return numbers.map(Number)
}

/** What whoever made up a cursor meets. */
export const notACursor = (): Problem =>
  new Problem('invalid-request', { errors: [{ detail: 'is not a cursor of this list', pointer: '#/query/cursor' }] })

/** An id within a cursor. @throws Problem `invalid-request` */
export function shellIdOf(text: string | undefined): ShellId {
  const { data } = ShellId.safeParse(text)
  if (data === undefined) throw notACursor()
  return data
}
