import * as z from 'zod'
import { UserId } from '../../contract/identity.ts'
import { OrgId } from '../../contract/orgs.ts'
import { RoomId } from '../../contract/rooms.ts'
import { openDb } from '../platform/db.ts'
import { type Consumer, commit, outboxEvent } from '../platform/outbox/outbox.ts'
import { deletionOf } from './keeping.ts'
import { reviewCompany } from './members.ts'
import { bumpOrgRooms, eraseOrgSeats, orgRoomsAfter, seatNow } from './seat-store.ts'
import { deleteMarked, markOrphan } from './store.ts'

/** Topic of the events that bring a member's sockets in line, some rooms of their organisation at a time. */
export const ORG_SEATS = 'rooms.org-seats'

/** An object is called for each room; an event must stay well within its lease. */
const ROOMS_PER_EVENT = 50

const MemberChanged = z.strictObject({ orgId: OrgId, userId: UserId })
const OrgEnded = z.strictObject({ orgId: OrgId })
const OrgSeats = z.strictObject({ orgId: OrgId, userId: UserId, after: RoomId.nullable() })

/**
 * A role in an organisation has changed, and with it what its holder may do in every room of it. Who left loses the
 * seats they were given there as well. All of it is told again if this is repeated.
 */
export const applyOrgMember: Consumer = async (scope, { payload }) => {
  const { orgId, userId } = MemberChanged.parse(payload)
  const { db } = openDb(scope.env.DB, undefined)
  await commit(
    { ...scope, db },
    [eraseOrgSeats(db, orgId, userId), bumpOrgRooms(db, orgId)],
    [await outboxEvent({ ...scope, db }, ORG_SEATS, { orgId, userId, after: null })],
  )
}

/** Tells the next few rooms how the member's seat stands now. */
export const applyOrgSeats: Consumer = async (scope, { payload }) => {
  const { orgId, userId, after } = OrgSeats.parse(payload)
  const { db } = openDb(scope.env.DB, undefined)
  if (after === null) await reviewCompany(scope, [userId])
  const rooms = await orgRoomsAfter(db, { orgId, after, limit: ROOMS_PER_EVENT })
  for (const { id } of rooms) {
    const [seat] = await seatNow(db, id, userId)
    if (seat) await scope.env.ROOMS.getByName(id).applySeats([{ userId, ...seat }])
  }
  const last = rooms.at(-1)
  if (rooms.length === ROOMS_PER_EVENT && last)
    await commit({ ...scope, db }, [], [await outboxEvent({ ...scope, db }, ORG_SEATS, { orgId, userId, after: last.id })])
}

/** The rooms of an organisation that is gone go with it. */
export const applyOrgEnd: Consumer = async (scope, { payload }) => {
  const { orgId } = OrgEnded.parse(payload)
  const { db } = openDb(scope.env.DB, undefined)
  for (;;) {
    const rooms = await orgRoomsAfter(db, { orgId, after: null, limit: ROOMS_PER_EVENT })
    if (rooms.length === 0) return
    const deletion = await deletionOf(
      { ...scope, db },
      rooms.map(({ id }) => id),
    )
    await commit(
      { ...scope, db },
      rooms.flatMap(({ id }) => [markOrphan(db, id, orgId), ...deleteMarked(db, id)]),
      deletion,
    )
  }
}
