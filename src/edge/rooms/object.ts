import { DurableObject } from 'cloudflare:workers'
import type { UserId } from '../../contract/identity.ts'
import type { DocumentFormat, DocumentPatch } from '../../contract/room-document.ts'
import { LIVE_PING, LIVE_PONG } from '../../contract/room-live.ts'
import type { Env } from '../env.ts'
import { admissionOf, declined } from '../platform/admission.ts'
import type { SessionIds } from '../platform/live-sockets.ts'
import { logFor } from '../platform/log.ts'
import { seal } from '../platform/rpc.ts'
import { newSocketTag, type Ties, tiesOf } from '../platform/ties.ts'
import { traceFrom } from '../platform/trace.ts'
import { diffVersion, keepVersion, patchDocument, readDocument, readVersion, restoreVersion, statsOf } from './desk.ts'
import { type Door, openDoor } from './door.ts'
import { runErrands } from './errands.ts'
import { applySeat, expel, expelExpired, expelSessions, greetingOf, leave, receive } from './exchange.ts'
import { closeUnseated, letWait, receiveNamed, stopWaiting, WAITING_SOCKETS_MAX } from './hocuspocus.ts'
import { LATE, type Place } from './hub.ts'
import { admitLate } from './late.ts'
import { type LiveRoom, openLive, send } from './live.ts'
import { greet, hear, openParlour, type Parlour } from './live-exchange.ts'
import { expiryCheckAt, JOIN_FLIGHT_MS, RENEWAL_AHEAD_MS } from './policy.ts'
import type { AuthorOrder, MessagesOrder, RoomRpc, SeatState } from './rpc.ts'
import { type Admission, isIncognito, isNobody, isUnannounced, NEW_LIVE_PLACE, type Seat } from './seat.ts'
import { endTalkWindow } from './talk.ts'
import { eraseAuthor, exportAuthor, nextLookAt, publishFor, readMessages, retain, retention } from './talk-service.ts'
import { endWindow } from './window.ts'

