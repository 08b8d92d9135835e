import { and, asc, eq, gt, type SQL, sql } from 'drizzle-orm'
import type { UserId } from '../../contract/identity.ts'
import { INBOX_PEER_ROOM_MEMBERS_MAX, INBOX_PEERS_MAX } from '../../contract/inbox.ts'
import type { OrgId } from '../../contract/orgs.ts'
import { BROADCAST_MEMBERS_MAX, ROOM_MEMBERS_MAX, ROOMS_PER_OWNER_MAX, type RoomId, type RoomRole } from '../../contract/rooms.ts'
import { isAccessLiveSql } from '../identity/service.ts'
import { orgRoleSql } from '../orgs/service.ts'
import type { Db } from '../platform/db.ts'
import type { SeatState } from './rpc.ts'
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
  readonly displayName: string | null
  /** 1 when the user exists and may act. */
  readonly isUser: number
  /** Seats of owners; the owners of its organisation count as one. */
  readonly owners: number
  readonly members: number
  /** How many there may be. */
  readonly membersMax: number
  /** Rooms the user owns already. */
  readonly owned: number
}

/** Whether somebody exists and may act. */
export const isActiveUser = (userId: UserId) => sql`EXISTS (SELECT 1 FROM users WHERE users.id = ${userId} AND users.disabled_at IS NULL)`

const owned = (userId: UserId) => sql`(SELECT count(*) FROM room_members AS held WHERE held.user_id = ${userId} AND held.role = 'owner')`
const ownersOf = (roomId: RoomId) =>
  sql`(SELECT count(*) FROM room_members AS held WHERE held.room_id = ${roomId} AND held.role = 'owner')
    + (SELECT count(*) FROM rooms AS housed WHERE housed.id = ${roomId} AND housed.org_id IS NOT NULL)`

/** How many have a seat of their own. */
export const membersOf = (roomId: RoomId | SQL) => sql`(SELECT count(*) FROM room_members AS held WHERE held.room_id = ${roomId})`

/** How many may have one. */
export const membersMaxOf = (
  roomId: RoomId | SQL,
) => sql`(SELECT CASE WHEN sized.is_broadcast = 1 THEN ${BROADCAST_MEMBERS_MAX} ELSE ${ROOM_MEMBERS_MAX} END
  FROM rooms AS sized WHERE sized.id = ${roomId})`

/** The role of a stored seat: a commenter is a viewer who may comment. */
const storedRole = sql<RoomRole>`CASE WHEN ${m.role} = 'viewer' AND ${m.mayComment} = 1 THEN 'commenter' ELSE ${m.role} END`

/** The role of a user's own seat, or NULL. */
const ownRoleOf = (roomId: RoomId, userId: UserId) =>
  sql<RoomRole | null>`(SELECT CASE WHEN held.role = 'viewer' AND held.may_comment = 1 THEN 'commenter' ELSE held.role END
    FROM room_members AS held WHERE held.room_id = ${roomId} AND held.user_id = ${userId})`

/** The stronger of a user's own seat and what their role in the room's organisation gives, or NULL: the condition of every statement about a room. */
export const roleOf = (roomId: RoomId | SQL, userId: UserId | SQL) =>
  sql<RoomRole | null>`(SELECT CASE max(strength) WHEN 4 THEN 'owner' WHEN 3 THEN 'editor' WHEN 2 THEN 'commenter' WHEN 1 THEN 'viewer' END FROM (
    SELECT CASE held.role WHEN 'owner' THEN 4 WHEN 'editor' THEN 3 ELSE 1 + held.may_comment END AS strength
      FROM room_members AS held WHERE held.room_id = ${roomId} AND held.user_id = ${userId}
    UNION ALL SELECT CASE ${orgRoleSql(sql`housed.org_id`, userId)} WHEN 'owner' THEN 4 WHEN 'operator' THEN 3 WHEN 'reader' THEN 1 END
      FROM rooms AS housed WHERE housed.id = ${roomId} AND housed.org_id IS NOT NULL))`

/** What a role allows now: nobody writes while the room is archived, and in front of an audience commenters are part of it. */
const roleToday = (role: SQL<RoomRole | null>) =>
  sql<RoomRole | null>`CASE WHEN ${role} IS NULL THEN NULL WHEN ${rooms.archivedAt} IS NOT NULL THEN 'viewer'
    WHEN ${rooms.isBroadcast} = 1 AND ${role} = 'commenter' THEN 'viewer' ELSE ${role} END`

/** What sits in the room now. */
const liveRoleOf = (userId: UserId) => roleToday(roleOf(sql`${rooms.id}`, userId))

const displayNameOf = (userId: UserId | typeof m.userId) =>
  sql<string | null>`(SELECT users.display_name FROM users WHERE users.id = ${userId})`

