import { evictDurableObject, runInDurableObject } from 'cloudflare:test'
import { describe, expect, test } from 'vitest'
import * as Y from 'yjs'
import type { SessionId, UserId } from '../../src/contract/identity.ts'
import { LIVE_BEHIND_CHARS, LIVE_KNOCK_CHARS_MAX } from '../../src/contract/room-live.ts'
import { upgradeFor } from '../../src/edge/platform/admission.ts'
import { toBase64Url } from '../../src/edge/platform/base64.ts'
import { leavesOf } from '../../src/edge/rooms/seat.ts'
import { liveIn, newCid } from './live-peer.ts'
import {
  type Door,
  editorIn,
  enter,
  eventually,
  kill,
  leafOf,
  newRoom,
  type Room,
  rawIn,
  sameAs,
  seatOf,
  talliedIn,
  until,
  userId,
} from './rooms-peer.ts'

const TRACEPARENT = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'

/** Resolves when nothing is on its way between a room and its leaves. */
const atRest = (room: Room) =>
  eventually(() =>
    runInDurableObject(room, (_, { storage }) => storage.sql.exec('SELECT 1 FROM leaves WHERE is_busy = 1').toArray().length === 0),
  )

const texts = (peer: Awaited<ReturnType<typeof liveIn>>) =>
  peer.events().map((event) => `${event.seq} ${'text' in event ? event.text : ''}`)

const numbered = (peer: Awaited<ReturnType<typeof liveIn>>, seq: number) =>
  peer.frame('messages', ({ events }) => events.some((event) => event.seq === seq))

/** One person in the room's own object and two on each of two leaves. */
async function spreadOver(room: Room) {
  const doors: readonly (readonly [string, Door])[] = [
    ['ada', room],
    ['bob', leafOf(room, 0)],
    ['cleo', leafOf(room, 0)],
    ['dan', leafOf(room, 1)],
    ['eve', leafOf(room, 1)],
  ]
  const peers = await Promise.all(doors.map(([name, door]) => liveIn(door, name)))
  for (const peer of peers) await peer.subscribe('messages')
  return peers
}

