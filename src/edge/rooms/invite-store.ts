import { and, desc, eq, lt, type SQL, sql } from 'drizzle-orm'
import type { UserId } from '../../contract/identity.ts'
import { INVITES_PER_ROOM_MAX, type RoomInviteId } from '../../contract/room-invites.ts'
import type { RoomId } from '../../contract/rooms.ts'
import type { Db } from '../platform/db.ts'
import { isActiveUser, membersMaxOf, membersOf, roleOf } from './seat-store.ts'
import { roomInvites as i, roomMembers, rooms } from './tables.ts'

/** A link as it is stored. */
export type InviteRow = typeof i.$inferSelect

/** Who takes a seat by which link. */
export interface Acceptance {
  readonly tokenHash: string
  readonly userId: UserId
  readonly now: number
}

/** One row while its creator owns the room and there are not too many. */
export const insertInvite = (db: Db, row: Omit<InviteRow, 'uses' | 'creatorId'> & { readonly creatorId: UserId }) =>
  db.insert(i).select(
    sql`SELECT ${row.id} AS id, ${row.roomId} AS room_id, ${row.role} AS role, ${row.tokenHash} AS token_hash, ${row.creatorId} AS creator_id,
      0 AS uses, ${row.usesMax} AS uses_max, ${row.expiresAt} AS expires_at, ${row.createdAt} AS created_at
      WHERE ${roleOf(row.roomId, row.creatorId)} = 'owner'
        AND (SELECT count(*) FROM room_invites AS made WHERE made.room_id = ${row.roomId}) < ${INVITES_PER_ROOM_MAX}`,
  )

export const invitesOf = (db: Db, roomId: RoomId, page: { readonly before?: RoomInviteId | undefined; readonly limit: number }) =>
  db
    .select()
    .from(i)
    .where(and(eq(i.roomId, roomId), page.before === undefined ? undefined : lt(i.id, page.before)))
    .orderBy(desc(i.id))
    .limit(page.limit)

export const deleteInvite = (db: Db, at: { readonly roomId: RoomId; readonly inviteId: RoomInviteId; readonly callerId: UserId }) =>
  db.delete(i).where(and(eq(i.id, at.inviteId), eq(i.roomId, at.roomId), sql`${roleOf(at.roomId, at.callerId)} = 'owner'`))

const isFull = (roomId: SQL) => sql`(${membersOf(roomId)} >= ${membersMaxOf(roomId)})`

/** What a link opens, and whether the caller is in already. */
export const inviteFor = (db: Db, { tokenHash, userId }: Acceptance) =>
  db
    .select({ invite: i, role: roleOf(sql`${i.roomId}`, userId), isFull: sql<number>`${isFull(sql`${i.roomId}`)}` })
    .from(i)
    .where(eq(i.tokenHash, tokenHash))
    .limit(1)

/** Uses a link once, if it may be; {@link insertInvited} must follow in the same batch. Of racing callers the last use goes to one. */
export const spendInvite = (db: Db, { tokenHash, userId, now }: Acceptance) =>
  db
    .update(i)
    .set({ uses: sql`${i.uses} + 1` })
    .where(
      and(
        eq(i.tokenHash, tokenHash),
        sql`${i.expiresAt} > ${now} AND ${i.uses} < ${i.usesMax} AND ${isActiveUser(userId)}
          AND ${roleOf(sql`${i.roomId}`, userId)} IS NULL AND NOT ${isFull(sql`${i.roomId}`)}`,
      ),
    )

/** The seat that the use right before it in the batch has paid for. */
export const insertInvited = (db: Db, { tokenHash, userId, now }: Acceptance) =>
  db.insert(roomMembers).select(
    sql`SELECT room_id, ${userId} AS user_id, CASE role WHEN 'commenter' THEN 'viewer' ELSE role END AS role,
      role = 'commenter' AS may_comment, ${now} AS added_at FROM room_invites WHERE token_hash = ${tokenHash} AND changes() > 0`,
  )

export const bumpInvited = (db: Db, tokenHash: string) =>
  db
    .update(rooms)
    .set({ seatsVersion: sql`${rooms.seatsVersion} + 1` })
    .where(sql`${rooms.id} = (SELECT room_id FROM room_invites WHERE token_hash = ${tokenHash})`)

export const invitesBy = (db: Db, userId: UserId) => db.select().from(i).where(eq(i.creatorId, userId)).orderBy(desc(i.id))

export const forgetInviter = (db: Db, userId: UserId) => db.update(i).set({ creatorId: null }).where(eq(i.creatorId, userId))
