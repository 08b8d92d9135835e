import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from 'cloudflare:test'
import { env } from 'cloudflare:workers'
import { expect, test } from 'vitest'
import { LIVE_EPHEMERAL_CHARS_MAX } from '../../src/contract/room-live.ts'
import { PRESENCE_BYTES_MAX, type RoomId } from '../../src/contract/rooms.ts'
import { liveIn, newCid } from './live-peer.ts'
import { editorIn, leafOf, newRoom, rawIn, seatOf, talliedIn, until, userId } from './rooms-peer.ts'

const SECONDS_MS = 1_000

test('a message reaches everybody in one order and is acknowledged with its number', async () => {
  const room = newRoom()
  const [ada, bob] = [await liveIn(room, 'ada'), await liveIn(room, 'bob', 'commenter')]
  expect(await ada.frame('ready')).toMatchObject({ userId: userId('ada'), role: 'editor' })
  await ada.subscribe('messages')
  await bob.subscribe('messages')
  const [first, second] = [await ada.post('hello'), await bob.post('and hello to you')]
  expect([first.seq, second.seq]).toEqual([1, 2])
  for (const peer of [ada, bob]) {
    await peer.frame('messages', ({ events }) => events.some(({ seq }) => seq === 2))
    expect(peer.events().map((e) => [e.seq, e.userId, 'text' in e && e.text])).toEqual([
      [1, userId('ada'), 'hello'],
      [2, userId('bob'), 'and hello to you'],
    ])
  }
})

test('a viewer reads and may not write', async () => {
  const room = newRoom()
  const eve = await liveIn(room, 'eve', 'viewer')
  const cid = newCid()
  eve.send({ type: 'publish', cid, action: { kind: 'post', text: 'x' } })
  expect(await eve.frame('error')).toMatchObject({ code: 'forbidden', temporary: false, about: 'publish', cid })
  expect((await eve.subscribe('messages')).seq).toBe(0)
})

test('the same cid counts once, on a new socket and after hibernation too, and is each user’s own', async () => {
  const room = newRoom()
  const cid = newCid()
  const first = await (await liveIn(room, 'ada')).post('once', cid)
  expect((await (await liveIn(room, 'ada')).post('once', cid)).seq).toBe(first.seq)
  await evictDurableObject(room, { webSockets: 'hibernate' })
  const late = await liveIn(room, 'ada')
  expect((await late.post('once', cid)).seq).toBe(first.seq)
  expect((await (await liveIn(room, 'bob')).post('another', cid)).seq).toBe(first.seq + 1)
})

test('who comes back gets exactly what they missed, or is told that some is gone', async () => {
  const room = newRoom()
  const ada = await liveIn(room, 'ada')
  const { epoch } = await ada.subscribe('messages')
  for (const text of ['one', 'two', 'three']) await ada.post(text)
  await evictDurableObject(room, { webSockets: 'hibernate' })
  const back = await liveIn(room, 'bob')
  expect(await back.subscribe('messages', { since: { epoch: epoch!, seq: 1 } })).toMatchObject({ epoch, seq: 3, recovered: true })
  await back.frame('messages')
  expect(back.events().map(({ seq }) => seq)).toEqual([2, 3])
  const stranger = await liveIn(room, 'cleo')
  expect((await stranger.subscribe('messages', { since: { epoch: '0'.repeat(16), seq: 1 } })).recovered).toBe(false)
  const future = await liveIn(room, 'dan')
  expect((await future.subscribe('messages', { since: { epoch: epoch!, seq: 99 } })).recovered).toBe(false)
})

