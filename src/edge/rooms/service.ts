import { type PageQuery, toMoment } from '../../contract/id.ts'
import type { Ticket, UserId } from '../../contract/identity.ts'
import { Problem } from '../../contract/problem.ts'
import { type CreateRoom, type Room, RoomId } from '../../contract/rooms.ts'
import { auditIfChanged } from '../audit/service.ts'
import { commit } from '../platform/outbox/outbox.ts'
import { afterKey, toPage } from '../platform/page.ts'
import type { Actor, Scope } from '../platform/scope.ts'
import { mintTicket } from '../platform/ticket.ts'
import { activeUser, insertFounder, insertRoom, seatIn, seatsOf } from './store.ts'

type SeatRow = Awaited<ReturnType<typeof seatIn>>[number]

const toRoom = ({ room, role }: SeatRow): Room => ({ id: room.id, name: room.name, role, createdAt: toMoment(room.createdAt) })

const wrongCursor = () =>
  new Problem('invalid-request', { errors: [{ detail: 'is not a cursor of this list', pointer: '#/query/cursor' }] })

/** Opens a room and gives its creator the first seat. @throws Problem `limit-reached`, or `session-ended` when the account is gone */
export async function createRoom(scope: Scope, actor: Actor, input: CreateRoom): Promise<Room> {
  const id = RoomId.parse(scope.newId('rm'))
  const createdAt = scope.now()
  const room = { id, name: input.name, creatorId: actor.userId, createdAt }
  const results = (await commit(scope, [
    insertRoom(scope.db, room),
    insertFounder(scope.db, id),
    auditIfChanged(scope, { action: 'room.create', subject: id }),
  ])) as readonly D1Result[]
  if (results[0]?.meta.changes === 1) return toRoom({ room: { ...room, seatsVersion: 0 }, role: 'owner' })
  const [user] = await activeUser(scope.db, actor.userId)
  throw new Problem(user ? 'limit-reached' : 'session-ended')
}

/** The caller's rooms, newest first. */
export async function listRooms(scope: Scope, actor: Actor, query: PageQuery): Promise<{ items: Room[]; nextCursor?: string }> {
  const key = afterKey(query)
  const before = key === undefined ? undefined : RoomId.safeParse(key)
  if (before?.success === false) throw wrongCursor()
  const rows = await seatsOf(scope.db, actor.userId, { before: before?.data, limit: query.limit + 1 })
  return toPage(rows, query, { key: (row) => row.room.id, item: toRoom })
}

/** One room of the caller. @throws Problem `not-found` */
export async function getRoom(scope: Scope, actor: Actor, roomId: RoomId): Promise<Room> {
  const [seat] = await seatIn(scope.db, roomId, actor.userId)
  if (!seat) throw new Problem('not-found')
  return toRoom(seat)
}

/** A pass for one socket. @throws Problem `not-found` */
export async function createRoomTicket(scope: Scope, actor: Actor, roomId: RoomId): Promise<Ticket> {
  await getRoom(scope, actor, roomId)
  const { ticket, expiresAt } = await mintTicket(scope, actor, roomId)
  return { ticket, expiresAt: toMoment(expiresAt) }
}

/** The rooms a user has a seat in. */
export async function exportRooms(scope: Scope, userId: UserId): Promise<object> {
  const rows = await seatsOf(scope.db, userId, { limit: Number.MAX_SAFE_INTEGER })
  return { rooms: rows.map(toRoom) }
}
