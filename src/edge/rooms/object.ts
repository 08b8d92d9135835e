import { DurableObject } from 'cloudflare:workers'
import type { UserId } from '../../contract/identity.ts'
import { closeCodeOf, type ProblemSlug } from '../../contract/problem.ts'
import type { DocumentFormat, DocumentPatch } from '../../contract/room-document.ts'
import { LIVE_PING, LIVE_PONG } from '../../contract/room-live.ts'
import type { Env } from '../env.ts'
import { declined } from '../platform/admission.ts'
import type { SessionIds } from '../platform/live-sockets.ts'
import { describeError, logFor } from '../platform/log.ts'
import { seal } from '../platform/rpc.ts'
import { closeBack, closeWith } from '../platform/socket.ts'
import { newSocketTag, type Ties, tiesOf } from '../platform/ties.ts'
import { traceFrom } from '../platform/trace.ts'
import { openTurns, type Turns } from '../platform/turns.ts'
import { diffVersion, keepVersion, patchDocument, readDocument, readVersion, restoreVersion, statsOf } from './desk.ts'
import { type Door, openDoor } from './door.ts'
import { runErrands } from './errands.ts'
import { applySeat, endOverfed, expel, expelExpired, expelSessions, greetingOf, leave, receive, receiveUnread } from './exchange.ts'
import { closeUnseated, letWait, receiveNamed, stopWaiting, WAITING_SOCKETS_MAX } from './hocuspocus.ts'
import { LATE } from './hub.ts'
import { admitLate } from './late.ts'
import { lengthOf, type Report, type Word } from './leaf-words.ts'
import { type Leaves, openLeaves } from './leaves.ts'
import { type Link, missingFrom } from './link.ts'
import { type LiveRoom, openLive, send } from './live.ts'
import { greet, hear, openParlour, type Parlour } from './live-exchange.ts'
import { type NearLedger, openNearLedger } from './near-ledger.ts'
import { endStream } from './outlet.ts'
import type { FarPeer, Peer } from './peer.ts'
import type { Admission, Arrival, Place, Seat } from './place.ts'
import { expiryCheckAt, JOIN_FLIGHT_MS, RENEWAL_AHEAD_MS } from './policy.ts'
import { resume } from './resume.ts'
import type { AuthorOrder, MessagesOrder, RoomRpc, SeatState } from './rpc.ts'
import { arrivalOf, elsewhere, isNobody, NEW_LIVE_PLACE, upgraded } from './seat.ts'
import { endTalkWindow } from './talk.ts'
import { eraseAuthor, exportAuthor, nextLookAt, publishFor, readMessages, retain, retention } from './talk-service.ts'
import { tellUsage } from './usage.ts'
import { endWindow } from './window.ts'

