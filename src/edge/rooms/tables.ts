import { integer, primaryKey, sqliteTable, text } from 'drizzle-orm/sqlite-core'
import type { UserId } from '../../contract/identity.ts'
import type { RoomId, RoomRole } from '../../contract/rooms.ts'

export const rooms = sqliteTable('rooms', {
  id: text('id').$type<RoomId>().primaryKey(),
  name: text('name').notNull(),
  /** Whose quota the room uses while they own it; null once they are erased. */
  creatorId: text('creator_id').$type<UserId>(),
  /** Grows with every change of a seat: tells a join that was checked before a change from one checked after it. */
  seatsVersion: integer('seats_version').notNull().default(0),
  createdAt: integer('created_at').notNull(),
})

export const roomMembers = sqliteTable(
  'room_members',
  {
    roomId: text('room_id').$type<RoomId>().notNull(),
    userId: text('user_id').$type<UserId>().notNull(),
    role: text('role').$type<RoomRole>().notNull(),
    addedAt: integer('added_at').notNull(),
  },
  (t) => [primaryKey({ columns: [t.roomId, t.userId] })],
)
