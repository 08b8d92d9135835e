import { closeWith } from '../platform/socket.ts'
import { type Crowd, miss, recount } from './crowd.ts'
import { expel } from './exchange.ts'
import type { LiveRoom } from './live.ts'
import type { NearLedger } from './near-ledger.ts'
import { endLost } from './presence.ts'
import { isNobody } from './seat.ts'

/** Takes up the sockets that leaves kept while this memory was gone; those of which something is in doubt come again. */
export async function resume(room: LiveRoom, crowd: Crowd, near: NearLedger): Promise<void> {
  const resumed = await room.leaves.resume()
  for (const { peer, place } of resumed) room.hub.adopt(peer, place)
  recount(crowd)
  for (const { userId, client } of near.takeLost(room.hub.near)) {
    if (client) endLost(room, client)
    miss(crowd, userId)
  }
  near.begin(room.hub)
  for (const { peer, place, isDoubtful } of resumed) {
    if (place.userId === undefined) closeWith(peer, 'unavailable')
    else if (isDoubtful || isNobody(place)) expel(room, peer, 'unavailable')
  }
}
