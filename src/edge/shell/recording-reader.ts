import type { Scope } from '../platform/scope.ts'
import { type Chunk, decodeChunk, hashOfChunk, keyOfChunk, type Mark } from './recording-chunk.ts'
import { type ChunkRow, chunksOf, type RecordingRow } from './recording-store.ts'

const ROWS_PER_READ = 48
/** A Worker has six connections; so many chunks are held at once. */
const READS_AT_ONCE = 4

/** A chunk of the index with its object; without one it is gone or not what was written. */
export interface StoredChunk {
  readonly row: ChunkRow
  readonly fault: 'chunk-missing' | 'chunk-changed' | undefined
  readonly chunk: Chunk | undefined
}

/** Reads one chunk and holds it against the index. */
export async function readChunk(scope: Scope, recording: Pick<RecordingRow, 'id' | 'orgId'>, row: ChunkRow): Promise<StoredChunk> {
  const object = await scope.env.RECORDINGS.get(keyOfChunk(recording.orgId, recording.id, row.seq))
  if (!object) return { row, fault: 'chunk-missing', chunk: undefined }
  const bytes = await object.arrayBuffer()
  if ((await hashOfChunk(bytes)) !== row.hash) return { row, fault: 'chunk-changed', chunk: undefined }
  return { row, fault: undefined, chunk: decodeChunk(bytes) }
}

/** What is wrong with a chunk, for whoever reads the file. */
export const damage = ({ row, fault }: StoredChunk): string =>
  `chunk ${row.seq} is ${fault === 'chunk-missing' ? 'gone' : 'not what was recorded'}`

/** The chunks of a recording after a place, in order; a few are fetched at a time. */
export async function* readChunks(scope: Scope, recording: RecordingRow, after: number): AsyncGenerator<StoredChunk> {
  let last = after
  for (;;) {
    const rows = await chunksOf(scope.db, recording.id, { after: last, limit: ROWS_PER_READ })
    for (let at = 0; at < rows.length; at += READS_AT_ONCE) {
      yield* await Promise.all(rows.slice(at, at + READS_AT_ONCE).map((row) => readChunk(scope, recording, row)))
    }
    last = rows.at(-1)?.seq ?? last
    if (rows.length < ROWS_PER_READ) return
  }
}

/** A mark with the output up to the next one. */
export interface Moment extends Mark {
  readonly bytes: Uint8Array
}

/** What happened in a chunk, in order. */
export function momentsOf({ head, bytes }: Chunk): readonly Moment[] {
  const at = (offset: number | undefined) => Math.max(0, (offset ?? Number.POSITIVE_INFINITY) - head.firstOffset)
  let stream: 'o' | 'e' = 'o'
  return head.marks.flatMap((mark, i) => {
    const own = bytes.subarray(at(mark.offset), at(head.marks[i + 1]?.offset))
    if (mark.kind === 'o' || mark.kind === 'e') {
      stream = mark.kind
      return [{ ...mark, bytes: own }]
    }
    // Output goes on after whatever stands in between.
    return [
      { ...mark, bytes: own.subarray(0, 0) },
      ...(own.length > 0 ? [{ kind: stream, atMs: mark.atMs, offset: mark.offset, bytes: own }] : []),
    ]
  })
}
