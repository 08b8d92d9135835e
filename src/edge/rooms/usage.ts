import { RoomId } from '../../contract/rooms.ts'
import type { Env } from '../env.ts'
import type { Metrics } from '../http/feature.ts'
import { describeError } from '../platform/log.ts'
import { dayOf, type Sample, sample } from '../platform/metrics.ts'
import { objectScope } from '../platform/object-scope.ts'
import type { Scope } from '../platform/scope.ts'
import type { LiveRoom } from './live.ts'
import type { RoomMeasure } from './tally.ts'
import { addCounted, countedOn, deleteOldCounted, putStanding, type Standing, standingSince } from './usage-store.ts'

const COUNT_DAYS = 30
/** A room in which nothing happens wakes when its first token expires, and tells then. */
const QUIET_MS = 600_000

/** Tells D1 how a room stands and what it has counted, when that is due. What cannot be told now is told with the next. */
export async function tellUsage(ctx: DurableObjectState, env: Env, room: LiveRoom): Promise<void> {
  const { tally } = room
  const now = Date.now()
  if (now < tally.dueAt()) return
  const all = tally.takeOut(now)
  const roomId = RoomId.safeParse(room.roomId)
  if (!roomId.success) return
  const { db, log } = objectScope(ctx, env, null)
  try {
    await db.batch([putStanding(db, roomId.data, standingOf(ctx, room, now)), ...addCounted(db, dayOf(now), all)])
  } catch (error) {
    tally.putBack(all)
    log('room.usage-untold', { roomId: room.roomId, ...describeError(error) })
  }
}

function standingOf(ctx: DurableObjectState, { hub, leaves }: LiveRoom, toldAt: number): Standing {
  const sockets = { y: 0, hocuspocus: 0, live: 0 }
  for (const socket of hub.open()) sockets[hub.placeOf(socket).framing]++
  return {
    toldAt,
    ySockets: sockets.y,
    hocuspocusSockets: sockets.hocuspocus,
    liveSockets: sockets.live,
    leaves: leaves.count(),
    bytes: ctx.storage.sql.databaseSize,
  }
}

const sampleOf: Readonly<Record<RoomMeasure, (counted: number, label: string) => Sample>> = {
  joins: (counted, framing) => sample('parvis_room_joins_today', counted, { framing }),
  declines: (counted, problem) => sample('parvis_room_declines_today', counted, { problem }),
  closes: (counted, problem) => sample('parvis_room_closes_today', counted, { problem }),
  messages: (counted, outcome) => sample('parvis_room_messages_today', counted, { outcome }),
  updates: (counted, outcome) => sample('parvis_room_updates_today', counted, { outcome }),
  slow: (counted, outcome) => sample('parvis_room_slow_today', counted, { outcome }),
  promotions: (counted) => sample('parvis_room_promotions_today', counted, {}),
  'awake-ms': (counted) => sample('parvis_room_awake_seconds_today', Math.round(counted / 1000), {}),
}

/** What rooms hold and did, as they told. No label names anybody. */
export const roomMetrics: Metrics = async ({ config, db, now }) => {
  const since = now() - config.accessTtlSeconds * 1000 - QUIET_MS
  const [[all], counted] = await Promise.all([standingSince(db, since), countedOn(db, dayOf(now()))])
  const { active = 0, leaves = 0, bytes = 0, ...sockets } = all ?? { y: 0, hocuspocus: 0, live: 0 }
  return [
    sample('parvis_rooms_active', active, {}),
    ...Object.entries(sockets).map(([framing, count]) => sample('parvis_room_sockets', count, { framing })),
    sample('parvis_room_leaves', leaves, {}),
    sample('parvis_room_stored_bytes', bytes, {}),
    ...counted.map(({ measure, label, counted: n }) => sampleOf[measure](n, label)),
  ]
}

/** What rooms did is told of the present day; a month of it is kept. */
export async function sweepRoomDays({ db, now }: Scope): Promise<number> {
  const { meta } = await deleteOldCounted(db, dayOf(now()) - COUNT_DAYS)
  return meta.changes
}
