import type { RoomId } from '../../contract/rooms.ts'
import type { Env } from '../env.ts'
import { describeError, type Log } from '../platform/log.ts'
import { leafName } from './leaves.ts'
import { leavesOf } from './seat.ts'

/** So long newcomers go to leaves without asking the room; it is asked again soon enough to grow or shrink in time. */
const KEPT_MS = 5_000
const ROOMS_MAX = 1_000

const placements = new Map<RoomId, { readonly leaves: number; readonly until: number }>()

/** Brings an upgrade to a room's object, or to one of its leaves if the room has outgrown it. */
export async function upgradeIn(
  { env, log }: { readonly env: Env; readonly log: Log },
  roomId: RoomId,
  upgrade: () => Request,
): Promise<Response> {
  const known = placements.get(roomId)
  if (known && known.until > Date.now()) return upgradeOnLeaf({ env, log }, { roomId, leaves: known.leaves, upgrade })
  placements.delete(roomId)
  const response = await env.ROOMS.getByName(roomId).fetch(upgrade())
  const leaves = leavesOf(response)
  if (leaves === 0) return response
  placements.set(roomId, { leaves, until: Date.now() + KEPT_MS })
  const [oldest] = placements.keys()
  if (placements.size > ROOMS_MAX && oldest !== undefined) placements.delete(oldest)
  return upgradeOnLeaf({ env, log }, { roomId, leaves, upgrade })
}

/** Any leaf will do, so one that fails is followed by the next. */
async function upgradeOnLeaf(
  { env, log }: { readonly env: Env; readonly log: Log },
  { roomId, leaves, upgrade }: { readonly roomId: RoomId; readonly leaves: number; readonly upgrade: () => Request },
): Promise<Response> {
  const leaf = (crypto.getRandomValues(new Uint32Array(1))[0] ?? 0) % leaves
  const fetchFrom = (which: number) => env.LEAVES.getByName(leafName(roomId, which % leaves)).fetch(upgrade())
  try {
    return await fetchFrom(leaf)
  } catch (error) {
    log('room.leaf-failed', { roomId, leaf, ...describeError(error) })
    return fetchFrom(leaf + 1)
  }
}
