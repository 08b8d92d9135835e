import { DurableObject } from 'cloudflare:workers'
import type { ProblemSlug } from '../../contract/problem.ts'
import { LIVE_PING, LIVE_PONG, type LiveClientFrame, LiveClientFrame as LiveFrame, type LiveStream } from '../../contract/room-live.ts'
import type { Env } from '../env.ts'
import { declined } from '../platform/admission.ts'
import { describeError, logFor } from '../platform/log.ts'
import { closeBack, closeWith } from '../platform/socket.ts'
import { openTurns, type Turns } from '../platform/turns.ts'
import { concat } from './document.ts'
import { type Hub, openHub } from './hub.ts'
import { type Lane, openLane, withinTime } from './lane.ts'
import { openQueue } from './leaf-door.ts'
import { type Delivery, type Held, lengthOf, type Order, type Receipt, type Word } from './leaf-words.ts'
import { send } from './live.ts'
import { noteAnswer, noteRead, sendMessages, sendNews, sendText, UNREAD_CHARS_MAX, unreadOf } from './outlet.ts'
import type { Place } from './place.ts'
import { closeCodeIn } from './policy.ts'
import type { LeafRpc } from './rpc.ts'
import { arrivalOf, upgraded } from './seat.ts'
import { listeners } from './talk.ts'
import { fanOut } from './window.ts'

/** A word is as much work as so many bytes, however short: a call must be heard in time. */
const WORD_BYTES = 256
/** Longer text frames are no reports of what was read. */
const REPORT_CHARS_MAX = 128

/** Somebody whom the room has not let in yet, and whether it has heard of them. */
interface Arriving {
  readonly resolve: (slug: ProblemSlug | null) => void
  isHeard: boolean
}

