import { and, asc, desc, eq, gt, lt, sql } from 'drizzle-orm'
import type { UserId } from '../../contract/identity.ts'
import { ROOM_MEMBERS_MAX, ROOMS_PER_OWNER_MAX, type RoomId, type RoomRole } from '../../contract/rooms.ts'
import type { Db } from '../platform/db.ts'
import { roomMembers as m, rooms } from './tables.ts'

/** The seat a change is about, and who asks for the change. */
export interface SeatChange {
  readonly roomId: RoomId
  readonly callerId: UserId
  readonly userId: UserId
}

/** What decides whether a seat may change. */
export interface SeatFacts {
  readonly callerRole: RoomRole | null
  readonly role: RoomRole | null
  readonly addedAt: number | null
  /** 1 when the user exists and may act. */
  readonly isUser: number
  readonly owners: number
  readonly members: number
  /** Rooms the user owns already. */
  readonly owned: number
}

const isActiveUser = (userId: UserId) => sql`EXISTS (SELECT 1 FROM users WHERE users.id = ${userId} AND users.disabled_at IS NULL)`

/** Only rooms one opened oneself count: nobody's quota can be filled by others. */
const openedAndOwned = (userId: UserId) => sql`
  (SELECT count(*) FROM rooms AS opened JOIN room_members AS held ON held.room_id = opened.id AND held.user_id = opened.creator_id
    WHERE opened.creator_id = ${userId} AND held.role = 'owner')`

const owned = (userId: UserId) => sql`(SELECT count(*) FROM room_members AS held WHERE held.user_id = ${userId} AND held.role = 'owner')`
const ownersOf = (roomId: RoomId) => sql`(SELECT count(*) FROM room_members AS held WHERE held.room_id = ${roomId} AND held.role = 'owner')`
const membersOf = (roomId: RoomId) => sql`(SELECT count(*) FROM room_members AS held WHERE held.room_id = ${roomId})`
const roleOf = (roomId: RoomId, userId: UserId) =>
  sql`(SELECT held.role FROM room_members AS held WHERE held.room_id = ${roomId} AND held.user_id = ${userId})`

/** One row unless the quota is used up. */
export const insertRoom = (
  db: Db,
  room: { readonly id: RoomId; readonly name: string; readonly creatorId: UserId; readonly createdAt: number },
) =>
  db.insert(rooms).select(
    sql`SELECT ${room.id} AS id, ${room.name} AS name, ${room.creatorId} AS creator_id, 0 AS seats_version, ${room.createdAt} AS created_at
      WHERE ${isActiveUser(room.creatorId)} AND ${openedAndOwned(room.creatorId)} < ${ROOMS_PER_OWNER_MAX}`,
  )

/** The creator's seat in the room that this very batch has opened. */
export const insertFounder = (db: Db, id: RoomId) =>
  db.insert(m).select(sql`SELECT id AS room_id, creator_id AS user_id, 'owner' AS role, created_at AS added_at FROM rooms WHERE id = ${id}`)

export const seatsOf = (db: Db, userId: UserId, page: { readonly before?: RoomId | undefined; readonly limit: number }) =>
  db
    .select({ room: rooms, role: m.role })
    .from(m)
    .innerJoin(rooms, eq(rooms.id, m.roomId))
    .where(and(eq(m.userId, userId), page.before === undefined ? undefined : lt(m.roomId, page.before)))
    .orderBy(desc(m.roomId))
    .limit(page.limit)

export const seatIn = (db: Db, roomId: RoomId, userId: UserId) =>
  db
    .select({ room: rooms, role: m.role })
    .from(m)
    .innerJoin(rooms, eq(rooms.id, m.roomId))
    .where(and(eq(m.roomId, roomId), eq(m.userId, userId)))
    .limit(1)

export const membersIn = (db: Db, roomId: RoomId, page: { readonly after?: UserId | undefined; readonly limit: number }) =>
  db
    .select()
    .from(m)
    .where(and(eq(m.roomId, roomId), page.after === undefined ? undefined : gt(m.userId, page.after)))
    .orderBy(asc(m.userId))
    .limit(page.limit)

