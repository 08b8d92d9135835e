import { toMoment } from '../../contract/id.ts'
import {
  type InboxEvent,
  NOTIFICATION_DAYS_MAX,
  NOTIFICATIONS_MAX,
  type Notification,
  type NotificationContent,
  type NotificationId,
} from '../../contract/inbox.ts'
import { type EventStream, openStream } from './stream.ts'

const KEEP_MS = NOTIFICATION_DAYS_MAX * 86_400_000

const SCHEMA = `
CREATE TABLE IF NOT EXISTS notifications (
  id      TEXT    PRIMARY KEY,
  content TEXT    NOT NULL,
  at      INTEGER NOT NULL,
  is_read INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS forgotten (id TEXT PRIMARY KEY, at INTEGER NOT NULL) STRICT, WITHOUT ROWID;`

interface Row extends Record<string, SqlStorageValue> {
  readonly id: string
  readonly content: string
  readonly at: number
  readonly is_read: number
}

const toNotification = ({ id, content, at, is_read }: Row): Notification => ({
  id: id as NotificationId,
  content: JSON.parse(content) as NotificationContent,
  createdAt: toMoment(at),
  isRead: is_read === 1,
})

/** A user's notifications, and the stream of what happens to them. Every change answers the event to tell, if it changed anything. */
export interface Tray {
  /** Repeating an id changes nothing, also after that notification was deleted. */
  readonly add: (of: { readonly id: NotificationId; readonly content: NotificationContent }, now: number) => InboxEvent | undefined
  readonly list: (page: { readonly before: string | undefined; readonly limit: number }, now: number) => readonly Notification[]
  readonly all: () => readonly Notification[]
  readonly has: (id: NotificationId) => boolean
  readonly get: (id: NotificationId) => Notification | undefined
  readonly unread: () => number
  /** Of one, or of it and all older ones. */
  readonly markRead: (id: NotificationId, hasOlder: boolean) => InboxEvent | undefined
  readonly remove: (id: NotificationId, now: number) => InboxEvent | undefined
  readonly stream: EventStream
  readonly erase: () => void
  /** Drops what is too old; answers when that must be done again. */
  readonly prune: (now: number) => number | undefined
}

/** Opens the stored tray. */
export function openTray(sql: SqlStorage): Tray {
  sql.exec(SCHEMA)
  const stream = openStream(sql)

  const unread = () => sql.exec<{ n: number }>('SELECT count(*) AS n FROM notifications WHERE is_read = 0').one().n
  const has = (id: string) => sql.exec('SELECT 1 FROM notifications WHERE id = ?', id).toArray().length > 0
  const forget = (ids: readonly string[], now: number) => {
    for (const id of ids) {
      sql.exec('DELETE FROM notifications WHERE id = ?', id)
      sql.exec('INSERT OR REPLACE INTO forgotten (id, at) VALUES (?, ?)', id, now)
    }
  }

  function overdue(now: number): string[] {
    const rows = sql
      .exec<{ id: string }>(
        'SELECT id FROM notifications WHERE at <= ? UNION SELECT id FROM (SELECT id FROM notifications ORDER BY id DESC LIMIT -1 OFFSET ?)',
        now - KEEP_MS,
        NOTIFICATIONS_MAX,
      )
      .toArray()
    return rows.map(({ id }) => id)
  }

  return {
    add({ id, content }, now) {
      if (has(id) || sql.exec('SELECT 1 FROM forgotten WHERE id = ?', id).toArray().length > 0) return undefined
      sql.exec('INSERT INTO notifications (id, content, at) VALUES (?, ?, ?)', id, JSON.stringify(content), now)
      forget(overdue(now), now)
      return stream.record({ type: 'added', notification: { id, content, createdAt: toMoment(now), isRead: false }, unread: unread() })
    },
    list: ({ before, limit }, now) =>
      sql
        .exec<Row>('SELECT * FROM notifications WHERE id < ? AND at > ? ORDER BY id DESC LIMIT ?', before ?? 'ntf`', now - KEEP_MS, limit)
        .toArray()
        .map(toNotification),
    all: () => sql.exec<Row>('SELECT * FROM notifications ORDER BY id').toArray().map(toNotification),
    has,
    get: (id) => sql.exec<Row>('SELECT * FROM notifications WHERE id = ?', id).toArray().map(toNotification)[0],
    unread,
    markRead(id, hasOlder) {
      const rows = sql
        .exec<{ id: string }>(
          `UPDATE notifications SET is_read = 1 WHERE is_read = 0 AND ${hasOlder ? 'id <= ?' : 'id = ?'} RETURNING id`,
          id,
        )
        .toArray()
      return rows.length === 0
        ? undefined
        : stream.record({ type: 'read', ids: rows.map((row) => row.id as NotificationId), unread: unread() })
    },
    remove(id, now) {
      if (!has(id)) return undefined
      forget([id], now)
      return stream.record({ type: 'deleted', ids: [id], unread: unread() })
    },
    stream,
    erase() {
      for (const table of ['notifications', 'forgotten']) sql.exec(`DELETE FROM ${table}`)
      stream.restart()
    },
    prune(now) {
      forget(overdue(now), now)
      sql.exec('DELETE FROM forgotten WHERE at <= ?', now - KEEP_MS)
      const { next } = sql
        .exec<{ next: number | null }>(
          'SELECT min(at) + ? AS next FROM (SELECT at FROM notifications UNION ALL SELECT at FROM forgotten)',
          KEEP_MS,
        )
        .one()
      return next ?? undefined
    },
  }
}
