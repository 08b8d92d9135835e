import * as z from 'zod'
import { endpoint } from './endpoint.ts'
import { Moment, PageQuery, pageOf, prefixedId } from './id.ts'
import { Room, RoomId } from './rooms.ts'

/** Longest life of an invite link, in seconds. */
export const INVITE_SECONDS_MAX = 30 * 86_400
/** Most people one link lets in. */
export const INVITE_USES_MAX = 1000
/** Links of one room, used up and expired ones included. */
export const INVITES_PER_ROOM_MAX = 100

/** Id of an invite link. */
export const RoomInviteId = prefixedId('inv', 'RoomInviteId')
/** Id of an invite link. */
export type RoomInviteId = z.infer<typeof RoomInviteId>

/** What a link may make of people: everything but owners. */
export const InviteRole = z.enum(['editor', 'commenter', 'viewer']).meta({ id: 'InviteRole' })
/** What a link may make of people. */
export type InviteRole = z.infer<typeof InviteRole>

/** An invite link, without its secret. */
export const RoomInvite = z
  .object({ id: RoomInviteId, role: InviteRole, uses: z.int(), usesMax: z.int(), expiresAt: Moment, createdAt: Moment })
  .meta({ id: 'RoomInvite' })
/** An invite link, without its secret. */
export type RoomInvite = z.infer<typeof RoomInvite>

/** What `createRoomInvite` takes. */
export const CreateRoomInvite = z
  .strictObject({
    role: InviteRole,
    usesMax: z.int().min(1).max(INVITE_USES_MAX).default(1).meta({ description: 'How many people it lets in.' }),
    ttlSeconds: z
      .int()
      .min(60)
      .max(INVITE_SECONDS_MAX)
      .default(7 * 86_400),
  })
  .meta({ id: 'CreateRoomInvite' })
/** What `createRoomInvite` takes. */
export type CreateRoomInvite = z.output<typeof CreateRoomInvite>

/** An invite link as it was made: the only answer that holds its secret. */
export const NewRoomInvite = z
  .object({
    ...RoomInvite.shape,
    token: z
      .string()
      .meta({ description: 'What `acceptRoomInvite` takes. Put it into the fragment of a link of your app: fragments reach no log.' }),
  })
  .meta({ id: 'NewRoomInvite' })
/** An invite link as it was made. */
export type NewRoomInvite = z.infer<typeof NewRoomInvite>

const RoomPath = z.strictObject({ roomId: RoomId })

/** The operations on invite links. */
export const roomInviteEndpoints = {
  createRoomInvite: endpoint({
    id: 'createRoomInvite',
    method: 'POST',
    path: '/v1/rooms/:roomId/invites',
    tag: 'rooms',
    access: 'user',
    isSensitive: true,
    scope: 'rooms:write',
    summary: 'Make a link that gives seats. Owners only.',
    params: RoomPath,
    body: CreateRoomInvite,
    success: 201,
    response: NewRoomInvite,
    problems: ['not-found', 'forbidden', 'limit-reached'],
  }),
  listRoomInvites: endpoint({
    id: 'listRoomInvites',
    method: 'GET',
    path: '/v1/rooms/:roomId/invites',
    tag: 'rooms',
    access: 'user',
    scope: 'rooms:read',
    summary: 'The links of a room, newest first. Owners only.',
    params: RoomPath,
    query: PageQuery,
    success: 200,
    response: pageOf(RoomInvite, 'RoomInvitePage'),
    problems: ['not-found', 'forbidden'],
  }),
  revokeRoomInvite: endpoint({
    id: 'revokeRoomInvite',
    method: 'DELETE',
    path: '/v1/rooms/:roomId/invites/:inviteId',
    tag: 'rooms',
    access: 'user',
    scope: 'rooms:write',
    summary: 'Make a link void. Seats it gave stay. Owners only.',
    params: z.strictObject({ roomId: RoomId, inviteId: RoomInviteId }),
    success: 204,
    response: z.undefined(),
    problems: ['not-found', 'forbidden'],
  }),
  acceptRoomInvite: endpoint({
    id: 'acceptRoomInvite',
    method: 'POST',
    path: '/v1/room-invites/accept',
    tag: 'rooms',
    access: 'user',
    scope: 'rooms:write',
    summary: 'Take a seat by a link. Who has one already keeps it as it is, and uses nothing up.',
    body: z.strictObject({ token: z.string().min(1).max(100) }),
    success: 200,
    response: Room,
    problems: ['code-invalid', 'limit-reached'],
  }),
}
