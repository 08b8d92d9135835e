import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from 'cloudflare:test'
import { describe, expect, test } from 'vitest'
import type { SessionId, UserId } from '../../src/contract/identity.ts'
import { INBOX_EVENTS_MAX, NOTIFICATION_DAYS_MAX, NOTIFICATIONS_MAX, type NotificationId } from '../../src/contract/inbox.ts'
import type { Problem } from '../../src/contract/problem.ts'
import { holdSocket } from '../../src/edge/inbox/held-socket.ts'
import { LISTENERS_MAX, type Listener } from '../../src/edge/inbox/listeners.ts'
import { SOCKETS_PER_USER_MAX } from '../../src/edge/inbox/registry.ts'
import { refusalOf, upgradeFor } from '../../src/edge/platform/admission.ts'
import { newId } from '../../src/edge/platform/id.ts'
import { admission, inboxOf, listen, newUser, TRACEPARENT } from './inbox-peer.ts'
import { enter, newRoom, seatOf, userId } from './rooms-peer.ts'

const DAY_MS = 86_400_000
const CONTENT = { kind: 'new-device', sessionId: newId('ses', 0) as SessionId, browser: null, system: null, country: null } as const

const newNotification = () => ({ id: newId('ntf', Date.now()) as NotificationId, content: CONTENT })

function problemOf(work: () => void): string | undefined {
  try {
    work()
    return undefined
  } catch (error) {
    return (error as Problem).slug
  }
}

describe('hibernation', () => {
  test('a device goes on hearing, and nothing kept is lost', async () => {
    const user = newUser()
    const device = await listen(user)
    device.tell({ type: 'subscribe' })
    const { epoch } = await device.frame('subscribed')
    const first = newNotification()
    await inboxOf(user).notify(first)
    await evictDurableObject(inboxOf(user), { webSockets: 'hibernate' })
    await inboxOf(user).markRead(first.id, false)
    expect(await device.frame('read')).toMatchObject({ seq: 2, ids: [first.id], unread: 0 })
    const later = await listen(user)
    later.tell({ type: 'subscribe', since: { epoch, seq: 0 } })
    expect(await later.frame('subscribed')).toMatchObject({ epoch, seq: 2, recovered: true })
    for (const one of [device, later]) one.close()
  })

  test('a socket that ends by an error leaves as any other does', async () => {
    const user = newUser()
    await listen(user)
    const planned = await runInDurableObject(inboxOf(user), async (inbox, { storage }) => {
      await storage.deleteAlarm()
      await (inbox as unknown as { webSocketError: () => Promise<void> }).webSocketError()
      return storage.getAlarm()
    })
    expect(planned).not.toBeNull()
  })

  test('the end of a session reaches a room whose inbox has slept since', async () => {
    const room = newRoom()
    const socket = await enter(room, seatOf('sleeper'))
    const closed = new Promise<number>((resolve) => socket.addEventListener('close', ({ code }) => resolve(code)))
    const inbox = inboxOf(userId('sleeper'))
    await runInDurableObject(room, () => undefined)
    await expect
      .poll(() => runInDurableObject(inbox, (_, { storage }) => storage.sql.exec('SELECT 1 FROM sockets').toArray().length))
      .toBe(1)
    await evictDurableObject(inbox)
    await inbox.endSessions(['ses_sleeper'])
    expect(await closed).toBe(4401)
  })
})

describe('a device that is not let in yet', () => {
  /** Both ends of a socket that is held. */
  function held() {
    const { 0: client, 1: server } = new WebSocketPair()
    client.accept()
    server.accept()
    return { client, server, held: holdSocket(server) }
  }

  test('may say no more than a stranger may hold', async () => {
    for (const frames of [Array.from({ length: 18 }, () => '{}'), ['{}', ...Array.from({ length: 9 }, () => 'x'.repeat(8_192))]]) {
      const { client, server, held: socket } = held()
      let heard = 0
      server.addEventListener('message', () => heard++)
      for (const frame of frames) client.send(frame)
      expect(await socket.first(1_000)).toBe('{}')
      await expect.poll(() => heard).toBe(frames.length)
      expect(problemOf(() => socket.join(new WebSocketPair()[1]))).toBe('payload-too-large')
      client.close()
    }
  })

  test('that leaves meanwhile is not joined to its inbox', async () => {
    const { client, server, held: socket } = held()
    client.send('{}')
    await socket.first(1_000)
    const left = new Promise((resolve) => server.addEventListener('close', resolve))
    client.close(1000)
    await left
    const { 0: far, 1: inner } = new WebSocketPair()
    far.accept()
    const closed = new Promise((resolve) => far.addEventListener('close', resolve))
    expect(problemOf(() => socket.join(inner))).toBe('unauthenticated')
    await closed
  })
})