test('what came before is read page by page, after hibernation too; a place in another history reads nothing', async () => {
  const room = newRoom()
  const ada = await liveIn(room, 'ada')
  for (let n = 1; n <= 5; n++) await ada.post(`text ${n}`)
  await evictDurableObject(room, { webSockets: 'hibernate' })
  const { epoch } = await room.readMessages({ limit: 1 })
  const before = async (seq: number, of = epoch) => {
    const { items, ...page } = await room.readMessages({ before: { epoch: of, seq }, limit: 2 })
    return { ...page, seqs: items.map((event) => event.seq) }
  }
  expect(await before(6)).toMatchObject({ seqs: [4, 5], firstSeq: 1, recovered: true })
  expect(await before(2)).toMatchObject({ seqs: [1] })
  expect(await before(1)).toMatchObject({ seqs: [], recovered: true })
  expect(await before(9)).toMatchObject({ seqs: [], recovered: false })
  await room.destroy()
  await runDurableObjectAlarm(room)
  await evictDurableObject(room)
  expect(await before(6)).toMatchObject({ seqs: [], recovered: false })
  expect((await room.readMessages({ since: { epoch, seq: 1 }, limit: 2 })).recovered).toBe(false)
  expect((await room.readMessages({ limit: 1 })).epoch).not.toBe(epoch)
})

test('a long absence is caught up with in steps, without a hole', async () => {
  const room = newRoom()
  const author = { userId: userId('ada'), role: 'editor' } as const
  for (let i = 0; i < 12; i++) {
    await Promise.all(
      Array.from({ length: 50 }, (_, n) =>
        room.publishMessage({ author, publication: { cid: newCid(), action: { kind: 'post', text: `${i}.${n}` } } }),
      ),
    )
  }
  const bob = await liveIn(room, 'bob')
  const { epoch } = await bob.subscribe('messages', { last: 0 })
  bob.send({ type: 'unsubscribe', stream: 'messages' })
  await bob.subscribe('messages', { since: { epoch: epoch!, seq: 0 } })
  const { seq } = await bob.frame('behind')
  await bob.subscribe('messages', { since: { epoch: epoch!, seq } })
  await bob.frame('messages', ({ events }) => events.at(-1)?.seq === 600)
  expect(bob.events().map((e) => e.seq)).toEqual(Array.from({ length: 600 }, (_, i) => i + 1))
})

test('authors edit and delete their own, owners delete anybody’s, and what is deleted is gone from disk', async () => {
  const room = newRoom()
  const [ada, bob, owner] = [await liveIn(room, 'ada'), await liveIn(room, 'bob'), await liveIn(room, 'olga', 'owner')]
  const { seq } = await ada.post('a secret')
  bob.send({ type: 'publish', cid: newCid(), action: { kind: 'edit', message: seq, text: 'mine' } })
  expect((await bob.frame('error')).code).toBe('forbidden')
  await ada.publish({ kind: 'edit', message: seq, text: 'a better secret' })
  await bob.publish({ kind: 'react', message: seq, emoji: '👍🏽' })
  await owner.publish({ kind: 'delete', message: seq })
  const stored = await runInDurableObject(room, (_, { storage }) =>
    JSON.stringify(storage.sql.exec('SELECT events FROM message_segments').toArray()),
  )
  expect(stored).not.toContain('secret')
  ada.send({ type: 'publish', cid: newCid(), action: { kind: 'edit', message: seq, text: 'again' } })
  expect((await ada.frame('error')).code).toBe('not-found')
})

