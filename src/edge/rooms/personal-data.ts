import { sql } from 'drizzle-orm'
import type { UserId } from '../../contract/identity.ts'
import type { RoomId } from '../../contract/rooms.ts'
import { auditIfChanged } from '../audit/service.ts'
import { notifyIf } from '../platform/notify.ts'
import { commit, outboxEvent, outboxEventIf } from '../platform/outbox/outbox.ts'
import type { Scope } from '../platform/scope.ts'
import { AUTHOR_ERASED, exportMessages } from './correspondence.ts'
import { forgetInviter, invitesBy } from './invite-store.ts'
import { toInvite } from './invites.ts'
import { ROOM_CHANGED, ROOM_DELETED } from './keeping.ts'
import { MEMBERS_CHANGED } from './members.ts'
import { announceRoom } from './news.ts'
import { bumpSeats, eraseSeat } from './seat-store.ts'
import { exportRooms } from './service.ts'
import {
  deleteMarked,
  forgetAuthor,
  forgetCreator,
  heirOf,
  isDeleted,
  markDeserted,
  passToHeir,
  roomsWrittenBy,
  seatsOwnedBy,
} from './store.ts'

const ROOMS_PER_BATCH = 20

/**
 * Forgets a user's seats, what they wrote, also in rooms they have left, and who opened what. A room that they alone owned passes to
 * the member with the strongest role, of equals the one who has been there longest; one that nobody is left in is deleted.
 */
export async function eraseMemberships(scope: Scope, userId: UserId): Promise<void> {
  await scope.db.batch([forgetCreator(scope.db, userId), forgetInviter(scope.db, userId)])
  for (;;) {
    const seats = await seatsOwnedBy(scope.db, userId, ROOMS_PER_BATCH)
    if (seats.length === 0) break
    const leavings = await Promise.all(seats.map(({ roomId }) => leavingOf(scope, roomId, userId)))
    await commit(
      scope,
      leavings.flatMap(({ statements }) => statements),
      leavings.flatMap(({ events }) => events),
    )
    scope.deliver(leavings.map(({ newsId }) => newsId))
  }
  for (;;) {
    const rooms = await roomsWrittenBy(scope.db, userId, ROOMS_PER_BATCH)
    if (rooms.length === 0) return
    const events = await Promise.all(rooms.map(({ id }) => outboxEvent(scope, AUTHOR_ERASED, { roomId: id, userId })))
    await commit(
      scope,
      rooms.map(({ id }) => forgetAuthor(scope.db, id, userId)),
      events,
    )
  }
}

/** What takes a user out of a room, hands it on and tells everybody. */
async function leavingOf(scope: Scope, roomId: RoomId, userId: UserId) {
  const { db } = scope
  const [next] = await heirOf(db, roomId, userId)
  const news = await announceRoom(scope, { kind: 'room.member.removed', roomId, userId, data: { role: null } })
  const isHeir = sql`EXISTS (SELECT 1 FROM room_members AS held WHERE held.room_id = ${roomId} AND held.user_id = ${next?.userId ?? ''} AND held.role = 'owner')`
  const content = { kind: 'room-member', roomId, role: 'owner' } as const
  const heirs = next && [
    await notifyIf(scope, { userId: next.userId }, { content, condition: isHeir }),
    await outboxEvent(scope, ROOM_CHANGED, { roomId }),
  ]
  return {
    newsId: news.id,
    statements: [
      eraseSeat(db, roomId, userId),
      ...news.statements,
      passToHeir(db, roomId),
      auditIfChanged(scope, { action: 'room.inherit', subject: roomId, ...(next ? { cause: next.userId } : {}), actorId: 'system' }),
      bumpSeats(db, roomId),
      markDeserted(db, roomId),
      ...deleteMarked(db, roomId),
    ],
    events: [
      await outboxEvent(scope, MEMBERS_CHANGED, { roomId, userId }),
      await outboxEvent(scope, AUTHOR_ERASED, { roomId, userId }),
      await outboxEventIf(scope, { topic: ROOM_DELETED, payload: { roomId }, condition: isDeleted(roomId) }),
      ...(heirs ?? []),
    ],
  }
}

/** Everything rooms keep about a user; what they wrote in a shared document belongs to the room. */
export async function exportMemberships(scope: Scope, userId: UserId): Promise<object> {
  const invites = await invitesBy(scope.db, userId)
  const rooms = await exportRooms(scope, userId)
  const written = await roomsWrittenBy(scope.db, userId, Number.MAX_SAFE_INTEGER)
  const ids = new Set([...rooms, ...written].map(({ id }) => id))
  return {
    rooms,
    roomInvites: invites.map(toInvite),
    roomMessages: await exportMessages(
      scope,
      userId,
      [...ids].map((id) => ({ id })),
    ),
  }
}