/** Where a list of members is read from, and by whom. */
export interface Look {
  readonly roomId: RoomId
  readonly callerId: UserId
}

/** Whether a caller may know a member: those in an audience know who speaks to them, not each other. */
const isKnownTo = ({ roomId, callerId }: Look, member: { readonly id: SQL; readonly role: SQL }) =>
  sql`(${member.id} = ${callerId} OR ${member.role} IN ('owner', 'editor') OR ${roleOf(roomId, callerId)} IN ('owner', 'editor')
    OR (SELECT seen.is_broadcast FROM rooms AS seen WHERE seen.id = ${roomId}) = 0)`

export const membersIn = (db: Db, look: Look, page: { readonly after?: UserId | undefined; readonly limit: number }) =>
  db
    .select({ userId: m.userId, displayName: displayNameOf(m.userId), role: storedRole, addedAt: m.addedAt })
    .from(m)
    .where(
      and(
        eq(m.roomId, look.roomId),
        page.after === undefined ? undefined : gt(m.userId, page.after),
        isKnownTo(look, { id: sql`${m.userId}`, role: sql`${m.role}` }),
      ),
    )
    .orderBy(asc(m.userId))
    .limit(page.limit)

/** Those of these users who may enter the room, by a seat of their own or by their role in its organisation. */
export const membersAmong = (db: Db, look: Look, userIds: readonly UserId[]) => {
  const role = roleOf(look.roomId, sql`users.id`)
  return db.all<{ readonly userId: UserId; readonly displayName: string | null; readonly role: RoomRole; readonly addedAt: number }>(
    sql`SELECT users.id AS userId, users.display_name AS displayName, ${role} AS role, coalesce((SELECT held.added_at FROM room_members AS held
        WHERE held.room_id = ${look.roomId} AND held.user_id = users.id), housed.created_at) AS addedAt
      FROM json_each(${JSON.stringify(userIds)}) AS asked JOIN users ON users.id = asked.value JOIN rooms AS housed ON housed.id = ${look.roomId}
      WHERE ${role} IS NOT NULL AND ${isKnownTo(look, { id: sql`users.id`, role })} ORDER BY users.id`,
  )
}

/** The room's version of seats and what a user may do in it now, if anything. */
export const seatNow = (db: Db, roomId: RoomId, userId: UserId) =>
  db
    .select({ version: rooms.seatsVersion, role: liveRoleOf(userId) })
    .from(rooms)
    .where(eq(rooms.id, roomId))
    .limit(1)

/** How the seats of these users stand now. */
export const seatsNow = (db: Db, roomId: RoomId, userIds: readonly UserId[]) =>
  db.all<SeatState>(sql`SELECT asked.value AS userId, ${rooms.seatsVersion} AS version,
    ${roleToday(roleOf(roomId, sql`asked.value`))} AS role
    FROM json_each(${JSON.stringify(userIds)}) AS asked JOIN ${rooms} ON ${rooms.id} = ${roomId}`)

/** As {@link seatNow}, and whether the session that asks is still live. */
export const seatAtDoor = (db: Db, roomId: RoomId, caller: { readonly userId: UserId; readonly sessionId: string; readonly now: number }) =>
  db
    .select({
      version: rooms.seatsVersion,
      role: liveRoleOf(caller.userId),
      isBroadcast: rooms.isBroadcast,
      isSessionLive: sql<number>`${isAccessLiveSql({ ...caller, id: caller.sessionId })}`,
    })
    .from(rooms)
    .where(eq(rooms.id, roomId))
    .limit(1)

export const seatFacts = (db: Db, c: SeatChange) =>
  db.all<SeatFacts>(sql`SELECT ${roleOf(c.roomId, c.callerId)} AS callerRole, ${ownRoleOf(c.roomId, c.userId)} AS role,
    (SELECT held.added_at FROM room_members AS held WHERE held.room_id = ${c.roomId} AND held.user_id = ${c.userId}) AS addedAt,
    ${displayNameOf(c.userId)} AS displayName, ${isActiveUser(c.userId)} AS isUser, ${ownersOf(c.roomId)} AS owners,
    ${membersOf(c.roomId)} AS members, ${membersMaxOf(c.roomId)} AS membersMax, ${owned(c.userId)} AS owned`)

/** How a role is stored. */
const storedAs = (role: RoomRole) => (role === 'commenter' ? { role: 'viewer', mayComment: 1 } : { role, mayComment: 0 })

