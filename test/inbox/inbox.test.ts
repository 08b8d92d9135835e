import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { WebSocket } from 'ws'
import { InboxServerFrame, type Notification } from '../../src/contract/inbox.ts'
import type { RoomId } from '../../src/contract/rooms.ts'
import { exportInbox } from '../../src/edge/inbox/service.ts'
import { type Edge, PASSWORD, startEdge } from '../harness.ts'
import { post } from '../identity/raw.ts'
import { joinRaw } from '../orgs/join.ts'
import { allowedMs } from '../pace.ts'
import { bearer, knock, meet, type Person } from '../rooms/person.ts'
import { until } from '../until.ts'
import { closeFrameOf } from './close-frame.ts'

const LIVE = '/v1/inbox/live'
const UNKNOWN = 'ntf_01234567890123456789abcdef'

let edge: Edge
let ada: Person
beforeAll(async () => {
  edge = await startEdge()
  ada = await meet(edge, 'ada')
})
afterAll(() => edge.stop())

/** Somebody whom Ada has given seats in as many rooms. */
async function told(name: string, times = 1) {
  const person = await meet(edge, name)
  for (let i = 0; i < times; i++) await ada.seat(await ada.openRoom(), person, 'editor')
  if (times > 0) await until(async () => (await unreadOf(person)) === times)
  return person
}

const unreadOf = async (person: Person) => (await person.send('GET', '/v1/inbox/unread')).body['unread']
const listOf = async (person: Person, query = '') =>
  (await person.send('GET', `/v1/inbox${query}`)).body as unknown as { items: Notification[]; nextCursor?: string; unread: number }

/** A device's socket that remembers its frames. */
async function listen(options: Parameters<typeof knock>[2]) {
  const { socket, slug } = await knock(edge, LIVE, options)
  if (!socket) throw new Error(`refused: ${slug}`)
  const frames: InboxServerFrame[] = []
  socket.on('message', (data: ArrayBuffer) => {
    const text = Buffer.from(data).toString()
    if (text !== 'pong') frames.push(InboxServerFrame.parse(JSON.parse(text)))
  })
  const frame = <T extends InboxServerFrame['type']>(type: T, nth = 1) =>
    until(async () => frames.filter((f): f is Extract<InboxServerFrame, { type: T }> => f.type === type)[nth - 1])
  return { socket, frames, frame, closed: closeFrameOf(socket), tell: (f: object) => socket.send(JSON.stringify(f)) }
}

async function subscribed(person: Person, since?: object) {
  const device = await listen({ protocols: bearer(person) })
  device.tell({ type: 'subscribe', ...(since ? { since } : {}) })
  return { ...device, start: await device.frame('subscribed') }
}

describe('the list', () => {
  test('tells what happened, newest first, by cursor, and how many are unread', async () => {
    const bob = await told('bob', 3)
    const first = await listOf(bob, '?limit=2')
    const second = await listOf(bob, `?limit=2&cursor=${first.nextCursor}`)
    const ids = [...first.items, ...second.items].map((n) => n.id)
    expect(ids).toEqual(ids.toSorted().toReversed())
    expect(ids).toHaveLength(3)
    expect(first).toMatchObject({ unread: 3, items: [{ isRead: false, content: { kind: 'room-member', role: 'editor' } }, {}] })
    expect(second.nextCursor).toBeUndefined()
  })

  test('is marked as read one by one, or up to one; repeating changes nothing', async () => {
    const cleo = await told('cleo', 3)
    const { items } = await listOf(cleo)
    expect((await cleo.send('POST', `/v1/inbox/${items[0]!.id}/read`)).body).toEqual({ unread: 2 })
    expect((await cleo.send('POST', `/v1/inbox/${items[0]!.id}/read`)).body).toEqual({ unread: 2 })
    expect((await cleo.send('POST', '/v1/inbox/read', { upTo: items[1]!.id })).body).toEqual({ unread: 0 })
    expect((await listOf(cleo)).items.every((n) => n.isRead)).toBe(true)
  })

  test('forgets what is deleted; what is unknown or of somebody else is not found', async () => {
    const dan = await told('dan')
    const { items } = await listOf(dan)
    const id = items[0]!.id
    expect((await ada.send('DELETE', `/v1/inbox/${id}`)).slug).toBe('not-found')
    expect((await ada.send('POST', `/v1/inbox/${id}/read`)).slug).toBe('not-found')
    expect((await dan.send('DELETE', `/v1/inbox/${id}`)).status).toBe(204)
    expect((await dan.send('DELETE', `/v1/inbox/${id}`)).slug).toBe('not-found')
    expect((await dan.send('POST', `/v1/inbox/${UNKNOWN}/read`)).slug).toBe('not-found')
    expect(await listOf(dan)).toMatchObject({ items: [], unread: 0 })
    expect((await dan.send('GET', '/v1/inbox?cursor=bm9wZQ')).slug).toBe('invalid-request')
  })
})

