import * as z from 'zod'
import { UserId } from '../../contract/identity.ts'
import { OrgId } from '../../contract/orgs.ts'
import { Problem } from '../../contract/problem.ts'
import { type Room, RoomId, type UpdateRoom } from '../../contract/rooms.ts'
import { auditIfChanged } from '../audit/service.ts'
import { openDb } from '../platform/db.ts'
import { type Consumer, commit, outboxEvent } from '../platform/outbox/outbox.ts'
import type { Actor, Scope } from '../platform/scope.ts'
import { reviewCompany } from './members.ts'
import { announceRoom } from './news.ts'
import { companiesIn, seatsNow } from './seat-store.ts'
import { getRoom, requireOwner } from './service.ts'
import { changeRoom, deleteMarked, markDeleted, roomExists } from './store.ts'

/** Topic of the events that bring every open socket of a room in line. */
export const ROOM_CHANGED = 'rooms.changed'
/** Topic of the events that empty a room's object. */
export const ROOM_DELETED = 'rooms.deleted'

const OfRoom = z.strictObject({ roomId: RoomId })
const Deleted = z.strictObject({ roomId: RoomId, company: z.array(UserId).default([]) })

const ofOrg = (orgId: string | null) => (orgId === null ? {} : { orgId: OrgId.parse(orgId) })

/** Renames a room, archives it or brings it back. @throws Problem `not-found` or `forbidden` */
export async function updateRoom(scope: Scope, actor: Actor, at: { readonly roomId: RoomId; readonly change: UpdateRoom }): Promise<Room> {
  const { roomId, change } = at
  const room = await requireOwner(scope, actor, roomId)
  const isMoved = change.archived !== undefined && change.archived !== (room.archivedAt !== null)
  const isRenamed = change.name !== undefined && change.name !== room.name
  if (!isMoved && !isRenamed) return getRoom(scope, actor, roomId)
  const archivedAt = change.archived ? scope.now() : null
  const action = !isMoved ? 'room.rename' : change.archived ? 'room.archive' : 'room.restore'
  const kind = !isMoved ? 'room.renamed' : change.archived ? 'room.archived' : 'room.restored'
  const news = await announceRoom(scope, { kind, roomId, data: { name: change.name ?? room.name, orgId: room.orgId } })
  const results = (await commit(
    scope,
    [
      changeRoom(scope.db, { roomId, callerId: actor.userId }, { name: change.name, ...(isMoved ? { archivedAt } : {}) }),
      auditIfChanged(scope, { action, subject: roomId, ...ofOrg(room.orgId) }),
      ...news.statements,
    ],
    isMoved ? [await outboxEvent(scope, ROOM_CHANGED, { roomId })] : [],
  )) as readonly D1Result[]
  if (results[0]?.meta.changes !== 1) await requireOwner(scope, actor, roomId)
  scope.deliver([news.id])
  return getRoom(scope, actor, roomId)
}

/** The events that empty the objects of rooms which this batch deletes; who sees the others there is in them, since no row tells it after that. */
export async function deletionOf(scope: Scope, roomIds: readonly RoomId[]) {
  const company = await companiesIn(scope.db, roomIds)
  const of = (roomId: RoomId) => company.filter((row) => row.roomId === roomId).map(({ userId }) => userId)
  return Promise.all(roomIds.map((roomId) => outboxEvent(scope, ROOM_DELETED, { roomId, company: of(roomId) })))
}

/** Deletes a room for good: its rows now, its object within moments. @throws Problem `not-found` or `forbidden` */
export async function deleteRoom(scope: Scope, actor: Actor, roomId: RoomId): Promise<void> {
  const room = await requireOwner(scope, actor, roomId)
  const news = await announceRoom(scope, { kind: 'room.deleted', roomId, data: { orgId: room.orgId } })
  const results = (await commit(
    scope,
    [
      markDeleted(scope.db, { roomId, callerId: actor.userId }),
      auditIfChanged(scope, { action: 'room.delete', subject: roomId, ...ofOrg(room.orgId) }),
      ...news.statements,
      ...deleteMarked(scope.db, roomId),
    ],
    await deletionOf(scope, [roomId]),
  )) as readonly D1Result[]
  if (results[0]?.meta.changes === 1) return scope.deliver([news.id])
  await requireOwner(scope, actor, roomId)
  throw new Problem('not-found')
}

/** Brings the sockets of a room in line with how its seats stand now. */
export const applyRoom: Consumer = async (scope, { payload }) => {
  const { roomId } = OfRoom.parse(payload)
  const { db } = openDb(scope.env.DB, undefined)
  const object = scope.env.ROOMS.getByName(roomId)
  const userIds: readonly UserId[] = await object.seated()
  const states = await seatsNow(db, roomId, userIds)
  if (states.length > 0) await object.applySeats(states)
  scope.log('room.reseated', { roomId, users: states.length })
  // An archived room is no company any more, and one that is back is.
  const company = await companiesIn(db, [roomId])
  await reviewCompany(
    scope,
    company.map(({ userId }) => userId),
  )
}

/** Empties the object of a room that is no more. */
export const emptyRoom: Consumer = async (scope, { payload }) => {
  const { roomId, company } = Deleted.parse(payload)
  const [room] = await roomExists(openDb(scope.env.DB, undefined).db, roomId)
  if (room) return
  await scope.env.ROOMS.getByName(roomId).destroy()
  await reviewCompany(scope, company)
}
