import * as z from 'zod'
import { UserId } from '../../contract/identity.ts'
import type { LiveCursor } from '../../contract/room-live.ts'
import type { MessagePage, MessageReceipt, MessageRetention } from '../../contract/room-messages.ts'
import { type Room, RoomId } from '../../contract/rooms.ts'
import { auditEntry } from '../audit/service.ts'
import { type Consumer, commit } from '../platform/outbox/outbox.ts'
import { open } from '../platform/rpc.ts'
import type { Actor, Scope } from '../platform/scope.ts'
import type { AuthorOrder } from './rpc.ts'
import { requireOwner, seatIn } from './service.ts'

/** Topic of the events that take an erased user's words out of a room. */
export const AUTHOR_ERASED = 'rooms.author-erased'

const AuthorErased = z.strictObject({ roomId: RoomId, userId: UserId })

const roomOf = (scope: Scope, roomId: RoomId) => scope.env.ROOMS.getByName(roomId)

function cursorOf(text: string | undefined): LiveCursor | undefined {
  if (text === undefined) return undefined
  const [epoch = '', seq] = text.split('.')
  return { epoch, seq: Number(seq) }
}

/** Events after or before a cursor, for those who have a seat. @throws Problem `not-found` */
export async function listMessages(
  scope: Scope,
  actor: Actor,
  at: {
    readonly roomId: RoomId
    readonly query: { readonly cursor?: string | undefined; readonly before?: string | undefined; readonly limit: number }
  },
): Promise<MessagePage> {
  await seatIn(scope, actor, at.roomId)
  const { cursor, before, limit } = at.query
  return roomOf(scope, at.roomId).readMessages({ since: cursorOf(cursor), before: cursorOf(before), limit })
}

/** Publishes once per `cid`. @throws Problem `not-found` or `forbidden` */
export async function publishMessage(
  scope: Scope,
  actor: Actor,
  at: { readonly roomId: RoomId; readonly publication: AuthorOrder['publication'] },
): Promise<MessageReceipt> {
  const { room, role } = await seatIn(scope, actor, at.roomId)
  const isHeard = room.archivedAt === null && !(room.isBroadcast === 1 && role === 'commenter')
  const author = { userId: actor.userId, role: isHeard ? role : 'viewer' } as const
  return open(roomOf(scope, at.roomId).publishMessage({ author, publication: at.publication }))
}

/** How long messages are kept. @throws Problem `not-found` */
export async function getRetention(scope: Scope, actor: Actor, roomId: RoomId): Promise<MessageRetention> {
  await seatIn(scope, actor, roomId)
  return roomOf(scope, roomId).messageRetention()
}

/** Keeps messages this long. The order is on record before it is carried out, since it deletes. @throws Problem `not-found` or `forbidden` */
export async function setRetention(
  scope: Scope,
  actor: Actor,
  { roomId, ttlSeconds }: MessageRetention & { readonly roomId: RoomId },
): Promise<MessageRetention> {
  await requireOwner(scope, actor, roomId)
  await commit(scope, [
    auditEntry(scope, { action: 'room.retention', subject: roomId, cause: ttlSeconds === null ? 'no limit' : `${ttlSeconds} s` }),
  ])
  return roomOf(scope, roomId).setMessageRetention(ttlSeconds)
}

/** Takes an erased user's words out of a room. */
export const eraseAuthor: Consumer = async (scope, { payload }) => {
  const { roomId, userId } = AuthorErased.parse(payload)
  await roomOf(scope, roomId).eraseAuthor(userId)
}

/** What a user has written in these rooms. */
export async function exportMessages(scope: Scope, userId: UserId, rooms: readonly Pick<Room, 'id'>[]): Promise<readonly object[]> {
  const written: object[] = []
  for (const { id } of rooms) {
    const events = await roomOf(scope, id).messagesBy(userId)
    if (events.length > 0) written.push({ roomId: id, events })
  }
  return written
}
