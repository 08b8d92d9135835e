import type { Log } from '../platform/log.ts'
import type { Tally } from './tally.ts'

/** An object whose sockets can hibernate leaves memory after about this long without an event (Cloudflare, "WebSocket hibernation"). */
const LINGER_MS = 10_000
/** What is counted is written with the first event of a stay in memory, and this often after it: hibernation tells nobody. */
const WRITE_EVERY_MS = 1_000

const SCHEMA = `
CREATE TABLE IF NOT EXISTS room_meter (
  id INTEGER PRIMARY KEY CHECK (id = 1), since INTEGER NOT NULL, awake_ms INTEGER NOT NULL, frames INTEGER NOT NULL,
  messages INTEGER NOT NULL, refusals INTEGER NOT NULL
) STRICT;`

/** What a room counts of itself. */
export interface Counts {
  /** Estimated: from event to event, and a while after the last one. */
  readonly awakeMs: number
  readonly frames: number
  readonly messages: number
  readonly refusals: number
}

/** What costs, by room: how long it was in memory and what it did there. */
export interface Meter {
  /** Something happened. */
  readonly note: (what: Partial<Counts>, now?: number) => void
  /** Since when it is counted, and what. */
  readonly read: (now?: number) => Counts & { readonly since: number }
  /** Writes what was counted, and logs all of it. */
  readonly write: (log: Log) => void
}

/** Opens the stored counts. What happens in the last second before the memory goes may not be counted. */
export function openMeter({ sql }: DurableObjectStorage, tally: Pick<Tally, 'count' | 'save'>): Meter {
  sql.exec(SCHEMA)
  // The memory lingers after its last event, and nobody is there then to count it.
  let counted = { awakeMs: LINGER_MS, frames: 0, messages: 0, refusals: 0 }
  let lastAt: number | undefined
  let writtenAt = 0

  function advance(now: number): void {
    if (lastAt !== undefined) counted.awakeMs += Math.min(LINGER_MS, Math.max(0, now - lastAt))
    lastAt = now
  }

  function save(): Counts & { readonly since: number } {
    const { awakeMs, frames, messages, refusals } = counted
    counted = { awakeMs: 0, frames: 0, messages: 0, refusals: 0 }
    writtenAt = Date.now()
    tally.count('awake-ms', '', awakeMs)
    tally.save()
    return sql
      .exec<{ since: number; awakeMs: number; frames: number; messages: number; refusals: number }>(
        `INSERT INTO room_meter VALUES (1, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET awake_ms = awake_ms + excluded.awake_ms,
          frames = frames + excluded.frames, messages = messages + excluded.messages, refusals = refusals + excluded.refusals
          RETURNING since, awake_ms AS awakeMs, frames, messages, refusals`,
        ...[writtenAt, awakeMs, frames, messages, refusals],
      )
      .one()
  }

  return {
    note({ frames = 0, messages = 0, refusals = 0 }, now = Date.now()) {
      advance(now)
      counted.frames += frames
      counted.messages += messages
      counted.refusals += refusals
      if (now - writtenAt >= WRITE_EVERY_MS) save()
    },
    read(now = Date.now()) {
      advance(now)
      return save()
    },
    write(log) {
      log('room.metered', { ...save() })
    },
  }
}