/** The room's version of seats and a user's role in it, if any. */
export const seatNow = (db: Db, roomId: RoomId, userId: UserId) =>
  db
    .select({ version: rooms.seatsVersion, role: m.role })
    .from(rooms)
    .leftJoin(m, and(eq(m.roomId, rooms.id), eq(m.userId, userId)))
    .where(eq(rooms.id, roomId))
    .limit(1)

/** As {@link seatNow}, and whether the session that asks is still live. */
export const seatAtDoor = (db: Db, roomId: RoomId, caller: { readonly userId: UserId; readonly sessionId: string; readonly now: number }) =>
  db
    .select({
      version: rooms.seatsVersion,
      role: m.role,
      isSessionLive: sql<number>`EXISTS (SELECT 1 FROM sessions WHERE sessions.id = ${caller.sessionId} AND sessions.user_id = ${caller.userId}
        AND sessions.ended_at IS NULL AND min(sessions.expires_at, sessions.idle_expires_at) > ${caller.now})`,
    })
    .from(m)
    .innerJoin(rooms, eq(rooms.id, m.roomId))
    .where(and(eq(m.roomId, roomId), eq(m.userId, caller.userId)))
    .limit(1)

export const seatFacts = (db: Db, c: SeatChange) =>
  db.all<SeatFacts>(sql`SELECT ${roleOf(c.roomId, c.callerId)} AS callerRole, ${roleOf(c.roomId, c.userId)} AS role,
    (SELECT held.added_at FROM room_members AS held WHERE held.room_id = ${c.roomId} AND held.user_id = ${c.userId}) AS addedAt,
    ${isActiveUser(c.userId)} AS isUser, ${ownersOf(c.roomId)} AS owners, ${membersOf(c.roomId)} AS members, ${owned(c.userId)} AS owned`)

/** Changes a row only while the caller owns the room, an owner remains and no limit is passed: of racing calls the later one meets the earlier's result. */
export const putSeat = (db: Db, c: SeatChange, to: { readonly role: RoomRole; readonly now: number }) =>
  db
    .insert(m)
    .select(
      sql`SELECT ${c.roomId} AS room_id, users.id AS user_id, ${to.role} AS role, ${to.now} AS added_at FROM users
        WHERE users.id = ${c.userId} AND users.disabled_at IS NULL
          AND ${roleOf(c.roomId, c.callerId)} = 'owner'
          AND (${roleOf(c.roomId, c.userId)} IS NOT NULL OR ${membersOf(c.roomId)} < ${ROOM_MEMBERS_MAX})
          AND (${to.role} = 'owner' OR ${roleOf(c.roomId, c.userId)} IS NOT 'owner' OR ${ownersOf(c.roomId)} > 1)
          AND (${to.role} <> 'owner' OR ${roleOf(c.roomId, c.userId)} IS 'owner' OR ${owned(c.userId)} < ${ROOMS_PER_OWNER_MAX})`,
    )
    .onConflictDoUpdate({
      target: [m.roomId, m.userId],
      set: { role: sql`excluded.role` },
      setWhere: sql`room_members.role <> excluded.role`,
    })

/** Takes the seat only while the caller owns the room or leaves it, and an owner remains. */
export const deleteSeat = (db: Db, c: SeatChange) =>
  db
    .delete(m)
    .where(
      and(
        eq(m.roomId, c.roomId),
        eq(m.userId, c.userId),
        c.callerId === c.userId ? undefined : sql`${roleOf(c.roomId, c.callerId)} = 'owner'`,
        sql`(${m.role} <> 'owner' OR ${ownersOf(c.roomId)} > 1)`,
      ),
    )

export const bumpSeats = (db: Db, roomId: RoomId) =>
  db
    .update(rooms)
    .set({ seatsVersion: sql`${rooms.seatsVersion} + 1` })
    .where(eq(rooms.id, roomId))

export const activeUser = (db: Db, userId: UserId) =>
  db.all<{ readonly id: string }>(sql`SELECT id FROM users WHERE id = ${userId} AND disabled_at IS NULL`)

/** Part of erasing a user: their seat goes, whatever role it had. */
export const eraseSeat = (db: Db, roomId: RoomId, userId: UserId) => db.delete(m).where(and(eq(m.roomId, roomId), eq(m.userId, userId)))

export const forgetCreator = (db: Db, userId: UserId) => db.update(rooms).set({ creatorId: null }).where(eq(rooms.creatorId, userId))