describe('a room with leaves', () => {
  test('everybody hears all messages in one order, wherever they sit, while all speak at once', async () => {
    const peers = await spreadOver(newRoom())
    await Promise.all(peers.map(async (peer, i) => Promise.all(Array.from({ length: 20 }, (_, n) => peer.post(`${i}.${n}`)))))
    for (const peer of peers) await numbered(peer, 100)
    const [first = [], ...others] = peers.map(texts)
    expect(first.map((text) => Number(text.split(' ')[0]))).toEqual(Array.from({ length: 100 }, (_, i) => i + 1))
    for (const other of others) expect(other).toEqual(first)
    for (const peer of peers) expect(peer.frames.filter(({ type }) => type === 'ack')).toHaveLength(20)
  })

  test('an acknowledgement goes to the one socket that published, and a signal not back to its sender', async () => {
    const room = newRoom()
    const [ada, bob, cleo, dan] = await spreadOver(room)
    const guestId = `usr_${'0'.repeat(26)}` as UserId
    const guest = await liveIn(leafOf(room, 0), 'guest', 'editor', { userId: guestId })
    for (const peer of [ada, bob, cleo, dan, guest]) await peer!.subscribe('signals')
    await bob!.post('mine')
    await numbered(cleo!, 1)
    expect(cleo!.frames.some(({ type }) => type === 'ack')).toBe(false)
    bob!.send({ type: 'signal', data: 'to all' })
    for (const peer of [ada, cleo, dan]) expect(await peer!.frame('signal')).toMatchObject({ userId: userId('bob'), data: 'to all' })
    dan!.send({ type: 'signal', data: 'to one', to: guestId })
    await guest.frame('signal', ({ userId: from, data }) => from === userId('dan') && data === 'to one')
    expect(cleo!.frames.filter(({ type }) => type === 'signal')).toHaveLength(1)
    expect(bob!.frames.some(({ type }) => type === 'signal')).toBe(false)
  })

  test('unmodified editors on leaves and in the room write one document and see each other', async () => {
    const room = newRoom()
    const editors = [editorIn(room, 'ada'), editorIn(leafOf(room, 0), 'bob'), editorIn(leafOf(room, 1), 'cleo')]
    editors.forEach(({ text, provider }, i) => {
      text.insert(0, `${i}`.repeat(30))
      provider.awareness.setLocalState({ at: i })
    })
    await until(editors, () => editors.every(({ text, provider }) => text.length === 90 && provider.awareness.getStates().size === 3))
    expect(new Set(editors.map(({ text }) => text.toString())).size).toBe(1)
    editors[1]?.stop()
    await until(editors.slice(0, 1), () => editors[0]?.provider.awareness.getStates().size === 2)
    for (const editor of editors) editor.stop()
  })

  test('a document larger than a call of the runtime reaches a newcomer on a leaf', async () => {
    const room = newRoom()
    const doc = new Y.Doc()
    for (let part = 0; part < 10; part++) {
      const before = Y.encodeStateVector(doc)
      doc.getText('t').insert(0, `${part}`.repeat(1_000_000))
      await room.patchDocument({ update: toBase64Url(Y.encodeStateAsUpdate(doc, before)) }, TRACEPARENT)
    }
    const late = editorIn(leafOf(room, 0), 'bob', 'viewer')
    await until([late], () => late.text.length === 10_000_000)
    expect(late.text.toString() === doc.getText('t').toString()).toBe(true)
    late.stop()
  })

  test('presence is one for all leaves', async () => {
    const room = newRoom()
    const [ada, bob] = [await liveIn(leafOf(room, 0), 'ada'), await liveIn(leafOf(room, 1), 'bob')]
    await ada.subscribe('presence')
    await ada.frame('presence', ({ count }) => count === 2)
    bob.send({ type: 'presence', state: { cursor: 7 } })
    const shown = await ada.frame('presence', ({ on }) => on.some(({ state }) => state !== null))
    expect(shown.on).toEqual([{ userId: userId('bob'), state: { cursor: 7 } }])
  })

  test('who reads too slowly falls behind on a leaf, and reads on from their cursor', async () => {
    const room = newRoom()
    const [slow, ada] = [await liveIn(leafOf(room, 0), 'slow'), await liveIn(leafOf(room, 1), 'ada')]
    await slow.subscribe('messages')
    const author = { userId: userId('ada'), role: 'editor' } as const
    const many = Math.ceil(LIVE_BEHIND_CHARS / 4_000) + 20
    for (let n = 0; n < many; n++)
      await room.publishMessage({ author, publication: { cid: newCid(), action: { kind: 'post', text: 'x'.repeat(4_000) } } })
    const { seq } = await slow.frame('behind')
    expect(slow.events().at(-1)?.seq).toBe(seq)
    slow.send({ type: 'received', chars: slow.texts.reduce((sum, text) => sum + text.length, 0) })
    const { epoch } = await slow.frame('subscribed')
    await slow.subscribe('messages', { since: { epoch: epoch!, seq } })
    await ada.post('the last one')
    await numbered(slow, many + 1)
    expect(slow.events().map((event) => event.seq)).toEqual(Array.from({ length: many + 1 }, (_, i) => i + 1))
  })
})

