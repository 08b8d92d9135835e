import { sql } from 'drizzle-orm'
import { UserId } from '../../contract/identity.ts'
import type { MessageEvent } from '../../contract/room-messages.ts'
import { RoomId } from '../../contract/rooms.ts'
import { WebhookEventId, type WebhookKind } from '../../contract/webhooks.ts'
import type { Env } from '../env.ts'
import { idFromBytes } from '../platform/id.ts'
import { describeError } from '../platform/log.ts'
import { objectScope } from '../platform/object-scope.ts'
import { commit } from '../platform/outbox/outbox.ts'
import type { Scope } from '../platform/scope.ts'
import { isHeard, type News, wake, written } from '../webhooks/service.ts'
import { eventsAfter, type MessageLog, storedSeq } from './messages.ts'
import { hearersOf } from './news.ts'
import { insertAuthor } from './store.ts'

const ALWAYS = sql`1`

const KINDS: Readonly<Partial<Record<MessageEvent['kind'], WebhookKind>>> = {
  post: 'room.message.published',
  edit: 'room.message.edited',
  delete: 'room.message.deleted',
}
/** What happens within this is told together. */
const GATHER_MS = 1_000
/** While nobody hears, it is asked again no sooner. */
const QUIET_MS = 60_000
const RETRY_MS = 5_000
const EVENTS_PER_BATCH = 50
const AUTHORS_PER_BATCH = 50
const BATCHES_MAX = 10

const SCHEMA = `
CREATE TABLE IF NOT EXISTS message_authors (user_id TEXT PRIMARY KEY, is_told INTEGER NOT NULL DEFAULT 0) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS message_errands (id INTEGER PRIMARY KEY CHECK (id = 1), told_seq INTEGER NOT NULL) STRICT;`

/** What the rest of the edge is told of a room's messages, some time after they are acknowledged: who wrote, and news for webhooks. */
export interface Errands {
  /** Who is known to have written here. */
  readonly authors: Set<string>
  /** The moment at which somebody will look, if it is planned. */
  dueAt: number | undefined
  /** Nobody heard when it was asked, so the next look can wait until then. */
  quietUntil: number
}

/** Whose errands they are. */
interface Teller {
  readonly ctx: DurableObjectState
  readonly env: Env
  readonly room: { readonly roomId: string }
  readonly log: MessageLog
  readonly errands: Errands
  readonly watchExpiry: (at: number) => Promise<void>
}

/** Opens what is still to be told; a room from before this table existed tells of all who wrote in it. */
export function openErrands({ sql }: DurableObjectStorage): Errands {
  sql.exec(SCHEMA)
  const { isNew } = sql.exec<{ isNew: number }>('SELECT count(*) = 0 AS isNew FROM message_errands').one()
  if (isNew) {
    sql.exec(`INSERT OR IGNORE INTO message_authors (user_id)
      SELECT DISTINCT json_extract(event.value, '$.userId') FROM message_segments, json_each(message_segments.events) AS event`)
    sql.exec('INSERT INTO message_errands (id, told_seq) SELECT 1, coalesce(max(last_seq), 0) FROM message_segments')
  }
  const rows = sql.exec<{ userId: string }>('SELECT user_id AS userId FROM message_authors').toArray()
  return { authors: new Set(rows.map(({ userId }) => userId)), dueAt: undefined, quietUntil: 0 }
}

/** Notes that these events are to be told of. The alarm is set with the row that holds them, so neither is there without the other. */
export function noteEvents({ ctx, errands, watchExpiry }: Teller, events: readonly MessageEvent[]): void {
  const newcomers = [...new Set(events.map(({ userId }) => userId))].filter((userId) => !errands.authors.has(userId))
  for (const userId of newcomers) {
    ctx.storage.sql.exec('INSERT OR IGNORE INTO message_authors (user_id) VALUES (?)', userId)
    errands.authors.add(userId)
  }
  const now = Date.now()
  if (errands.dueAt !== undefined && errands.dueAt > now) return
  const isQuiet = newcomers.length === 0 && now < errands.quietUntil
  errands.dueAt = isQuiet ? errands.quietUntil : now + GATHER_MS
  // Sooner than planned is always fine: whoever looks plans the next look for everything.
  ctx.waitUntil(isQuiet ? watchExpiry(errands.dueAt) : ctx.storage.setAlarm(errands.dueAt))
}

