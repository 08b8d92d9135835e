import type { UserId } from '../../contract/identity.ts'
import type { Trace } from '../platform/trace.ts'
import type { Presence } from './awareness.ts'
import type { Peer } from './peer.ts'
import type { Line, Place, Seat } from './place.ts'

/** The sockets of a room and who shows themselves on them. */
export interface Hub {
  readonly sit: (socket: Peer, seat: Seat, line: Partial<Line> & { readonly trace: Trace }) => void
  /** Takes in a socket whose place was kept elsewhere. */
  readonly adopt: (socket: Peer, place: Place) => void
  readonly placeOf: (socket: Peer) => Place
  readonly change: (socket: Peer, change: Partial<Place>) => void
  /** Sockets that take part, of everybody or of one user. */
  readonly open: (userId?: UserId) => readonly Peer[]
  /** Whose they are. */
  readonly users: () => readonly UserId[]
  /** Those of them that are held here. */
  readonly near: ReadonlySet<WebSocket>
  /** Calls back once for every socket that has left. */
  readonly onGone: (listener: (place: Place) => void) => void
  /** How many of them there are. */
  readonly count: () => number
  /** Whether it is a room for an audience, as far as anybody has come. */
  readonly isBroadcast: () => boolean
  /** The socket that speaks for a client id. */
  readonly holderOf: (clientId: number) => Peer | undefined
  /** Every presence that is shown, and where. */
  readonly presences: () => readonly { readonly socket: Peer; readonly presence: Presence }[]
}

/** The tag of sockets that are admitted after they opened. */
export const LATE = 'late'

const Y: Line = { framing: 'y', key: null, live: null, isIncognito: false }

/** Is called with every change of a socket that is held here. */
export type OnNear = (socket: WebSocket, place: Place) => void

/** Opens the hub over the sockets that outlived the object's memory. To keep a place comes last: it may end the way to a leaf, and so the place. */
export function openHub(ctx: DurableObjectState, onNear: OnNear = () => undefined): Hub {
  const places = new WeakMap<Peer, Place>()
  // Kept beside the runtime's list, whose reading costs more than a send does to each who is on it.
  const here = new Set<Peer>()
  const ofUser = new Map<UserId, Set<Peer>>()
  const near = new Set<WebSocket>()
  const gone: ((place: Place) => void)[] = []
  const holders = new Map<number, Peer>()
  let isBroadcast = false

  function placeOf(socket: Peer): Place {
    const known = places.get(socket) ?? (socket.deserializeAttachment() as Place)
    places.set(socket, known)
    return known
  }

  function keep(socket: Peer, place: Place): void {
    places.set(socket, place)
    try {
      socket.serializeAttachment(place)
    } catch {
      // A socket that is already closed keeps no attachment and needs none.
    }
    if (socket instanceof WebSocket) onNear(socket, place)
  }

  function list(socket: Peer, { isGone, presence, userId, ...place }: Place): void {
    if (isGone) return
    here.add(socket)
    ofUser.set(userId, (ofUser.get(userId) ?? new Set()).add(socket))
    if (socket instanceof WebSocket) near.add(socket)
    isBroadcast ||= place.isBroadcast === true
    hold(socket, null, presence)
  }

  function unlist(socket: Peer, { userId }: Pick<Place, 'userId'>): void {
    here.delete(socket)
    const theirs = ofUser.get(userId)
    if (theirs?.delete(socket) && theirs.size === 0) ofUser.delete(userId)
    if (socket instanceof WebSocket) near.delete(socket)
  }

  function hold(socket: Peer, before: Presence | null, after: Presence | null): void {
    if (before && before.clientId !== after?.clientId && holders.get(before.clientId) === socket) holders.delete(before.clientId)
    if (after) holders.set(after.clientId, socket)
  }

  for (const socket of ctx.getWebSockets()) {
    // One on its way out may have lost its attachment.
    const place = placeOf(socket) as Place | null
    if (socket.readyState === WebSocket.OPEN && place) list(socket, place)
  }

  function adopt(socket: Peer, place: Place): void {
    const before = placeOf(socket) as Place | null
    if (before) unlist(socket, before)
    list(socket, place)
    keep(socket, place)
  }

  return {
    sit: (socket, seat, line) => adopt(socket, { ...seat, ...Y, ...line, presence: null, isDenied: false, askedAt: null, isGone: false }),
    adopt,
    placeOf,
    change(socket, change) {
      const before = placeOf(socket)
      const after = { ...before, ...change }
      if (change.presence !== undefined) hold(socket, before.presence, after.presence)
      if (after.isGone || after.userId !== before.userId) unlist(socket, before)
      if (after.userId !== before.userId) list(socket, after)
      keep(socket, after)
      if (after.isGone && !before.isGone) for (const listener of gone) listener(after)
    },
    near,
    onGone: (listener) => void gone.push(listener),
    open: (userId) => [...(userId === undefined ? here : (ofUser.get(userId) ?? []))],
    users: () => [...ofUser.keys()],
    count: () => here.size,
    isBroadcast: () => isBroadcast,
    holderOf: (clientId) => holders.get(clientId),
    presences: () => [...here].flatMap((socket) => shownOn(socket, placeOf(socket))),
  }
}

const shownOn = (socket: Peer, { presence }: Place) => (presence !== null && presence.json !== null ? [{ socket, presence }] : [])