describe('what is told', () => {
  test('a role in an organisation, an invitation to one, and the loss of a seat', async () => {
    const eve = await told('eve', 0)
    const { body: org } = await ada.send('POST', '/v1/orgs', { name: 'Harbour' })
    await joinRaw(edge, ada, { orgId: org['id'], user: eve, role: 'reader' })
    await ada.send('PUT', `/v1/orgs/${org['id']}/members/${eve.userId}`, { role: 'operator' })
    const room = await ada.openRoom()
    await ada.seat(room, eve, 'viewer')
    await ada.unseat(room, eve)
    await until(async () => (await unreadOf(eve)) === 4)
    const contents = (await listOf(eve)).items.map((n) => n.content).toReversed()
    expect(contents).toEqual([
      { kind: 'org-invited', orgId: org['id'], invitationId: expect.any(String), role: 'reader' },
      { kind: 'org-member', orgId: org['id'], role: 'operator' },
      { kind: 'room-member', roomId: room, role: 'viewer' },
      { kind: 'room-member', roomId: room, role: null },
    ])
  })

  test('a sign-in on a device that was not known', async () => {
    const finn = await told('finn', 0)
    const phone = 'Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0'
    await post(edge, '/v1/auth/login', { email: finn.email, password: PASSWORD }, { 'user-agent': phone })
    await until(async () => (await unreadOf(finn)) === 1)
    expect((await listOf(finn)).items[0]!.content).toMatchObject({ kind: 'new-device', browser: 'Firefox', system: 'Linux' })
  })

  test('nothing, when a call changes nothing or one acts upon oneself', async () => {
    const gus = await told('gus')
    const { items } = await listOf(gus)
    const { roomId } = items[0]!.content as unknown as { roomId: RoomId }
    await ada.seat(roomId, gus, 'editor')
    await gus.unseat(roomId, gus)
    await until(
      async () =>
        (await edge.db.prepare("SELECT 1 FROM outbox_events WHERE done_at IS NULL AND topic <> 'mail.send'").all()).results.length === 0,
    )
    expect(await unreadOf(gus)).toBe(1)
  })

  test('once, however often its event comes', async () => {
    const hal = await told('hal')
    const { INBOXES } = await edge.worker.getEnv()
    const inbox = INBOXES.getByName(hal.userId)
    const [{ id, content }] = (await listOf(hal)).items as [Notification]
    await inbox.notify({ id, content })
    await hal.send('DELETE', `/v1/inbox/${id}`)
    await inbox.notify({ id, content })
    expect(await listOf(hal)).toMatchObject({ items: [], unread: 0 })
  })
})

describe('the stream', () => {
  test('tells every device what comes, what is read and what is deleted', async () => {
    const ivy = await told('ivy', 0)
    const [laptop, phone] = [await subscribed(ivy), await subscribed(ivy)]
    await ada.seat(await ada.openRoom(), ivy, 'editor')
    const { notification, seq } = await laptop.frame('added')
    expect(notification.isRead).toBe(false)
    await ivy.send('POST', `/v1/inbox/${notification.id}/read`)
    await ivy.send('DELETE', `/v1/inbox/${notification.id}`)
    expect(await phone.frame('added')).toMatchObject({ notification, unread: 1 })
    expect(await phone.frame('read')).toEqual({ type: 'read', seq: seq + 1, ids: [notification.id], unread: 0 })
    expect(await laptop.frame('deleted')).toEqual({ type: 'deleted', seq: seq + 2, ids: [notification.id], unread: 0 })
    for (const device of [laptop, phone]) device.socket.close()
  })

  test('goes on exactly where a device left it, and says so when it cannot', async () => {
    const jo = await told('jo', 2)
    const before = await subscribed(jo)
    before.socket.close()
    const { epoch } = before.start
    expect(before.start).toEqual({ type: 'subscribed', epoch, seq: 2, unread: 2 })
    await ada.seat(await ada.openRoom(), jo, 'editor')
    await until(async () => (await unreadOf(jo)) === 3)
    const after = await subscribed(jo, { epoch, seq: 1 })
    expect(after.start).toMatchObject({ recovered: true, seq: 3 })
    expect((await after.frame('added', 2)).seq).toBe(3)
    const stranger = await subscribed(jo, { epoch: 'another', seq: 1 })
    expect(stranger.start).toMatchObject({ recovered: false, epoch })
    const ahead = await subscribed(jo, { epoch, seq: 9 })
    expect(ahead.start.recovered).toBe(false)
    for (const device of [after, stranger, ahead]) device.socket.close()
  })

  test('renews its token in band, for the session that opened it only', async () => {
    const kim = await told('kim', 0)
    const device = await subscribed(kim)
    const { body } = await post(edge, '/v1/auth/refresh', { refreshToken: kim.refreshToken })
    device.tell({ type: 'refresh', token: body['accessToken'] })
    expect((await device.frame('ready', 2)).expiresAt).toBeGreaterThanOrEqual((await device.frame('ready')).expiresAt)
    device.tell({ type: 'refresh', token: ada.accessToken })
    expect(await device.closed).toEqual({ code: 4401, reason: 'unauthenticated' })
  })

  test('answers a literal ping', async () => {
    const device = await listen({ protocols: bearer(ada) })
    const pong = new Promise((resolve) =>
      device.socket.on('message', (data: ArrayBuffer) => Buffer.from(data).toString() === 'pong' && resolve(true)),
    )
    device.socket.send('ping')
    expect(await pong).toBe(true)
    device.socket.close()
  })

  test.each([
    ['what is no JSON', 'hello', 4400],
    ['an unknown frame', '{"type":"nothing"}', 4400],
    ['a field too many', '{"type":"subscribe","all":true}', 4400],
    ['a frame too long', `{"type":"refresh","token":"${'x'.repeat(9_000)}"}`, 4413],
    ['bytes', Buffer.from([1, 2, 3]), 4400],
  ])('closes over %s', async (_, data, code) => {
    const device = await listen({ protocols: bearer(ada) })
    device.socket.send(data)
    expect((await device.closed).code).toBe(code)
  })
})

