import type { UserId } from '../../contract/identity.ts'
import { type Log, logFor } from '../platform/log.ts'
import type { Trace } from '../platform/trace.ts'
import { type Departures, openDepartures } from './departures.ts'
import { openDocument, type RoomDocument } from './document.ts'
import type { PresenceEntry } from './framing.ts'
import { named } from './hocuspocus-framing.ts'
import { type Hub, type OnNear, openHub } from './hub.ts'
import type { Leaves } from './leaves.ts'
import { type Meter, openMeter } from './meter.ts'
import type { Peer } from './peer.ts'
import type { Place } from './place.ts'
import { type Allowance, type LastWindow, NO_WINDOW, windowLeftMs } from './policy.ts'
import { openTally, type Tally } from './tally.ts'
import { openVersions, type Versions } from './versions.ts'

/** What waits for the end of the window, besides what the document has not stored yet. */
export interface Gathering {
  /** The latest word on each client id. */
  readonly presences: Map<number, PresenceEntry>
  /** Echoes that clients asked for. */
  readonly echoes: { readonly socket: Peer; readonly frame: Uint8Array }[]
  /** Of the first change in it. */
  trace: Trace | undefined
}

/** A socket that has not shown a token yet. */
export interface Waiting {
  readonly trace: Trace
  readonly isIncognito: boolean
  readonly timer: ReturnType<typeof setTimeout>
  /** What it sent along with its token. */
  readonly frames: ArrayBuffer[]
  count: number
  bytes: number
  tokens: number
  isChecking: boolean
}

/** A room in memory. All of it but the current window can be lost at any moment without harm. */
export interface LiveRoom {
  readonly roomId: string
  readonly document: RoomDocument
  readonly hub: Hub
  readonly leaves: Leaves
  readonly versions: Versions
  readonly meter: Meter
  readonly tally: Tally
  /** Windows of changes since the last version, and when that was, as far as this memory knows. */
  windows: number
  keptAt: number | undefined
  /** The share of its size that was warned of last. */
  sizeTold: number
  gathering: Gathering
  /** Runs while a window is open; nothing else keeps the object from hibernating. */
  timer: ReturnType<typeof setTimeout> | undefined
  lastWindow: LastWindow
  /** Runs while renewals of presence wait for each other. */
  renewals: ReturnType<typeof setTimeout> | undefined
  /** Settled when all that was stored is told. */
  telling: Promise<void>
  /** How often something stored is still to be told. */
  untold: number
  /** Ends a socket that is sent more than it reads. */
  readonly endOverfed: (socket: Peer) => void
  readonly departures: Departures
  /** Sockets without a seat yet. */
  readonly waiting: Map<Peer, Waiting>
  /** What each user may still send. */
  readonly allowances: Map<string, Allowance>
  /** Sockets that had their free answer of the whole document. */
  readonly served: WeakSet<Peer>
  /** Sockets that had their free greeting. */
  readonly greeted: WeakSet<Peer>
  /** Sockets that were asked for what their change builds on, and the echoes that wait for the answer. */
  readonly asked: WeakMap<Peer, Uint8Array[]>
  /** When sockets that nobody sees got their own word back. */
  readonly echoed: WeakMap<Peer, number>
  /** Viewers' sockets whose first answer was compared with the document. */
  readonly checked: WeakSet<Peer>
  /** Users whose y-websocket sent what is too large, and when it was closed for that. */
  readonly oversized: Map<UserId, number>
}

/** An empty window. */
export const newGathering = (): Gathering => ({ presences: new Map(), echoes: [], trace: undefined })

/** Opens what outlived the memory: the stored document and the sockets. */
export function openLive(
  ctx: DurableObjectState,
  leaves: Leaves,
  { endOverfed, onNear }: Pick<LiveRoom, 'endOverfed'> & { readonly onNear: OnNear },
): LiveRoom {
  const tally = openTally(ctx.storage)
  return {
    roomId: ctx.id.name ?? ctx.id.toString(),
    document: openDocument(ctx.storage),
    hub: openHub(ctx, onNear),
    leaves,
    versions: openVersions(ctx.storage),
    meter: openMeter(ctx.storage, tally),
    tally,
    sizeTold: 0,
    windows: 0,
    keptAt: undefined,
    gathering: newGathering(),
    timer: undefined,
    lastWindow: NO_WINDOW,
    renewals: undefined,
    telling: Promise.resolve(),
    untold: 0,
    endOverfed,
    departures: openDepartures(ctx.storage.sql),
    waiting: new Map(),
    allowances: new Map(),
    served: new WeakSet(),
    greeted: new WeakSet(),
    asked: new WeakMap(),
    echoed: new WeakMap(),
    checked: new WeakSet(),
    oversized: new Map(),
  }
}

/** How long a window that opens now stays open: what goes out in it is the cost, and leaves share it. */
export const windowOf = ({ hub, leaves }: LiveRoom, last: LastWindow): number =>
  windowLeftMs(last, leaves.burden(hub.near.size), Date.now())

/** A logger for what happens to one socket. */
export const logOf = (room: LiveRoom, place: Place): Log => logFor(place.trace, { roomId: room.roomId, userId: place.userId })

/** Sends a frame of y-websocket framing in the framing of the peer. */
export function sendFramed(room: Pick<LiveRoom, 'hub'>, socket: Peer, frame: Uint8Array): void {
  const { framing, key } = room.hub.placeOf(socket)
  if (framing !== 'hocuspocus') return send(socket, frame)
  if (key !== null) send(socket, named(key, frame))
}

/** Sends unless the peer is gone. */
export function send(socket: Peer, frame: Uint8Array): void {
  try {
    socket.send(frame)
  } catch {
    // Its close event does the rest.
  }
}
