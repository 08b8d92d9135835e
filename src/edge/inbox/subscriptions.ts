import { isAmong, type SessionIds } from '../platform/live-sockets.ts'

/** Where and for whom to encrypt a push. */
export interface PushSubscription {
  readonly sessionId: string
  readonly endpoint: string
  readonly p256dh: string
  /** Sealed, so that no storage and no backup holds it. */
  readonly auth: string
}

const SCHEMA = `
CREATE TABLE IF NOT EXISTS push_subscriptions (
  session_id TEXT PRIMARY KEY,
  endpoint   TEXT NOT NULL,
  p256dh     TEXT NOT NULL,
  auth       TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS pushes (
  notification_id TEXT    NOT NULL,
  session_id      TEXT    NOT NULL,
  at              INTEGER NOT NULL,
  PRIMARY KEY (notification_id, session_id)
) STRICT, WITHOUT ROWID;`

/** An event is tried for about a day. */
const KEEP_PUSHES_MS = 7 * 86_400_000

/** The devices that are pushed to when no socket listens: one subscription per session, which ends with it. */
export interface Subscriptions {
  readonly put: (subscription: PushSubscription) => void
  /** Of a device; with an endpoint only if it is still that one. */
  readonly remove: (sessionId: string, endpoint?: string) => void
  readonly removeSessions: (ids: SessionIds) => void
  readonly has: (sessionId: string) => boolean
  /** Those that a notification was not pushed to yet. */
  readonly unpushed: (notificationId: string) => readonly PushSubscription[]
  readonly notePushed: (push: { readonly notificationId: string; readonly sessionId: string }, now: number) => void
  readonly erase: () => void
  readonly prune: (now: number) => void
}

/** Opens the stored subscriptions. */
export function openSubscriptions(sql: SqlStorage): Subscriptions {
  sql.exec(SCHEMA)
  const all = () =>
    sql
      .exec<{ [K in keyof PushSubscription]: string }>('SELECT session_id AS sessionId, endpoint, p256dh, auth FROM push_subscriptions')
      .toArray()
  const remove = (sessionId: string, endpoint?: string) =>
    void sql.exec('DELETE FROM push_subscriptions WHERE session_id = ?1 AND (?2 IS NULL OR endpoint = ?2)', sessionId, endpoint ?? null)
  return {
    put({ sessionId, endpoint, p256dh, auth }) {
      // A browser has one subscription, whoever is signed in on it: the newest session has it.
      sql.exec('DELETE FROM push_subscriptions WHERE endpoint = ?', endpoint)
      sql.exec(
        'INSERT OR REPLACE INTO push_subscriptions (session_id, endpoint, p256dh, auth) VALUES (?, ?, ?, ?)',
        sessionId,
        endpoint,
        p256dh,
        auth,
      )
    },
    remove,
    removeSessions(ids) {
      for (const { sessionId } of all()) if (isAmong(ids, sessionId)) remove(sessionId)
    },
    has: (sessionId) => sql.exec('SELECT 1 FROM push_subscriptions WHERE session_id = ?', sessionId).toArray().length > 0,
    unpushed: (notificationId) =>
      all().filter(
        ({ sessionId }) =>
          sql.exec('SELECT 1 FROM pushes WHERE notification_id = ? AND session_id = ?', notificationId, sessionId).toArray().length === 0,
      ),
    notePushed({ notificationId, sessionId }, now) {
      sql.exec('INSERT OR IGNORE INTO pushes (notification_id, session_id, at) VALUES (?, ?, ?)', notificationId, sessionId, now)
    },
    erase() {
      for (const table of ['push_subscriptions', 'pushes']) sql.exec(`DELETE FROM ${table}`)
    },
    prune: (now) => void sql.exec('DELETE FROM pushes WHERE at <= ?', now - KEEP_PUSHES_MS),
  }
}
