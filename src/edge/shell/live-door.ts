import { toMoment } from '../../contract/id.ts'
import { isProblem, PROBLEMS, Problem, type ProblemSlug } from '../../contract/problem.ts'
import { SHELL_LIVE_AUTHENTICATE_SECONDS, SHELL_LIVE_WAITING_MAX, type ShellLiveAnswer, ShellLiveFrame } from '../../contract/shell-live.ts'
import { VIEW_FRAME_CHARS_MAX, VIEW_PING, VIEW_PONG } from '../../contract/viewer.ts'
import type { Upgrade } from '../http/implement.ts'
import { isTrustedOrigin } from '../http/session.ts'
import { checkedBearer } from '../http/upgrade.ts'
import { describeError } from '../platform/log.ts'
import type { Actor } from '../platform/scope.ts'
import { closeWith } from '../platform/socket.ts'
import { sendTo } from './hub.ts'
import { admitViewer } from './join.ts'

type Knock = Pick<Upgrade<never>, 'scope' | 'request' | 'authenticate'>
type Message = string | ArrayBuffer

interface Visit {
  readonly knock: Knock
  /** The client's end of the wire. */
  readonly outer: WebSocket
  actor: Actor | undefined
  /** The end of the shell that is watched. */
  inner: WebSocket | undefined
  /** Messages whose turn has not come, in order. */
  readonly waiting: Message[]
  waitingSize: number
  isBusy: boolean
  isOver: boolean
  /** Ends a visit that comes to nothing. */
  timer: ReturnType<typeof setTimeout> | null
}

/**
 * Opens the door where frames say who comes and what they watch. The Worker stands in between, so no object hears of anybody who may not look;
 * what a viewer does not acknowledge its shell holds back, so nothing piles up here.
 *
 * @throws Problem `origin-untrusted`
 */
export async function liveShells(knock: Knock): Promise<Response> {
  const { request, scope } = knock
  if (request.headers.has('origin') && !isTrustedOrigin(request.headers, scope.config)) throw new Problem('origin-untrusted')
  const { 0: client, 1: outer } = new WebSocketPair()
  outer.binaryType = 'arraybuffer'
  outer.accept()
  const nothing = { actor: undefined, inner: undefined, waiting: [], waitingSize: 0, isBusy: false, isOver: false, timer: null }
  const visit: Visit = { knock, outer, ...nothing }
  expectWithin(visit, SHELL_LIVE_AUTHENTICATE_SECONDS * 1000)
  outer.addEventListener('message', ({ data }) => take(visit, data as Message))
  outer.addEventListener('close', () => {
    clearTimeout(visit.timer)
    visit.isOver = true
    closeQuietly(visit.inner)
  })
  return new Response(null, { status: 101, webSocket: client })
}

/** Who has no shell by then has no business here. */
function expectWithin(visit: Visit, ms: number): void {
  clearTimeout(visit.timer)
  visit.timer = setTimeout(() => visit.inner ?? leave(visit, 'unauthenticated'), ms)
}

const say = ({ outer }: Visit, answer: ShellLiveAnswer): void => sendTo(outer, JSON.stringify(answer))

function leave(visit: Visit, slug: ProblemSlug): void {
  visit.isOver = true
  closeWith(visit.outer, slug)
  closeQuietly(visit.inner)
}

function closeQuietly(socket: WebSocket | undefined): void {
  try {
    socket?.close(1000, 'left')
  } catch {
    // It is closed already.
  }
}

/** One after the other: what comes while a frame is being answered waits for its turn. */
function take(visit: Visit, message: Message): void {
  if (visit.isOver) return
  const size = typeof message === 'string' ? message.length : message.byteLength
  if (visit.waitingSize + size > SHELL_LIVE_WAITING_MAX) return leave(visit, 'payload-too-large')
  visit.waiting.push(message)
  visit.waitingSize += size
  if (!visit.isBusy) void work(visit)
}

async function work(visit: Visit): Promise<void> {
  visit.isBusy = true
  for (let next = visit.waiting.shift(); next !== undefined && !visit.isOver; next = visit.waiting.shift()) {
    visit.waitingSize -= typeof next === 'string' ? next.length : next.byteLength
    const answering = answer(visit, next)
    if (answering) await answering
  }
  visit.isBusy = false
}

/** What a shell must hear goes on at once; the promise is of what takes time. */
function answer(visit: Visit, message: Message): Promise<void> | undefined {
  const { inner } = visit
  const frame = typeof message === 'string' && message.length <= VIEW_FRAME_CHARS_MAX ? frameOf(message) : undefined
  if (frame?.type === 'ping' || message === VIEW_PING) answerPing(visit)
  else if (frame) return act(visit, frame).catch((error: unknown) => tellTrouble(visit, error))
  else if (inner) sendTo(inner, typeof message === 'string' ? message : new Uint8Array(message))
  else leave(visit, visit.actor ? 'invalid-request' : 'unauthenticated')
  return undefined
}

/** A shell answers for itself; its word comes back as ours. */
function answerPing(visit: Visit): void {
  if (visit.inner) sendTo(visit.inner, VIEW_PING)
  else say(visit, { type: 'pong' })
}

function frameOf(text: string): ShellLiveFrame | undefined {
  try {
    return ShellLiveFrame.safeParse(JSON.parse(text)).data
  } catch {
    return undefined
  }
}

function tellTrouble(visit: Visit, error: unknown): void {
  if (!isProblem(error)) visit.knock.scope.log('bug', describeError(error))
  const problem = isProblem(error) ? error.slug : 'internal'
  if (visit.actor === undefined) return leave(visit, problem)
  say(visit, { type: 'error', problem, title: PROBLEMS[problem].title })
}

async function act(visit: Visit, frame: Exclude<ShellLiveFrame, { type: 'ping' }>): Promise<void> {
  const { scope, authenticate } = visit.knock
  if (frame.type === 'authenticate') {
    if (visit.actor) throw new Problem('conflict')
    visit.actor = await authenticate(scope, checkedBearer(scope, frame.token))
    expectWithin(visit, visit.actor.expiresAt - scope.now())
    return say(visit, { type: 'authenticated', userId: visit.actor.userId, expiresAt: toMoment(visit.actor.expiresAt) })
  }
  if (!visit.actor) throw new Problem('unauthenticated')
  if (visit.inner) throw new Problem('conflict')
  await subscribe(visit, visit.actor, frame)
}

async function subscribe(visit: Visit, actor: Actor, frame: Extract<ShellLiveFrame, { type: 'subscribe_session' }>): Promise<void> {
  const { type: _, sessionId, ...attach } = frame
  const caller = { actor, ticket: undefined, subprotocol: undefined }
  const { webSocket: inner } = await admitViewer(visit.knock.scope, caller, sessionId)
  if (!inner) throw new Error('an admitted viewer has a socket')
  inner.binaryType = 'arraybuffer'
  inner.accept()
  inner.addEventListener('message', ({ data }) => {
    if (data === VIEW_PONG) say(visit, { type: 'pong' })
    else sendTo(visit.outer, typeof data === 'string' ? data : new Uint8Array(data as ArrayBuffer))
  })
  inner.addEventListener('close', ({ code, reason }) => {
    visit.isOver = true
    closeAs(visit.outer, code, reason)
  })
  if (visit.isOver) return closeQuietly(inner)
  visit.inner = inner
  sendTo(inner, JSON.stringify({ type: 'attach', ...attach }))
}

function closeAs(socket: WebSocket, code: number, reason: string): void {
  try {
    socket.close(code === 1000 || code >= 3000 ? code : 1011, reason)
  } catch {
    // The peer is already gone.
  }
}
