/** Distinct inputs whose position is remembered: every tab and device one person keeps open, many times over. */
const TYPISTS_MAX = 64

/**
 * Who typed which part of the relay's one input. It holds positions, never bytes: after a crash the relay's position alone tells every
 * typist where to go on.
 */
export interface Ledger {
  /** Where this client's input stands with the relay for good. */
  acceptedOf(client: string): number
  /** When the relay last took input, Unix milliseconds; 0 when it never did. */
  usedAt(): number
  /** Whose bytes are sent now. */
  typist(): string | undefined
  /** From `relayFrom` on the bytes are this client's, the first of them at `clientFrom` of theirs. Must be durable before they are sent. */
  begin(segment: Segment): void
  /** The relay has everything before `offset`. Answers whose position moved. */
  settle(offset: number): readonly string[]
  /** Nothing beyond what is settled is on its way any more. */
  clear(): void
}

/** A run of one client's bytes in the relay's input. */
export interface Segment {
  readonly relayFrom: number
  readonly client: string
  readonly clientFrom: number
}

/** Opens the ledger over what outlived the memory. */
export function openLedger(sql: SqlStorage): Ledger {
  const accepted = readAccepted(sql)
  let segments = readSegments(sql)
  const acceptedOf = (client: string): number => accepted.get(client) ?? 0

  function advance(client: string, position: number): void {
    accepted.set(client, position)
    sql.exec(
      `INSERT INTO typists (client, accepted, used_at) VALUES (?, ?, ?)
        ON CONFLICT (client) DO UPDATE SET accepted = excluded.accepted, used_at = excluded.used_at`,
      client,
      position,
      Date.now(),
    )
    if (accepted.size > TYPISTS_MAX) for (const gone of deleteOldest(sql)) accepted.delete(gone)
  }

  function dropPassed(offset: number): void {
    const current = segments.findLastIndex((s) => s.relayFrom <= offset)
    if (current < 1) return
    segments = segments.slice(current)
    sql.exec('DELETE FROM segments WHERE relay_from < ?', segments[0]?.relayFrom ?? 0)
  }

  return {
    acceptedOf,
    usedAt: () => sql.exec<{ at: number | null }>('SELECT max(used_at) AS at FROM typists').one().at ?? 0,
    typist: () => segments.at(-1)?.client,
    begin(segment) {
      const { relayFrom, client, clientFrom } = segment
      sql.exec('INSERT OR REPLACE INTO segments (relay_from, client, client_from) VALUES (?, ?, ?)', relayFrom, client, clientFrom)
      segments = [...segments.filter((s) => s.relayFrom < relayFrom), segment]
    },
    settle(offset) {
      const moved: string[] = []
      for (const [i, { relayFrom, client, clientFrom }] of segments.entries()) {
        const end = Math.min(offset, segments[i + 1]?.relayFrom ?? offset)
        const position = clientFrom + end - relayFrom
        if (end <= relayFrom || position <= acceptedOf(client)) continue
        advance(client, position)
        moved.push(client)
      }
      dropPassed(offset)
      return moved
    },
    clear() {
      segments = []
      sql.exec('DELETE FROM segments')
    },
  }
}

const readAccepted = (sql: SqlStorage): Map<string, number> =>
  new Map(
    sql
      .exec<{ client: string; accepted: number }>('SELECT client, accepted FROM typists')
      .toArray()
      .map((row) => [row.client, row.accepted]),
  )

const readSegments = (sql: SqlStorage): Segment[] =>
  sql
    .exec<{ relay_from: number; client: string; client_from: number }>(
      'SELECT relay_from, client, client_from FROM segments ORDER BY relay_from',
    )
    .toArray()
    .map((row) => ({ relayFrom: row.relay_from, client: row.client, clientFrom: row.client_from }))

const deleteOldest = (sql: SqlStorage): string[] =>
  sql
    .exec<{ client: string }>(
      `DELETE FROM typists WHERE client IN (SELECT client FROM typists WHERE client NOT IN (SELECT client FROM segments) ORDER BY used_at LIMIT 1)
        RETURNING client`,
    )
    .toArray()
    .map(({ client }) => client)
