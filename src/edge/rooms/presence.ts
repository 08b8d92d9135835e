import { endOf, isHeld, judgeEntry, mayHoldRenewals, type Presence } from './awareness.ts'
import { awarenessFrame, type PresenceEntry } from './framing.ts'
import { type LiveRoom, send } from './live.ts'
import { gatherPresence } from './window.ts'

/** Ids whose last clock is remembered; each costs about 100 bytes. */
const LEFT_MAX = 4096

const NULL = new TextEncoder().encode('null')

/** Hears what a socket says of one client. @throws Problem `invalid-request` or `payload-too-large` */
export function hearEntry(room: LiveRoom, socket: WebSocket, entry: PresenceEntry): void {
  const now = Date.now()
  const { hub } = room
  const place = hub.placeOf(socket)
  const holder = hub.holderOf(entry.clientId)
  const holderPlace = holder && holder !== socket ? hub.placeOf(holder) : undefined
  const claim = {
    held: holderPlace?.presence ?? undefined,
    isOurs: holderPlace?.sessionId === place.sessionId && holderPlace.userId === place.userId,
    leftAtClock: room.leftAt.get(entry.clientId),
  }
  const verdict = judgeEntry(place.presence ?? undefined, entry, { claim, now })
  if (verdict.kind === 'ignore') return
  if (verdict.kind === 'challenge') return send(socket, awarenessFrame([{ clientId: entry.clientId, clock: verdict.clock, json: NULL }]))
  if (holder && holderPlace) hub.change(holder, { presence: null })
  hub.change(socket, { presence: verdict.presence })
  if (verdict.kind === 'renew') return renew(room, verdict.presence)
  show(room, verdict.presence)
}

/** Ends what a socket showed. */
export function endPresence(room: LiveRoom, presence: Presence | null): void {
  if (presence !== null && presence.json !== null) show(room, endOf(presence))
}

function show(room: LiveRoom, presence: Presence): void {
  if (presence.json === null) room.pulses.delete(presence.clientId)
  else room.pulses.set(presence.clientId, { presence, toldAt: presence.heardAt })
  noteEnd(room, presence)
  gatherPresence(room, presence)
}

/** A renewal says only that nothing changed, so many of them share a frame. */
function renew(room: LiveRoom, presence: Presence): void {
  const toldAt = room.pulses.get(presence.clientId)?.toldAt ?? 0
  room.pulses.set(presence.clientId, { presence, toldAt })
  const pulses = [...room.pulses.values()]
  if (mayHoldRenewals(pulses, presence.heardAt)) return
  for (const held of pulses.filter(isHeld)) {
    room.pulses.set(held.presence.clientId, { ...held, toldAt: presence.heardAt })
    gatherPresence(room, held.presence)
  }
}

/** Remembers at which clock an id left, or forgets it when the id is back; the oldest go first. */
function noteEnd({ leftAt }: LiveRoom, { clientId, clock, json }: Presence): void {
  leftAt.delete(clientId)
  if (json !== null) return
  leftAt.set(clientId, clock)
  const [oldest] = leftAt.keys()
  if (leftAt.size > LEFT_MAX && oldest !== undefined) leftAt.delete(oldest)
}
