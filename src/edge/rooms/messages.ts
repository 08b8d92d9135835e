import { MESSAGES_BYTES_MAX, type MessageEvent } from '../../contract/room-messages.ts'

/** A row stays below this; SQLite rows of an object end at 2 MB. */
const SEGMENT_CHARS_MAX = 500_000
/** Windows that are written one by one before they are packed into one segment. */
const LOOSE_ROWS_MAX = 64
/** A segment spans no more than this, so it can go as a whole soon after its last event has expired. */
const SEGMENT_SPAN_MS = 300_000
/** Ids of the newest events that are remembered, so that one sent again is known. */
const REMEMBERED_EVENTS = 5_000

const SCHEMA = `
CREATE TABLE IF NOT EXISTS message_stream (
  id INTEGER PRIMARY KEY CHECK (id = 1), epoch TEXT NOT NULL, first_seq INTEGER NOT NULL, ttl_seconds INTEGER
) STRICT;
CREATE TABLE IF NOT EXISTS message_segments (
  first_seq INTEGER PRIMARY KEY, last_seq INTEGER NOT NULL, first_at INTEGER NOT NULL, last_at INTEGER NOT NULL,
  is_packed INTEGER NOT NULL, events TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS message_reads (user_id TEXT PRIMARY KEY, seq INTEGER NOT NULL) STRICT, WITHOUT ROWID;`

type Sql = SqlStorage

/** Where the stream of messages stands. */
export interface StreamState {
  readonly epoch: string
  /** The oldest event that may be there; every number before it is gone. */
  readonly firstSeq: number
  readonly ttlSeconds: number | null
}

interface Segment extends Record<string, SqlStorageValue> {
  readonly first_seq: number
  readonly last_seq: number
  readonly last_at: number
  readonly events: string
}

/** A room's messages on disk: an ordered stream of events, one row per window, packed in segments that expire as a whole. */
export interface MessageLog {
  readonly storage: DurableObjectStorage
  state: StreamState
  nextSeq: number
  /** Numbers of remembered events by user and cid; read from disk when first needed. */
  known: Map<string, { readonly seq: number; readonly at: number }> | undefined
}

/** Opens the stored messages. */
export function openMessages(storage: DurableObjectStorage): MessageLog {
  const { sql } = storage
  sql.exec(SCHEMA)
  sql.exec('INSERT INTO message_stream (id, epoch, first_seq, ttl_seconds) VALUES (1, ?, 1, NULL) ON CONFLICT DO NOTHING', newEpoch())
  const state = readState(sql)
  const { last } = sql.exec<{ last: number }>('SELECT coalesce(max(last_seq), 0) AS last FROM message_segments').one()
  return { storage, state, nextSeq: Math.max(last + 1, state.firstSeq), known: undefined }
}

/** The newest event on disk. */
export const storedSeq = ({ storage: { sql }, state }: MessageLog): number =>
  sql.exec<{ seq: number }>('SELECT coalesce(max(last_seq), ?) AS seq FROM message_segments', state.firstSeq - 1).one().seq

const EPOCH_ALPHABET = '0123456789abcdefghjkmnpqrstvwxyz'

const newEpoch = (): string => [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => EPOCH_ALPHABET[byte & 31]).join('')

const readState = (sql: Sql): StreamState =>
  sql
    .exec<{ epoch: string; firstSeq: number; ttlSeconds: number | null }>(
      'SELECT epoch, first_seq AS firstSeq, ttl_seconds AS ttlSeconds FROM message_stream',
    )
    .one()

const eventsOf = ({ events }: Pick<Segment, 'events'>): MessageEvent[] => JSON.parse(events) as MessageEvent[]

/** The moment at or before which events have expired. */
const horizonOf = ({ state }: MessageLog, now: number): number =>
  state.ttlSeconds === null ? Number.NEGATIVE_INFINITY : now - state.ttlSeconds * 1000

/** The oldest event that may still be served. */
export function firstServedSeq(log: MessageLog, now: number): number {
  const horizon = horizonOf(log, now)
  if (horizon === Number.NEGATIVE_INFINITY) return log.state.firstSeq
  const [segment] = log.storage.sql
    .exec<Segment>(
      'SELECT first_seq, last_seq, last_at, events FROM message_segments WHERE last_at > ? ORDER BY first_seq LIMIT 1',
      horizon,
    )
    .toArray()
  return segment ? (eventsOf(segment).find(({ at }) => at > horizon)?.seq ?? segment.last_seq + 1) : log.nextSeq
}