describe('a seat on a leaf', () => {
  test('a viewer may not write, in either framing', async () => {
    const room = newRoom()
    const eve = await liveIn(leafOf(room, 0), 'eve', 'viewer')
    const cid = newCid()
    eve.send({ type: 'publish', cid, action: { kind: 'post', text: 'x' } })
    expect(await eve.frame('error')).toMatchObject({ code: 'forbidden', cid })
    const raw = await rawIn(leafOf(room, 0), seatOf('eve', 'viewer'))
    const doc = new Y.Doc()
    doc.getText('t').insert(0, 'graffiti')
    const update = Y.encodeStateAsUpdate(doc)
    raw.send(0, 2, update.byteLength, update)
    await raw.frame(([type, kind]) => type === 2 && kind === 0)
    expect(await room.readDocument('text')).toMatchObject({ value: { text: '' } })
  })

  test('of somebody who has not shown who they are carries no more than a credential', async () => {
    const leaf = leafOf(newRoom(), 0)
    const knock = { userId: '' as UserId, sessionId: '' as SessionId, version: Number.MAX_SAFE_INTEGER, framing: 'live' } as const
    const socket = await enter(leaf, seatOf('nobody', 'viewer', knock))
    const closed = new Promise<{ code: number; reason: string }>((resolve) => socket.addEventListener('close', resolve))
    socket.send('x'.repeat(LIVE_KNOCK_CHARS_MAX + 1))
    expect(await closed).toMatchObject({ reason: 'payload-too-large' })
  })

  test('loses its rights and its sockets with the seat, the session and the room', async () => {
    const room = newRoom()
    const [ada, bob, cleo, dan] = await Promise.all(['ada', 'bob', 'cleo', 'dan'].map((name, i) => liveIn(leafOf(room, i % 2), name)))
    await room.applySeats([
      { userId: userId('ada'), role: 'viewer', version: 2 },
      { userId: userId('bob'), role: null, version: 2 },
    ])
    expect(await bob!.closed).toEqual({ code: 4404, reason: 'not-found' })
    await ada!.frame('ready', ({ role }) => role === 'viewer')
    const cid = newCid()
    ada!.send({ type: 'publish', cid, action: { kind: 'post', text: 'x' } })
    expect(await ada!.frame('error')).toMatchObject({ code: 'forbidden', cid })
    await room.endSessions(userId('cleo'), ['ses_cleo' as SessionId])
    expect(await cleo!.closed).toMatchObject({ reason: 'session-ended' })
    expect((await room.seated()).sort()).toEqual([userId('ada'), userId('dan')])
    await room.destroy()
    expect(await dan!.closed).toEqual({ code: 4410, reason: 'gone' })
  })

  test('is lost with the room even while a call to the leaf is under way, and all is forgotten', async () => {
    const room = newRoom()
    const ada = await liveIn(leafOf(room, 0), 'ada')
    await ada.post('soon gone')
    await Promise.all([room.applySeats([{ userId: userId('ada'), role: 'viewer', version: 2 }]), room.destroy()])
    expect(await ada.closed).toEqual({ code: 4410, reason: 'gone' })
    expect(await room.messagesBy(userId('ada'))).toEqual([])
    await expect(liveIn(leafOf(room, 0), 'ada')).rejects.toThrow('conflict')
  })

  test('follows a newer link even after the room has forgotten all', async () => {
    const room = newRoom()
    await liveIn(leafOf(room, 0), 'ada')
    await atRest(room)
    const links = () =>
      runInDurableObject(room, (_, { storage }) => storage.sql.exec<{ link: number }>('SELECT link FROM leaf_links').one().link)
    const before = await links()
    await room.destroy()
    expect(await links()).toBeGreaterThan(before)
  })

  test('is refused by the room’s own door: a ticket opens once, wherever it is shown', async () => {
    const room = newRoom()
    const ticket = { jti: 'once', expiresAt: Date.now() + 30_000 }
    await liveIn(leafOf(room, 0), 'ada', 'editor', { ticket })
    await expect(liveIn(leafOf(room, 1), 'ada', 'editor', { ticket })).rejects.toThrow('ticket-invalid')
    await room.applySeats([{ userId: userId('bob'), role: 'editor', version: 9 }])
    await expect(liveIn(leafOf(room, 0), 'bob')).rejects.toThrow('conflict')
  })
})

