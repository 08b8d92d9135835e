import { isAmong, type SessionIds } from '../platform/live-sockets.ts'

/** Where and for whom to encrypt a push. */
export interface PushSubscription {
  readonly sessionId: string
  readonly endpoint: string
  readonly p256dh: string
  /** Sealed, so that no storage and no backup holds it. */
  readonly auth: string
  /** The key of this deployment that the device subscribed to; null where it was not noted. */
  readonly vapidKey: string | null
}

/** What became of a push: it was taken, the device is gone, the service does not take us for who we are, it will never take it, or it may later. */
export type PushOutcome = 'sent' | 'gone' | 'denied' | 'refused' | 'later'

const SCHEMA = `
CREATE TABLE IF NOT EXISTS push_subscriptions (
  session_id TEXT PRIMARY KEY,
  endpoint   TEXT NOT NULL,
  p256dh     TEXT NOT NULL,
  auth       TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS push_vapid_keys (session_id TEXT PRIMARY KEY, vapid_key TEXT NOT NULL) STRICT, WITHOUT ROWID;
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
      .exec<{ sessionId: string; endpoint: string; p256dh: string; auth: string; vapidKey: string | null }>(
        `SELECT session_id AS sessionId, endpoint, p256dh, auth, vapid_key AS vapidKey
          FROM push_subscriptions LEFT JOIN push_vapid_keys USING (session_id)`,
      )
      .toArray()
  const remove = (sessionId: string, endpoint?: string) =>
    void sql.exec('DELETE FROM push_subscriptions WHERE session_id = ?1 AND (?2 IS NULL OR endpoint = ?2)', sessionId, endpoint ?? null)
  return {
    put({ sessionId, endpoint, p256dh, auth, vapidKey }) {
      // A browser has one subscription, whoever is signed in on it: the newest session has it.
      sql.exec('DELETE FROM push_subscriptions WHERE endpoint = ?', endpoint)
      sql.exec(
        'INSERT OR REPLACE INTO push_subscriptions (session_id, endpoint, p256dh, auth) VALUES (?, ?, ?, ?)',
        sessionId,
        endpoint,
        p256dh,
        auth,
      )
      sql.exec(
        'DELETE FROM push_vapid_keys WHERE session_id = ?1 OR session_id NOT IN (SELECT session_id FROM push_subscriptions)',
        sessionId,
      )
      if (vapidKey !== null) sql.exec('INSERT INTO push_vapid_keys (session_id, vapid_key) VALUES (?, ?)', sessionId, vapidKey)
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
      for (const table of ['push_subscriptions', 'push_vapid_keys', 'pushes']) sql.exec(`DELETE FROM ${table}`)
    },
    prune: (now) => void sql.exec('DELETE FROM pushes WHERE at <= ?', now - KEEP_PUSHES_MS),
  }
}
