import type { BatchItem } from 'drizzle-orm/batch'
import * as z from 'zod'
import { type PageQuery, toMoment } from '../../contract/id.ts'
import { UserId } from '../../contract/identity.ts'
import { Problem, type ProblemSlug } from '../../contract/problem.ts'
import { RoomId, type RoomMember, type RoomRole } from '../../contract/rooms.ts'
import { auditIfChanged } from '../audit/service.ts'
import { openDb } from '../platform/db.ts'
import { notifyIf, ofChange } from '../platform/notify.ts'
import { type Consumer, commit, outboxEvent } from '../platform/outbox/outbox.ts'
import { afterKey, toPage } from '../platform/page.ts'
import type { Actor, Scope } from '../platform/scope.ts'
import { announceRoom } from './news.ts'
import { refusalOfPut, refusalOfRemoval } from './policy.ts'
import {
  bumpSeats,
  deleteSeat,
  membersAmong,
  membersIn,
  putSeat,
  type SeatChange,
  type SeatFacts,
  seatFacts,
  seatNow,
} from './seat-store.ts'
import { seatIn } from './service.ts'

/** Topic of the events that bring open sockets in line with changed seats. */
export const MEMBERS_CHANGED = 'rooms.members-changed'

const MembersChanged = z.strictObject({ roomId: RoomId, userId: UserId })

/** Who has a seat, or who of those that are named, for those who have one themselves. @throws Problem `not-found` */
export async function listMembers(
  scope: Scope,
  actor: Actor,
  at: { readonly roomId: RoomId; readonly query: PageQuery & { readonly userIds?: readonly UserId[] | undefined } },
) {
  const key = afterKey(at.query)
  const after = key === undefined ? undefined : UserId.safeParse(key)
  if (after?.success === false)
    throw new Problem('invalid-request', { errors: [{ detail: 'is not a cursor of this list', pointer: '#/query/cursor' }] })
  await seatIn(scope, actor, at.roomId)
  const look = { roomId: at.roomId, callerId: actor.userId }
  const { userIds } = at.query
  if (userIds) return { items: (await membersAmong(scope.db, look, userIds)).map(toMember) }
  const rows = await membersIn(scope.db, look, { after: after?.data, limit: at.query.limit + 1 })
  return toPage(rows, at.query, { key: (row) => row.userId, item: toMember })
}

const toMember = ({ addedAt, ...row }: Omit<RoomMember, 'addedAt'> & { readonly addedAt: number }): RoomMember => ({
  ...row,
  addedAt: toMoment(addedAt),
})

/** Gives a seat or changes its role. @throws Problem `not-found`, `forbidden`, `conflict` or `limit-reached` */
export async function putMember(
  scope: Scope,
  actor: Actor,
  at: { readonly roomId: RoomId; readonly userId: UserId; readonly role: RoomRole },
): Promise<RoomMember> {
  const change: SeatChange = { roomId: at.roomId, userId: at.userId, callerId: actor.userId }
  const facts = await factsOf(scope, change)
  refuse(refusalOfPut(facts, at.role))
  const now = scope.now()
  const member = toMember({ userId: at.userId, displayName: facts.displayName, role: at.role, addedAt: facts.addedAt ?? now })
  if (facts.role === at.role) return member
  const isDone = await changeSeat(scope, change, {
    statement: putSeat(scope.db, change, { role: at.role, now }),
    action: facts.role === null ? 'room.member-add' : 'room.member-role',
    role: at.role,
  })
  if (isDone) return member
  const later = await factsOf(scope, change)
  refuse(refusalOfPut(later, at.role))
  if (later.role !== at.role) throw new Problem('conflict')
  return toMember({ userId: at.userId, displayName: later.displayName, role: at.role, addedAt: later.addedAt ?? now })
}

/** Takes a seat away, or leaves. @throws Problem `not-found`, `forbidden` or `conflict` */
export async function removeMember(scope: Scope, actor: Actor, at: { readonly roomId: RoomId; readonly userId: UserId }): Promise<void> {
  const change: SeatChange = { ...at, callerId: actor.userId }
  const isOwnSeat = at.userId === actor.userId
  refuse(refusalOfRemoval(await factsOf(scope, change), isOwnSeat))
  if (await changeSeat(scope, change, { statement: deleteSeat(scope.db, change), action: 'room.member-remove' })) return
  refuse(refusalOfRemoval(await factsOf(scope, change), isOwnSeat))
  throw new Problem('conflict')
}

/** Tells the room's object how a seat stands now, so the event may come late, twice or out of order. */
export const applySeat: Consumer = async (scope, { payload }) => {
  const { roomId, userId } = MembersChanged.parse(payload)
  const [seat] = await seatNow(openDb(scope.env.DB, undefined).db, roomId, userId)
  await reviewCompany(scope, [userId])
  if (seat) await scope.env.ROOMS.getByName(roomId).applySeats([{ userId, role: seat.role, version: seat.version }])
}

/** Tells inboxes that their users may share a room with others than before. */
export async function reviewCompany(scope: Scope, userIds: readonly UserId[]): Promise<void> {
  await Promise.all(userIds.map((userId) => scope.env.INBOXES.getByName(userId).seatsChanged()))
}

/** What webhooks are told of a change that is on record. */
const NEWS = {
  'room.member-add': 'room.member.added',
  'room.member-role': 'room.member.role_changed',
  'room.member-remove': 'room.member.removed',
} as const

/** One transaction: the seat, its audit entry, the version that tells joins apart, and the event. Answers whether the seat changed. */
async function changeSeat(
  scope: Scope,
  change: SeatChange,
  by: { readonly statement: BatchItem<'sqlite'>; readonly action: keyof typeof NEWS; readonly role?: RoomRole },
): Promise<boolean> {
  const { roomId, userId } = change
  const cause = by.role === undefined ? userId : `${userId} as ${by.role}`
  const content = { kind: 'room-member', roomId, role: by.role ?? null } as const
  const news = await announceRoom(scope, { kind: NEWS[by.action], roomId, userId, data: { role: by.role ?? null } })
  const told = change.callerId === userId ? undefined : await notifyIf(scope, { userId }, { content, condition: ofChange })
  const results = (await commit(
    scope,
    [
      by.statement,
      auditIfChanged(scope, { action: by.action, subject: roomId, cause }),
      ...(told ? [told.statement] : []),
      ...news.statements,
      bumpSeats(scope.db, roomId),
    ],
    [await outboxEvent(scope, MEMBERS_CHANGED, { roomId, userId })],
  )) as readonly D1Result[]
  const isDone = results[0]?.meta.changes === 1
  if (isDone) scope.deliver([...(told ? [told.id] : []), news.id])
  return isDone
}

async function factsOf(scope: Scope, change: SeatChange): Promise<SeatFacts> {
  const [facts] = await seatFacts(scope.db, change)
  if (!facts) throw new Error('a query without a table answers one row')
  return facts
}

function refuse(slug: ProblemSlug | undefined): void {
  if (slug) throw new Problem(slug)
}