describe('the fence', () => {
  test('a socket that comes after the end of its session closes, wherever it is', async () => {
    await inboxOf(userId('late')).endSessions(['ses_late'])
    const socket = await enter(newRoom(), seatOf('late'))
    expect(await new Promise((resolve) => socket.addEventListener('close', ({ code }) => resolve(code)))).toBe(4401)
    const response = await inboxOf(userId('late')).fetch(upgradeFor(admission(userId('late'), 'ses_late'), TRACEPARENT))
    expect(refusalOf(response)).toBe('session-ended')
  })

  test('after the end of all, no session of the user is let in', async () => {
    const user = newUser()
    await inboxOf(user).endSessions('all')
    expect(refusalOf(await inboxOf(user).fetch(upgradeFor(admission(user), TRACEPARENT)))).toBe('session-ended')
    const tie = { socketId: 's', kind: 'room', holder: 'rm_x', sessionId: 'ses_any', expiresAt: Date.now() + 60_000 } as const
    expect(await inboxOf(user).tieSocket(tie)).toBe('session-ended')
  })

  test('a tie that was never undone ends with its token, and more sockets than a user may have are refused', async () => {
    const user = newUser()
    const tie = (n: number, expiresAt: number) =>
      inboxOf(user).tieSocket({ socketId: `s${n}`, kind: 'room', holder: 'rm_x', sessionId: 'ses_a', expiresAt })
    for (let n = 0; n < SOCKETS_PER_USER_MAX; n++) expect(await tie(n, Date.now() - DAY_MS)).toBeNull()
    await runInDurableObject(inboxOf(user), (_, { storage }) => {
      expect(storage.sql.exec<{ n: number }>('SELECT count(*) AS n FROM sockets').one().n).toBeLessThan(2)
    })
    for (let n = 0; n < SOCKETS_PER_USER_MAX; n++) await tie(n, Date.now() + 60_000)
    expect(await tie(SOCKETS_PER_USER_MAX, Date.now() + 60_000)).toBe('limit-reached')
    expect(await tie(0, Date.now() + 90_000)).toBeNull()
  })
})

/** Lets the token behind every socket of a user be over. */
const expire = (user: UserId) =>
  runInDurableObject(inboxOf(user), (_, ctx) => {
    for (const socket of ctx.getWebSockets()) socket.serializeAttachment({ ...(socket.deserializeAttachment() as Listener), expiresAt: 0 })
  })

describe('tokens', () => {
  test('a message after the token has expired closes the socket', async () => {
    const user = newUser()
    const device = await listen(user)
    await expire(user)
    device.tell({ type: 'subscribe' })
    expect(await device.closed).toEqual({ code: 4401, reason: 'unauthenticated' })
  })

  test('an idle socket is closed by the alarm, on a grid of a minute', async () => {
    const user = newUser()
    const device = await listen(user, { expiresAt: Date.now() + 30_000 })
    await runInDurableObject(inboxOf(user), async (_, { storage }) => {
      const at = await storage.getAlarm()
      expect(at! % 60_000).toBe(0)
      expect(at! - Date.now()).toBeLessThanOrEqual(90_000)
    })
    await expire(user)
    await runDurableObjectAlarm(inboxOf(user))
    expect(await device.closed).toEqual({ code: 4401, reason: 'unauthenticated' })
  })
})

describe('bounds', () => {
  test('the oldest notifications and events go, and who was away for longer is told so', async () => {
    const user = newUser()
    const ids: NotificationId[] = []
    for (let n = 0; n <= INBOX_EVENTS_MAX; n++) {
      const one = { id: `ntf_${String(n).padStart(26, '0')}` as NotificationId, content: CONTENT }
      ids.push(one.id)
      await inboxOf(user).notify(one)
    }
    const { items, unread } = await inboxOf(user).list({ before: undefined, limit: NOTIFICATIONS_MAX + 1 })
    expect(items.map((item) => item.id)).toEqual(ids.slice(-NOTIFICATIONS_MAX).toReversed())
    expect(unread).toBe(NOTIFICATIONS_MAX)
    const device = await listen(user)
    device.tell({ type: 'subscribe' })
    const { epoch } = await device.frame('subscribed')
    const [whole, holed] = [await listen(user), await listen(user)]
    whole.tell({ type: 'subscribe', since: { epoch, seq: 1 } })
    holed.tell({ type: 'subscribe', since: { epoch, seq: 0 } })
    expect((await whole.frame('subscribed')).recovered).toBe(true)
    expect((await holed.frame('subscribed')).recovered).toBe(false)
    for (const one of [device, whole, holed]) one.close()
  })

  test('what is too old is not shown, and is gone after the sweep', async () => {
    const user = newUser()
    await inboxOf(user).notify(newNotification())
    await runInDurableObject(inboxOf(user), (_, { storage }) => {
      storage.sql.exec('UPDATE notifications SET at = ?', Date.now() - (NOTIFICATION_DAYS_MAX + 1) * DAY_MS)
    })
    expect((await inboxOf(user).list({ before: undefined, limit: 10 })).items).toEqual([])
    await runDurableObjectAlarm(inboxOf(user))
    expect(await inboxOf(user).exportAll()).toEqual([])
  })

  test('a user has only so many sockets to the inbox, and a ticket opens once', async () => {
    const user = newUser()
    const ticket = { jti: 'tkt_1', expiresAt: Date.now() + 30_000 }
    const knock = () => inboxOf(user).fetch(upgradeFor({ ...admission(user), ticket }, TRACEPARENT))
    const first = await knock()
    first.webSocket?.accept()
    expect(refusalOf(await knock())).toBe('ticket-invalid')
    const devices = []
    for (let n = 1; n < LISTENERS_MAX; n++) devices.push(await listen(user))
    expect(refusalOf(await inboxOf(user).fetch(upgradeFor(admission(user), TRACEPARENT)))).toBe('limit-reached')
    for (const device of devices) device.close()
    first.webSocket?.close()
  })
})
