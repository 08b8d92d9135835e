import { closeCodeOf } from '../../contract/problem.ts'
import { openLane, withinTime } from './lane.ts'
import type { Delivery, Held, Order } from './leaf-words.ts'
import type { FarPeer } from './peer.ts'
import type { Place } from './place.ts'
import type { LeafRpc } from './rpc.ts'

/** Larger frames go in parts, so that no single one fills a call. */
const PART_BYTES = 4_194_304
/** What may wait for single sockets of all leaves, such as the document for each who comes back; one larger answer may wait alone. */
const ANSWERS_BYTES_MAX = 16_777_216
/** Smaller ones, such as acknowledgements, may go beyond that by as much. */
const SMALL_BYTES = 16_384

/** A room's way to one of its leaves, and the sockets at its end. */
export interface Link {
  readonly leaf: number
  readonly peers: ReadonlyMap<string, FarPeer>
  /** Has the leaf do something. */
  readonly give: (order: Order, bytes?: number) => void
  /** A socket that the leaf holds, with what the leaf remembers of it. */
  readonly seat: (id: string, place?: Place) => FarPeer
  readonly unseat: (id: string) => void
  /** Takes up what the leaf holds, after this object's memory went. */
  readonly resume: () => Promise<readonly { readonly peer: FarPeer; readonly place: Place }[]>
  /** Gives up every socket of the leaf: what they were told is in doubt. */
  readonly cut: () => void
  readonly isIdle: () => boolean
  readonly carried: () => Promise<void>
  /** Something was heard whose effects are not told yet. */
  readonly noteBusy: () => void
}

/** Sockets of a leaf that it has lost. */
export function missingFrom({ peers }: Link, roll: readonly string[]): readonly FarPeer[] {
  const there = new Set(roll)
  return [...peers.values()].filter(({ id }) => !there.has(id))
}

/** What a link needs. */
export interface LinkParts {
  readonly leaf: number
  readonly stub: () => Pick<LeafRpc, 'begin' | 'deliver'>
  /** Links of a room are counted, so that orders of an earlier one are known as such. */
  readonly nextLink: () => number
  /** What waits for single sockets, on this link and the room's others. */
  readonly answers: { bytes: number }
  /** What calls to leaves carry now, on this link and the room's others. */
  readonly calls: { bytes: number }
  /** Called in the same turn as whatever causes an order, before it goes out. */
  readonly onBusy: () => void
  readonly onFailed: (error: unknown) => void
  /** These sockets are no more. */
  readonly onLost: (peers: readonly FarPeer[]) => void
}

/** Opens a link. */
export function openLink({ leaf, stub, nextLink, answers, calls, onBusy, onFailed, onLost }: LinkParts): Link {
  const peers = new Map<string, FarPeer>()
  let link = nextLink()
  let call = 0

  async function carry(orders: readonly Order[]): Promise<void> {
    const before = [...peers.keys()]
    call += 1
    const { isObeyed, roll } = await stub().deliver({ link, call, orders } satisfies Delivery)
    if (!isObeyed) throw new Error('the leaf follows another link')
    if (!roll) return
    const there = new Set(roll)
    lose(before.filter((id) => !there.has(id)))
  }

  const lane = openLane<Order>({
    carry,
    calls,
    onLost(_, error) {
      onFailed(error)
      cut()
    },
    onDone(orders) {
      for (const order of orders) if (order.kind === 'frame') answers.bytes -= bytesOf(order.data)
    },
  })

  function lose(ids: readonly string[]): void {
    const lost = ids.flatMap((id) => peers.get(id) ?? [])
    for (const { id } of lost) peers.delete(id)
    if (lost.length > 0) onLost(lost)
  }

  function cut(): void {
    link = nextLink()
    call = 0
    lane.clear()
    lose([...peers.keys()])
    give({ kind: 'cut' })
  }

  function give(order: Order, bytes?: number): boolean {
    onBusy()
    if (order.kind === 'frame') answers.bytes += bytesOf(order.data)
    return lane.push(order, bytes, EXEMPT.has(order.kind))
  }

  const mayAnswer = (bytes: number): boolean =>
    answers.bytes === 0 || answers.bytes + bytes <= (bytes > SMALL_BYTES ? ANSWERS_BYTES_MAX : 2 * ANSWERS_BYTES_MAX)

  function seat(id: string, place?: Place): FarPeer {
    const peer: FarPeer = farPeer(id, { give, mayAnswer, isHere: () => peers.get(id) === peer, cut, place })
    peers.set(id, peer)
    return peer
  }

  return {
    leaf,
    peers,
    give: (order, bytes) => void (give(order, bytes) || cut()),
    seat,
    unseat: (id) => void peers.delete(id),
    async resume() {
      const held: readonly Held[] = await withinTime(stub().begin(link))
      return held.map(({ id, place }) => ({ peer: seat(id, place), place }))
    },
    cut,
    isIdle: lane.isIdle,
    carried: lane.carried,
    noteBusy: onBusy,
  }
}

