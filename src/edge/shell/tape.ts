import type { OffsetChunk } from '../../contract/krp-frame.ts'
import { joined } from './capture.ts'

/** Output kept per shell: a long scroll back, and twice what may be on its way to a viewer. */
export const TAPE_BYTES_MAX = 1024 * 1024
/** Chunks below this are filled up, so that a million keystrokes do not become a million rows. */
const CHUNK_BYTES_MIN = 4096

/** The latest output of a shell, by offset. What is appended is in SQLite when the call returns. */
export interface Tape {
  firstOffset(): number
  nextOffset(): number
  /** Takes output that begins at `nextOffset`. */
  append(bytes: Uint8Array): void
  /** The output up to `offset` is lost. */
  skipTo(offset: number): void
  /** The first kept run at or after `from`; it begins later than asked when bytes are gone. */
  read(from: number, bytesMax: number): OffsetChunk | undefined
}

interface Row extends Record<string, SqlStorageValue> {
  readonly first: number
  readonly bytes: ArrayBuffer
}

const SCHEMA = 'CREATE TABLE IF NOT EXISTS chunks (first INTEGER PRIMARY KEY, bytes BLOB NOT NULL) STRICT'

/** The place of a tape: of a shell, or of a command's output on its way into the recording. */
export const createTape = (sql: SqlStorage): void => void sql.exec(SCHEMA)

/** Opens the tape over what outlived the memory. Output from `neededFrom` on stays, however much it is. */
export function openTape(sql: SqlStorage, neededFrom: () => number = () => Number.POSITIVE_INFINITY): Tape {
  const sizes = sql
    .exec<{ first: number; size: number }>('SELECT first, length(bytes) AS size FROM chunks ORDER BY first')
    .toArray()
    .map(({ first, size }) => ({ first, size }))
  let keptBytes = sizes.reduce((sum, { size }) => sum + size, 0)
  let tail = tailBytes()

  function tailBytes(): Uint8Array {
    const [row] = sql.exec<Row>('SELECT first, bytes FROM chunks ORDER BY first DESC LIMIT 1').toArray()
    return row ? new Uint8Array(row.bytes) : new Uint8Array()
  }

  const nextOffset = () => {
    const last = sizes.at(-1)
    return last ? last.first + last.size : 0
  }

  function put(first: number, bytes: Uint8Array<ArrayBuffer>): void {
    sql.exec(
      'INSERT INTO chunks (first, bytes) VALUES (?, ?) ON CONFLICT (first) DO UPDATE SET bytes = excluded.bytes',
      first,
      bytes.buffer,
    )
    tail = bytes
  }

  function trim(): void {
    let dropTo: number | undefined
    while (keptBytes > TAPE_BYTES_MAX && sizes.length > 1 && (sizes[1]?.first ?? 0) <= neededFrom()) {
      const [oldest] = sizes.splice(0, 1)
      keptBytes -= oldest?.size ?? 0
      dropTo = sizes[0]?.first
    }
    if (dropTo !== undefined) sql.exec('DELETE FROM chunks WHERE first < ?', dropTo)
  }

  return {
    firstOffset: () => sizes[0]?.first ?? 0,
    nextOffset,
    append(bytes) {
      const last = sizes.at(-1)
      if (last && last.size < CHUNK_BYTES_MIN) {
        put(last.first, joined([tail, bytes]))
        last.size += bytes.length
      } else {
        const first = nextOffset()
        put(first, joined([bytes]))
        sizes.push({ first, size: bytes.length })
      }
      keptBytes += bytes.length
      trim()
    },
    skipTo(offset) {
      if (offset <= nextOffset()) return
      put(offset, new Uint8Array())
      sizes.push({ first: offset, size: 0 })
    },
    read(from, bytesMax) {
      const at = sizes.find(({ first, size }) => first + size > from)
      if (!at) return undefined
      const [row] = at === sizes.at(-1) ? [] : sql.exec<Row>('SELECT first, bytes FROM chunks WHERE first = ?', at.first).toArray()
      const bytes = row ? new Uint8Array(row.bytes) : tail
      const skipped = Math.max(0, from - at.first)
      return { offset: at.first + skipped, bytes: bytes.subarray(skipped, skipped + bytesMax) }
    },
  }
}
