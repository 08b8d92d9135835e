import * as z from 'zod'
import { DOOR_PROBLEMS, endpoint, socketEndpoint } from './endpoint.ts'
import { lineOf, Moment, PAGE_ITEMS_MAX, PageQuery, pageOf, prefixedId } from './id.ts'
import { Ticket, UserId } from './identity.ts'
import { OrgId } from './orgs.ts'

/** Longest room name, in UTF-16 units. */
export const ROOM_NAME_CHARS_MAX = 80
/** Members of one room. */
export const ROOM_MEMBERS_MAX = 1000
/** Rooms of one organisation. */
export const ROOMS_PER_ORG_MAX = 1000
/** Rooms one user may own. */
export const ROOMS_PER_OWNER_MAX = 1000
/** Members of one room with an audience. */
export const BROADCAST_MEMBERS_MAX = 10_000
/** Sockets of one room. */
export const ROOM_SOCKETS_MAX = 5000
/** Sockets of one room with an audience. */
export const BROADCAST_SOCKETS_MAX = 10_000
/** Largest frame a room accepts, in bytes. */
export const ROOM_FRAME_BYTES_MAX = 1_048_576
/** Largest presence state of one socket, in bytes: it must fit the socket's attachment. */
export const PRESENCE_BYTES_MAX = 4096

/** Largest shared document, in bytes as stored. A change that would pass it ends its socket with `payload-too-large`; deletions still pass. */
export const ROOM_DOCUMENT_BYTES_MAX = 33_554_432

/** Id of a room. */
export const RoomId = prefixedId('rm', 'RoomId')
/** Id of a room. */
export type RoomId = z.infer<typeof RoomId>

/** Roles in a room: owners manage it, editors write the document, commenters send messages, viewers read. */
export const RoomRole = z.enum(['owner', 'editor', 'commenter', 'viewer']).meta({ id: 'RoomRole' })
/** Roles in a room. */
export type RoomRole = z.infer<typeof RoomRole>

/** A room as one of its members sees it. */
export const Room = z
  .object({
    id: RoomId,
    name: z.string(),
    role: RoomRole.meta({ description: 'The stronger of your own seat and what your role in its organisation gives.' }),
    orgId: OrgId.nullable().meta({ description: 'The organisation it belongs to: its owners own it, operators edit, readers view.' }),
    isBroadcast: z.boolean().meta({ description: 'Whether it has an audience: only owners and editors speak.' }),
    archivedAt: Moment.nullable().meta({ description: 'Since when nobody may write.' }),
    createdAt: Moment,
  })
  .meta({ id: 'Room' })
/** A room as one of its members sees it. */
export type Room = z.infer<typeof Room>

/** How long a conversation keeps messages unless its owner says otherwise, in seconds. */
export const CONVERSATION_TTL_SECONDS = 86_400

/** What `createRoom` takes. */
export const CreateRoom = z
  .strictObject({
    name: lineOf(ROOM_NAME_CHARS_MAX),
    kind: z.enum(['room', 'conversation', 'broadcast']).default('room').meta({
      description:
        'A conversation keeps messages for 24 hours from the first one on, until `setMessageRetention` says otherwise. A broadcast has an audience: commenters and viewers only receive, and are told to others as a number.',
    }),
    orgId: OrgId.optional().meta({ description: 'Opens it for an organisation, as its owner or operator.' }),
  })
  .meta({ id: 'CreateRoom' })
/** What `createRoom` takes. */
export type CreateRoom = z.output<typeof CreateRoom>

/** What `updateRoom` takes: at least one change. */
export const UpdateRoom = z
  .strictObject({
    name: lineOf(ROOM_NAME_CHARS_MAX).optional(),
    archived: z.boolean().optional().meta({ description: 'Whether nobody may write; everybody may still read.' }),
  })
  .refine((change) => Object.keys(change).length > 0, 'changes nothing')
  .meta({ id: 'UpdateRoom' })
/** What `updateRoom` takes. */
export type UpdateRoom = z.output<typeof UpdateRoom>

