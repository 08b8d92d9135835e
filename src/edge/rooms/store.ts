import { and, desc, eq, isNotNull, isNull, lt, type SQL, sql } from 'drizzle-orm'
import type { UserId } from '../../contract/identity.ts'
import type { OrgId } from '../../contract/orgs.ts'
import { ROOMS_PER_ORG_MAX, ROOMS_PER_OWNER_MAX, type RoomId } from '../../contract/rooms.ts'
import { orgIdsSql, orgRoleSql } from '../orgs/service.ts'
import type { Db } from '../platform/db.ts'
import { isActiveUser, membersOf, roleOf } from './seat-store.ts'
import { roomMembers as m, roomAuthors, roomInvites, rooms } from './tables.ts'

/** A room as it is opened. */
export interface NewRoom {
  readonly id: RoomId
  readonly name: string
  readonly creatorId: UserId
  readonly orgId: OrgId | null
  readonly createdAt: number
  readonly isBroadcast: number
}

/** Only rooms one opened oneself count: nobody's quota can be filled by others. */
const openedAndOwned = (userId: UserId) => sql`
  (SELECT count(*) FROM rooms AS opened JOIN room_members AS held ON held.room_id = opened.id AND held.user_id = opened.creator_id
    WHERE opened.creator_id = ${userId} AND opened.org_id IS NULL AND held.role = 'owner')`

const housedBy = (orgId: OrgId) => sql`(SELECT count(*) FROM rooms AS housed WHERE housed.org_id = ${orgId})`

/** One row unless the quota of the user, or of the organisation they act for, is used up. */
export const insertRoom = (db: Db, room: NewRoom) => {
  const { orgId } = room
  const mayOpen =
    orgId === null
      ? sql`${openedAndOwned(room.creatorId)} < ${ROOMS_PER_OWNER_MAX}`
      : sql`${orgRoleSql(orgId, room.creatorId)} IN ('owner', 'operator') AND ${housedBy(orgId)} < ${ROOMS_PER_ORG_MAX}`
  return db.insert(rooms).select(
    sql`SELECT ${room.id} AS id, ${room.name} AS name, ${room.creatorId} AS creator_id, ${orgId} AS org_id, 0 AS seats_version,
      NULL AS archived_at, ${room.createdAt} AS created_at, ${room.isBroadcast} AS is_broadcast
      WHERE ${isActiveUser(room.creatorId)} AND ${mayOpen}`,
  )
}

/** The creator's seat in the room that this very batch has opened. */
export const insertFounder = (db: Db, id: RoomId) =>
  db
    .insert(m)
    .select(
      sql`SELECT id AS room_id, creator_id AS user_id, 'owner' AS role, 0 AS may_comment, created_at AS added_at FROM rooms WHERE id = ${id}`,
    )

/** Which rooms of a user are listed. */
export interface RoomsOf {
  readonly before?: RoomId | undefined
  readonly limit: number
  readonly isArchived?: boolean | undefined
  readonly orgId?: OrgId | undefined
}

/** Rooms in which a user has a seat or whose organisation they belong to. */
export const roomsOf = (db: Db, userId: UserId, page: RoomsOf) =>
  selectRooms(db, userId)
    .where(
      and(
        sql`${rooms.id} IN (SELECT held.room_id FROM room_members AS held WHERE held.user_id = ${userId}
          UNION SELECT housed.id FROM rooms AS housed WHERE housed.org_id IN ${orgIdsSql(userId)})`,
        page.before === undefined ? undefined : lt(rooms.id, page.before),
        page.orgId === undefined ? undefined : eq(rooms.orgId, page.orgId),
        archiveCondition(page.isArchived),
      ),
    )
    .orderBy(desc(rooms.id))
    .limit(page.limit)

const archiveCondition = (isArchived: boolean | undefined): SQL | undefined => {
  if (isArchived === undefined) return undefined
  return isArchived ? isNotNull(rooms.archivedAt) : isNull(rooms.archivedAt)
}

const selectRooms = (db: Db, userId: UserId) => db.select({ room: rooms, role: roleOf(sql`${rooms.id}`, userId) }).from(rooms)

/** A room and what a user is in it, if anything. */
export const roomFor = (db: Db, roomId: RoomId, userId: UserId) => selectRooms(db, userId).where(eq(rooms.id, roomId)).limit(1)

/** Changes a room while the caller owns it; its seats are read anew after that. */
export const changeRoom = (
  db: Db,
  at: { readonly roomId: RoomId; readonly callerId: UserId },
  to: { readonly name?: string | undefined; readonly archivedAt?: number | null | undefined },
) =>
  db
    .update(rooms)
    .set({
      ...(to.name === undefined ? {} : { name: to.name }),
      ...(to.archivedAt === undefined ? {} : { archivedAt: to.archivedAt, seatsVersion: sql`${rooms.seatsVersion} + 1` }),
    })
    .where(and(eq(rooms.id, at.roomId), sql`${roleOf(at.roomId, at.callerId)} = 'owner'`))

/** What `seats_version` says within the one batch that deletes a room. */
const DELETED = -1

const marked = (id: RoomId) => sql`EXISTS (SELECT 1 FROM rooms AS doomed WHERE doomed.id = ${id} AND doomed.seats_version = ${DELETED})`