describe('the door', () => {
  test('opens by ticket once', async () => {
    const ticket = String((await ada.send('POST', '/v1/inbox/tickets')).body['ticket'])
    const protocols = ['parvis', `ticket.${ticket}`]
    const device = await listen({ protocols })
    await device.frame('ready')
    device.socket.close()
    expect((await knock(edge, LIVE, { protocols })).slug).toBe('ticket-invalid')
  })

  test('hears a token as the first frame, and passes both ways from then on', async () => {
    const lou = await told('lou')
    const device = await listen({})
    device.tell({ type: 'authenticate', token: lou.accessToken })
    expect((await device.frame('ready')).userId).toBe(lou.userId)
    device.tell({ type: 'subscribe' })
    expect((await device.frame('subscribed')).unread).toBe(1)
    await post(edge, '/v1/auth/logout', { refreshToken: lou.refreshToken })
    expect(await device.closed).toEqual({ code: 4401, reason: 'session-ended' })
  })

  test('loses nothing of what a device says before it is let in', async () => {
    const liv = await told('liv')
    const device = await listen({})
    device.tell({ type: 'authenticate', token: liv.accessToken })
    device.tell({ type: 'subscribe' })
    expect((await device.frame('subscribed')).unread).toBe(1)
    device.socket.close()
  })

  test.each([
    ['a wrong token', { type: 'authenticate', token: 'a.b.c' }],
    ['anything else first', { type: 'subscribe' }],
  ])('stays shut to %s', async (_, frame) => {
    const device = await listen({})
    device.tell(frame)
    expect(await device.closed).toEqual({ code: 4401, reason: 'unauthenticated' })
  })

  test('stays shut to foreign origins, forged tokens and plain requests', async () => {
    expect((await knock(edge, LIVE, { headers: { origin: 'https://evil.example' } })).slug).toBe('origin-untrusted')
    expect((await knock(edge, LIVE, { protocols: ['parvis', 'bearer.a.b.c'] })).slug).toBe('unauthenticated')
    expect((await edge.request(LIVE)).status).toBe(426)
  })

  test('closes, and stays shut, when the session ends', async () => {
    const max = await told('max', 0)
    const device = await subscribed(max)
    await post(edge, '/v1/auth/logout', { refreshToken: max.refreshToken })
    const answeredAt = Date.now()
    expect(await device.closed).toEqual({ code: 4401, reason: 'session-ended' })
    const tookMs = Date.now() - answeredAt
    expect(tookMs).toBeLessThan(await allowedMs(edge, 1_000))
    expect((await knock(edge, LIVE, { protocols: bearer(max) })).slug).toBe('session-ended')
    expect(device.socket.readyState).not.toBe(WebSocket.OPEN)
  })
})

test('all of it is exported and erased', async () => {
  const nat = await told('nat', 2)
  const env = await edge.worker.getEnv()
  const scope = { env } as unknown as Parameters<typeof exportInbox>[0]
  expect(await exportInbox(scope, nat.userId as never)).toEqual({ notifications: (await listOf(nat)).items.toReversed() })
  await env.INBOXES.getByName(nat.userId).erase()
  expect(await exportInbox(scope, nat.userId as never)).toEqual({ notifications: [] })
})
