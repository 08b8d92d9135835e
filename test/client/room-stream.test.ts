import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { type Client, createClient, type Room } from '../../src/client/client.ts'
import type { UserId } from '../../src/contract/identity.ts'
import type { LiveClientFrame, LiveServerFrame } from '../../src/contract/room-live.ts'
import { type RoomPeer, startRoom } from './room-peer.ts'
import { ROOM_ID, type Service, soon, startService, USER_ID } from './service.ts'

let service: Service
let peer: RoomPeer
let client: Client
let room: Room
beforeEach(async () => {
  service = await startService()
  peer = startRoom(service)
  client = createClient({ origin: service.origin })
  await client.login({ body: { email: 'ada@example.org', password: 'correct horse battery staple' } })
})
afterEach(async () => {
  vi.useRealTimers()
  client.close()
  peer.stop()
  await service.stop()
})

const join = async () => {
  room = await client.rooms.join(ROOM_ID, { streams: ['messages', 'presence'] })
  await soon(() => room.messages.state.isCaughtUp).toBe(true)
}
const tell = (frame: LiveServerFrame | Record<string, unknown>) => peer.sendRaw(JSON.stringify(frame))
const heard = <T extends LiveClientFrame['type']>(type: T) =>
  peer.said
    .filter((text) => text.startsWith('{'))
    .map((text) => JSON.parse(text) as LiveClientFrame)
    .filter((frame): frame is Extract<LiveClientFrame, { type: T }> => frame.type === type)
const OTHER = `usr_0${'2'.padStart(25, '0')}` as UserId
const EPOCH = '0'.repeat(16)
const postOf = (seq: number, more: { at?: number; userId?: UserId; cid?: string } = {}): LiveServerFrame => ({
  type: 'messages',
  events: [{ seq, at: Date.now(), userId: OTHER, cid: `cid-${seq}-padded`, kind: 'post', text: `text ${seq}`, ...more }],
})
const textsOf = () => room.messages.state.items.map(({ text }) => text)

test('a token is replaced on the open socket before it ends', async () => {
  peer.state.tokenMs = 26_000
  service.state.tokenSeconds = 26
  await join()
  await soon(() => heard('refresh').length).toBeGreaterThanOrEqual(1)
  expect(heard('refresh')[0]?.token).toBe(await client.accessToken())
  expect(peer.offers).toHaveLength(1)
})

test('with tickets, the next ticket is shown', async () => {
  peer.state.tokenMs = 26_000
  await client.rooms.join(ROOM_ID, { ticket: true, streams: ['messages'] })
  await soon(() => heard('refresh').length).toBeGreaterThanOrEqual(1)
  expect(service.to(`/v1/rooms/${ROOM_ID}/tickets`).length).toBeGreaterThanOrEqual(2)
})

test('what the room keeps no more is told as a gap, and the list starts anew', async () => {
  await join()
  tell(postOf(1))
  await soon(textsOf).toEqual(['text 1'])
  const gap = new Promise((resolve) => room.on('gap', resolve))
  peer.state.stream = { epoch: EPOCH, seq: 90, firstSeq: 80, recovered: false }
  peer.cut()
  await gap
  expect(heard('subscribe').findLast(({ stream }) => stream === 'messages')?.since).toEqual({ epoch: EPOCH, seq: 1 })
  expect(room.messages.state).toMatchObject({ items: [], isCaughtUp: false })
  for (let seq = 80; seq <= 90; seq++) tell(postOf(seq))
  await soon(() => room.messages.state.isCaughtUp).toBe(true)
  expect(textsOf()).toEqual(Array.from({ length: 11 }, (_, i) => `text ${80 + i}`))
})

test('a room that says it is behind is told what was read and asked from the cursor', async () => {
  await join()
  tell(postOf(1))
  await soon(textsOf).toEqual(['text 1'])
  peer.state.stream = { epoch: EPOCH, seq: 3, firstSeq: 1, recovered: true }
  const before = heard('subscribe').length
  tell({ type: 'behind', stream: 'messages', seq: 1 })
  await soon(() => heard('subscribe').length).toBe(before + 1)
  expect(heard('subscribe').at(-1)?.since).toEqual({ epoch: EPOCH, seq: 1 })
  expect(heard('received').at(-1)?.chars).toBeGreaterThan(100)
  expect(room.messages.state.isCaughtUp).toBe(false)
  tell({ type: 'error', code: 'rate-limited', title: 'Later.', temporary: true, retryAfterMs: 20, about: 'refresh' })
  for (const seq of [2, 3]) tell(postOf(seq))
  await soon(() => room.messages.state.isCaughtUp).toBe(true)
})

test('what is read is reported every 64 Ki units', async () => {
  await join()
  for (let seq = 1; seq <= 20; seq++) tell({ ...postOf(seq), padding: 'x'.repeat(8_000) })
  await soon(() => textsOf().length).toBe(20)
  expect(heard('received').length).toBe(2)
})