/** Begins to delete a room while the caller owns it; {@link deleteMarked} must follow in the same batch. */
export const markDeleted = (db: Db, at: { readonly roomId: RoomId; readonly callerId: UserId }) =>
  db
    .update(rooms)
    .set({ seatsVersion: DELETED })
    .where(and(eq(rooms.id, at.roomId), sql`${roleOf(at.roomId, at.callerId)} = 'owner'`))

/** Begins to delete a room that nobody is left in; {@link deleteMarked} must follow in the same batch. */
export const markDeserted = (db: Db, id: RoomId) =>
  db
    .update(rooms)
    .set({ seatsVersion: DELETED })
    .where(and(eq(rooms.id, id), isNull(rooms.orgId), sql`${membersOf(id)} = 0`))

/** Begins to delete a room whose organisation is gone; {@link deleteMarked} must follow in the same batch. */
export const markOrphan = (db: Db, id: RoomId, orgId: OrgId) =>
  db
    .update(rooms)
    .set({ seatsVersion: DELETED })
    .where(and(eq(rooms.id, id), eq(rooms.orgId, orgId)))

/** Every row of a marked room, in the order in which they refer to each other. */
export const deleteMarked = (db: Db, id: RoomId) => [
  db.delete(roomInvites).where(and(eq(roomInvites.roomId, id), marked(id))),
  db.delete(roomAuthors).where(and(eq(roomAuthors.roomId, id), marked(id))),
  db.delete(m).where(and(eq(m.roomId, id), marked(id))),
  db.delete(rooms).where(and(eq(rooms.id, id), eq(rooms.seatsVersion, DELETED))),
]

/** Whether the batch has deleted the room. */
export const isDeleted = (id: RoomId) => sql`NOT EXISTS (SELECT 1 FROM rooms AS left_over WHERE left_over.id = ${id})`

/** Whether a room exists, for whoever asks. */
export const roomExists = (db: Db, id: RoomId) =>
  db.select({ id: rooms.id, isBroadcast: rooms.isBroadcast }).from(rooms).where(eq(rooms.id, id)).limit(1)

/** Rooms in which a user has a seat of their own. */
export const seatsOwnedBy = (db: Db, userId: UserId, limit: number) =>
  db.select({ roomId: m.roomId }).from(m).where(eq(m.userId, userId)).orderBy(desc(m.roomId)).limit(limit)

export const activeUser = (db: Db, userId: UserId) =>
  db.all<{ readonly id: string }>(sql`SELECT id FROM users WHERE id = ${userId} AND disabled_at IS NULL`)

export const forgetCreator = (db: Db, userId: UserId) => db.update(rooms).set({ creatorId: null }).where(eq(rooms.creatorId, userId))

/** Notes that somebody has written in a room, if both are there still. */
export const insertAuthor = (db: Db, roomId: RoomId, userId: UserId) =>
  db
    .insert(roomAuthors)
    .select(sql`SELECT rooms.id AS room_id, users.id AS user_id FROM rooms, users WHERE rooms.id = ${roomId} AND users.id = ${userId}`)
    .onConflictDoNothing()

export const roomsWrittenBy = (db: Db, userId: UserId, limit: number) =>
  db
    .select({ id: roomAuthors.roomId })
    .from(roomAuthors)
    .where(eq(roomAuthors.userId, userId))
    .orderBy(desc(roomAuthors.roomId))
    .limit(limit)

export const forgetAuthor = (db: Db, roomId: RoomId, userId: UserId) =>
  db.delete(roomAuthors).where(and(eq(roomAuthors.roomId, roomId), eq(roomAuthors.userId, userId)))

/** Among members who stay, who owns next: the strongest role, of equals who has been there longest. */
const NEXT = sql`ORDER BY CASE WHEN next.role = 'owner' THEN 0 WHEN next.role = 'editor' THEN 1 WHEN next.may_comment = 1 THEN 2 ELSE 3 END,
  next.added_at, next.user_id LIMIT 1`

const isOwnerless = (roomId: RoomId, leaving: SQL = sql`''`) => sql`NOT EXISTS (SELECT 1 FROM room_members AS held
  WHERE held.room_id = ${roomId} AND held.role = 'owner' AND held.user_id <> ${leaving})
  AND EXISTS (SELECT 1 FROM rooms AS loose WHERE loose.id = ${roomId} AND loose.org_id IS NULL)`

/** Who owns a room once this user has left it, unless others own it still. */
export const heirOf = (db: Db, roomId: RoomId, leaving: UserId) =>
  db.all<{ readonly userId: UserId }>(sql`SELECT next.user_id AS userId FROM room_members AS next
    WHERE next.room_id = ${roomId} AND next.user_id <> ${leaving} AND ${isOwnerless(roomId, sql`${leaving}`)} ${NEXT}`)

/** Gives a room that nobody owns to one of its members. */
export const passToHeir = (db: Db, roomId: RoomId) =>
  db
    .update(m)
    .set({ role: 'owner', mayComment: 0 })
    .where(
      and(
        eq(m.roomId, roomId),
        sql`${m.userId} = (SELECT next.user_id FROM room_members AS next WHERE next.room_id = ${roomId} ${NEXT})`,
        isOwnerless(roomId),
      ),
    )
