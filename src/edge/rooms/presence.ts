import { PRESENCE_BYTES_MAX } from '../../contract/rooms.ts'
import { endOf, isHeld, judgeEntry, type Presence, renewalsWaitMs, renewed } from './awareness.ts'
import { awarenessFrame, type PresenceEntry } from './framing.ts'
import { type LiveRoom, sendFramed } from './live.ts'
import type { Peer } from './peer.ts'
import { isAudience } from './seat.ts'
import { gatherPresence } from './window.ts'

const NULL = new TextEncoder().encode('null')

/** Hears what a socket says of one client. @throws Problem `invalid-request` or `payload-too-large` */
export function hearEntry(room: LiveRoom, socket: Peer, entry: PresenceEntry): void {
  const { hub, departures } = room
  const place = hub.placeOf(socket)
  if (place.isIncognito || isAudience(place)) return echo(room, socket, entry)
  const holder = hub.holderOf(entry.clientId)
  const holderPlace = holder && holder !== socket ? hub.placeOf(holder) : undefined
  const claim = () => ({
    held: holderPlace?.presence ?? undefined,
    isOurs: holderPlace?.sessionId === place.sessionId && holderPlace.userId === place.userId,
    leftAtClock: departures.clockOf(entry.clientId),
  })
  const verdict = judgeEntry(place.presence ?? undefined, entry, { claim, now: Date.now(), isBound: place.live !== null })
  if (verdict.kind === 'ignore') return
  if (verdict.kind === 'challenge')
    return sendFramed(room, socket, awarenessFrame([{ clientId: entry.clientId, clock: verdict.clock, json: NULL }]))
  if (holder && holderPlace) hub.change(holder, { presence: null })
  hub.change(socket, { presence: verdict.presence })
  if (verdict.kind === 'renew') shareRenewals(room, verdict.presence.heardAt)
  else show(room, verdict.presence)
}

/** Providers renew their presence every 15 seconds; what else they say need not come back. */
const ECHO_EVERY_MS = 5_000

/** Sends somebody's own word back to them where nobody else hears it: providers take 30 seconds of silence for a dead socket. A state they know changes nothing. */
function echo(room: LiveRoom, socket: Peer, entry: PresenceEntry): void {
  const now = Date.now()
  const isState = entry.json.byteLength <= PRESENCE_BYTES_MAX && new TextDecoder().decode(entry.json) !== 'null'
  if (!isState || now - (room.echoed.get(socket) ?? 0) < ECHO_EVERY_MS) return
  room.echoed.set(socket, now)
  sendFramed(room, socket, awarenessFrame([entry]))
}

/** Ends what a socket showed. */
export function endPresence(room: LiveRoom, presence: Presence | null): void {
  if (presence !== null && presence.json !== null) show(room, endOf(presence))
}

/** Ends what a socket showed that went with the memory, at a clock that it cannot have passed. */
export function endLost(room: LiveRoom, { clientId, clock }: Pick<Presence, 'clientId' | 'clock'>): void {
  if (!room.hub.holderOf(clientId)) show(room, { clientId, clock, json: null, heardAt: 0, toldAt: 0 })
}

function show(room: LiveRoom, presence: Presence): void {
  const { clientId, clock, json } = presence
  if (json === null) room.departures.note(clientId, clock, Date.now())
  else room.departures.forget(clientId)
  gatherPresence(room, presence)
}

/** A renewal says only that nothing changed, so many of them share a frame. */
function shareRenewals(room: LiveRoom, now: number): void {
  const shown = shownIn(room).map(({ presence }) => presence)
  const waitMs = renewalsWaitMs(shown, now)
  if (waitMs === 0) sendRenewals(room, now)
  else if (waitMs !== undefined) room.renewals ??= setTimeout(() => sendRenewals(room, Date.now()), waitMs)
}

function sendRenewals(room: LiveRoom, now: number): void {
  if (room.renewals !== undefined) clearTimeout(room.renewals)
  room.renewals = undefined
  for (const { socket, presence } of shownIn(room).filter(({ presence }) => isHeld(presence))) {
    const { isBound, ...held } = presence
    const told = isBound ? renewed(held, now) : { ...held, toldAt: now }
    room.hub.change(socket, { presence: told })
    gatherPresence(room, told)
  }
}

/** Every presence that is shown, and whether its socket vouches for it. */
export const shownIn = ({ hub }: LiveRoom) =>
  hub.presences().map(({ socket, presence }) => ({ socket, presence: { ...presence, isBound: hub.placeOf(socket).live !== null } }))

/** A clock this new cannot have been dropped: that takes 30 seconds. */
const RENEWED_MS = 5_000

/** Renews what is bound, for a client that may have dropped it and takes nothing that is not newer. */
export function renewBound(room: LiveRoom, now: number): void {
  for (const { socket, presence } of shownIn(room)) {
    const { isBound, ...bound } = presence
    // Only who asks is told of it now; the others wait as long as before.
    if (isBound && now - bound.heardAt >= RENEWED_MS)
      room.hub.change(socket, { presence: { ...renewed(bound, now), toldAt: bound.toldAt } })
  }
}