/** One room: its document, its sockets, its presence. Sockets hibernate, so what matters is in SQLite and in their attachments. */
export class RoomObject extends DurableObject<Env> implements RoomRpc {
  #room: LiveRoom
  #door: Door
  readonly #ties: Ties
  #parlour: Parlour

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env)
    this.#door = openDoor(ctx.storage.sql)
    this.#room = openLive(ctx)
    this.#ties = tiesOf(ctx, env, { kind: 'room', log: logFor(undefined, { roomId: this.#room.roomId }) })
    closeUnseated(this.#room, ctx.getWebSockets(LATE))
    this.#parlour = this.#openParlour()
    // Answered by the runtime, so an idle client keeps its connection without waking the room.
    ctx.setWebSocketAutoResponse(new WebSocketRequestResponsePair(LIVE_PING, LIVE_PONG))
  }

  /** Takes an upgrade that the Worker has admitted. */
  override async fetch(request: Request): Promise<Response> {
    this.#room.meter.note({})
    if (isUnannounced(request)) return this.#wait(request)
    const { ticket, subprotocol, framing, isIncognito: isHidden, ...seat } = admissionOf<Admission>(request)
    const trace = traceFrom(request.headers.get('traceparent'))
    const log = logFor(trace, { roomId: this.#room.roomId, userId: seat.userId })
    await this.#watchExpiry(seat.expiresAt)
    const { hub } = this.#room
    const refusal = this.#door.refusal({ ...seat, ticket }, { now: Date.now(), inRoom: hub.count(), ofUser: hub.open(seat.userId).length })
    if (refusal) {
      log('room.declined', { problem: refusal })
      return declined(refusal)
    }
    const { 0: client, 1: server } = new WebSocketPair()
    this.ctx.acceptWebSocket(server, [newSocketTag()])
    const greeting = framing === 'y' ? greetingOf(this.#room, 'y') : []
    hub.sit(server, seat, { trace, framing, isIncognito: isHidden, live: framing === 'live' ? NEW_LIVE_PLACE : null })
    if (!isNobody(seat)) this.ctx.waitUntil(this.#tie(server, hub.placeOf(server)))
    for (const frame of greeting) send(server, frame)
    greet(this.#parlour, server)
    log('room.joined', { role: seat.role, sockets: hub.count() })
    return new Response(null, {
      status: 101,
      webSocket: client,
      headers: subprotocol === null ? {} : { 'sec-websocket-protocol': subprotocol },
    })
  }

  /** Brings users' open sockets in line with their seats. */
  async applySeats(states: readonly SeatState[]): Promise<void> {
    for (const state of states) {
      this.#door.noteChange(state.version, Date.now())
      applySeat(this.#room, state)
    }
  }

  /** Who has open sockets. */
  async seated(): Promise<UserId[]> {
    return [
      ...new Set(
        this.#room.hub
          .open()
          .map((socket) => this.#room.hub.placeOf(socket))
          .filter((place) => !isNobody(place))
          .map(({ userId }) => userId),
      ),
    ]
  }

  /** Forgets everything. A join may be in flight still, so the door stays shut for a while; then all is forgotten once more. */
  destroy(): Promise<void> {
    return this.ctx.blockConcurrencyWhile(async () => {
      for (const socket of this.#room.hub.open()) expel(this.#room, socket, 'gone')
      endTalkWindow(this.#parlour.talk)
      endWindow(this.#room)
      await this.ctx.storage.deleteAll()
      this.#door = openDoor(this.ctx.storage.sql)
      this.#room = openLive(this.ctx)
      this.#parlour = this.#openParlour()
      this.#door.shut(Date.now())
      await this.ctx.storage.setAlarm(Date.now() + JOIN_FLIGHT_MS)
    })
  }

  async endSessions(userId: UserId, ids: SessionIds): Promise<void> {
    expelSessions(this.#room, userId, ids)
  }

  publishMessage({ author, publication }: AuthorOrder) {
    return seal(() => publishFor(this.#parlour.talk, author, publication))
  }

  async readMessages(order: MessagesOrder) {
    return readMessages(this.#parlour.talk, order)
  }

  async messageRetention() {
    return retention(this.#parlour.talk)
  }

  async setMessageRetention(ttlSeconds: number | null) {
    return retain(this.#parlour.talk, ttlSeconds)
  }

  async messagesBy(userId: UserId) {
    return exportAuthor(this.#parlour.talk, userId)
  }

  async eraseAuthor(userId: UserId): Promise<void> {
    eraseAuthor(this.#parlour.talk, userId)
  }

  readDocument(format: DocumentFormat) {
    return seal(() => readDocument(this.#room, format))
  }

  patchDocument(patch: DocumentPatch, traceparent: string) {
    return seal(() => patchDocument(this.#room, patch, traceparent))
  }

  async listVersions() {
    return this.#room.versions.list()
  }

  keepVersion(name: string) {
    return seal(() => keepVersion(this.#room, name))
  }

  readVersion(id: string, format: DocumentFormat) {
    return seal(() => readVersion(this.#room, id, format))
  }

  diffVersion(id: string) {
    return seal(() => diffVersion(this.#room, id))
  }

  restoreVersion(id: string, traceparent: string) {
    return seal(() => restoreVersion(this.#room, id, traceparent))
  }

  async stats() {
    return statsOf(this.#room)
  }

  /** Whether objects and their storage answer. */
  async ping(): Promise<boolean> {
    return this.ctx.storage.sql.exec<{ one: number }>('SELECT 1 AS one').one().one === 1
  }

  override async webSocketMessage(socket: WebSocket, data: ArrayBuffer | string): Promise<void> {
    const { hub, waiting, meter } = this.#room
    meter.note({ frames: 1 })
    const before = hub.placeOf(socket)
    if (before.framing === 'live') return hear(this.#parlour, socket, data)
    if (before.framing !== 'hocuspocus' && !waiting.has(socket)) return receive(this.#room, socket, { data })
    await receiveNamed(this.#room, socket, { data, admit: (token) => this.#admit(token) })
    const place = hub.placeOf(socket)
    if (!place.isGone && before.userId === undefined) greet(this.#parlour, socket)
    if (!place.isGone && (place.sessionId !== before.sessionId || place.expiresAt !== before.expiresAt)) await this.#tie(socket, place)
  }

  override webSocketClose(socket: WebSocket, code: number): void {
    this.#left(socket, code)
    try {
      // Codes that say how a socket ended cannot be sent (RFC 6455 §7.4.1).
      socket.close(code === 1000 || code >= 3000 ? code : 1000)
    } catch {
      // The runtime has closed it already.
    }
  }

  override webSocketError(socket: WebSocket): void {
    this.#left(socket, 1006)
  }

  override async alarm(): Promise<void> {
    if (this.#door.isShut()) return this.ctx.storage.deleteAll()
    const now = Date.now()
    this.#room.meter.note({}, now)
    this.#door.forgetTickets(now)
    this.#room.departures.prune(now)
    const next = nextLookAt(this.#parlour.talk, expelExpired(this.#room, now), now)
    if (next !== undefined) await this.ctx.storage.setAlarm(expiryCheckAt(next))
    const again = await runErrands(this.#parlour.talk)
    if (again !== undefined) await this.#lookAt(again)
  }

  async #tie(socket: WebSocket, place: Place): Promise<void> {
    const problem = await this.#ties.tie(socket, place)
    if (problem !== null) expel(this.#room, socket, problem)
  }

  #left(socket: WebSocket, code: number): void {
    stopWaiting(this.#room, socket)
    const { userId } = this.#room.hub.placeOf(socket)
    if (userId) this.#ties.untie(socket, userId)
    leave(this.#room, socket, code)
    const { hub, meter, roomId } = this.#room
    meter.note({})
    if (hub.count() === 0) meter.write(logFor(undefined, { roomId }))
  }

  /** Takes an upgrade whose token is to come in a frame. */
  #wait(request: Request): Response {
    if (this.#room.waiting.size >= WAITING_SOCKETS_MAX) return declined('limit-reached')
    const { 0: client, 1: server } = new WebSocketPair()
    this.ctx.acceptWebSocket(server, [LATE, newSocketTag()])
    letWait(this.#room, server, { traceparent: request.headers.get('traceparent'), isIncognito: isIncognito(request) })
    return new Response(null, { status: 101, webSocket: client })
  }

  async #admit(token: string): Promise<Seat> {
    const { hub, roomId } = this.#room
    const seat = await admitLate(this.env, { roomId, token, waitUntil: (work) => this.ctx.waitUntil(work) }, (admission) =>
      this.#door.refusal(admission, { now: Date.now(), inRoom: hub.count(), ofUser: hub.open(admission.userId).length }),
    )
    await this.#watchExpiry(Math.max(Date.now(), seat.expiresAt - RENEWAL_AHEAD_MS))
    return seat
  }

  #openParlour(): Parlour {
    const watchExpiry = (at: number) => this.#watchExpiry(at)
    return openParlour(
      { ctx: this.ctx, env: this.env, room: this.#room, watchExpiry },
      { door: this.#door, tie: (socket, seat) => this.#tie(socket, seat) },
    )
  }

  /** Sees to it that somebody looks when this moment has passed. */
  #watchExpiry(expiresAt: number): Promise<void> {
    return this.#lookAt(expiryCheckAt(expiresAt))
  }

  async #lookAt(due: number): Promise<void> {
    const planned = await this.ctx.storage.getAlarm()
    if (planned === null || due < planned) await this.ctx.storage.setAlarm(due)
  }
}
