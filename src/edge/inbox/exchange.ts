import type { UserId } from '../../contract/identity.ts'
import { INBOX_FRAME_CHARS_MAX, InboxClientFrame } from '../../contract/inbox.ts'
import { isProblem, Problem } from '../../contract/problem.ts'
import { authenticate } from '../identity/service.ts'
import { describeError } from '../platform/log.ts'
import type { Scope } from '../platform/scope.ts'
import type { Company } from './company.ts'
import { type Listener, type Listeners, send } from './listeners.ts'
import type { Registry } from './registry.ts'
import type { Tray } from './tray.ts'

/** What a frame may touch. */
export interface Inbox {
  readonly userId: UserId
  readonly tray: Tray
  readonly registry: Registry
  readonly company: Company
  readonly listeners: Listeners
  readonly scopeOf: (listener: Listener) => Scope
}

/** Takes one message of a device. Whatever is wrong with it ends that socket and nothing else. */
export async function receive(inbox: Inbox, socket: WebSocket, data: ArrayBuffer | string): Promise<void> {
  const listener = inbox.listeners.of(socket)
  try {
    if (listener.expiresAt <= Date.now()) throw new Problem('unauthenticated')
    await obey(inbox, socket, frameOf(data))
  } catch (error) {
    if (!isProblem(error)) inbox.scopeOf(listener).log('inbox.failed', describeError(error))
    inbox.listeners.close(socket, isProblem(error) ? error.slug : 'internal')
  }
}

function frameOf(data: ArrayBuffer | string): InboxClientFrame {
  if (typeof data !== 'string') throw new Problem('invalid-request')
  if (data.length > INBOX_FRAME_CHARS_MAX) throw new Problem('payload-too-large')
  return parseFrame(data)
}

/** A client's frame. @throws Problem `invalid-request` */
export function parseFrame(text: string): InboxClientFrame {
  try {
    return InboxClientFrame.parse(JSON.parse(text))
  } catch {
    throw new Problem('invalid-request')
  }
}

async function obey(inbox: Inbox, socket: WebSocket, frame: InboxClientFrame): Promise<void> {
  if (frame.type === 'subscribe') return subscribe(inbox, socket, frame)
  if (frame.type === 'refresh') return refresh(inbox, socket, frame.token)
  // Whoever is here has authenticated at the door.
  send(socket, { type: 'error', code: 'invalid-request' })
}

function subscribe(
  { tray, listeners, company }: Inbox,
  socket: WebSocket,
  { since, presence: sight }: InboxClientFrame & { readonly type: 'subscribe' },
): void {
  const missed = since && tray.stream.since(since)
  listeners.change(socket, { isSubscribed: true, sight })
  send(socket, {
    type: 'subscribed',
    ...tray.stream.position(),
    ...(since ? { recovered: missed !== undefined } : {}),
    unread: tray.unread(),
  })
  for (const event of missed ?? []) send(socket, event)
  if (sight) send(socket, { type: 'presence', isWhole: true, on: [...company.shown()], off: [] })
}

/** Only a token of the session that opened the socket goes on with it: the socket is found by that session when it ends. */
async function refresh(inbox: Inbox, socket: WebSocket, token: string): Promise<void> {
  const { listeners, registry } = inbox
  const listener = listeners.of(socket)
  const actor = await authenticate(inbox.scopeOf(listener), token)
  if (actor.userId !== inbox.userId || actor.sessionId !== listener.sessionId) throw new Problem('unauthenticated')
  // A session that another isolate has ended may still be remembered here as live.
  if (registry.isEnded(actor.sessionId)) throw new Problem('session-ended')
  listeners.change(socket, { expiresAt: Math.max(actor.expiresAt, listener.expiresAt) })
  ready(inbox, socket)
}

/** Tells a device until when it may stay. */
export function ready({ userId, listeners }: Inbox, socket: WebSocket): void {
  send(socket, { type: 'ready', userId, expiresAt: listeners.of(socket).expiresAt })
}