/** Which rooms `listRooms` answers. */
export const RoomQuery = z.strictObject({
  ...PageQuery.shape,
  archived: z.stringbool().default(false).meta({ description: 'The archived ones instead of the others.' }),
  orgId: OrgId.optional().meta({ description: 'Those of one organisation only.' }),
})
/** Which rooms `listRooms` answers. */
export type RoomQuery = z.output<typeof RoomQuery>

/** What a room costs and holds. Frames, messages and refusals are counted on the way in. */
export const RoomStats = z
  .object({
    since: Moment.meta({ description: 'Since when it is counted.' }),
    awakeSeconds: z.int().meta({ description: 'How long it was in memory, estimated; a room of idle clients of ours sleeps.' }),
    frames: z.int(),
    messages: z.int(),
    refusals: z.int(),
    sockets: z.int().meta({ description: 'Open now.' }),
    leaves: z.int().meta({ description: 'Objects that hold sockets for it besides its own.' }),
    documentBytes: z.int(),
    documentBytesMax: z.int(),
  })
  .meta({ id: 'RoomStats' })
/** What a room costs and holds. */
export type RoomStats = z.infer<typeof RoomStats>

/** A user's seat in a room. */
export const RoomMember = z
  .object({
    userId: UserId,
    displayName: z.string().nullable().meta({ description: 'What the user wants to be called; null while they have not said.' }),
    role: RoomRole,
    addedAt: Moment,
  })
  .meta({ id: 'RoomMember' })
/** A user's seat in a room. */
export type RoomMember = z.infer<typeof RoomMember>

const RoomPath = z.strictObject({ roomId: RoomId })
const MemberPath = z.strictObject({ roomId: RoomId, userId: UserId })