/** Events after a number that have not expired, oldest first. */
export function eventsAfter(
  log: MessageLog,
  seq: number,
  { limit, now }: { readonly limit: number; readonly now: number },
): MessageEvent[] {
  const horizon = horizonOf(log, now)
  const found: MessageEvent[] = []
  const rows = log.storage.sql.exec<Segment>(
    'SELECT first_seq, last_seq, last_at, events FROM message_segments WHERE last_seq > ? AND last_at > ? ORDER BY first_seq',
    seq,
    Number.isFinite(horizon) ? horizon : -1,
  )
  for (const row of rows) {
    found.push(...eventsOf(row).filter((event) => event.seq > seq && event.at > horizon))
    if (found.length >= limit) break
  }
  return found.slice(0, limit)
}

/** The post of this number, unless it has expired. */
export function findPost(log: MessageLog, seq: number, now: number): (MessageEvent & { readonly kind: 'post' }) | undefined {
  const [row] = log.storage.sql
    .exec<Segment>(
      'SELECT first_seq, last_seq, last_at, events FROM message_segments WHERE first_seq <= ? ORDER BY first_seq DESC LIMIT 1',
      seq,
    )
    .toArray()
  const event = row && eventsOf(row).find((e) => e.seq === seq)
  return event?.kind === 'post' && event.at > horizonOf(log, now) ? event : undefined
}

/** Stores the events of a window as one row; packs loose rows when there are many. */
export function append(log: MessageLog, events: readonly MessageEvent[]): void {
  const [first, last] = [events[0], events.at(-1)]
  if (!first || !last) return
  insert(log.storage.sql, events, false)
  const { loose } = log.storage.sql.exec<{ loose: number }>('SELECT count(*) AS loose FROM message_segments WHERE is_packed = 0').one()
  if (loose < LOOSE_ROWS_MAX) return
  log.storage.transactionSync(() => pack(log.storage.sql))
  expire(log, last.at)
}

function insert(sql: Sql, events: readonly MessageEvent[], isPacked: boolean): void {
  const [first, last] = [events[0], events.at(-1)]
  if (!first || !last) return
  sql.exec(
    'INSERT INTO message_segments (first_seq, last_seq, first_at, last_at, is_packed, events) VALUES (?, ?, ?, ?, ?, ?)',
    ...[first.seq, last.seq, first.at, last.at, Number(isPacked), JSON.stringify(events)],
  )
}

/** Packs loose rows: the rows are deleted one day anyway, so packing costs one more write. */
function pack(sql: Sql): void {
  const rows = sql
    .exec<Segment>('SELECT first_seq, last_seq, last_at, events FROM message_segments WHERE is_packed = 0 ORDER BY first_seq')
    .toArray()
  sql.exec('DELETE FROM message_segments WHERE is_packed = 0')
  let segment: MessageEvent[] = []
  let chars = 0
  for (const row of rows) {
    const startedAt = segment[0]?.at ?? row.last_at
    if (chars + row.events.length > SEGMENT_CHARS_MAX || row.last_at - startedAt > SEGMENT_SPAN_MS) {
      insert(sql, segment, true)
      segment = []
      chars = 0
    }
    segment.push(...eventsOf(row))
    chars += row.events.length
  }
  insert(sql, segment, true)
}

/** Deletes what has expired and what is too much, whole segments at a time; answers when the next one expires. */
export function expire(log: MessageLog, now: number): number | undefined {
  const { sql } = log.storage
  const horizon = horizonOf(log, now)
  const { doomed } = sql
    .exec<{ doomed: number }>(
      `SELECT coalesce(max(last_seq), 0) AS doomed FROM (
        SELECT last_seq, last_at, sum(length(events)) OVER (ORDER BY first_seq DESC) AS kept FROM message_segments
      ) WHERE last_at <= ? OR kept > ?`,
      Number.isFinite(horizon) ? horizon : -1,
      MESSAGES_BYTES_MAX,
    )
    .one()
  if (doomed > 0) {
    log.storage.transactionSync(() => {
      sql.exec('DELETE FROM message_segments WHERE last_seq <= ?', doomed)
      sql.exec('UPDATE message_stream SET first_seq = max(first_seq, ?)', doomed + 1)
    })
    log.state = readState(sql)
  }
  return nextExpiryAt(log)
}

