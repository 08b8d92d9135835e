import { DurableObject } from 'cloudflare:workers'
import type { UserId } from '../../contract/identity.ts'
import {
  INBOX_PING,
  INBOX_PONG,
  type InboxEvent,
  type Notification,
  type NotificationContent,
  type NotificationId,
  type Unread,
} from '../../contract/inbox.ts'
import { Problem, type ProblemSlug } from '../../contract/problem.ts'
import type { Env } from '../env.ts'
import { admissionOf, declined } from '../platform/admission.ts'
import type { HolderKind, SessionIds, SocketHolder, SocketTie } from '../platform/live-sockets.ts'
import { objectScope } from '../platform/object-scope.ts'
import { type Sealed, seal } from '../platform/rpc.ts'
import { closeBack } from '../platform/socket.ts'
import { openCompany, type Word } from './company.ts'
import { type Inbox, ready, receive } from './exchange.ts'
import { LISTENERS_MAX, openListeners } from './listeners.ts'
import { hearWord, type Meeting, reviewPeers, sayFarewell, settle } from './meeting.ts'
import { type Holder, openRegistry } from './registry.ts'
import type { InboxRpc, ToPush } from './rpc.ts'
import { openSubscriptions, type PushSubscription, type Subscriptions } from './subscriptions.ts'
import { openTray } from './tray.ts'

/** Setting an alarm is a billed write, so what is over is looked for at whole hours. */
const SWEEP_GRID_MS = 3_600_000