/** One room: its document, its sockets, its presence. Sockets hibernate, so what matters is in SQLite and in their attachments. */
export class RoomObject extends DurableObject<Env> implements RoomRpc {
  #room: LiveRoom
  #door: Door
  #leaves: Leaves
  #near: NearLedger
  readonly #ties: Ties
  readonly #turns: Turns
  #parlour: Parlour

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env)
    const roomId = ctx.id.name ?? ctx.id.toString()
    this.#turns = openTurns(ctx)
    this.#door = openDoor(ctx.storage.sql)
    this.#leaves = this.#openLeaves()
    this.#near = openNearLedger(ctx)
    this.#room = this.#openLive()
    this.#ties = tiesOf(ctx, env, { kind: 'room', log: logFor(undefined, { roomId }) })
    closeUnseated(this.#room, ctx.getWebSockets(LATE))
    this.#parlour = this.#openParlour()
    // Answered by the runtime, so an idle client keeps its connection without waking the room.
    ctx.setWebSocketAutoResponse(new WebSocketRequestResponsePair(LIVE_PING, LIVE_PONG))
    if (this.#leaves.isKnown()) ctx.blockConcurrencyWhile(() => resume(this.#room, this.#parlour.crowd, this.#near))
    else this.#near.end()
  }

  /** Takes an upgrade that the Worker has admitted, or sends it on to a leaf. */
  override async fetch(request: Request): Promise<Response> {
    this.#room.meter.note({})
    const leaves = this.#leaves.spread(this.#room.hub.count())
    if (leaves > 0) return elsewhere(leaves)
    const { 0: client, 1: server } = new WebSocketPair()
    const arrival = arrivalOf(request)
    const slug = await this.#receive(arrival, (...tags) => {
      this.ctx.acceptWebSocket(server, [...tags, newSocketTag()])
      return server
    })
    return slug === null ? upgraded(client, arrival.admission?.subprotocol ?? null) : declined(slug)
  }

  /** Hears what a leaf has to tell: each word as if its socket were here. */
  async relay({ leaf, roll, words }: Report): Promise<void> {
    const link = this.#leaves.link(leaf)
    link.noteBusy()
    this.#room.meter.note({})
    if (roll) for (const peer of missingFrom(link, roll)) this.#lost(link, peer, 1006)
    for (const word of words) {
      this.#hearWord(link, word)
      const turn = this.#turns.take(word.kind === 'frame' ? lengthOf(word.data) : 0)
      if (turn) await turn
    }
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
    return this.#room.hub.users().filter((userId) => !isNobody({ userId }))
  }

  /** Forgets everything. A join may be in flight still, so the door stays shut for a while; then all is forgotten once more. */
  async destroy(): Promise<void> {
    this.#door.shut(Date.now())
    for (const socket of this.#room.hub.open()) expel(this.#room, socket, 'gone')
    endTalkWindow(this.#parlour.talk)
    endWindow(this.#room)
    // Outside the section: it would hold back the answers that this waits for.
    await this.#carried()
    return this.ctx.blockConcurrencyWhile(async () => {
      await this.ctx.storage.deleteAll()
      this.#door = openDoor(this.ctx.storage.sql)
      this.#leaves = this.#openLeaves()
      this.#near = openNearLedger(this.ctx)
      this.#room = this.#openLive()
      this.#parlour = this.#openParlour()
      this.#door.shut(Date.now())
      await this.ctx.storage.setAlarm(Date.now() + JOIN_FLIGHT_MS)
    })
  }

  async #carried(): Promise<void> {
    try {
      await this.#room.telling
      await this.#leaves.carried()
    } catch (error) {
      logFor(undefined, { roomId: this.#room.roomId })('room.leaf-lost', describeError(error))
    }
  }

  async endSessions(userId: UserId, ids: SessionIds): Promise<void> {
    expelSessions(this.#room, userId, ids)
  }

  publishMessage({ author, publication }: AuthorOrder) {
    this.#tellUsage()
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
    this.#tellUsage()
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

  override webSocketMessage(socket: WebSocket, data: ArrayBuffer | string): Promise<void> {
    this.#turns.note(lengthOf(data))
    return this.#hear(socket, data)
  }

  override webSocketClose(socket: WebSocket, code: number): void {
    this.#left(socket, code)
    closeBack(socket, code)
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
    this.#leaves.probe()
    this.#tellUsage()
    const next = nextLookAt(this.#parlour.talk, expelExpired(this.#room, now), now)
    if (next !== undefined) await this.ctx.storage.setAlarm(next)
    const again = await runErrands(this.#parlour.talk)
    if (again !== undefined) await this.#lookAt(again)
  }

  /** Seats somebody, or says why not. */
  async #receive(arrival: Arrival, accept: (...tags: string[]) => Peer): Promise<ProblemSlug | null> {
    if (arrival.admission === null) return this.#wait(arrival, accept)
    const { ticket, subprotocol: _, framing, isIncognito, ...seat } = arrival.admission
    const trace = traceFrom(arrival.traceparent)
    const log = logFor(trace, { roomId: this.#room.roomId, userId: seat.userId })
    await this.#watchExpiry(seat.expiresAt)
    const refusal = this.#refusal({ ...seat, ticket })
    if (refusal) {
      log('room.declined', { problem: refusal })
      this.#room.tally.count('declines', refusal)
      return refusal
    }
    const { hub } = this.#room
    const peer = accept()
    const greeting = framing === 'y' ? greetingOf(this.#room, 'y') : []
    hub.sit(peer, seat, { trace, framing, isIncognito, live: framing === 'live' ? NEW_LIVE_PLACE : null })
    if (hub.placeOf(peer).isGone) return 'unavailable'
    if (!isNobody(seat)) this.ctx.waitUntil(this.#tie(peer, hub.placeOf(peer)))
    for (const frame of greeting) send(peer, frame)
    greet(this.#parlour, peer)
    log('room.joined', { role: seat.role, sockets: hub.count() })
    this.#tellUsage()
    return null
  }

  #refusal(admission: Seat & Pick<Admission, 'ticket'>): ProblemSlug | undefined {
    const { hub } = this.#room
    return this.#door.refusal(admission, { now: Date.now(), inRoom: hub.count(), ofUser: hub.open(admission.userId).length })
  }

  /** Lets somebody in whose token is to come in a frame. */
  #wait({ traceparent, isIncognito }: Arrival, accept: (...tags: string[]) => Peer): ProblemSlug | null {
    if (this.#room.waiting.size >= WAITING_SOCKETS_MAX) return 'limit-reached'
    letWait(this.#room, accept(LATE), { traceparent, isIncognito })
    return null
  }

  async #hear(peer: Peer, data: ArrayBuffer | string): Promise<void> {
    const { hub, waiting, meter } = this.#room
    meter.note({ frames: 1 })
    this.#tellUsage()
    const before = hub.placeOf(peer)
    if (before.framing === 'live') return hear(this.#parlour, peer, data)
    if (before.framing !== 'hocuspocus' && !waiting.has(peer)) return receive(this.#room, peer, { data })
    const isSeated = before.userId !== undefined
    await receiveNamed(this.#room, peer, { data, admit: (token) => this.#admit(token, isSeated) })
    const place = hub.placeOf(peer)
    if (!place.isGone && before.userId === undefined) greet(this.#parlour, peer)
    if (!place.isGone && (place.sessionId !== before.sessionId || place.expiresAt !== before.expiresAt)) await this.#tie(peer, place)
  }

  #hearWord(link: Link, word: Word): void {
    if (word.kind === 'arrival') return this.ctx.waitUntil(this.#receiveFar(link, word))
    const peer = link.peers.get(word.id)
    if (!peer) {
      // It was given up meanwhile, and what it missed it gets by coming again.
      if (word.kind === 'frame') link.give({ kind: 'close', id: word.id, code: closeCodeOf('unavailable'), reason: 'unavailable' })
      return
    }
    if (word.kind === 'left') {
      if (word.slug) this.#room.tally.count('closes', word.slug)
      return this.#lost(link, peer, word.code)
    }
    if (word.kind === 'unread') return receiveUnread(this.#room, peer, word.bytes)
    if (word.kind === 'behind') {
      this.#room.tally.count('slow', 'behind')
      return endStream(this.#room.hub, peer, word.stream)
    }
    this.ctx.waitUntil(this.#hear(peer, word.data).catch((error: unknown) => this.#fail(peer, error)))
  }

  async #receiveFar(link: Link, { id, arrival }: Extract<Word, { readonly kind: 'arrival' }>): Promise<void> {
    let slug: ProblemSlug | null
    try {
      this.#near.begin(this.#room.hub)
      slug = await this.#receive(arrival, () => link.seat(id))
    } catch (error) {
      logFor(traceFrom(arrival.traceparent), { roomId: this.#room.roomId })('room.failed', describeError(error))
      slug = 'internal'
    }
    link.give({ kind: 'answer', id, slug })
  }

  #fail(peer: Peer, error: unknown): void {
    logFor(undefined, { roomId: this.#room.roomId })('room.failed', describeError(error))
    closeWith(peer, 'internal')
  }

  #openLive(): LiveRoom {
    return openLive(this.ctx, this.#leaves, {
      endOverfed: (socket) => endOverfed(this.#room, socket),
      onNear: this.#near.note,
    })
  }

  #openLeaves(): Leaves {
    return openLeaves({
      ctx: this.ctx,
      env: this.env,
      onSpread: () => this.#room.tally.count('promotions'),
      isSettled: () => this.#room.timer === undefined && this.#room.untold === 0 && this.#parlour.talk.timer === undefined,
      onLost: (peers) => {
        for (const peer of peers) this.#left(peer, 1006)
      },
    })
  }

  #lost(link: Link, peer: FarPeer, code: number): void {
    link.unseat(peer.id)
    this.#left(peer, code)
  }

  async #tie(peer: Peer, place: Place): Promise<void> {
    const problem = await this.#ties.tie(peer, place)
    if (problem !== null) expel(this.#room, peer, problem)
  }

  #left(peer: Peer, code: number): void {
    stopWaiting(this.#room, peer)
    const { userId } = this.#room.hub.placeOf(peer)
    if (userId) this.#ties.untie(peer, userId)
    leave(this.#room, peer, code)
    const { hub, meter, roomId, tally } = this.#room
    meter.note({})
    if (hub.count() > 0) return this.#tellUsage()
    meter.write(logFor(undefined, { roomId }))
    // The alarm of a room that is no more has another errand.
    if (!this.#door.isShut()) this.ctx.waitUntil(this.#watchExpiry(Math.max(Date.now(), tally.dueAt())))
  }

  #tellUsage(): void {
    if (this.#room.tally.dueAt() <= Date.now()) this.ctx.waitUntil(tellUsage(this.ctx, this.env, this.#room))
  }

  /** Finds the seat for a token; who renews takes no place beside the one they have. */
  async #admit(token: string, isSeated: boolean): Promise<Seat> {
    const by = { roomId: this.#room.roomId, token, waitUntil: (work: Promise<unknown>) => this.ctx.waitUntil(work) }
    const seat = await admitLate(this.env, by, (admission) =>
      isSeated ? this.#door.refusal(admission, { now: Date.now(), inRoom: 0, ofUser: 0 }) : this.#refusal(admission),
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