/** Changes a row only while the caller owns the room, an owner remains and no limit is passed: of racing calls the later one meets the earlier's result. */
export const putSeat = (db: Db, c: SeatChange, to: { readonly role: RoomRole; readonly now: number }) => {
  const { role, mayComment } = storedAs(to.role)
  return db
    .insert(m)
    .select(
      sql`SELECT ${c.roomId} AS room_id, users.id AS user_id, ${role} AS role, ${mayComment} AS may_comment, ${to.now} AS added_at FROM users
        WHERE users.id = ${c.userId} AND users.disabled_at IS NULL
          AND ${roleOf(c.roomId, c.callerId)} = 'owner'
          AND (${ownRoleOf(c.roomId, c.userId)} IS NOT NULL OR ${membersOf(c.roomId)} < ${membersMaxOf(c.roomId)})
          AND (${role} = 'owner' OR ${ownRoleOf(c.roomId, c.userId)} IS NOT 'owner' OR ${ownersOf(c.roomId)} > 1)
          AND (${role} <> 'owner' OR ${ownRoleOf(c.roomId, c.userId)} IS 'owner' OR ${owned(c.userId)} < ${ROOMS_PER_OWNER_MAX})`,
    )
    .onConflictDoUpdate({
      target: [m.roomId, m.userId],
      set: { role: sql`excluded.role`, mayComment: sql`excluded.may_comment` },
      setWhere: sql`room_members.role <> excluded.role OR room_members.may_comment <> excluded.may_comment`,
    })
}

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

/** Takes a seat whatever role it had: of a user who is erased or has left the room's organisation. */
export const eraseSeat = (db: Db, roomId: RoomId, userId: UserId) => db.delete(m).where(and(eq(m.roomId, roomId), eq(m.userId, userId)))

export const bumpSeats = (db: Db, roomId: RoomId) =>
  db
    .update(rooms)
    .set({ seatsVersion: sql`${rooms.seatsVersion} + 1` })
    .where(eq(rooms.id, roomId))

export const bumpOrgRooms = (db: Db, orgId: OrgId) =>
  db
    .update(rooms)
    .set({ seatsVersion: sql`${rooms.seatsVersion} + 1` })
    .where(eq(rooms.orgId, orgId))

/** Takes the seats that a user was given in the rooms of an organisation they belong to no more. */
export const eraseOrgSeats = (db: Db, orgId: OrgId, userId: UserId) =>
  db
    .delete(m)
    .where(
      and(
        eq(m.userId, userId),
        sql`${m.roomId} IN (SELECT housed.id FROM rooms AS housed WHERE housed.org_id = ${orgId}) AND ${orgRoleSql(orgId, userId)} IS NULL`,
      ),
    )

export const orgRoomsAfter = (db: Db, page: { readonly orgId: OrgId; readonly after: RoomId | null; readonly limit: number }) =>
  db
    .select({ id: rooms.id })
    .from(rooms)
    .where(and(eq(rooms.orgId, page.orgId), page.after === null ? undefined : gt(rooms.id, page.after)))
    .orderBy(asc(rooms.id))
    .limit(page.limit)

/** Rooms of a user that are looked through for others; their newest. */
const PEER_ROOMS_MAX = 200

/** The rooms in which people see each other to be here, and by whom: rooms of few that have no audience. */
export const companiesIn = (db: Db, roomIds: readonly RoomId[]) =>
  db.all<{ readonly roomId: RoomId; readonly userId: UserId }>(sql`SELECT seat.room_id AS roomId, seat.user_id AS userId
    FROM json_each(${JSON.stringify(roomIds)}) AS asked JOIN rooms ON rooms.id = asked.value AND rooms.is_broadcast = 0
    JOIN room_members AS seat ON seat.room_id = rooms.id
    WHERE (SELECT count(*) FROM (SELECT 1 FROM room_members AS held WHERE held.room_id = rooms.id
      LIMIT ${INBOX_PEER_ROOM_MEMBERS_MAX + 1})) <= ${INBOX_PEER_ROOM_MEMBERS_MAX}`)

/** Who has a seat of their own in a room of few, but not in an audience, where this user has one too, those of the newest rooms first. */
export const peersIn = (db: Db, userId: UserId) =>
  db.all<{ readonly id: UserId }>(sql`SELECT other.user_id AS id FROM (
      SELECT held.room_id AS id FROM room_members AS held JOIN rooms ON rooms.id = held.room_id AND rooms.archived_at IS NULL AND rooms.is_broadcast = 0
      WHERE held.user_id = ${userId} ORDER BY held.room_id DESC LIMIT ${PEER_ROOMS_MAX}) AS shared
    JOIN room_members AS other ON other.room_id = shared.id AND other.user_id <> ${userId}
    JOIN users ON users.id = other.user_id AND users.disabled_at IS NULL
    WHERE (SELECT count(*) FROM (SELECT 1 FROM room_members AS seat WHERE seat.room_id = shared.id
      LIMIT ${INBOX_PEER_ROOM_MEMBERS_MAX + 1})) <= ${INBOX_PEER_ROOM_MEMBERS_MAX}
    GROUP BY other.user_id ORDER BY max(shared.id) DESC LIMIT ${INBOX_PEERS_MAX}`)
