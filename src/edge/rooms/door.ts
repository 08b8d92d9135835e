import type { ProblemSlug } from '../../contract/problem.ts'
import type { Admission } from './place.ts'
import { hasPlace, JOIN_FLIGHT_MS } from './policy.ts'

/** Clocks of the Worker that checked a ticket and of this object may differ by less than this. */
const CLOCKS_MS = 60_000

/** A version no room reaches: no join is newer. */
const SHUT = Number.MAX_SAFE_INTEGER

const SCHEMA = `
CREATE TABLE IF NOT EXISTS tickets (jti TEXT PRIMARY KEY, expires_at INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS seat_changes (id INTEGER PRIMARY KEY CHECK (id = 1), version INTEGER NOT NULL, at INTEGER NOT NULL) STRICT;`

/** What an object knows at its door that the Worker cannot. */
export interface Door {
  /** Why the upgrade must be declined, or nothing; an accepted ticket is used up by this. */
  readonly refusal: (
    admission: Pick<Admission, 'version' | 'ticket' | 'isBroadcast'>,
    room: { readonly now: number; readonly inRoom: number; readonly ofUser: number },
  ) => ProblemSlug | undefined
  /** A seat has changed: joins that were checked before must be checked again. */
  readonly noteChange: (version: number, now: number) => void
  /** The room is no more: every join is to be checked again, and finds nothing. */
  readonly shut: (now: number) => void
  readonly isShut: () => boolean
  readonly forgetTickets: (now: number) => void
}

/** Opens the door. */
export function openDoor(sql: SqlStorage): Door {
  sql.exec(SCHEMA)

  function isStale(version: number, now: number): boolean {
    const [last] = sql.exec<{ version: number; at: number }>('SELECT version, at FROM seat_changes').toArray()
    return last !== undefined && version < last.version && now - last.at < JOIN_FLIGHT_MS
  }

  const isFirstUse = ({ jti, expiresAt }: NonNullable<Admission['ticket']>) =>
    sql.exec('INSERT INTO tickets (jti, expires_at) VALUES (?, ?) ON CONFLICT DO NOTHING RETURNING jti', jti, expiresAt).toArray()
      .length === 1

  function noteChange(version: number, now: number): void {
    sql.exec(
      `INSERT INTO seat_changes (id, version, at) VALUES (1, ?, ?)
        ON CONFLICT (id) DO UPDATE SET version = excluded.version, at = excluded.at WHERE excluded.version > version`,
      version,
      now,
    )
  }

  return {
    refusal(admission, { now, inRoom, ofUser }) {
      if (isStale(admission.version, now)) return 'conflict'
      if (!hasPlace({ inRoom, ofUser, isBroadcast: admission.isBroadcast })) return 'limit-reached'
      if (admission.ticket && !isFirstUse(admission.ticket)) return 'ticket-invalid'
      return undefined
    },
    noteChange,
    shut: (now) => noteChange(SHUT, now),
    isShut: () => sql.exec('SELECT 1 FROM seat_changes WHERE version = ?', SHUT).toArray().length > 0,
    forgetTickets: (now) => void sql.exec('DELETE FROM tickets WHERE expires_at < ?', now - CLOCKS_MS),
  }
}
