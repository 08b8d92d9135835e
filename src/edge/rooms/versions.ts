import { toMoment } from '../../contract/id.ts'
import { Problem } from '../../contract/problem.ts'
import { NAMED_VERSIONS_MAX, type RoomVersion } from '../../contract/room-document.ts'

/** Automatic versions that are kept; older ones make room. */
const AUTOMATIC_MAX = 50
/** A row of an object ends at 2 MB. */
const PART_BYTES = 1_048_576
/** While people write, a version is kept this often, */
export const VERSION_EVERY_MS = 600_000
/** or after so many windows of changes. */
export const VERSION_EVERY_WINDOWS = 1_000

const SCHEMA = `
CREATE TABLE IF NOT EXISTS document_versions (id INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, name TEXT, bytes INTEGER NOT NULL, created_at INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS document_version_parts (version INTEGER NOT NULL, part INTEGER NOT NULL, bytes BLOB NOT NULL, PRIMARY KEY (version, part)) STRICT, WITHOUT ROWID;`

interface Row extends Record<string, SqlStorageValue> {
  readonly id: number
  readonly kind: RoomVersion['kind']
  readonly name: string | null
  readonly bytes: number
  readonly created_at: number
}

const toVersion = (row: Row): RoomVersion => ({
  id: String(row.id),
  kind: row.kind,
  name: row.name,
  bytes: row.bytes,
  createdAt: toMoment(row.created_at),
})

/** The kept states of a document, compressed, in the object's own SQLite. */
export interface Versions {
  readonly list: () => readonly RoomVersion[]
  /** Keeps a state. It is compressed first, so it is kept a moment later, or not at all. @throws Problem `limit-reached` */
  readonly keep: (
    state: Uint8Array,
    as: { readonly kind: RoomVersion['kind']; readonly name?: string; readonly now: number },
  ) => Promise<RoomVersion>
  /** A kept state. @throws Problem `not-found` */
  readonly read: (id: string) => Promise<Uint8Array>
  /** When the last one was kept, Unix milliseconds. */
  readonly lastAt: () => number | undefined
}

const through = async (bytes: Uint8Array, by: CompressionStream | DecompressionStream): Promise<Uint8Array> =>
  new Uint8Array(await new Response(new Response(bytes).body?.pipeThrough(by)).arrayBuffer())

/** Opens what is kept. */
export function openVersions(storage: DurableObjectStorage): Versions {
  const { sql } = storage
  sql.exec(SCHEMA)

  function insert(packed: Uint8Array, row: Omit<Row, 'id'>): Row {
    const stored = sql
      .exec<Row>(
        'INSERT INTO document_versions (kind, name, bytes, created_at) VALUES (?, ?, ?, ?) RETURNING *',
        row['kind'],
        row['name'],
        row['bytes'],
        row['created_at'],
      )
      .one()
    for (let part = 0; part * PART_BYTES < packed.byteLength; part++)
      sql.exec(
        'INSERT INTO document_version_parts VALUES (?, ?, ?)',
        stored.id,
        part,
        packed.slice(part * PART_BYTES, (part + 1) * PART_BYTES),
      )
    sql.exec(
      `DELETE FROM document_versions WHERE kind <> 'named' AND id NOT IN
        (SELECT id FROM document_versions WHERE kind <> 'named' ORDER BY id DESC LIMIT ?)`,
      AUTOMATIC_MAX,
    )
    sql.exec('DELETE FROM document_version_parts WHERE version NOT IN (SELECT id FROM document_versions)')
    return stored
  }

  return {
    list: () => sql.exec<Row>('SELECT * FROM document_versions ORDER BY id DESC').toArray().map(toVersion),
    async keep(state, { kind, name = null, now }: { kind: RoomVersion['kind']; name?: string | null; now: number }) {
      const packed = await through(state, new CompressionStream('gzip'))
      return storage.transactionSync(() => {
        const named = sql.exec<{ n: number }>("SELECT count(*) AS n FROM document_versions WHERE kind = 'named'").one().n
        if (kind === 'named' && named >= NAMED_VERSIONS_MAX) throw new Problem('limit-reached')
        return toVersion(insert(packed, { kind, name, bytes: state.byteLength, created_at: now }))
      })
    },
    async read(id) {
      const parts = sql
        .exec<{ bytes: ArrayBuffer }>('SELECT bytes FROM document_version_parts WHERE version = ? ORDER BY part', Number(id))
        .toArray()
      if (parts.length === 0) throw new Problem('not-found')
      return through(new Uint8Array(await new Blob(parts.map(({ bytes }) => bytes)).arrayBuffer()), new DecompressionStream('gzip'))
    },
    lastAt: () => sql.exec<{ at: number | null }>('SELECT max(created_at) AS at FROM document_versions').one().at ?? undefined,
  }
}
