import { toMoment } from '../../contract/id.ts'
import type { Ticket, UserId } from '../../contract/identity.ts'
import type { OrgRole } from '../../contract/orgs.ts'
import { Problem } from '../../contract/problem.ts'
import {
  CONVERSATION_TTL_SECONDS,
  type CreateRoom,
  type Room,
  RoomId,
  type RoomQuery,
  type RoomRole,
  type RoomStats,
} from '../../contract/rooms.ts'
import { auditIfChanged } from '../audit/service.ts'
import { requireOrgRole } from '../orgs/service.ts'
import { openDb } from '../platform/db.ts'
import { commit } from '../platform/outbox/outbox.ts'
import { afterKey, toPage } from '../platform/page.ts'
import type { Actor, Scope } from '../platform/scope.ts'
import { mintTicket } from '../platform/ticket.ts'
import { announceRoom } from './news.ts'
import { peersIn } from './seat-store.ts'
import { activeUser, insertFounder, insertRoom, roomFor, roomsOf } from './store.ts'

type RoomRow = Awaited<ReturnType<typeof roomFor>>[number]

/** Who may open rooms for an organisation. */
const OPENERS: readonly OrgRole[] = ['owner', 'operator']

/** A room as somebody with a role in it sees it. */
export const toRoom = ({ room, role }: { readonly room: RoomRow['room']; readonly role: RoomRole }): Room => ({
  id: room.id,
  name: room.name,
  role,
  orgId: room.orgId,
  isBroadcast: room.isBroadcast === 1,
  archivedAt: room.archivedAt === null ? null : toMoment(room.archivedAt),
  createdAt: toMoment(room.createdAt),
})

const wrongCursor = () =>
  new Problem('invalid-request', { errors: [{ detail: 'is not a cursor of this list', pointer: '#/query/cursor' }] })

/** Opens a room and gives its creator the first seat. @throws Problem `limit-reached`, `not-found` or `forbidden` of the organisation, or `session-ended` when the account is gone */
export async function createRoom(scope: Scope, actor: Actor, input: CreateRoom): Promise<Room> {
  const { orgId = null } = input
  if (orgId !== null) await requireOrgRole(scope, actor, { orgId, roles: OPENERS })
  const id = RoomId.parse(scope.newId('rm'))
  const room = {
    id,
    name: input.name,
    creatorId: actor.userId,
    orgId,
    createdAt: scope.now(),
    isBroadcast: input.kind === 'broadcast' ? 1 : 0,
  }
  const object = scope.env.ROOMS.getByName(id)
  // First, so that no message is ever kept for longer; a room that is refused leaves nothing behind.
  if (input.kind === 'conversation') await object.setMessageRetention(CONVERSATION_TTL_SECONDS)
  const news = await announceRoom(scope, { kind: 'room.created', roomId: id, data: { name: room.name, orgId } })
  const results = (await commit(scope, [
    insertRoom(scope.db, room),
    auditIfChanged(scope, { action: 'room.create', subject: id, ...(orgId === null ? {} : { orgId }) }),
    insertFounder(scope.db, id),
    ...news.statements,
  ])) as readonly D1Result[]
  if (results[0]?.meta.changes === 1) scope.deliver([news.id])
  if (results[0]?.meta.changes === 1) return toRoom({ room: { ...room, seatsVersion: 0, archivedAt: null }, role: 'owner' })
  if (input.kind === 'conversation') await object.destroy()
  const [user] = await activeUser(scope.db, actor.userId)
  throw new Problem(user ? 'limit-reached' : 'session-ended')
}

/** The caller's rooms, newest first. */
export async function listRooms(scope: Scope, actor: Actor, query: RoomQuery): Promise<{ items: Room[]; nextCursor?: string }> {
  const key = afterKey(query)
  const before = key === undefined ? undefined : RoomId.safeParse(key)
  if (before?.success === false) throw wrongCursor()
  const page = { before: before?.data, limit: query.limit + 1, isArchived: query.archived, orgId: query.orgId }
  const rows = await roomsOf(scope.db, actor.userId, page)
  return toPage(rows.filter(isSeated), query, { key: (row) => row.room.id, item: toRoom })
}

const isSeated = (row: RoomRow): row is RoomRow & { role: RoomRole } => row.role !== null

/** One room of the caller, as its row and their role. @throws Problem `not-found` */
export async function seatIn(scope: Scope, actor: Actor, roomId: RoomId): Promise<{ room: RoomRow['room']; role: RoomRole }> {
  const [row] = await roomFor(scope.db, roomId, actor.userId)
  if (!row || !isSeated(row)) throw new Problem('not-found')
  return row
}

/** Lets pass owners. @throws Problem `not-found` for strangers, `forbidden` for other members */
export async function requireOwner(scope: Scope, actor: Actor, roomId: RoomId): Promise<RoomRow['room']> {
  const { room, role } = await seatIn(scope, actor, roomId)
  if (role !== 'owner') throw new Problem('forbidden')
  return room
}

/** One room of the caller. @throws Problem `not-found` */
export const getRoom = async (scope: Scope, actor: Actor, roomId: RoomId): Promise<Room> => toRoom(await seatIn(scope, actor, roomId))

/** What a room costs and holds, for its owners. @throws Problem `not-found` or `forbidden` */
export async function getStats(scope: Scope, actor: Actor, roomId: RoomId): Promise<RoomStats> {
  await requireOwner(scope, actor, roomId)
  return scope.env.ROOMS.getByName(roomId).stats()
}

/** A pass for one socket. @throws Problem `not-found` */
export async function createRoomTicket(scope: Scope, actor: Actor, roomId: RoomId): Promise<Ticket> {
  await seatIn(scope, actor, roomId)
  const { ticket, expiresAt } = await mintTicket(scope, actor, roomId)
  return { ticket, expiresAt: toMoment(expiresAt) }
}

/** The rooms a user is in. */
export async function exportRooms(scope: Scope, userId: UserId): Promise<Room[]> {
  const rows = await roomsOf(scope.db, userId, { limit: Number.MAX_SAFE_INTEGER })
  return rows.filter(isSeated).map(toRoom)
}

/** Whose presence a user may follow, and who may follow theirs. */
export const peersOf = async (scope: Scope, userId: UserId): Promise<readonly UserId[]> =>
  (await peersIn(openDb(scope.env.DB, undefined).db, userId)).map(({ id }) => id)
