import { INBOX_EVENTS_MAX, type InboxCursor, type InboxEvent } from '../../contract/inbox.ts'

const SCHEMA = `
CREATE TABLE IF NOT EXISTS events (seq INTEGER PRIMARY KEY AUTOINCREMENT, event TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS stream (id INTEGER PRIMARY KEY CHECK (id = 1), epoch TEXT NOT NULL) STRICT;`

/** Something that happened, before it has its place. */
export type Happening = { [E in InboxEvent as E['type']]: Omit<E, 'seq'> }[InboxEvent['type']]

/** What happened to an inbox, in order. */
export interface EventStream {
  readonly record: (happening: Happening) => InboxEvent
  readonly position: () => InboxCursor
  /** The events after a place, or nothing when some of them are gone or the place is of another stream. */
  readonly since: (cursor: InboxCursor) => readonly string[] | undefined
  /** Forgets all; places of before are of another stream from then on. */
  readonly restart: () => void
}

/** Opens the stored stream. */
export function openStream(sql: SqlStorage): EventStream {
  sql.exec(SCHEMA)
  sql.exec('INSERT OR IGNORE INTO stream (id, epoch) VALUES (1, ?)', crypto.randomUUID())

  function position(): InboxCursor {
    const { epoch } = sql.exec<{ epoch: string }>('SELECT epoch FROM stream').one()
    const [last] = sql.exec<{ seq: number }>("SELECT seq FROM sqlite_sequence WHERE name = 'events'").toArray()
    return { epoch, seq: last?.seq ?? 0 }
  }

  return {
    record(happening) {
      const event: InboxEvent = { ...happening, seq: position().seq + 1 }
      sql.exec('INSERT INTO events (seq, event) VALUES (?, ?)', event.seq, JSON.stringify(event))
      sql.exec('DELETE FROM events WHERE seq <= ?', event.seq - INBOX_EVENTS_MAX)
      return event
    },
    position,
    since({ epoch, seq }) {
      const now = position()
      if (epoch !== now.epoch || seq > now.seq) return undefined
      const rows = sql.exec<{ event: string }>('SELECT event FROM events WHERE seq > ? ORDER BY seq', seq).toArray()
      return rows.length === now.seq - seq ? rows.map((row) => row.event) : undefined
    },
    restart() {
      sql.exec('DELETE FROM events')
      sql.exec('UPDATE stream SET epoch = ?', crypto.randomUUID())
    },
  }
}