const toldSeq = (sql: SqlStorage): number => sql.exec<{ seq: number }>('SELECT told_seq AS seq FROM message_errands').one().seq
const noteTold = (sql: SqlStorage, seq: number) => void sql.exec('UPDATE message_errands SET told_seq = ?', seq)

/** Tells what is to be told; answers when to come again. What fails is tried again: messages wait for none of it. */
export async function runErrands(talk: Teller): Promise<number | undefined> {
  const { errands } = talk
  errands.dueAt = undefined
  try {
    const scope = objectScope(talk.ctx, talk.env, null)
    const roomId = RoomId.safeParse(talk.room.roomId)
    if (!roomId.success) return undefined
    const isMore = await tellAuthors(talk, scope, roomId.data)
    if (!(await tellEvents(talk, scope, roomId.data)) && !isMore) return undefined
    errands.dueAt = Date.now() + GATHER_MS
  } catch (error) {
    errands.dueAt = Date.now() + RETRY_MS
    objectScope(talk.ctx, talk.env, null).log('room.errand-failed', { roomId: talk.room.roomId, ...describeError(error) })
  }
  return errands.dueAt
}

async function tellAuthors({ ctx }: Teller, scope: Scope, roomId: RoomId): Promise<boolean> {
  const { sql } = ctx.storage
  const rows = sql
    .exec<{ userId: string }>('SELECT user_id AS userId FROM message_authors WHERE is_told = 0 LIMIT ?', AUTHORS_PER_BATCH)
    .toArray()
  if (rows.length === 0) return false
  await commit(
    scope,
    rows.map(({ userId }) => insertAuthor(scope.db, roomId, UserId.parse(userId))),
  )
  for (const { userId } of rows) sql.exec('UPDATE message_authors SET is_told = 1 WHERE user_id = ?', userId)
  return rows.length === AUTHORS_PER_BATCH
}

/** Answers whether more is to be told. What is told twice after a crash has the same id and counts once. */
async function tellEvents(talk: Teller, scope: Scope, roomId: RoomId): Promise<boolean> {
  const { sql } = talk.ctx.storage
  for (let i = 0; i < BATCHES_MAX; i++) {
    const seq = toldSeq(sql)
    const newest = storedSeq(talk.log)
    if (seq >= newest) return false
    if (!(await isHeard(scope, Object.values(KINDS), hearersOf(roomId)))) {
      talk.errands.quietUntil = Date.now() + QUIET_MS
      noteTold(sql, newest)
      return storedSeq(talk.log) > newest
    }
    talk.errands.quietUntil = 0
    const events = eventsAfter(talk.log, seq, { limit: EVENTS_PER_BATCH, now: Date.now() })
    const news = await Promise.all(events.map((event) => newsOf(talk, roomId, event)))
    const woken = await wake(scope)
    await commit(scope, [...news.flatMap((n) => (n ? written(scope, n, ALWAYS) : [])), woken.statement])
    await talk.env.OUTBOX.send({ eventId: woken.id })
    noteTold(sql, events.length < EVENTS_PER_BATCH ? Math.max(newest, events.at(-1)?.seq ?? 0) : (events.at(-1)?.seq ?? newest))
  }
  return true
}

async function newsOf({ log }: Teller, roomId: RoomId, event: MessageEvent): Promise<News | undefined> {
  const kind = KINDS[event.kind]
  if (!kind) return undefined
  const { seq, at, userId } = event
  const message = 'message' in event ? { message: event.message } : {}
  return {
    kind,
    id: await eventIdOf(`${roomId} ${log.state.epoch} ${seq}`, at),
    at,
    userId,
    actorId: userId,
    heardBy: hearersOf(roomId),
    data: { roomId, epoch: log.state.epoch, seq, userId, ...message },
  }
}

/** An id that sorts by time as every other and is the same whenever the same thing is named (RFC 9562 §5.8, laid out as §5.7). */
async function eventIdOf(name: string, at: number): Promise<WebhookEventId> {
  const bytes = new Uint8Array(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(name))).slice(0, 16)
  const view = new DataView(bytes.buffer)
  view.setUint16(0, Math.floor(at / 2 ** 32))
  view.setUint32(2, at % 2 ** 32)
  view.setUint8(6, 0x70 | (view.getUint8(6) & 0x0f))
  view.setUint8(8, 0x80 | (view.getUint8(8) & 0x3f))
  return WebhookEventId.parse(idFromBytes('evt', bytes))
}
