/** Clients that left this long ago have counted on since, or are new. */
const KEPT_MS = 86_400_000

const SCHEMA = `
CREATE TABLE IF NOT EXISTS departures (client_id INTEGER PRIMARY KEY, clock INTEGER NOT NULL, at INTEGER NOT NULL) STRICT;`

/**
 * At which clock each client id left. Peers remember it as long as their page lives and ignore anything not newer,
 * so a client that comes back must be told to count on from there, even if the room hibernated meanwhile.
 */
export interface Departures {
  readonly clockOf: (clientId: number) => number | undefined
  readonly note: (clientId: number, clock: number, now: number) => void
  /** The client is back. */
  readonly forget: (clientId: number) => void
  readonly prune: (now: number) => void
}

/** Opens the stored departures. */
export function openDepartures(sql: SqlStorage): Departures {
  sql.exec(SCHEMA)
  return {
    clockOf: (clientId) => sql.exec<{ clock: number }>('SELECT clock FROM departures WHERE client_id = ?', clientId).toArray()[0]?.clock,
    note(clientId, clock, now) {
      sql.exec(
        `INSERT INTO departures (client_id, clock, at) VALUES (?, ?, ?)
          ON CONFLICT (client_id) DO UPDATE SET clock = max(clock, excluded.clock), at = excluded.at`,
        clientId,
        clock,
        now,
      )
    },
    forget: (clientId) => void sql.exec('DELETE FROM departures WHERE client_id = ?', clientId),
    prune: (now) => void sql.exec('DELETE FROM departures WHERE at < ?', now - KEPT_MS),
  }
}
