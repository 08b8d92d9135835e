import { index, integer, primaryKey, sqliteTable, text } from 'drizzle-orm/sqlite-core'
import type { UserId } from '../../contract/identity.ts'
import type { OrgId } from '../../contract/orgs.ts'
import type { RoomInviteId } from '../../contract/room-invites.ts'
import type { RoomId, RoomRole } from '../../contract/rooms.ts'
import type { RoomMeasure } from './tally.ts'

export const rooms = sqliteTable('rooms', {
  id: text('id').$type<RoomId>().primaryKey(),
  name: text('name').notNull(),
  /** Whose quota the room uses while they own it and no organisation does; null once they are erased. */
  creatorId: text('creator_id').$type<UserId>(),
  /** The organisation whose members have access by their role in it. */
  orgId: text('org_id').$type<OrgId>(),
  /** Grows with every change of a seat: tells a join that was checked before a change from one checked after it. */
  seatsVersion: integer('seats_version').notNull().default(0),
  /** Since when nobody may write. */
  archivedAt: integer('archived_at'),
  createdAt: integer('created_at').notNull(),
  /** 1 for a room with an audience: only owners and editors speak. */
  isBroadcast: integer('is_broadcast').notNull().default(0),
})

export const roomMembers = sqliteTable(
  'room_members',
  {
    roomId: text('room_id').$type<RoomId>().notNull(),
    userId: text('user_id').$type<UserId>().notNull(),
    role: text('role').$type<Exclude<RoomRole, 'commenter'>>().notNull(),
    /** 1 makes a viewer a commenter. */
    mayComment: integer('may_comment').notNull().default(0),
    addedAt: integer('added_at').notNull(),
  },
  (t) => [primaryKey({ columns: [t.roomId, t.userId] })],
)

/** Who has written messages in a room, also after they left it. */
export const roomAuthors = sqliteTable(
  'room_authors',
  { roomId: text('room_id').$type<RoomId>().notNull(), userId: text('user_id').$type<UserId>().notNull() },
  (t) => [primaryKey({ columns: [t.roomId, t.userId] })],
)

export const roomInvites = sqliteTable('room_invites', {
  id: text('id').$type<RoomInviteId>().primaryKey(),
  roomId: text('room_id').$type<RoomId>().notNull(),
  role: text('role').$type<Exclude<RoomRole, 'owner'>>().notNull(),
  /** SHA-256 of the link's token, base64url. */
  tokenHash: text('token_hash').notNull().unique(),
  creatorId: text('creator_id').$type<UserId>(),
  uses: integer('uses').notNull().default(0),
  usesMax: integer('uses_max').notNull(),
  expiresAt: integer('expires_at').notNull(),
  createdAt: integer('created_at').notNull(),
})

/** How a room stood when it last told. */
export const roomStandings = sqliteTable(
  'room_standings',
  {
    roomId: text('room_id').$type<RoomId>().primaryKey(),
    toldAt: integer('told_at').notNull(),
    ySockets: integer('y_sockets').notNull(),
    hocuspocusSockets: integer('hocuspocus_sockets').notNull(),
    liveSockets: integer('live_sockets').notNull(),
    leaves: integer('leaves').notNull(),
    /** That its object stores. */
    bytes: integer('bytes').notNull(),
  },
  (t) => [index('room_standings_by_told_at').on(t.toldAt)],
)

/** What all rooms store together, as triggers add it up. */
export const roomStorage = sqliteTable('room_storage', { id: integer('id').primaryKey(), bytes: integer('bytes').notNull() })

/** What all rooms did, by Unix day. */
export const roomDays = sqliteTable(
  'room_days',
  {
    day: integer('day').notNull(),
    measure: text('measure').$type<RoomMeasure>().notNull(),
    /** A framing, an outcome or a problem; empty where there is none. */
    label: text('label').notNull(),
    counted: integer('counted').notNull(),
  },
  (t) => [primaryKey({ columns: [t.day, t.measure, t.label] })],
)
