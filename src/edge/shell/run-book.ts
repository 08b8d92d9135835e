import { RUN_OUTPUT_CHARS_MAX, type Run, type RunHost, type RunHostState, type RunState } from '../../contract/runs.ts'
import type { RunOrder } from './rpc.ts'

/** What a run's object must know after its memory is gone. Starting: D1 may not have heard of it. */
export interface RunRecord extends Omit<RunOrder, 'hosts' | 'userId'> {
  readonly userId: RunOrder['userId'] | null
  readonly hosts: number
  readonly state: RunState | 'starting'
  readonly endedAt: number | null
  /** Whether D1 has heard of the end. */
  readonly isReported: boolean
}

/** How one host ended, or goes on. */
export type HostChange = Partial<Omit<RunHost, 'seq' | 'hostId' | 'name'>>

/** One host with its place in the order. */
export type HostEntry = RunHost & { readonly place: number }

const SCHEMA = `
CREATE TABLE IF NOT EXISTS run (id INTEGER PRIMARY KEY CHECK (id = 1), json TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS hosts (place INTEGER PRIMARY KEY, seq INTEGER NOT NULL, state TEXT NOT NULL, is_failure INTEGER NOT NULL, json TEXT NOT NULL) STRICT;
CREATE INDEX IF NOT EXISTS hosts_by_seq ON hosts (seq);
CREATE INDEX IF NOT EXISTS hosts_by_state ON hosts (state, place);`

const FRESH = {
  state: 'waiting',
  shellId: null,
  exitCode: null,
  signal: null,
  killed: null,
  stdout: '',
  stderr: '',
  truncated: false,
  problem: null,
  durationMs: null,
} as const

/** The record of one run: everything of it is durable, and each change of a host has a number by which followers go on. */
export interface Book {
  record(): RunRecord
  change(change: Partial<RunRecord>): void
  changeHost(place: number, change: HostChange): void
  in(state: RunHostState): readonly HostEntry[]
  firstWaiting(): HostEntry | undefined
  /** The hosts that changed after this number, in the order of change. */
  changedAfter(seq: number, limit: number): readonly HostEntry[]
  /** The number of the latest change. */
  lastSeq(): number
  after(place: number, limit: number): readonly HostEntry[]
  /** Every host that waits is left out. */
  skipWaiting(): void
  view(): Run
}

interface HostRow extends Record<string, SqlStorageValue> {
  readonly place: number
  readonly seq: number
  readonly state: string
  readonly json: string
}

/** Opens the book that an earlier memory began; nothing where none was. */
export function openBook(sql: SqlStorage): Book | undefined {
  const hasTables = sql.exec("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'run'").toArray().length > 0
  const [row] = hasTables ? sql.exec<{ json: string }>('SELECT json FROM run').toArray() : []
  return row && bookOver(sql, JSON.parse(row.json) as RunRecord)
}

/** Begins the book of a run. */
export function beginBook(sql: SqlStorage, { hosts, ...order }: RunOrder): Book {
  sql.exec(SCHEMA)
  for (const [index, host] of hosts.entries()) {
    const entry = { hostId: host.id, name: host.name, ...FRESH }
    sql.exec(
      'INSERT INTO hosts (place, seq, state, is_failure, json) VALUES (?, 0, ?, 0, ?)',
      index + 1,
      entry.state,
      JSON.stringify(entry),
    )
  }
  const book = bookOver(sql, { ...order, hosts: hosts.length, state: 'starting', endedAt: null, isReported: false })
  book.change({})
  return book
}

const toEntry = ({ place, seq, json }: HostRow): HostEntry => ({ ...(JSON.parse(json) as RunHost), place, seq })

function bookOver(sql: SqlStorage, kept: RunRecord): Book {
  let record = kept
  const rows = (where: string, ...values: SqlStorageValue[]) =>
    sql.exec<HostRow>(`SELECT place, seq, state, json FROM hosts WHERE ${where}`, ...values).toArray()
  const count = (where: string): number => sql.exec<{ n: number }>(`SELECT count(*) AS n FROM hosts WHERE ${where}`).one().n

  function changeHost(place: number, change: HostChange): void {
    const [row] = rows('place = ?', place)
    if (!row) throw new Error('a run has a host at each of its places')
    const after: RunHost = { ...toEntry(row), ...cutOutput(change) }
    const values = [after.state, isFailure(after) ? 1 : 0, JSON.stringify(after), place]
    sql.exec('UPDATE hosts SET seq = (SELECT max(seq) + 1 FROM hosts), state = ?, is_failure = ?, json = ? WHERE place = ?', ...values)
  }

  return {
    record: () => record,
    change(change) {
      record = { ...record, ...change }
      sql.exec('INSERT INTO run (id, json) VALUES (1, ?) ON CONFLICT (id) DO UPDATE SET json = excluded.json', JSON.stringify(record))
    },
    changeHost,
    in: (state) => rows('state = ? ORDER BY place', state).map(toEntry),
    firstWaiting: () => rows("state = 'waiting' ORDER BY place LIMIT 1").map(toEntry)[0],
    changedAfter: (seq, limit) => rows('seq > ? ORDER BY seq LIMIT ?', seq, limit).map(toEntry),
    lastSeq: () => sql.exec<{ seq: number }>('SELECT coalesce(max(seq), 0) AS seq FROM hosts').one().seq,
    after: (place, limit) => rows('place > ? ORDER BY place LIMIT ?', place, limit).map(toEntry),
    skipWaiting() {
      for (const { place } of rows("state = 'waiting' ORDER BY place")) changeHost(place, { state: 'skipped' })
    },
    view: () => ({
      id: record.runId,
      orgId: record.orgId,
      userId: record.userId,
      command: record.command,
      parallel: record.parallel,
      stopOnFailure: record.stopOnFailure,
      state: record.state === 'starting' ? 'running' : record.state,
      hosts: record.hosts,
      succeeded: count("state = 'done' AND is_failure = 0"),
      failed: count('is_failure = 1'),
      createdAt: new Date(record.createdAt).toISOString(),
      ...(record.endedAt === null ? {} : { endedAt: new Date(record.endedAt).toISOString() }),
    }),
  }
}

/** Whether this host is a reason to begin no more. */
export const isFailure = ({ state, exitCode }: Pick<RunHost, 'state' | 'exitCode'>): boolean =>
  state === 'failed' || state === 'timed-out' || state === 'unknown' || (state === 'done' && exitCode !== 0)

function cutOutput(change: HostChange): HostChange {
  const { stdout = '', stderr = '' } = change
  if (stdout.length <= RUN_OUTPUT_CHARS_MAX && stderr.length <= RUN_OUTPUT_CHARS_MAX) return change
  return { ...change, stdout: cut(stdout), stderr: cut(stderr), truncated: true }
}

/** Head and tail; a surrogate pair that the cut tears becomes a replacement character. */
function cut(text: string): string {
  if (text.length <= RUN_OUTPUT_CHARS_MAX) return text
  const half = RUN_OUTPUT_CHARS_MAX >> 1
  return `${text.slice(0, half)}\n[${text.length - 2 * half} characters dropped]\n${text.slice(-half)}`.toWellFormed()
}