test('messages expire: no path serves them after their time, and the alarm takes them off the disk', async () => {
  const room = newRoom()
  const ada = await liveIn(room, 'ada')
  const { epoch } = await ada.subscribe('messages')
  const { seq } = await ada.post('for a minute')
  await room.setMessageRetention(60)
  await runInDurableObject(room, (_, { storage }) => {
    const [row] = storage.sql.exec<{ events: string }>('SELECT events FROM message_segments').toArray()
    const events = (JSON.parse(row!.events) as { at: number }[]).map((e) => ({ ...e, at: e.at - 61 * SECONDS_MS }))
    storage.sql.exec('UPDATE message_segments SET events = ?, last_at = last_at - ?', JSON.stringify(events), 61 * SECONDS_MS)
  })
  const bob = await liveIn(room, 'bob')
  expect(await bob.subscribe('messages', { since: { epoch: epoch!, seq: seq - 1 } })).toMatchObject({ recovered: false, firstSeq: seq + 1 })
  expect(await room.readMessages({ since: undefined, limit: 50 })).toMatchObject({ items: [], seq })
  expect(await room.messagesBy(userId('ada'))).toEqual([])
  bob.send({ type: 'publish', cid: newCid(), action: { kind: 'react', message: seq, emoji: '👍' } })
  expect((await bob.frame('error')).code).toBe('not-found')
  expect(bob.events()).toEqual([])
  expect(await runDurableObjectAlarm(room)).toBe(true)
  const rows = await runInDurableObject(room, (_, { storage }) => storage.sql.exec('SELECT * FROM message_segments').toArray().length)
  expect(rows).toBe(0)
  expect((await ada.post('the next')).seq).toBe(seq + 1)
})

test('presence is right after a wake: who joins sees all, who dies leaves no ghost, who comes back was never away', async () => {
  const room = newRoom()
  const ada = await liveIn(room, 'ada')
  await ada.subscribe('presence')
  const bob = await liveIn(room, 'bob')
  bob.send({ type: 'presence', state: { cursor: 4 } })
  await ada.frame('presence', ({ on }) => on.some(({ userId: id, state }) => id === userId('bob') && state !== null))
  await evictDurableObject(room, { webSockets: 'hibernate' })
  const cleo = await liveIn(room, 'cleo')
  await cleo.subscribe('presence')
  const whole = await cleo.frame('presence', ({ isWhole }) => isWhole)
  expect(whole.on.map(({ userId: id }) => id).sort()).toEqual(['ada', 'bob', 'cleo'].map(userId))
  expect(whole.on.find(({ userId: id }) => id === userId('bob'))?.state).toEqual({ cursor: 4 })
  bob.close()
  const again = await liveIn(room, 'bob')
  again.close()
  const { off } = await ada.frame('presence', (frame) => frame.off.length > 0)
  expect(off).toEqual([userId('bob')])
  expect(ada.frames.filter((f) => f.type === 'presence' && f.off.length > 0)).toHaveLength(1)
}, 20_000)

test('who asks not to be seen is not, in either framing', async () => {
  const room = newRoom()
  const ada = await liveIn(room, 'ada')
  await ada.subscribe('presence')
  await ada.subscribe('messages')
  const ghost = await liveIn(room, 'gil', 'editor', { isIncognito: true })
  ghost.send({ type: 'presence', state: { here: true } })
  ghost.send({ type: 'typing' })
  ghost.send({ type: 'signal', data: 1 })
  expect((await ghost.frame('error')).code).toBe('forbidden')
  const editor = await rawIn(room, seatOf('gus', 'editor', { isIncognito: true }))
  const last = await liveIn(room, 'zoe')
  await ada.frame('presence', ({ on }) => on.some(({ userId: id }) => id === userId('zoe')))
  await last.subscribe('presence')
  expect((await last.frame('presence', ({ isWhole }) => isWhole)).count).toBe(2)
  expect(JSON.stringify(ada.frames)).not.toMatch(/usr_g/)
  editor.close()
})

test('frames that do not fit are answered, and a presence over its size is not shown', async () => {
  const room = newRoom()
  const ada = await liveIn(room, 'ada')
  ada.socket.send('{')
  expect((await ada.frame('error')).code).toBe('invalid-request')
  ada.send({ type: 'presence', state: { big: 'x'.repeat(PRESENCE_BYTES_MAX) } })
  expect((await ada.frame('error', ({ about }) => about === 'presence')).code).toBe('payload-too-large')
  ada.send({ type: 'authenticate', token: 'x' })
  expect(
    (await ada.frame('error', ({ code, about }) => code === 'invalid-request' && about === undefined && ada.frames.length > 3)).temporary,
  ).toBe(false)
})