/** What is live of one user, in one place: what they are told, and where their sockets are, so that the end of a session ends them all. */
export class InboxObject extends DurableObject<Env> implements InboxRpc {
  readonly #inbox: Inbox
  readonly #meeting: Meeting
  readonly #subscriptions: Subscriptions
  readonly #holders: Readonly<Record<HolderKind, (name: string) => SocketHolder>>

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env)
    const { sql } = ctx.storage
    this.#inbox = {
      userId: ctx.id.name as UserId,
      tray: openTray(sql),
      registry: openRegistry(sql),
      listeners: openListeners(ctx),
      company: openCompany(sql),
      scopeOf: ({ traceparent }) => objectScope(ctx, env, traceparent),
    }
    this.#meeting = { ctx, env, inbox: this.#inbox }
    this.#subscriptions = openSubscriptions(sql)
    this.#holders = { room: (name) => env.ROOMS.getByName(name), shell: (name) => env.SHELLS.getByName(name) }
    ctx.setWebSocketAutoResponse(new WebSocketRequestResponsePair(INBOX_PING, INBOX_PONG))
  }

  /** Takes an upgrade that the Worker has admitted. */
  override async fetch(request: Request): Promise<Response> {
    const { ticket, subprotocol, sessionId, expiresAt } = admissionOf(request)
    const { registry, listeners } = this.#inbox
    await this.#planAlarm()
    if (registry.isEnded(sessionId)) return declined('session-ended')
    if (listeners.open().length >= LISTENERS_MAX) return declined('limit-reached')
    if (ticket && !registry.useTicket(ticket)) return declined('ticket-invalid')
    const { 0: client, 1: server } = new WebSocketPair()
    this.ctx.acceptWebSocket(server)
    listeners.add(server, { sessionId, expiresAt, isSubscribed: false, traceparent: request.headers.get('traceparent') ?? '' })
    ready(this.#inbox, server)
    await this.#planAlarm()
    const headers: HeadersInit = subprotocol === null ? {} : { 'sec-websocket-protocol': subprotocol }
    return new Response(null, { status: 101, webSocket: client, headers })
  }

  override async webSocketMessage(socket: WebSocket, data: ArrayBuffer | string): Promise<void> {
    await receive(this.#inbox, socket, data)
    await this.#planAlarm()
  }

  override async webSocketClose(socket: WebSocket, code: number): Promise<void> {
    closeBack(socket, code)
    await this.#planAlarm()
  }

  override async webSocketError(): Promise<void> {
    await this.#planAlarm()
  }

  async tieSocket(tie: SocketTie): Promise<ProblemSlug | null> {
    const refusal = this.#inbox.registry.tie(tie, Date.now())
    await this.#planAlarm()
    return refusal
  }

  async untieSocket(socketId: string): Promise<void> {
    this.#inbox.registry.untie(socketId)
    await this.#planAlarm()
  }

  /** From the first line on no socket of these sessions is let in any more; a holder that fails is told again with the event. */
  async endSessions(ids: SessionIds): Promise<void> {
    const { registry, listeners } = this.#inbox
    registry.noteEnded(ids, Date.now())
    listeners.closeSessions(ids)
    this.#subscriptions.removeSessions(ids)
    const told = await Promise.allSettled(registry.holdersOf(ids).map((holder) => this.#tellHolder(holder, ids)))
    await this.#planAlarm()
    const failed = told.find((outcome) => outcome.status === 'rejected')
    if (failed) throw failed.reason
  }

  async notify(of: { readonly id: NotificationId; readonly content: NotificationContent }): Promise<ToPush> {
    const now = Date.now()
    const { tray, listeners } = this.#inbox
    this.#tell(tray.add(of, now))
    await this.#planAlarm()
    const notification = tray.get(of.id)
    if (!notification || notification.isRead || listeners.isHeard(now)) return { notification, targets: [] }
    return { notification, targets: [...this.#subscriptions.unpushed(of.id)] }
  }

  async subscribe(subscription: PushSubscription): Promise<void> {
    if (!this.#inbox.registry.isEnded(subscription.sessionId)) this.#subscriptions.put(subscription)
  }

  async isSubscribed(sessionId: string): Promise<boolean> {
    return this.#subscriptions.has(sessionId)
  }

  async unsubscribe(sessionId: string, endpoint?: string): Promise<void> {
    this.#subscriptions.remove(sessionId, endpoint)
  }

  async notePushed(push: { readonly notificationId: NotificationId; readonly sessionId: string }): Promise<void> {
    this.#subscriptions.notePushed(push, Date.now())
  }

  async list(page: { readonly before: string | undefined; readonly limit: number }): Promise<{ items: Notification[]; unread: number }> {
    const { tray } = this.#inbox
    return { items: [...tray.list(page, Date.now())], unread: tray.unread() }
  }

  async unread(): Promise<number> {
    return this.#inbox.tray.unread()
  }

  markRead(id: NotificationId, hasOlder: boolean): Promise<Sealed<Unread>> {
    return seal(() => {
      const { tray } = this.#inbox
      if (!hasOlder && !tray.has(id)) throw new Problem('not-found')
      this.#tell(tray.markRead(id, hasOlder))
      return { unread: tray.unread() }
    })
  }

  remove(id: NotificationId): Promise<Sealed<void>> {
    return seal(() => {
      const event = this.#inbox.tray.remove(id, Date.now())
      if (!event) throw new Problem('not-found')
      this.#tell(event)
    })
  }

  async meet(word: Word): Promise<Word> {
    const own = hearWord(this.#inbox, word, Date.now())
    await this.#planAlarm()
    return own
  }

  async seatsChanged(): Promise<void> {
    reviewPeers(this.#meeting)
  }

  async exportAll(): Promise<Notification[]> {
    return [...this.#inbox.tray.all()]
  }

  async erase(): Promise<void> {
    this.#inbox.tray.erase()
    sayFarewell(this.#meeting)
    this.#inbox.company.erase()
    this.#subscriptions.erase()
  }

  override async alarm(): Promise<void> {
    await this.#planAlarm()
  }

  #tell(event: InboxEvent | undefined): void {
    if (event) this.#inbox.listeners.tell(event, Date.now())
  }

  async #tellHolder(holder: Holder, ids: SessionIds): Promise<void> {
    await this.#holders[holder.kind](holder.holder).endSessions(this.#inbox.userId, ids)
    this.#inbox.registry.forget(holder, ids)
  }

  /** Does what is due, and sees to it that somebody looks when the next thing is. */
  async #planAlarm(): Promise<void> {
    const now = Date.now()
    const { listeners, registry, tray } = this.#inbox
    const expiry = listeners.closeExpired(now)
    const company = settle(this.#meeting, now)
    this.#subscriptions.prune(now)
    const over = [registry.prune(now), tray.prune(now)].filter((at) => at !== undefined)
    const sweep = over.length === 0 ? undefined : Math.ceil(Math.max(Math.min(...over), now + 1) / SWEEP_GRID_MS) * SWEEP_GRID_MS
    const due = Math.min(...[expiry, company, sweep].map((at) => at ?? Number.POSITIVE_INFINITY))
    const planned = await this.ctx.storage.getAlarm()
    if (Number.isFinite(due) && (planned === null || due < planned)) await this.ctx.storage.setAlarm(due)
  }
}
