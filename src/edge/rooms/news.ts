import { type SQL, sql } from 'drizzle-orm'
import type { UserId } from '../../contract/identity.ts'
import type { RoomId } from '../../contract/rooms.ts'
import type { WebhookBody, WebhookKind } from '../../contract/webhooks.ts'
import { ofChange } from '../platform/notify.ts'
import type { Scope } from '../platform/scope.ts'
import { type Announcement, announceIf } from '../webhooks/service.ts'

/** The webhooks that hear of a room: its organisation's, or its owners' when it has none. */
export const hearersOf = (
  roomId: RoomId,
): SQL => sql`(SELECT theirs.id FROM webhooks AS theirs JOIN rooms ON rooms.org_id = theirs.org_id WHERE rooms.id = ${roomId}
  UNION ALL SELECT own.id FROM rooms JOIN room_members AS held ON held.room_id = rooms.id AND held.role = 'owner'
    JOIN users AS owner ON owner.id = held.user_id AND owner.disabled_at IS NULL
    JOIN webhooks AS own ON own.user_id = held.user_id WHERE rooms.id = ${roomId} AND rooms.org_id IS NULL)`

/** Something that happened to a room. */
export interface RoomNews {
  readonly kind: WebhookKind
  readonly roomId: RoomId
  readonly userId?: UserId
  readonly data?: WebhookBody['data']
}

/** Tells webhooks of a room's news, if the statement right before in the batch changed a row. */
export const announceRoom = (scope: Scope, { kind, roomId, userId, data = {} }: RoomNews): Promise<Announcement> =>
  announceIf(
    scope,
    {
      kind,
      heardBy: hearersOf(roomId),
      ...(userId === undefined ? {} : { userId }),
      data: { roomId, ...(userId === undefined ? {} : { userId }), ...data, actorId: scope.actor?.userId ?? null },
    },
    ofChange,
  )