/** The room operations. */
export const roomEndpoints = {
  createRoom: endpoint({
    id: 'createRoom',
    method: 'POST',
    path: '/v1/rooms',
    tag: 'rooms',
    access: 'user',
    scope: 'rooms:write',
    summary: 'Open a room and own it.',
    body: CreateRoom,
    success: 201,
    response: Room,
    problems: ['limit-reached', 'not-found', 'forbidden'],
  }),
  listRooms: endpoint({
    id: 'listRooms',
    method: 'GET',
    path: '/v1/rooms',
    tag: 'rooms',
    access: 'user',
    scope: 'rooms:read',
    summary: 'The rooms you have a seat in or that belong to an organisation of yours, newest first.',
    query: RoomQuery,
    success: 200,
    response: pageOf(Room, 'RoomPage'),
    problems: [],
  }),
  getRoom: endpoint({
    id: 'getRoom',
    method: 'GET',
    path: '/v1/rooms/:roomId',
    tag: 'rooms',
    access: 'user',
    scope: 'rooms:read',
    summary: 'One room you have a seat in.',
    params: RoomPath,
    success: 200,
    response: Room,
    problems: ['not-found'],
  }),
  getRoomStats: endpoint({
    id: 'getRoomStats',
    method: 'GET',
    path: '/v1/rooms/:roomId/stats',
    tag: 'rooms',
    access: 'user',
    scope: 'rooms:read',
    summary: 'How long a room was awake, what came in, and how large its document is. Owners only.',
    params: RoomPath,
    success: 200,
    response: RoomStats,
    problems: ['not-found', 'forbidden'],
  }),
  updateRoom: endpoint({
    id: 'updateRoom',
    method: 'PATCH',
    path: '/v1/rooms/:roomId',
    tag: 'rooms',
    access: 'user',
    scope: 'rooms:write',
    summary: 'Rename a room, archive it or bring it back. Owners only; open sockets follow at once.',
    params: RoomPath,
    body: UpdateRoom,
    success: 200,
    response: Room,
    problems: ['not-found', 'forbidden'],
  }),
  deleteRoom: endpoint({
    id: 'deleteRoom',
    method: 'DELETE',
    path: '/v1/rooms/:roomId',
    tag: 'rooms',
    access: 'user',
    isSensitive: true,
    scope: 'rooms:write',
    summary: 'Delete a room for good, with its document, versions and links. Owners only; open sockets close with `gone`.',
    params: RoomPath,
    success: 204,
    response: z.undefined(),
    problems: ['not-found', 'forbidden'],
  }),
  listRoomMembers: endpoint({
    id: 'listRoomMembers',
    method: 'GET',
    path: '/v1/rooms/:roomId/members',
    tag: 'rooms',
    access: 'user',
    scope: 'rooms:read',
    summary: 'Who has a seat of their own; members of its organisation need none. An audience is told who speaks to it, and nobody else.',
    params: RoomPath,
    query: PageQuery.extend({
      userIds: z
        .string()
        .transform((text) => text.split(','))
        .pipe(z.array(UserId).min(1).max(PAGE_ITEMS_MAX))
        .optional()
        .meta({
          description: `Only those of these users who may enter the room, in one page: at most ${PAGE_ITEMS_MAX} ids with commas between.`,
        }),
    }),
    success: 200,
    response: pageOf(RoomMember, 'RoomMemberPage'),
    problems: ['not-found'],
  }),
  putRoomMember: endpoint({
    id: 'putRoomMember',
    method: 'PUT',
    path: '/v1/rooms/:roomId/members/:userId',
    tag: 'rooms',
    access: 'user',
    isSensitive: true,
    scope: 'rooms:write',
    summary: 'Give a user a seat, or change their role. Owners only; the last owner stays owner.',
    params: MemberPath,
    body: z.strictObject({ role: RoomRole }),
    success: 200,
    response: RoomMember,
    problems: ['not-found', 'forbidden', 'conflict', 'limit-reached'],
  }),
  removeRoomMember: endpoint({
    id: 'removeRoomMember',
    method: 'DELETE',
    path: '/v1/rooms/:roomId/members/:userId',
    tag: 'rooms',
    access: 'user',
    isSensitive: true,
    scope: 'rooms:write',
    summary: 'Take a seat away, or leave. Open sockets of that seat close.',
    params: MemberPath,
    success: 204,
    response: z.undefined(),
    problems: ['not-found', 'forbidden', 'conflict'],
  }),
  createRoomTicket: endpoint({
    id: 'createRoomTicket',
    method: 'POST',
    path: '/v1/rooms/:roomId/tickets',
    tag: 'rooms',
    access: 'user',
    scope: 'rooms:write',
    summary: 'A single-use pass, valid 30 seconds, for clients that cannot send headers with a WebSocket.',
    params: RoomPath,
    success: 201,
    response: Ticket,
    problems: ['not-found'],
  }),
}

/**
 * The WebSocket doors of rooms. A viewer's change is not taken: the socket stays open and is told once, by the message
 * `permission denied` (y-protocols type 2) with the reason `forbidden`. A close code is 4000 + a problem's status, the reason its slug.
 */
export const roomSockets = {
  joinRoomLive: socketEndpoint({
    id: 'joinRoomLive',
    path: '/v1/rooms/:roomId/live',
    tag: 'rooms',
    summary:
      'Messages, presence, signals and the document in the protocol of `docs/live-protocol.md`; without a credential the first frame shows one.',
    params: RoomPath,
    scope: 'rooms:write',
    problems: DOOR_PROBLEMS,
  }),
  joinRoomY: socketEndpoint({
    id: 'joinRoomY',
    path: '/v1/rooms/:roomId/y',
    tag: 'rooms',
    summary: 'Sync the shared document in y-websocket framing; the unmodified `y-websocket` provider joins with room name `y`.',
    params: RoomPath,
    scope: 'rooms:write',
    problems: DOOR_PROBLEMS,
  }),
  joinRoomHocuspocus: socketEndpoint({
    id: 'joinRoomHocuspocus',
    path: '/v1/rooms/:roomId/hocuspocus',
    tag: 'rooms',
    summary:
      'Sync the shared document in Hocuspocus framing; the unmodified `@hocuspocus/provider` joins with the room’s id as `name` and an access token or a ticket as `token`.',
    params: RoomPath,
    scope: 'rooms:write',
    problems: ['origin-untrusted', 'not-found', 'limit-reached', 'upgrade-required'],
  }),
}