/** Holds sockets for a room that has outgrown its own object: passes on what they say, and sends what the room says once to each it is for. */
export class LeafObject extends DurableObject<Env> implements LeafRpc {
  readonly #hub: Hub
  readonly #roomId: string
  readonly #leaf: number
  readonly #sockets = new Map<string, WebSocket>()
  /** Sockets that the room has not let in yet. */
  readonly #arriving = new Map<string, Arriving>()
  readonly #parts = new Map<string, Uint8Array[]>()
  /** Of sockets that are behind, what they get no more of until the room knows. */
  readonly #behind = new Map<string, ReadonlySet<LiveStream>>()
  readonly #queue = openQueue()
  readonly #lane: Lane<Word>
  readonly #turns: Turns
  #at: Pick<Delivery, 'link' | 'call'> | undefined
  /** Whether the room may believe in sockets that went with this object's memory. */
  #isNew = true

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env)
    const [roomId = '', leaf] = (ctx.id.name ?? '').split('.')
    this.#roomId = roomId
    this.#leaf = Number(leaf)
    this.#turns = openTurns(ctx)
    this.#hub = openHub(ctx)
    for (const socket of ctx.getWebSockets()) this.#sockets.set(this.#idOf(socket), socket)
    this.#lane = openLane<Word>({
      carry: (words) => this.#report(words),
      onLost: (words, error) => this.#lose(words, error),
      onDone: (words) => {
        for (const word of words) if (word.kind === 'frame') this.#queue.release(word.id, lengthOf(word.data))
      },
    })
    ctx.setWebSocketAutoResponse(new WebSocketRequestResponsePair(LIVE_PING, LIVE_PONG))
  }

  /** Takes an upgrade that the Worker has admitted, if the room lets it in. */
  override async fetch(request: Request): Promise<Response> {
    const id = crypto.randomUUID()
    const { 0: client, 1: server } = new WebSocketPair()
    this.ctx.acceptWebSocket(server, [id])
    server.serializeAttachment({ isGone: true })
    this.#sockets.set(id, server)
    const arrival = arrivalOf(request)
    const answer = new Promise<ProblemSlug | null>((resolve) => {
      this.#arriving.set(id, { resolve, isHeard: false })
      this.#say({ kind: 'arrival', id, arrival })
    })
    const slug = await withinTime(answer).catch(() => {
      this.#left(server, 1006)
      return 'unavailable' as const
    })
    this.#arriving.delete(id)
    if (slug === null) return upgraded(client, arrival.admission?.subprotocol ?? null)
    this.#sockets.delete(id)
    server.close(1000)
    return declined(slug)
  }

  async begin(link: number): Promise<readonly Held[]> {
    this.#follows({ link, call: 0 })
    this.#isNew = false
    this.#turnAway()
    return [...this.#sockets]
      .filter(([id, { readyState }]) => readyState === WebSocket.OPEN && !this.#arriving.has(id))
      .map(([id, socket]) => ({ id, place: this.#hub.placeOf(socket) }))
  }

  async deliver({ link, call, orders }: Delivery): Promise<Receipt> {
    const isObeyed = this.#follows({ link, call })
    if (isObeyed) for (const order of orders) this.#obey(order)
    return { isObeyed, roll: this.#takeRoll() }
  }

  override webSocketMessage(socket: WebSocket, data: ArrayBuffer | string): void {
    this.#turns.note(lengthOf(data))
    const id = this.#idOf(socket)
    const { userId, framing, ...place } = this.#hub.placeOf(socket)
    const problem = this.#queue.refusal(id, { ...place, userId }, lengthOf(data))
    if (problem === 'payload-too-large' && userId && framing !== 'live')
      return this.#say({ kind: 'unread', id, bytes: lengthOf(data) }, WORD_BYTES, socket)
    if (problem) return this.#close(socket, problem)
    noteAnswer(socket)
    const read = typeof data === 'string' ? readReport(data) : undefined
    if (read !== undefined) noteRead(socket, read)
    else if (unreadOf(socket) > UNREAD_CHARS_MAX) return this.#close(socket, 'rate-limited')
    this.#say({ kind: 'frame', id, data }, WORD_BYTES + 2 * lengthOf(data), socket)
  }

  override webSocketClose(socket: WebSocket, code: number): void {
    this.#left(socket, code)
    closeBack(socket, code)
  }

  override webSocketError(socket: WebSocket): void {
    this.#left(socket, 1006)
  }

  /** Orders of an earlier link, or twice, are those of a room that has given up on what they say. */
  #follows(at: Pick<Delivery, 'link' | 'call'>): boolean {
    const before = this.#at
    const isNext = !before || at.link > before.link || (at.link === before.link && at.call === before.call + 1)
    if (isNext) this.#at = at
    return isNext
  }

  #obey(order: Order): void {
    switch (order.kind) {
      case 'document':
        return fanOut(this.#hub, order.frames, (socket) => this.#close(socket, 'rate-limited'))
      case 'messages':
        for (const socket of listeners(this.#hub, 'messages'))
          if (!sendMessages(this.#hub, socket, order)) this.#fallBehind(socket, 'messages')
        return
      case 'stream':
        for (const socket of listeners(this.#hub, order.stream))
          if (order.except === null || socket !== this.#sockets.get(order.except))
            if (!sendNews(this.#hub, socket, order)) this.#fallBehind(socket, order.stream)
        return
      case 'cut':
        this.#turnAway()
        for (const [id, socket] of this.#sockets) if (!this.#arriving.has(id)) this.#close(socket, 'unavailable')
        return
      case 'answer':
        return this.#answer(order)
      default: {
        const socket = this.#sockets.get(order.id)
        if (socket) this.#obeyFor(socket, order)
      }
    }
  }

  /** Whoever was let in too late has gone already. */
  #answer({ id, slug }: Extract<Order, { readonly kind: 'answer' }>): void {
    const arriving = this.#arriving.get(id)
    if (arriving) arriving.resolve(slug)
    else if (slug === null && !this.#sockets.has(id)) this.#say({ kind: 'left', id, code: 1006 })
  }

  /** The room has heard of these and lost it: no answer will come. */
  #turnAway(): void {
    for (const { isHeard, resolve } of this.#arriving.values()) if (isHeard) resolve('unavailable')
  }

  #obeyFor(socket: WebSocket, order: Extract<Order, { readonly kind: 'place' | 'frame' | 'close' }>): void {
    if (order.kind === 'place') return this.#hub.adopt(socket, this.#placed(order.id, { ...this.#hub.placeOf(socket), ...order.change }))
    if (order.kind === 'frame') return this.#pass(socket, order)
    try {
      socket.close(order.code, order.reason)
    } catch {
      // The peer is already gone.
    }
    this.#left(socket, order.code)
  }

  /** The room may not know yet that a socket is behind; until it does, what it says of the stream is old. */
  #placed(id: string, place: Place): Place {
    const { live } = place
    const behind = this.#behind.get(id)
    if (!live || !behind) return place
    this.#behind.set(id, new Set([...behind].filter((stream) => live.streams.includes(stream))))
    return { ...place, live: { ...live, streams: live.streams.filter((stream) => !behind.has(stream)) } }
  }

  #fallBehind(socket: WebSocket, stream: LiveStream): void {
    const id = this.#idOf(socket)
    this.#behind.set(id, new Set([...(this.#behind.get(id) ?? []), stream]))
    this.#say({ kind: 'behind', id, stream })
  }

  #pass(socket: WebSocket, { id, data, isLast }: Extract<Order, { readonly kind: 'frame' }>): void {
    if (typeof data === 'string') {
      return sendText(socket, data)
    }
    const parts = this.#parts.get(id) ?? []
    if (isLast && parts.length === 0) return send(socket, data)
    parts.push(data)
    this.#parts.set(id, parts)
    if (!isLast) return
    this.#parts.delete(id)
    send(socket, concat(parts))
  }

  #close(socket: WebSocket, slug: ProblemSlug): void {
    const code = closeCodeIn(this.#hub.placeOf(socket).framing, slug)
    closeWith(socket, slug, code)
    this.#left(socket, code, slug)
  }

  #left(socket: WebSocket, code: number, slug?: ProblemSlug): void {
    const id = this.#idOf(socket)
    if (!this.#sockets.delete(id)) return
    this.#parts.delete(id)
    this.#behind.delete(id)
    this.#hub.change(socket, { isGone: true })
    this.#say({ kind: 'left', id, code, ...(slug && { slug }) })
  }

  #say(word: Word, bytes = 1_024, socket = this.#sockets.get(word.id)): void {
    if (this.#lane.push(word, bytes)) return
    this.#isNew = true
    this.#arriving.get(word.id)?.resolve('unavailable')
    if (socket) this.#close(socket, 'unavailable')
  }

  async #report(words: readonly Word[]): Promise<void> {
    const roll = this.#takeRoll()
    await this.env.ROOMS.getByName(this.#roomId).relay({ leaf: this.#leaf, roll, words })
    for (const { kind, id } of words) {
      const arriving = kind === 'arrival' ? this.#arriving.get(id) : undefined
      if (arriving) arriving.isHeard = true
    }
  }

  /** Nobody knows whether the room has heard it: whoever spoke comes again and says what was not acknowledged. */
  #lose(words: readonly Word[], error: unknown): void {
    this.#isNew = true
    logFor(undefined, { roomId: this.#roomId })('room.leaf-unheard', { leaf: this.#leaf, words: words.length, ...describeError(error) })
    for (const { id } of words) {
      const arriving = this.#arriving.get(id)
      const socket = this.#sockets.get(id)
      if (arriving) arriving.resolve('unavailable')
      else if (socket) this.#close(socket, 'unavailable')
    }
  }

  #takeRoll(): readonly string[] | null {
    if (!this.#isNew) return null
    this.#isNew = false
    return [...this.#sockets.keys()]
  }

  #idOf(socket: WebSocket): string {
    return this.ctx.getTags(socket)[0] ?? ''
  }
}

/** How much a client says it has read, if that is what a frame says. The room hears it too, and answers what is wrong with it. */
function readReport(text: string): number | undefined {
  if (text.length > REPORT_CHARS_MAX) return undefined
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch {
    return undefined
  }
  const { data } = LiveFrame.safeParse(json) as { readonly data?: LiveClientFrame }
  return data?.type === 'received' ? data.chars : undefined
}
