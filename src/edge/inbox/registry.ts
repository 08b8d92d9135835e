import { isAmong, type SessionIds, type SocketTie } from '../platform/live-sockets.ts'

/** Sockets of one user anywhere: many tabs in many rooms, not a flood. */
export const SOCKETS_PER_USER_MAX = 500
/** A join that was checked before its session ended arrives within a minute; an hour is safe. */
const KEEP_ENDED_MS = 3_600_000
/** Objects close expired sockets on a grid of a minute. */
const EXPIRY_SLACK_MS = 120_000

const EVERY = '*'

const SCHEMA = `
CREATE TABLE IF NOT EXISTS sockets (
  id         TEXT    PRIMARY KEY,
  kind       TEXT    NOT NULL,
  holder     TEXT    NOT NULL,
  session_id TEXT    NOT NULL,
  expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS incognito_sockets (id TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS ended_sessions (id TEXT PRIMARY KEY, at INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS tickets (jti TEXT PRIMARY KEY, expires_at INTEGER NOT NULL) STRICT, WITHOUT ROWID;`

/** An object that holds sockets. */
export type Holder = Pick<SocketTie, 'kind' | 'holder'>

/** Where a user's sockets are, and which sessions may have none any more. */
export interface Registry {
  /** Why the socket must close, or nothing. */
  readonly tie: (tie: SocketTie, now: number) => 'session-ended' | 'limit-reached' | null
  readonly untie: (socketId: string) => void
  /** Whether any socket of the user is not to be seen. */
  readonly isIncognito: (now: number) => boolean
  /** Whether the ticket is used for the first time. */
  readonly useTicket: (ticket: { readonly jti: string; readonly expiresAt: number }) => boolean
  readonly isEnded: (sessionId: string) => boolean
  readonly noteEnded: (ids: SessionIds, now: number) => void
  /** The objects that hold sockets of these sessions. */
  readonly holdersOf: (ids: SessionIds) => readonly Holder[]
  /** Forgets an object's sockets of these sessions: it has closed them. */
  readonly forget: (holder: Holder, ids: SessionIds) => void
  /** Drops what is over; answers when that must be done again. */
  readonly prune: (now: number) => number | undefined
}

/** Opens the registry. */
export function openRegistry(sql: SqlStorage): Registry {
  sql.exec(SCHEMA)

  const ties = () => sql.exec<Holder & { id: string; session_id: string }>('SELECT id, kind, holder, session_id FROM sockets').toArray()
  const isEnded = (sessionId: string) => sql.exec('SELECT 1 FROM ended_sessions WHERE id IN (?, ?)', sessionId, EVERY).toArray().length > 0
  const isTied = (socketId: string) => sql.exec('SELECT 1 FROM sockets WHERE id = ?', socketId).toArray().length > 0
  const count = (now: number) =>
    sql.exec<{ n: number }>('SELECT count(*) AS n FROM sockets WHERE expires_at > ?', now - EXPIRY_SLACK_MS).one().n

  return {
    tie({ socketId, kind, holder, sessionId, expiresAt, isIncognito }, now) {
      if (isEnded(sessionId)) return 'session-ended'
      if (!isTied(socketId) && count(now) >= SOCKETS_PER_USER_MAX) return 'limit-reached'
      sql.exec(
        'INSERT OR REPLACE INTO sockets (id, kind, holder, session_id, expires_at) VALUES (?, ?, ?, ?, ?)',
        socketId,
        kind,
        holder,
        sessionId,
        expiresAt,
      )
      if (isIncognito) sql.exec('INSERT OR IGNORE INTO incognito_sockets (id) VALUES (?)', socketId)
      return null
    },
    untie: (socketId) => void sql.exec('DELETE FROM sockets WHERE id = ?', socketId),
    isIncognito: (now) =>
      sql.exec('SELECT 1 FROM incognito_sockets JOIN sockets USING (id) WHERE expires_at > ?', now).toArray().length > 0,
    useTicket: ({ jti, expiresAt }) =>
      sql.exec('INSERT INTO tickets (jti, expires_at) VALUES (?, ?) ON CONFLICT DO NOTHING RETURNING jti', jti, expiresAt).toArray()
        .length === 1,
    isEnded,
    noteEnded(ids, now) {
      for (const id of ids === 'all' ? [EVERY] : ids) sql.exec('INSERT OR REPLACE INTO ended_sessions (id, at) VALUES (?, ?)', id, now)
    },
    holdersOf(ids) {
      const held = ties().filter((row) => isAmong(ids, row.session_id))
      return [...new Map(held.map(({ kind, holder }) => [`${kind}/${holder}`, { kind, holder }])).values()]
    },
    forget({ kind, holder }, ids) {
      for (const row of ties()) {
        if (row.kind === kind && row.holder === holder && isAmong(ids, row.session_id)) sql.exec('DELETE FROM sockets WHERE id = ?', row.id)
      }
    },
    prune(now) {
      sql.exec('DELETE FROM sockets WHERE expires_at <= ?', now - EXPIRY_SLACK_MS)
      sql.exec('DELETE FROM incognito_sockets WHERE id NOT IN (SELECT id FROM sockets)')
      sql.exec('DELETE FROM tickets WHERE expires_at <= ?', now - EXPIRY_SLACK_MS)
      sql.exec('DELETE FROM ended_sessions WHERE at <= ?', now - KEEP_ENDED_MS)
      const { next } = sql
        .exec<{ next: number | null }>(
          `SELECT min(due) AS next FROM (SELECT min(expires_at) + ? AS due FROM sockets
            UNION ALL SELECT min(expires_at) + ? FROM tickets UNION ALL SELECT min(at) + ? FROM ended_sessions)`,
          EXPIRY_SLACK_MS,
          EXPIRY_SLACK_MS,
          KEEP_ENDED_MS,
        )
        .one()
      return next ?? undefined
    },
  }
}