test('a socket that sends without end is refused, then closed', async () => {
  const room = newRoom()
  const mallory = await liveIn(room, 'mallory')
  for (let i = 0; i < 2_000; i++) mallory.send({ type: 'signal', data: i })
  expect(await mallory.frame('error')).toMatchObject({ code: 'rate-limited', temporary: true, about: 'signal' })
  expect(await mallory.closed).toEqual({ code: 4429, reason: 'rate-limited' })
})

test('a client that reads nothing gets no more messages, and reads on from its cursor', async () => {
  const room = newRoom()
  const slow = await liveIn(room, 'slow')
  const { epoch } = await slow.subscribe('messages')
  const author = { userId: userId('ada'), role: 'editor' } as const
  const text = 'x'.repeat(4_000)
  for (let i = 0; i < 300; i++) await room.publishMessage({ author, publication: { cid: newCid(), action: { kind: 'post', text } } })
  const { seq } = await slow.frame('behind')
  expect(await talliedIn(room, 'slow', 'behind')).toBe(1)
  slow.send({ type: 'subscribe', stream: 'messages', since: { epoch: epoch!, seq } })
  expect(await slow.frame('error')).toMatchObject({ code: 'rate-limited', about: 'subscribe' })
  slow.send({ type: 'received', chars: slow.texts.reduce((sum, { length }) => sum + length, 0) })
  await slow.subscribe('messages', { since: { epoch: epoch!, seq } })
  await slow.frame('messages', ({ events }) => events.at(-1)?.seq === 300)
  expect(slow.events().map((e) => e.seq)).toEqual(Array.from({ length: 300 }, (_, i) => i + 1))
})

test('to a client that lags no presence and no read marker is left out unsaid: it asks anew once it has read', async () => {
  const room = newRoom()
  const [slow, ada] = [await liveIn(room, 'slow'), await liveIn(room, 'ada')]
  const { epoch } = await slow.subscribe('messages')
  await slow.subscribe('presence')
  const author = { userId: userId('ada'), role: 'editor' } as const
  const text = 'x'.repeat(4_000)
  for (let i = 0; i < 70; i++) await room.publishMessage({ author, publication: { cid: newCid(), action: { kind: 'post', text } } })
  ada.send({ type: 'presence', state: { cursor: 7 } })
  ada.send({ type: 'read', seq: 70 })
  await slow.frame('behind', ({ stream }) => stream === 'presence')
  const { seq } = await slow.frame('behind', ({ stream }) => stream === 'messages')
  expect(seq).toBe(70)
  slow.send({ type: 'subscribe', stream: 'presence' })
  expect(await slow.frame('error')).toMatchObject({ code: 'rate-limited', about: 'subscribe', temporary: true })
  slow.send({ type: 'received', chars: slow.texts.reduce((sum, { length }) => sum + length, 0) })
  await slow.subscribe('presence')
  await slow.frame('presence', ({ isWhole, on }) => isWhole && on.some(({ state }) => state?.['cursor'] === 7))
  expect((await slow.subscribe('messages', { since: { epoch: epoch!, seq } })).reads).toEqual({ [userId('ada')]: 70 })
})

test('who reads too slowly on a leaf is told that presence went on without them, and asks for the whole', async () => {
  const room = newRoom()
  const [slow, ada] = [await liveIn(leafOf(room, 0), 'slow'), await liveIn(leafOf(room, 1), 'ada')]
  await slow.subscribe('messages')
  await slow.subscribe('presence')
  const author = { userId: userId('ada'), role: 'editor' } as const
  for (let n = 0; n * 4_000 <= LIVE_EPHEMERAL_CHARS_MAX; n++)
    await room.publishMessage({ author, publication: { cid: newCid(), action: { kind: 'post', text: 'x'.repeat(4_000) } } })
  ada.send({ type: 'presence', state: { cursor: 7 } })
  await slow.frame('behind', ({ stream }) => stream === 'presence')
  slow.send({ type: 'received', chars: slow.texts.reduce((sum, text) => sum + text.length, 0) })
  await slow.subscribe('presence')
  await slow.frame('presence', ({ isWhole, on }) => isWhole && on.some(({ state }) => state?.['cursor'] === 7))
  ada.send({ type: 'presence', state: { cursor: 8 } })
  await slow.frame('presence', ({ isWhole, on }) => !isWhole && on.some(({ state }) => state?.['cursor'] === 8))
})

