import type { UserId } from '../../contract/identity.ts'
import { nameOf } from '../platform/ties.ts'
import type { Presence } from './awareness.ts'
import type { Hub } from './hub.ts'
import type { Place } from './place.ts'
import { isNobody } from './seat.ts'

const SCHEMA = `
CREATE TABLE IF NOT EXISTS near_sockets (id TEXT PRIMARY KEY, user_id TEXT NOT NULL, client_id INTEGER, clock INTEGER) STRICT, WITHOUT ROWID;`

/** Clocks are noted ahead, so a presence that changes all the time is written once in so many changes. */
const CLOCKS_AHEAD = 1_000

/** Somebody whose socket went with the memory, and the id they showed with a clock that nobody has seen it pass. */
export interface Lost {
  readonly userId: UserId
  readonly client: Pick<Presence, 'clientId' | 'clock'> | null
}

/** Who sits in the room's own object while leaves hold others, who must hear if that memory goes with its sockets. */
export interface NearLedger {
  /** From now on leaves hold others. */
  readonly begin: (hub: Pick<Hub, 'near' | 'placeOf'>) => void
  /** What is known of a socket is now this. */
  readonly note: (socket: WebSocket, place: Place) => void
  /** Forgets everybody but these; answers whom it forgets. */
  readonly takeLost: (here: ReadonlySet<WebSocket>) => readonly Lost[]
  /** No leaf holds anybody any more. */
  readonly end: () => void
}

/** What is noted of a socket. */
interface Noted {
  readonly userId: string
  readonly clientId: number | null
  readonly clock: number | null
}

interface Row extends Noted, Record<string, SqlStorageValue> {
  readonly id: string
}

const lostOf = ({ userId, clientId, clock }: Noted): Lost => ({
  userId: userId as UserId,
  client: clientId === null || clock === null ? null : { clientId, clock },
})

/** What to note of a socket; nothing of one that shows nobody. */
function notedOf({ isGone, isIncognito, userId, presence }: Place): Noted | undefined {
  if (isGone || isIncognito || isNobody({ userId })) return undefined
  const shown = presence?.json ? presence : null
  return { userId, clientId: shown?.clientId ?? null, clock: shown && shown.clock + CLOCKS_AHEAD }
}

/** Whether what is noted holds still. */
const covers = (noted: Noted, { userId, clientId, clock }: Noted): boolean =>
  noted.userId === userId && noted.clientId === clientId && (clock === null || clock - CLOCKS_AHEAD <= (noted.clock ?? 0))

/** Opens the stored ledger. */
export function openNearLedger(ctx: DurableObjectState): NearLedger {
  const { sql } = ctx.storage
  sql.exec(SCHEMA)
  const noted = new Map<string, Noted>(
    sql
      .exec<Row>('SELECT id, user_id AS userId, client_id AS clientId, clock FROM near_sockets')
      .toArray()
      .map((row) => [row.id, row] as const),
  )
  let hasBegun = false

  function forget(id: string): void {
    if (noted.delete(id)) sql.exec('DELETE FROM near_sockets WHERE id = ?', id)
  }

  function write(socket: WebSocket, place: Place): void {
    const id = nameOf(ctx, socket)
    if (id === undefined) return
    const now = notedOf(place)
    if (!now) return forget(id)
    const known = noted.get(id)
    if (known && covers(known, now)) return
    noted.set(id, now)
    sql.exec(
      'INSERT OR REPLACE INTO near_sockets (id, user_id, client_id, clock) VALUES (?, ?, ?, ?)',
      id,
      now.userId,
      now.clientId,
      now.clock,
    )
  }

  return {
    begin({ near, placeOf }) {
      if (hasBegun) return
      hasBegun = true
      for (const socket of near) write(socket, placeOf(socket))
    },
    note: (socket, place) => void (hasBegun && write(socket, place)),
    takeLost(here) {
      const ids = new Set([...here].map((socket) => nameOf(ctx, socket)))
      const lost = [...noted].filter(([id]) => !ids.has(id))
      for (const [id] of lost) forget(id)
      return lost.map(([, of]) => lostOf(of))
    },
    end() {
      hasBegun = false
      for (const id of [...noted.keys()]) forget(id)
    },
  }
}
