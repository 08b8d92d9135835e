import { type PageQuery, toMoment } from '../../contract/id.ts'
import { Problem } from '../../contract/problem.ts'
import { type CreateRoomInvite, type NewRoomInvite, type RoomInvite, RoomInviteId } from '../../contract/room-invites.ts'
import type { Room, RoomId } from '../../contract/rooms.ts'
import { auditIfChanged } from '../audit/service.ts'
import { toBase64Url } from '../platform/base64.ts'
import { describeError } from '../platform/log.ts'
import { commit } from '../platform/outbox/outbox.ts'
import { afterKey, toPage } from '../platform/page.ts'
import type { Actor, Scope } from '../platform/scope.ts'
import {
  type Acceptance,
  bumpInvited,
  deleteInvite,
  type InviteRow,
  insertInvite,
  insertInvited,
  inviteFor,
  invitesOf,
  spendInvite,
} from './invite-store.ts'
import { reviewCompany } from './members.ts'
import { announceRoom } from './news.ts'
import { getRoom, requireOwner } from './service.ts'

/** 256 bits: found by its hash, never by trying. */
const TOKEN_BYTES = 32

const hashOf = async (token: string): Promise<string> =>
  toBase64Url(new Uint8Array(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(token))))

/** A link without its secret. */
export const toInvite = (row: Omit<InviteRow, 'tokenHash' | 'creatorId' | 'roomId'>): RoomInvite => ({
  id: row.id,
  role: row.role,
  uses: row.uses,
  usesMax: row.usesMax,
  expiresAt: toMoment(row.expiresAt),
  createdAt: toMoment(row.createdAt),
})

/** Makes a link. @throws Problem `not-found`, `forbidden` or `limit-reached` */
export async function createInvite(
  scope: Scope,
  actor: Actor,
  at: { readonly roomId: RoomId; readonly wanted: CreateRoomInvite },
): Promise<NewRoomInvite> {
  const { roomId, wanted } = at
  await requireOwner(scope, actor, roomId)
  const token = toBase64Url(crypto.getRandomValues(new Uint8Array(TOKEN_BYTES)))
  const createdAt = scope.now()
  const { role, usesMax } = wanted
  const id = RoomInviteId.parse(scope.newId('inv'))
  const invite = { id, role, usesMax, expiresAt: createdAt + wanted.ttlSeconds * 1000, createdAt }
  const row = { ...invite, roomId, tokenHash: await hashOf(token), creatorId: actor.userId }
  const results = (await commit(scope, [
    insertInvite(scope.db, row),
    auditIfChanged(scope, { action: 'room.invite-create', subject: roomId, cause: `${id} as ${role}` }),
  ])) as readonly D1Result[]
  if (results[0]?.meta.changes === 1) return { ...toInvite({ ...invite, uses: 0 }), token }
  await requireOwner(scope, actor, roomId)
  throw new Problem('limit-reached')
}

/** The links of a room, newest first. @throws Problem `not-found`, `forbidden` or `invalid-request` */
export async function listInvites(scope: Scope, actor: Actor, at: { readonly roomId: RoomId; readonly query: PageQuery }) {
  const key = afterKey(at.query)
  const before = key === undefined ? undefined : RoomInviteId.safeParse(key)
  if (before?.success === false)
    throw new Problem('invalid-request', { errors: [{ detail: 'is not a cursor of this list', pointer: '#/query/cursor' }] })
  await requireOwner(scope, actor, at.roomId)
  const rows = await invitesOf(scope.db, at.roomId, { before: before?.data, limit: at.query.limit + 1 })
  return toPage(rows, at.query, { key: (row) => row.id, item: toInvite })
}

/** Makes a link void. @throws Problem `not-found` or `forbidden` */
export async function revokeInvite(
  scope: Scope,
  actor: Actor,
  at: { readonly roomId: RoomId; readonly inviteId: RoomInviteId },
): Promise<void> {
  await requireOwner(scope, actor, at.roomId)
  const results = (await commit(scope, [
    deleteInvite(scope.db, { ...at, callerId: actor.userId }),
    auditIfChanged(scope, { action: 'room.invite-revoke', subject: at.roomId, cause: at.inviteId }),
  ])) as readonly D1Result[]
  if (results[0]?.meta.changes !== 1) throw new Problem('not-found')
}

/** Takes a seat by a link. @throws Problem `code-invalid` when it is wrong, used up, revoked or expired, `limit-reached` when the room is full */
export async function acceptInvite(scope: Scope, actor: Actor, token: string): Promise<Room> {
  const acceptance: Acceptance = { tokenHash: await hashOf(token), userId: actor.userId, now: scope.now() }
  const [found] = await inviteFor(scope.db, acceptance)
  if (!found) throw new Problem('code-invalid')
  const { roomId, id, role } = found.invite
  if (found.role === null) {
    const news = await announceRoom(scope, { kind: 'room.member.added', roomId, userId: actor.userId, data: { role } })
    await commit(scope, [
      spendInvite(scope.db, acceptance),
      insertInvited(scope.db, acceptance),
      auditIfChanged(scope, { action: 'room.member-add', subject: roomId, cause: `${actor.userId} as ${role} by ${id}` }),
      ...news.statements,
      bumpInvited(scope.db, acceptance.tokenHash),
    ])
    scope.deliver([news.id])
    scope.waitUntil(reviewCompany(scope, [actor.userId]).catch((error: unknown) => scope.log('room.seats-untold', describeError(error))))
    const [later] = await inviteFor(scope.db, acceptance)
    if (!later || later.role === null) throw new Problem(later?.isFull ? 'limit-reached' : 'code-invalid')
  }
  return getRoom(scope, actor, roomId)
}
