/** What rooms count for the whole deployment. */
export type RoomMeasure = 'joins' | 'declines' | 'closes' | 'messages' | 'updates' | 'slow' | 'promotions' | 'awake-ms'

/** So many of one thing. */
export interface Counted {
  readonly measure: RoomMeasure
  /** A framing, an outcome or a problem; empty where there is none. */
  readonly label: string
  readonly counted: number
}

/** How often a room tells D1, so that no message costs a write there. */
const TELL_EVERY_MS = 300_000

const SCHEMA = `
CREATE TABLE IF NOT EXISTS room_tally (measure TEXT NOT NULL, label TEXT NOT NULL, counted INTEGER NOT NULL, PRIMARY KEY (measure, label))
  STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS room_tally_told (id INTEGER PRIMARY KEY CHECK (id = 1), at INTEGER NOT NULL) STRICT;`

/** What a room has counted and not told yet. */
export interface Tally {
  readonly count: (measure: RoomMeasure, label?: string, counted?: number) => void
  /** Writes what memory holds; the meter says when. */
  readonly save: () => void
  /** From when on it may tell. */
  readonly dueAt: () => number
  /** Takes out all that was counted: it is told now. */
  readonly takeOut: (now: number) => readonly Counted[]
  /** It could not be told. */
  readonly putBack: (all: readonly Counted[]) => void
}

/** Opens the stored tally. */
export function openTally(storage: DurableObjectStorage): Tally {
  const { sql } = storage
  sql.exec(SCHEMA)
  let counts = new Map<string, Counted>()
  let dueAt = sql.exec<{ at: number }>('SELECT at + ? AS at FROM room_tally_told', TELL_EVERY_MS).toArray()[0]?.at ?? 0

  function count(measure: RoomMeasure, label = '', counted = 1): void {
    const key = `${measure} ${label}`
    counts.set(key, { measure, label, counted: counted + (counts.get(key)?.counted ?? 0) })
  }

  function save(): void {
    const all = counts
    counts = new Map()
    for (const { measure, label, counted } of all.values())
      sql.exec(
        'INSERT INTO room_tally VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET counted = counted + excluded.counted',
        measure,
        label,
        counted,
      )
  }

  return {
    count,
    save,
    dueAt: () => dueAt,
    takeOut(now) {
      dueAt = now + TELL_EVERY_MS
      return storage.transactionSync(() => {
        save()
        const all = sql
          .exec<{ measure: RoomMeasure; label: string; counted: number }>('SELECT measure, label, counted FROM room_tally')
          .toArray()
        sql.exec('DELETE FROM room_tally')
        sql.exec('INSERT OR REPLACE INTO room_tally_told VALUES (1, ?)', now)
        return all
      })
    },
    putBack(all) {
      for (const { measure, label, counted } of all) count(measure, label, counted)
      save()
    },
  }
}
