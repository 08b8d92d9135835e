import { DurableObject } from 'cloudflare:workers'
import type { FileList, WrittenFile } from '../../contract/files.ts'
import type { HostKey } from '../../contract/hosts.ts'
import type { UserId } from '../../contract/identity.ts'
import type { OrgRole } from '../../contract/orgs.ts'
import type { Problem } from '../../contract/problem.ts'
import type { ExecResult, ShellState, StoppedCommand } from '../../contract/shell.ts'
import { VIEW_PING, VIEW_PONG } from '../../contract/viewer.ts'
import type { Env } from '../env.ts'
import { admissionOf, declined } from '../platform/admission.ts'
import type { SessionIds } from '../platform/live-sockets.ts'
import { logFor } from '../platform/log.ts'
import { objectScope } from '../platform/object-scope.ts'
import { open, type Sealed, seal } from '../platform/rpc.ts'
import { newSocketTag, type Ties, tiesOf } from '../platform/ties.ts'
import { watchAccess } from './access-watch.ts'
import type { ViewerAdmission } from './admission.ts'
import { endLive } from './closing.ts'
import { type Sink, waitedSink } from './command-sink.ts'
import { createCommandStream } from './command-stream.ts'
import { reportState } from './ending.ts'
import { applyRole, expel, expelSessions, receive, viewerGone } from './exchange.ts'
import { finishLeftOutput } from './exec-recording.ts'
import { listFiles, type ReadFile, readFile, writeFile } from './file-orders.ts'
import { isOver, type LiveShell, logOf, openLive } from './live.ts'
import { beginShell, execute, openOrdered, scanHost } from './orders.ts'
import { mayOperate } from './policy.ts'
import { useTicket } from './record.ts'
import type { Begun, EndOrder, ExecOrder, FileOrder, OpenOrder, ScanOrder, ShellRpc } from './rpc.ts'
import { planAlarm } from './schedule.ts'
import { checkStanding, OPENER_LEFT } from './standing.ts'
import { tick } from './tick.ts'
import { askAgain } from './watching.ts'
import { settleOutput } from './wiring.ts'

/** Sockets on one shell: a class can watch, a flood cannot. */
const VIEWERS_MAX = 64
/** Tabs and devices of one person: nobody takes all places alone. */
const VIEWERS_PER_USER_MAX = 8

const ON_RECORD: Begun = async () => ({ value: undefined })

/**
 * One shell: its output, its viewers, its link to the relay. The remote program lives in the relay, so this object may die at any moment;
 * the next event or the alarm finds the record and goes on. A waited command or a scan uses an object of its own, which stores nothing.
 */