test('whoever left as the memory went is told to have left at the next event', async () => {
  const room = newRoom()
  const graces = () => runInDurableObject(room, (_, { storage }) => storage.sql.exec('SELECT * FROM presence_graces').toArray().length)
  const [ada, bob] = [await liveIn(room, 'ada'), await liveIn(room, 'bob')]
  await ada.subscribe('presence')
  bob.close()
  await expect.poll(graces).toBe(1)
  await ada.frame('presence', ({ off }) => off.length > 0)
  expect(await graces()).toBe(0)
  await runInDurableObject(room, (_, { storage }) => void storage.sql.exec('INSERT INTO presence_graces VALUES (1)'))
  await evictDurableObject(room, { webSockets: 'hibernate' })
  const before = ada.frames.length
  ada.send({ type: 'typing' })
  const whole = await ada.frame('presence', (frame) => frame.isWhole && ada.frames.indexOf(frame) >= before)
  expect(whole).toMatchObject({ count: 1, on: [{ userId: userId('ada') }] })
  expect(await graces()).toBe(0)
}, 20_000)

test('without a credential a socket has one frame and its time; strangers’ frames are closed', async () => {
  const room = env.ROOMS.getByName(`rm_${'0'.repeat(26)}` as RoomId)
  const knock = { userId: '' as never, sessionId: '' as never, version: Number.MAX_SAFE_INTEGER, isIncognito: false }
  const early = await liveIn(room, 'nobody', 'viewer', knock)
  early.send({ type: 'subscribe', stream: 'messages' })
  expect(await early.closed).toEqual({ code: 4401, reason: 'unauthenticated' })
  const big = await liveIn(room, 'nobody', 'viewer', knock)
  big.socket.send('x'.repeat(9_000))
  expect((await big.closed).code).toBe(4413)
  const liar = await liveIn(room, 'nobody', 'viewer', knock)
  liar.send({ type: 'authenticate', token: 'a.b.c' })
  expect((await liar.closed).code).toBe(4401)
})

test('the document flows in binary frames on the same socket, once it is subscribed', async () => {
  const room = newRoom()
  const ada = await liveIn(room, 'ada')
  await ada.subscribe('document')
  await ada.subscribe('presence')
  await ada.frame('presence')
  expect(new Uint8Array(ada.binary[0]!).slice(0, 2)).toEqual(Uint8Array.from([0, 0]))
  const bob = await liveIn(room, 'bob')
  bob.socket.send(Uint8Array.from([0, 0, 1, 0]))
  expect((await bob.closed).code).toBe(4400)
})

test('a removed member’s socket closes, a changed role is told', async () => {
  const room = newRoom()
  const ada = await liveIn(room, 'ada')
  await room.applySeats([{ userId: userId('ada'), role: 'viewer', version: 2 }])
  await ada.frame('ready', ({ role }) => role === 'viewer')
  await room.applySeats([{ userId: userId('ada'), role: null, version: 3 }])
  expect(await ada.closed).toEqual({ code: 4404, reason: 'not-found' })
})

test('where nobody watches presence, who leaves keeps no room awake', async () => {
  const room = newRoom()
  const ada = editorIn(room, 'ada')
  await until([ada], () => ada.provider.synced)
  const bob = await rawIn(room, seatOf('bob'))
  await bob.settled()
  bob.close()
  const startedAt = Date.now()
  await evictDurableObject(room, { webSockets: 'hibernate' })
  expect(Date.now() - startedAt).toBeLessThan(3_000)
  ada.stop()
})
