import type { HostId } from '../../contract/hosts.ts'
import type { OrgId } from '../../contract/orgs.ts'
import { RECORDING_GENESIS, type RecordingKind } from '../../contract/recordings.ts'
import type { ShellId } from '../../contract/shell.ts'
import type { Mark, MarkKind } from './recording-chunk.ts'

/** What an object must know of its recording after its memory is gone. */
export interface RecordingState {
  readonly shellId: ShellId
  readonly orgId: OrgId
  readonly hostId: HostId
  readonly kind: RecordingKind
  readonly startedAt: number
  readonly isStrict: boolean
  readonly recordsInput: boolean
  readonly traceparent: string
  /** The next chunk, and the hash of the one before it. */
  readonly seq: number
  readonly prevHash: string
  /** Output before this is in storage, or lost. */
  readonly keptOffset: number
  readonly bytes: number
  readonly gaps: number
  /** Bytes before `keptOffset` whose loss is not on record yet. */
  readonly lostBytes: number
  /** Which stream the byte before `keptOffset` came on, and when. */
  readonly lastKind: 'o' | 'e'
  readonly lastMs: number
  /** Whether anything was ever opened; what was not leaves no recording. */
  readonly isOpened: boolean
  readonly endedMs: number | null
  /** Whether all is in storage and signed, or nothing was to be kept. */
  readonly isDone: boolean
}

/** What a recording begins with. */
export type NewRecording = Pick<
  RecordingState,
  'shellId' | 'orgId' | 'hostId' | 'kind' | 'startedAt' | 'isStrict' | 'recordsInput' | 'traceparent'
>

/** The marks that are not in storage yet, and how far the recording is. All of it is in SQLite when a call returns. */
export interface Recorder {
  state(): RecordingState
  change(change: Partial<RecordingState>): void
  /** Notes something at an offset of the output, now. */
  mark(kind: MarkKind, offset: number, data?: string): void
  /** The marks before an offset, or all, each with its row. */
  marks(before: number): readonly StoredMark[]
  /** Forgets the marks up to a row. */
  drop(throughId: number): void
  /** When the oldest mark was made, milliseconds since the start; nothing when all is kept. */
  oldestMs(): number | undefined
  /** Milliseconds since the start. */
  elapsedMs(): number
}

/** A mark and its row. */
export interface StoredMark extends Mark {
  readonly id: number
}

const SCHEMA = `
CREATE TABLE IF NOT EXISTS recording (id INTEGER PRIMARY KEY CHECK (id = 1), json TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS marks (id INTEGER PRIMARY KEY AUTOINCREMENT, at_ms INTEGER NOT NULL, kind TEXT NOT NULL, off INTEGER NOT NULL, data TEXT) STRICT;`

/** Output within so many milliseconds counts as come at once: no eye tells, and a flood does not become a million marks. */
const SAME_MOMENT_MS = 12

interface MarkRow extends Record<string, SqlStorageValue> {
  readonly id: number
  readonly at_ms: number
  readonly kind: string
  readonly off: number
  readonly data: string | null
}

/** Begins a recording. */
export function createRecorder(sql: SqlStorage, recording: NewRecording): Recorder {
  sql.exec(SCHEMA)
  const fresh = { keptOffset: 0, bytes: 0, gaps: 0, lostBytes: 0, lastKind: 'o', lastMs: 0 } as const
  save(sql, { ...recording, ...fresh, seq: 0, prevHash: RECORDING_GENESIS, isOpened: false, endedMs: null, isDone: false })
  return recorderOver(sql)
}

/** Opens the recording that outlived the memory, if there is one. */
export function openRecorder(sql: SqlStorage): Recorder | undefined {
  const isThere = sql.exec("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'recording'").toArray().length > 0
  return isThere && sql.exec('SELECT 1 FROM recording').toArray().length > 0 ? recorderOver(sql) : undefined
}

const save = (sql: SqlStorage, state: RecordingState) =>
  sql.exec('INSERT INTO recording (id, json) VALUES (1, ?) ON CONFLICT (id) DO UPDATE SET json = excluded.json', JSON.stringify(state))

function recorderOver(sql: SqlStorage): Recorder {
  let state = JSON.parse(sql.exec<{ json: string }>('SELECT json FROM recording').one().json) as RecordingState
  let last = lastMark(sql)
  let oldestMs = sql.exec<MarkRow>('SELECT * FROM marks ORDER BY id LIMIT 1').toArray()[0]?.at_ms
  // Clocks can step back between two lives of an object; time in a recording never does.
  const elapsedMs = () => Math.max(Date.now() - state.startedAt, state.lastMs, last?.atMs ?? 0)
  return {
    state: () => state,
    change(change) {
      state = { ...state, ...change }
      save(sql, state)
    },
    mark(kind, offset, data) {
      const atMs = elapsedMs()
      const isOutput = kind === 'o' || kind === 'e'
      if (isOutput && last?.kind === kind && atMs - last.atMs < SAME_MOMENT_MS) return
      sql.exec('INSERT INTO marks (at_ms, kind, off, data) VALUES (?, ?, ?, ?)', atMs, kind, offset, data ?? null)
      last = { kind, atMs }
      oldestMs ??= atMs
    },
    marks: (before) =>
      sql
        .exec<MarkRow>('SELECT * FROM marks WHERE off < ? ORDER BY id', before)
        .toArray()
        .map(({ id, at_ms: atMs, kind, off: offset, data }) => ({
          id,
          kind: kind as MarkKind,
          atMs,
          offset,
          ...(data === null ? {} : { data }),
        })),
    drop(throughId) {
      sql.exec('DELETE FROM marks WHERE id <= ?', throughId)
      oldestMs = sql.exec<MarkRow>('SELECT * FROM marks ORDER BY id LIMIT 1').toArray()[0]?.at_ms
      if (oldestMs === undefined) last = undefined
    },
    oldestMs: () => oldestMs,
    elapsedMs,
  }
}

function lastMark(sql: SqlStorage): Pick<Mark, 'kind' | 'atMs'> | undefined {
  const [row] = sql.exec<MarkRow>('SELECT * FROM marks ORDER BY id DESC LIMIT 1').toArray()
  return row && { kind: row.kind as MarkKind, atMs: row.at_ms }
}