export class ShellObject extends DurableObject<Env> implements ShellRpc {
  readonly #ties: Ties
  #live: LiveShell | undefined
  /** Commands that run in this memory. */
  #commands = 0
  /** The one command of this object; null once somebody was told that there is none. */
  #command: Promise<Sealed<ExecResult>> | null | undefined
  /** Ends it. */
  readonly #stop = new AbortController()

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env)
    this.#ties = tiesOf(ctx, env, { kind: 'shell', log: logFor(undefined, { shellId: ctx.id.name }) })
    this.#live = openLive(ctx, env)
    if (this.#live) this.#follow(this.#live)
  }

  async openShell(order: OpenOrder): Promise<Sealed<ShellState>> {
    if (this.#live) throw new Error('an object opens one shell')
    const live = beginShell(this.ctx, this.env, order)
    this.#live = live
    this.#follow(live)
    return this.#outlive(openOrdered(objectScope(this.ctx, this.env, order.traceparent), { ctx: this.ctx, live }, order))
  }

  async runCommand(order: ExecOrder, begun?: Begun): Promise<Sealed<ExecResult>> {
    return this.#beginCommand(order, waitedSink(), begun)
  }

  async streamCommand(order: ExecOrder, begun?: Begun): Promise<Sealed<ReadableStream<Uint8Array>>> {
    const stream = createCommandStream(order, () => this.#stop.abort())
    const end = this.#beginCommand(order, stream.sink, begun)
    return seal(() => stream.follow(open(end)))
  }

  async stopCommand(): Promise<StoppedCommand> {
    // What has not begun never begins.
    this.#stop.abort()
    if (!this.#command) return { killed: null }
    const end = await this.#command
    return { killed: 'value' in end ? end.value.killed : 'unconfirmed' }
  }

  async awaitCommand(): Promise<Sealed<ExecResult> | null> {
    this.#command ??= null
    return this.#command
  }

  async listFiles(order: FileOrder): Promise<Sealed<FileList>> {
    return this.#outlive(listFiles(objectScope(this.ctx, this.env, order.traceparent), this.ctx, order))
  }

  async readFile(order: FileOrder): Promise<Sealed<ReadFile>> {
    return this.#outlive(readFile(objectScope(this.ctx, this.env, order.traceparent), this.ctx, order))
  }

  async writeFile(order: FileOrder, body: ReadableStream<Uint8Array>): Promise<Sealed<WrittenFile>> {
    return this.#outlive(writeFile(objectScope(this.ctx, this.env, order.traceparent), { ctx: this.ctx, body }, order))
  }

  async scanHost(order: ScanOrder): Promise<Sealed<HostKey[]>> {
    return seal(() => scanHost(objectScope(this.ctx, this.env, order.traceparent), this.ctx, order))
  }

  async endShell(order: EndOrder): Promise<void> {
    if (this.#live) await endLive(this.#live, order)
  }

  async applyMember(member: { readonly userId: UserId; readonly role: OrgRole | null }): Promise<void> {
    const live = this.#live
    if (!live || isOver(live)) return
    applyRole(live, member.userId, member.role)
    // What is on record goes on without the caller, who has others to tell.
    if (member.userId === live.record.userId && !mayOperate(member.role)) this.ctx.waitUntil(endLive(live, OPENER_LEFT))
  }

  async endSessions(userId: UserId, ids: SessionIds): Promise<void> {
    if (this.#live) expelSessions(this.#live, userId, ids)
  }

  async reportState(): Promise<boolean> {
    if (!this.#live) return false
    await reportState(this.#live)
    planAlarm(this.#live)
    return true
  }

  async forgetShell(of: { readonly recording: 'keep' | 'drop' }): Promise<void> {
    const live = this.#live
    if (live) await endLive(live, { reason: 'It was erased.', actorId: null })
    await live?.keeper?.keep()
    if (of.recording === 'keep' && live?.keeper?.isDone() === false) throw new Error('the recording is not in storage yet')
    await this.#forget()
  }

  #beginCommand(order: ExecOrder, sink: Sink, begun: Begun = ON_RECORD): Promise<Sealed<ExecResult>> {
    if (this.#command !== undefined) throw new Error('an object runs one command')
    this.#commands += 1
    const scope = objectScope(this.ctx, this.env, order.traceparent)
    const parts = { ctx: this.ctx, sink, signal: this.#stop.signal, begin: () => open(begun()) }
    let denied: Problem | undefined
    const unwatch = watchAccess(scope, { order, use: 'exec' }, (problem) => {
      denied = problem
      this.#stop.abort()
    })
    const work = execute(scope, parts, order)
      .then((result) => {
        if (denied) throw denied
        return result
      })
      .finally(() => {
        unwatch()
        this.#commands -= 1
      })
    this.#command = this.#outlive(work)
    return this.#command
  }

  /** Takes an upgrade that the Worker has admitted. */
  override async fetch(request: Request): Promise<Response> {
    const live = this.#live
    const { ticket, subprotocol, ...person } = admissionOf<ViewerAdmission>(request)
    if (!live) return declined('not-found')
    const sockets = live.hub.sockets()
    const own = sockets.filter((socket) => live.hub.viewerOf(socket).userId === person.userId)
    if (sockets.length >= VIEWERS_MAX || own.length >= VIEWERS_PER_USER_MAX) return declined('limit-reached')
    if (ticket && !useTicket(this.ctx.storage.sql, ticket, Date.now())) return declined('ticket-invalid')
    const { 0: client, 1: server } = new WebSocketPair()
    this.ctx.setWebSocketAutoResponse(new WebSocketRequestResponsePair(VIEW_PING, VIEW_PONG))
    this.ctx.acceptWebSocket(server, [newSocketTag()])
    const fresh = { client: '', sentOffset: 0, ackedOffset: 0, isRefusalTold: false, isEndTold: false }
    live.hub.add(server, { ...person, ...fresh, joinedAt: Date.now() })
    logOf(live)('viewer.joined', { userId: person.userId, role: person.role })
    this.ctx.waitUntil(this.#tie(live, server))
    this.ctx.waitUntil(this.#check(live, server))
    planAlarm(live)
    const headers: HeadersInit = subprotocol === null ? {} : { 'sec-websocket-protocol': subprotocol }
    return new Response(null, { status: 101, webSocket: client, headers })
  }

  override webSocketMessage(socket: WebSocket, data: ArrayBuffer | string): void {
    if (this.#live) receive(this.#live, socket, data)
  }

  override webSocketClose(socket: WebSocket, code: number): void {
    this.#left(socket)
    try {
      // Codes that say how a socket ended cannot be sent (RFC 6455 §7.4.1).
      socket.close(code === 1000 || code >= 3000 ? code : 1000)
    } catch {
      // The runtime has closed it already.
    }
  }

  override webSocketError(socket: WebSocket): void {
    this.#left(socket)
  }

  override async alarm(): Promise<void> {
    if (this.#live && (await tick(this.#live))) await this.#forget()
    if (!this.#live && this.#commands === 0) await finishLeftOutput(this.ctx, this.env)
  }

  async #tie(live: LiveShell, socket: WebSocket): Promise<void> {
    const problem = await this.#ties.tie(socket, live.hub.viewerOf(socket))
    if (problem !== null) expel(live, socket, problem)
  }

  #left(socket: WebSocket): void {
    if (!this.#live) return
    this.#ties.untie(socket, this.#live.hub.viewerOf(socket).userId)
    viewerGone(this.#live)
  }

  /** The role was read before this socket was here, and a change in between told nobody: until it is read again nothing that it types goes on. */
  async #check(live: LiveShell, socket: WebSocket): Promise<void> {
    live.unchecked.set(socket, false)
    const isStanding = await checkStanding(live)
    const hasTyped = live.unchecked.get(socket)
    live.unchecked.delete(socket)
    if (!isStanding) await endLive(live, OPENER_LEFT)
    else if (hasTyped) askAgain(live)
  }

  /** A caller that goes away does not cut short what has begun: the record is written in any case. */
  #outlive<T>(work: Promise<T>): Promise<Sealed<T>> {
    this.ctx.waitUntil(work.catch(() => undefined))
    return seal(() => work)
  }

  /** What the recording of a shell asks of it. */
  #follow(live: LiveShell): void {
    live.onRoom = () => {
      if (live.wire) settleOutput(live, live.wire)
      planAlarm(live)
    }
    live.onUnrecorded = (reason) => this.ctx.waitUntil(endLive(live, { reason, actorId: null }))
    planAlarm(live)
  }

  async #forget(): Promise<void> {
    this.#live = undefined
    await this.ctx.storage.deleteAlarm()
    await this.ctx.storage.deleteAll()
  }
}