describe('when memory goes', () => {
  test('of a leaf that sleeps, its sockets live on', async () => {
    const room = newRoom()
    const [ada, bob] = [await liveIn(leafOf(room, 0), 'ada'), await liveIn(leafOf(room, 1), 'bob')]
    for (const peer of [ada, bob]) await peer.subscribe('messages')
    await evictDurableObject(leafOf(room, 0), { webSockets: 'hibernate' })
    await bob.post('good morning')
    await numbered(ada, 1)
    await evictDurableObject(leafOf(room, 0), { webSockets: 'hibernate' })
    await ada.post('and to you')
    await numbered(bob, 2)
    expect((await room.seated()).sort()).toEqual([userId('ada'), userId('bob')])
  })

  test('of a room that sleeps, nobody on a leaf notices', async () => {
    const room = newRoom()
    const [ada, bob] = [await liveIn(leafOf(room, 0), 'ada'), await liveIn(leafOf(room, 1), 'bob')]
    for (const peer of [ada, bob]) await peer.subscribe('messages')
    ada.send({ type: 'presence', state: { cursor: 1 } })
    await ada.post('one')
    await numbered(bob, 1)
    await atRest(room)
    await evictDurableObject(room, { webSockets: 'hibernate' })
    await bob.post('two')
    await numbered(ada, 2)
    await bob.subscribe('presence')
    expect((await bob.frame('presence')).on).toContainEqual({ userId: userId('ada'), state: { cursor: 1 } })
    await room.applySeats([{ userId: userId('ada'), role: null, version: 2 }])
    expect(await ada.closed).toMatchObject({ reason: 'not-found' })
  })

  test('of a room that is killed while all speak, its sockets come again and nothing acknowledged is lost or said twice', async () => {
    const room = newRoom()
    const leaf = leafOf(room, 0)
    const [ada, bob] = [await liveIn(leaf, 'ada'), await liveIn(leaf, 'bob')]
    const { epoch } = await bob.subscribe('messages')
    const cids = Array.from({ length: 25 }, newCid)
    for (const [i, cid] of cids.entries()) ada.send({ type: 'publish', cid, action: { kind: 'post', text: `${i}` } })
    await ada.frame('ack')
    await kill(room)
    await sameAs(room).ping()
    expect(await ada.closed).toEqual({ code: 4503, reason: 'unavailable' })
    expect(await bob.closed).toEqual({ code: 4503, reason: 'unavailable' })
    const heard = bob.events().at(-1)?.seq ?? 0
    const again = await liveIn(leaf, 'ada')
    const acked = new Map(ada.frames.flatMap((frame) => (frame.type === 'ack' ? [[frame.cid, frame.seq] as const] : [])))
    for (const [i, cid] of cids.entries()) {
      const { seq } = await again.post(`${i}`, cid)
      if (acked.has(cid)) expect(seq).toBe(acked.get(cid))
    }
    const back = await liveIn(leaf, 'bob')
    expect(await back.subscribe('messages', { since: { epoch: epoch!, seq: heard } })).toMatchObject({ recovered: true })
    await again.post('after all')
    await numbered(back, 26)
    const all = [...bob.events(), ...back.events()]
    expect(all.map(({ seq }) => seq)).toEqual(Array.from({ length: 26 }, (_, i) => i + 1))
    expect(new Set(all.map(({ cid }) => cid)).size).toBe(26)
  })

  test('of a room that is killed at rest, only those who had not shown who they are come again', async () => {
    const room = newRoom()
    const knock = { userId: '' as UserId, sessionId: '' as SessionId, version: Number.MAX_SAFE_INTEGER }
    const [ada, nobody] = [await liveIn(leafOf(room, 0), 'ada'), await liveIn(leafOf(room, 0), 'nobody', 'viewer', knock)]
    await ada.subscribe('messages')
    await atRest(room)
    await kill(room)
    await sameAs(room).ping()
    expect(await nobody.closed).toEqual({ code: 4503, reason: 'unavailable' })
    await ada.post('still here')
    await numbered(ada, 1)
  })

  test('of a room that is killed at rest, those who sat in it vanish for those on leaves, and are seen again when they come back', async () => {
    const room = newRoom()
    const [watcher, far] = [await liveIn(leafOf(room, 0), 'watcher'), editorIn(leafOf(room, 0), 'far')]
    const door: Door = { fetch: (...args) => sameAs(room).fetch(...args) }
    const [ada, bob] = [editorIn(door, 'ada'), editorIn(door, 'bob')]
    await watcher.subscribe('presence')
    for (const [i, { provider }] of [ada, bob].entries()) provider.awareness.setLocalState({ at: i })
    for (let i = 0; i < 5; i++) bob.provider.awareness.setLocalState({ at: 1, i })
    await until([far], () => far.provider.awareness.getStates().size === 3)
    await atRest(room)
    await evictDurableObject(room, { webSockets: 'hibernate' })
    bob.provider.awareness.setLocalState({ at: 1, isAwake: true })
    await until([far], () => far.provider.awareness.getStates().get(bob.doc.clientID)?.['isAwake'] === true)
    expect(far.provider.awareness.getStates().size).toBe(3)
    ada.stop()
    await until([far], () => far.provider.awareness.getStates().size === 2)
    await atRest(room)
    bob.provider.shouldConnect = false
    await kill(room)
    expect(await runInDurableObject(sameAs(room), (_, state) => state.getWebSockets().length)).toBe(0)
    await until([far], () => far.provider.awareness.getStates().size === 1)
    const { off } = await watcher.frame('presence', (frame) => frame.off.includes(userId('bob')))
    expect(off).not.toContain(userId('far'))
    bob.provider.connect()
    await until([far], () => far.provider.awareness.getStates().get(bob.doc.clientID)?.['isAwake'] === true)
    for (const editor of [far, bob]) editor.stop()
  })

  test('of what a leaf was told, its sockets come again rather than miss something', async () => {
    const room = newRoom()
    const [ada, bob] = [await liveIn(leafOf(room, 0), 'ada'), await liveIn(room, 'bob')]
    for (const peer of [ada, bob]) await peer.subscribe('messages')
    const { epoch } = await ada.frame('subscribed')
    await bob.post('one')
    await numbered(ada, 1)
    // As if another had spoken for the room meanwhile: the leaf refuses what comes next on the link it knew.
    await leafOf(room, 0).begin(Date.now())
    await bob.post('two')
    expect(await ada.closed).toEqual({ code: 4503, reason: 'unavailable' })
    const back = await liveIn(leafOf(room, 0), 'ada')
    await back.subscribe('messages', { since: { epoch: epoch!, seq: 1 } })
    await bob.post('three')
    await numbered(back, 3)
    expect(back.events().map(({ seq }) => seq)).toEqual([2, 3])
    expect((await room.seated()).sort()).toEqual([userId('ada'), userId('bob')])
  })

  test('of a leaf that is killed, the room forgets its sockets when the first of them comes back', async () => {
    const room = newRoom()
    const [ada, bob] = [await liveIn(leafOf(room, 0), 'ada'), await liveIn(leafOf(room, 0), 'bob')]
    const watcher = await liveIn(room, 'watcher')
    await watcher.subscribe('messages')
    await kill(leafOf(room, 0))
    await Promise.all([ada.closed, bob.closed])
    const back = await liveIn(leafOf(room, 0), 'ada')
    await back.post('here again')
    await numbered(watcher, 1)
    expect((await room.seated()).sort()).toEqual([userId('ada'), userId('watcher')])
  })
})