test('an event that comes twice counts once, and one’s own is pending or stored, never both', async () => {
  await join()
  const states: [number, number][] = []
  room.on('messages', ({ items, pending }) => states.push([pending.length, items.length]))
  const sent = room.messages.post('mine')
  await soon(() => heard('publish').length).toBe(1)
  const cid = heard('publish')[0]!.cid
  const frame = postOf(1, { userId: USER_ID as UserId, cid })
  tell(frame)
  tell(frame)
  tell({ type: 'ack', cid, seq: 1, at: 1 })
  expect((await sent).seq).toBe(1)
  tell(postOf(2))
  await soon(() => textsOf().length).toBe(2)
  expect(states.filter(([pending, items]) => pending + items !== 1 && items < 2)).toEqual([])
})

test('what no room takes is refused before it is sent, and holds nothing up', async () => {
  await join()
  for (const text of ['', 'a\u0000b', 'x'.repeat(100_000)])
    await expect(room.messages.post(text)).rejects.toMatchObject({ slug: 'invalid-request' })
  expect(room.messages.state.pending).toEqual([])
  const sent = room.messages.post('good')
  await soon(() => heard('publish').length).toBe(1)
  tell({ type: 'ack', cid: heard('publish')[0]!.cid, seq: 1, at: 1 })
  expect((await sent).seq).toBe(1)
})

test('a frame that was refused unread may have been the message on its way: it is sent again', async () => {
  await join()
  const sent = room.messages.post('mine')
  await soon(() => heard('publish').length).toBe(1)
  const [first] = heard('publish')
  tell({ type: 'error', code: 'rate-limited', title: 'Later.', temporary: true, retryAfterMs: 10 })
  await soon(() => heard('publish').length).toBe(2)
  expect(heard('publish')[1]).toEqual(first)
  tell({ type: 'ack', cid: first!.cid, seq: 1, at: 1 })
  expect((await sent).seq).toBe(1)
})

test('what is refused for now is sent again in order, what is refused for good says so, and the rest goes on', async () => {
  await join()
  const sent = ['one', 'two', 'three'].map((text) =>
    room.messages.post(text).then(
      () => text,
      (error: { slug?: string }) => error.slug,
    ),
  )
  await soon(() => heard('publish').length).toBe(1)
  const [first] = heard('publish')
  tell({ type: 'error', code: 'rate-limited', title: 'Later.', temporary: true, retryAfterMs: 10, about: 'publish', cid: first!.cid })
  await soon(() => heard('publish').length).toBe(2)
  expect(heard('publish')[1]).toEqual(first)
  tell({ type: 'error', code: 'forbidden', title: 'No.', temporary: false, about: 'publish', cid: first!.cid })
  for (const [at, seq] of [
    [2, 1],
    [3, 2],
  ] as const) {
    await soon(() => heard('publish').length).toBe(at + 1)
    tell({ type: 'ack', cid: heard('publish')[at]!.cid, seq, at: 1 })
  }
  expect(await Promise.all(sent)).toEqual(['forbidden', 'two', 'three'])
})

test('messages vanish here when their time is over, whoever is connected', async () => {
  peer.state.stream = { epoch: EPOCH, seq: 0, firstSeq: 1, ttlSeconds: 60 }
  await join()
  tell(postOf(1, { at: Date.now() - 59_000 }))
  tell(postOf(2))
  await soon(textsOf).toEqual(['text 1', 'text 2'])
  await soon(textsOf).toEqual(['text 2'])
})

test('frames and fields of a newer service are passed over; what is no frame ends the connection', async () => {
  await join()
  tell({ type: 'fanfare', loud: true })
  tell({ ...postOf(1), tune: 'new' })
  await soon(textsOf).toEqual(['text 1'])
  const problem = new Promise((resolve) => room.on('problem', resolve))
  peer.sendRaw('[')
  expect(await problem).toMatchObject({ name: 'ContractError' })
  await soon(() => peer.offers.length).toBe(2)
})

test('what one shows changes often and is told ten times a second, the latest for sure, again after a reconnect', async () => {
  await join()
  for (let x = 0; x <= 100; x++) room.presence.show({ x })
  await soon(() => heard('presence').at(-1)?.state).toEqual({ x: 100 })
  expect(heard('presence')).toHaveLength(2)
  peer.cut()
  await soon(() => heard('presence').length).toBe(3)
  expect(heard('presence').at(-1)?.state).toEqual({ x: 100 })
})

test('a room joined without its document says so', async () => {
  await join()
  await expect(room.whenSynced()).rejects.toMatchObject({ name: 'ClosedError' })
  await expect(room.saved()).rejects.toMatchObject({ name: 'ClosedError' })
})
