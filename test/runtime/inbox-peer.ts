import { env } from 'cloudflare:workers'
import type { SessionId, UserId } from '../../src/contract/identity.ts'
import { InboxServerFrame } from '../../src/contract/inbox.ts'
import { upgradeFor } from '../../src/edge/platform/admission.ts'
import { newId } from '../../src/edge/platform/id.ts'

export const TRACEPARENT = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'

export const newUser = () => newId('usr', Date.now()) as UserId
export const inboxOf = (user: UserId) => env.INBOXES.getByName(user)
export const admission = (user: UserId, sessionId = 'ses_a', expiresAt = Date.now() + 900_000) => ({
  userId: user,
  sessionId: sessionId as SessionId,
  expiresAt,
  ticket: null,
  subprotocol: null,
})

/** A device's end of a socket. */
export async function listen(user: UserId, of: Partial<ReturnType<typeof admission>> = {}) {
  const { webSocket } = await inboxOf(user).fetch(upgradeFor({ ...admission(user), ...of }, TRACEPARENT))
  if (!webSocket) throw new Error('declined')
  const frames: InboxServerFrame[] = []
  const wakes = new Set<() => void>()
  const closed = new Promise<{ code: number; reason: string }>((resolve) =>
    webSocket.addEventListener('close', ({ code, reason }) => resolve({ code, reason })),
  )
  webSocket.addEventListener('message', ({ data }) => {
    frames.push(InboxServerFrame.parse(JSON.parse(data as string)))
    for (const wake of wakes) wake()
  })
  webSocket.accept()
  /** Resolves with what a look at the frames finds, once it finds something. */
  const seen = <T>(find: () => T | undefined): Promise<T> =>
    new Promise((resolve) => {
      const look = () => {
        const found = find()
        if (found === undefined) return
        wakes.delete(look)
        resolve(found)
      }
      wakes.add(look)
      look()
    })
  const frame = <T extends InboxServerFrame['type']>(type: T): Promise<Extract<InboxServerFrame, { type: T }>> =>
    seen(() => frames.find((f): f is Extract<InboxServerFrame, { type: T }> => f.type === type))
  return { frames, frame, seen, closed, tell: (f: object) => webSocket.send(JSON.stringify(f)), close: () => webSocket.close() }
}