test('a room sends newcomers to leaves from its threshold on, until half as many are left', async () => {
  const room = newRoom()
  const placement = async () => leavesOf(await room.fetch(upgradeFor(seatOf('late', 'viewer'), TRACEPARENT)))
  const crowd = await Promise.all(Array.from({ length: 220 }, (_, i) => rawIn(room, seatOf(`user${i % 5}`, 'viewer'))))
  expect(await placement()).toBe(3)
  expect(await talliedIn(room, 'promotions')).toBe(1)
  const far = await liveIn(leafOf(room, 2), 'far')
  for (const peer of crowd.slice(0, 100)) peer.close()
  const sockets = () => room.stats().then((stats) => stats.sockets)
  await eventually(async () => (await sockets()) === 121)
  expect(await placement()).toBe(2)
  for (const peer of crowd.slice(100, 111)) peer.close()
  await eventually(async () => (await sockets()) === 110)
  const newcomer = await liveIn(room, 'newcomer')
  await newcomer.subscribe('messages')
  await far.post('from where I stay')
  await numbered(newcomer, 1)
})

test('an audience hears and is counted, and says nothing', async () => {
  const room = newRoom()
  const of = { isBroadcast: true }
  const [host, fan] = [await liveIn(room, 'host', 'owner', of), await liveIn(leafOf(room, 0), 'fan', 'viewer', of)]
  const other = await liveIn(leafOf(room, 1), 'other', 'viewer', of)
  for (const peer of [host, fan, other]) for (const stream of ['messages', 'presence', 'signals'] as const) await peer.subscribe(stream)
  await host.post('welcome')
  await numbered(fan, 1)
  host.send({ type: 'signal', data: 'start' })
  expect(await other.frame('signal')).toMatchObject({ data: 'start' })
  fan.send({ type: 'signal', data: 'me too' })
  expect(await fan.frame('error')).toMatchObject({ code: 'forbidden', about: 'signal' })
  fan.send({ type: 'presence', state: { look: 'at me' } })
  fan.send({ type: 'read', seq: 1 })
  const fanEditor = await rawIn(leafOf(room, 0), seatOf('fan', 'viewer', of))
  fanEditor.send(1, 13, 1, 5, 1, 9, new TextEncoder().encode('{"a":"b"}'))
  await fanEditor.settled()
  await host.frame('presence', ({ count }) => count === 3)
  await host.post('bye')
  await numbered(other, 2)
  const told = [...host.frames, ...other.frames].filter((frame) => frame.type === 'presence')
  expect(told.length).toBeGreaterThan(0)
  expect(told.every(({ on, off, isSample, isWhole }) => on.length === 0 && off.length === 0 && isSample && isWhole)).toBe(true)
  expect([...host.frames, ...other.frames].some(({ type }) => type === 'read')).toBe(false)
  const hostEditor = await rawIn(room, seatOf('host', 'owner', of))
  await hostEditor.settled()
  expect(hostEditor.frames.some(([type]) => type === 1)).toBe(false)
})
