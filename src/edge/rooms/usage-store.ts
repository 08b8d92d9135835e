import { eq, lt, sql } from 'drizzle-orm'
import type { RoomId } from '../../contract/rooms.ts'
import type { Db } from '../platform/db.ts'
import { roomDays as d, roomStandings as s } from './tables.ts'
import type { Counted } from './tally.ts'

/** How a room stands. */
export type Standing = Omit<typeof s.$inferSelect, 'roomId'>

/** Writes how a room stands, if there is such a room. */
export const putStanding = (db: Db, roomId: RoomId, now: Standing) =>
  db
    .insert(s)
    .select(
      sql`SELECT rooms.id AS room_id, ${now.toldAt} AS told_at, ${now.ySockets} AS y_sockets, ${now.hocuspocusSockets} AS hocuspocus_sockets,
        ${now.liveSockets} AS live_sockets, ${now.leaves} AS leaves, ${now.bytes} AS bytes FROM rooms WHERE rooms.id = ${roomId}`,
    )
    .onConflictDoUpdate({ target: s.roomId, set: now })

/** Adds what a room counted to what the day's others did. */
export const addCounted = (db: Db, day: number, all: readonly Counted[]) =>
  all.map((one) =>
    db
      .insert(d)
      .values({ ...one, day })
      .onConflictDoUpdate({ target: [d.day, d.measure, d.label], set: { counted: sql`${d.counted} + excluded.counted` } }),
  )

/** What rooms that have told since a moment hold now, and what all rooms store. */
export const standingSince = (db: Db, since: number) =>
  db.all<{
    readonly active: number
    readonly y: number
    readonly hocuspocus: number
    readonly live: number
    readonly leaves: number
    readonly bytes: number
  }>(
    sql`SELECT count(*) FILTER (WHERE y_sockets + hocuspocus_sockets + live_sockets > 0) AS active, coalesce(sum(y_sockets), 0) AS y,
        coalesce(sum(hocuspocus_sockets), 0) AS hocuspocus, coalesce(sum(live_sockets), 0) AS live, coalesce(sum(leaves), 0) AS leaves,
        (SELECT bytes FROM room_storage) AS bytes
      FROM room_standings WHERE told_at > ${since}`,
  )

export const countedOn = (db: Db, day: number) => db.select().from(d).where(eq(d.day, day))

export const deleteOldCounted = (db: Db, before: number) => db.delete(d).where(lt(d.day, before))