/** When the oldest segment has expired; nothing if none ever does. */
export function nextExpiryAt(log: MessageLog): number | undefined {
  const { ttlSeconds } = log.state
  if (ttlSeconds === null) return undefined
  const { at } = log.storage.sql.exec<{ at: number | null }>('SELECT min(last_at) AS at FROM message_segments').one()
  return at === null ? undefined : at + ttlSeconds * 1000
}

/** Keeps messages this long from now on, those already there included. */
export function setTtl(log: MessageLog, ttlSeconds: number | null): void {
  log.storage.sql.exec('UPDATE message_stream SET ttl_seconds = ?', ttlSeconds)
  log.state = readState(log.storage.sql)
}

/** Which texts to replace: those of matching events from a number on, in rows that hold a mark. */
export interface Rewriting {
  readonly fromSeq: number
  readonly mark: string
  readonly matches: (event: MessageEvent) => boolean
  readonly text: string
}

/** Replaces texts of stored events: the old ones are gone from disk, the events stay. */
export function rewrite({ storage: { sql } }: MessageLog, { fromSeq, mark, matches, text }: Rewriting): void {
  const rows = sql
    .exec<Segment>(
      'SELECT first_seq, last_seq, last_at, events FROM message_segments WHERE last_seq >= ? AND instr(events, ?) > 0',
      fromSeq,
      mark,
    )
    .toArray()
  for (const row of rows) {
    const events = eventsOf(row).map((event) => ('text' in event && matches(event) ? { ...event, text } : event))
    sql.exec('UPDATE message_segments SET events = ? WHERE first_seq = ?', JSON.stringify(events), row.first_seq)
  }
}

/** Replaces what a message says, in its post and in every edit of it. */
export function rewriteMessage(log: MessageLog, message: number, text: string): void {
  const marks = { fromSeq: message, text }
  rewrite(log, { ...marks, mark: `"seq":${message},`, matches: (e) => e.kind === 'post' && e.seq === message })
  rewrite(log, { ...marks, mark: `"message":${message},`, matches: (e) => e.kind === 'edit' && e.message === message })
}

/** What a user has written, oldest first. */
export function eventsBy(log: MessageLog, userId: string, now: number): MessageEvent[] {
  const horizon = horizonOf(log, now)
  const rows = log.storage.sql.exec<Segment>(
    'SELECT first_seq, last_seq, last_at, events FROM message_segments WHERE instr(events, ?) > 0 ORDER BY first_seq',
    userId,
  )
  return [...rows].flatMap(eventsOf).filter((event) => event.userId === userId && event.at > horizon)
}

const keyOf = (userId: string, cid: string): string => `${userId} ${cid}`

/** Where an event of this user and cid was put, if it is among the newest. */
export function knownEvent(log: MessageLog, userId: string, cid: string): { readonly seq: number; readonly at: number } | undefined {
  if (!log.known) {
    log.known = new Map()
    // Not by what may be served: an event that has expired was published all the same.
    const rows = log.storage.sql.exec<Segment>(
      'SELECT first_seq, last_seq, last_at, events FROM message_segments WHERE last_seq > ? ORDER BY first_seq',
      log.nextSeq - REMEMBERED_EVENTS,
    )
    for (const event of [...rows].flatMap(eventsOf)) remember(log, event)
  }
  return log.known.get(keyOf(userId, cid))
}

/** Remembers an event, so that it counts once. */
export function remember({ known }: MessageLog, { userId, cid, seq, at }: MessageEvent): void {
  if (!known) return
  known.set(keyOf(userId, cid), { seq, at })
  const [oldest] = known.keys()
  if (known.size > REMEMBERED_EVENTS && oldest !== undefined) known.delete(oldest)
}

/** Moves a user's read marker forward; answers whether it moved. */
export const markRead = (log: MessageLog, userId: string, seq: number): boolean =>
  log.storage.sql
    .exec(
      `INSERT INTO message_reads (user_id, seq) VALUES (?, ?)
        ON CONFLICT (user_id) DO UPDATE SET seq = excluded.seq WHERE excluded.seq > seq RETURNING seq`,
      userId,
      seq,
    )
    .toArray().length > 0

/** Every read marker. */
export const readMarkers = (log: MessageLog): Record<string, number> =>
  Object.fromEntries(
    log.storage.sql
      .exec<{ userId: string; seq: number }>('SELECT user_id AS userId, seq FROM message_reads')
      .toArray()
      .map(({ userId, seq }) => [userId, seq]),
  )

/** Forgets a user's read marker. */
export const forgetReads = (log: MessageLog, userId: string): void =>
  void log.storage.sql.exec('DELETE FROM message_reads WHERE user_id = ?', userId)