/** Orders that are small, or have a budget of their own, and so never cut a leaf. */
const EXEMPT: ReadonlySet<Order['kind']> = new Set(['answer', 'close', 'cut', 'frame'] as const)

function farPeer(
  id: string,
  {
    give,
    mayAnswer,
    isHere,
    cut,
    place,
  }: {
    readonly give: (order: Order, bytes?: number) => boolean
    readonly mayAnswer: (bytes: number) => boolean
    readonly isHere: () => boolean
    readonly cut: () => void
    readonly place: Place | undefined
  },
): FarPeer {
  let known: Partial<Place> = place ?? {}
  let isClosing = false

  const isOpen = () => isHere() && !isClosing

  function close(code = 1000, reason = ''): void {
    if (!isOpen()) return
    isClosing = true
    give({ kind: 'close', id, code, reason })
  }

  function send(data: string | ArrayBuffer | ArrayBufferView): void {
    if (!isOpen()) return
    if (!mayAnswer(bytesOf(data))) return close(closeCodeOf('unavailable'), 'unavailable')
    for (const { part, isLast } of partsOf(data)) give({ kind: 'frame', id, data: part, isLast }, bytesOf(part))
  }

  return {
    id,
    get readyState() {
      return isOpen() ? WebSocket.OPEN : WebSocket.CLOSED
    },
    send,
    close,
    serializeAttachment(next: Place) {
      const change = changeOf(known, next)
      known = next
      if (isHere() && change && !give({ kind: 'place', id, change }, 1_024 + (next.live?.state?.byteLength ?? 0))) cut()
    },
    deserializeAttachment: () => known,
  }
}

const bytesOf = (data: string | ArrayBuffer | ArrayBufferView): number => (typeof data === 'string' ? 2 * data.length : data.byteLength)

/** What is not as it was. */
function changeOf(before: Partial<Place>, after: Place): Partial<Place> | undefined {
  const changed = Object.entries(after).filter(([key, value]) => before[key as keyof Place] !== value)
  return changed.length > 0 ? (Object.fromEntries(changed) as Partial<Place>) : undefined
}

function partsOf(
  data: string | ArrayBuffer | ArrayBufferView,
): readonly { readonly part: string | Uint8Array; readonly isLast: boolean }[] {
  if (typeof data === 'string') return [{ part: data, isLast: true }]
  const bytes = ArrayBuffer.isView(data) ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength) : new Uint8Array(data)
  return Array.from({ length: Math.max(1, Math.ceil(bytes.byteLength / PART_BYTES)) }, (_, i) => ({
    part: bytes.slice(i * PART_BYTES, (i + 1) * PART_BYTES),
    isLast: (i + 1) * PART_BYTES >= bytes.byteLength,
  }))
}
