import { evictDurableObject, runInDurableObject } from 'cloudflare:test'
import { afterEach, expect, test } from 'vitest'
import { PRESENCE_BYTES_MAX } from '../../src/contract/rooms.ts'
import { awarenessFrame, type PresenceEntry, readFrame } from '../../src/edge/rooms/framing.ts'
import type { Place } from '../../src/edge/rooms/place.ts'
import { type LivePeer, liveIn } from './live-peer.ts'
import { type Editor, editorIn, newRoom, type RawPeer, type Room, rawIn, seatOf, until } from './rooms-peer.ts'

const editors: Editor[] = []

function edit(room: Room, name: string): Editor {
  const editor = editorIn(room, name)
  editors.push(editor)
  editor.provider.awareness.setLocalState({ name })
  return editor
}

afterEach(() => {
  for (const editor of editors.splice(0)) editor.stop()
})

const namesAt = (editor: Editor) => [...editor.provider.awareness.getStates().values()].map((state) => state['name'] as string).sort()
const sees = (editor: Editor, ...names: string[]) => until([editor], () => namesAt(editor).join() === names.sort().join())

const entry = (clientId: number, clock: number, state: unknown): PresenceEntry => ({
  clientId,
  clock,
  json: new TextEncoder().encode(typeof state === 'string' ? state : JSON.stringify(state)),
})

/** Everything a peer has heard of presences, as text. */
const heard = (peer: RawPeer) =>
  peer.frames
    .flatMap(readFrame)
    .flatMap((message) => (message.kind === 'awareness' ? message.entries : []))
    .map(({ clientId, clock, json }) => `${clientId}@${clock} ${new TextDecoder().decode(json)}`)

/** Waits until a peer has heard exactly this of presences. */
const hears = async (peer: RawPeer, ...lines: string[]) => {
  await peer.frame(() => heard(peer).length >= lines.length)
  await peer.settled()
  expect(heard(peer)).toEqual(lines)
}

const hibernate = (room: Room) => evictDurableObject(room, { webSockets: 'hibernate' })

test('who joins after a wake sees everybody, and who dies after it leaves no ghost', async () => {
  const room = newRoom()
  const [ada, bob] = [edit(room, 'ada'), edit(room, 'bob')]
  await sees(ada, 'ada', 'bob')
  await sees(bob, 'ada', 'bob')
  await hibernate(room)
  const cleo = edit(room, 'cleo')
  await sees(cleo, 'ada', 'bob', 'cleo')
  await sees(ada, 'ada', 'bob', 'cleo')
  await hibernate(room)
  bob.provider.shouldConnect = false
  bob.provider.ws?.close()
  await Promise.all([sees(ada, 'ada', 'cleo'), sees(cleo, 'ada', 'cleo')])
}, 10_000)

test('what clients repeat of others goes no further', async () => {
  const room = newRoom()
  const listener = await rawIn(room, seatOf('lea'))
  const names = Array.from({ length: 12 }, (_, i) => `user${i}`)
  const crowd = names.map((name) => edit(room, name))
  await Promise.all(crowd.map((editor) => sees(editor, ...names)))
  for (let i = 0; i < 20; i++) await listener.settled()
  const perClient = Object.groupBy(heard(listener), (line) => line.slice(0, line.indexOf('@')))
  expect(Object.keys(perClient)).toHaveLength(names.length)
  expect(Object.values(perClient).every((lines) => lines?.length === 1)).toBe(true)
  listener.close()
})

test('nobody speaks for a client id that another socket holds', async () => {
  const room = newRoom()
  const [ada, mallory, listener] = [
    await rawIn(room, seatOf('ada')),
    await rawIn(room, seatOf('mallory')),
    await rawIn(room, seatOf('lea')),
  ]
  ada.send(awarenessFrame([entry(7, 1, { name: 'ada' })]))
  await ada.settled()
  mallory.send(awarenessFrame([entry(7, 9, { name: 'mallory' })]))
  mallory.send(awarenessFrame([entry(7, 9, null)]))
  mallory.send(awarenessFrame([entry(8, 1, { name: 'mallory' }), entry(9, 1, { name: 'a second self' })]))
  await mallory.settled()
  await hears(listener, '7@1 {"name":"ada"}', '8@1 {"name":"mallory"}')
  mallory.close()
  await hears(listener, '7@1 {"name":"ada"}', '8@1 {"name":"mallory"}', '8@2 null')
  ada.close()
  listener.close()
})

test('a device that comes back before its old socket was missed takes its presence along', async () => {
  const room = newRoom()
  const listener = await rawIn(room, seatOf('lea'))
  const old = await rawIn(room, seatOf('ada'))
  old.send(awarenessFrame([entry(7, 1, { name: 'ada' })]))
  await old.settled()
  const fresh = await rawIn(room, seatOf('ada'))
  fresh.send(awarenessFrame([entry(7, 2, { name: 'ada' })]))
  await fresh.settled()
  old.close()
  await old.closed
  await fresh.settled()
  await hears(listener, '7@1 {"name":"ada"}', '7@2 {"name":"ada"}')
  fresh.close()
  await hears(listener, '7@1 {"name":"ada"}', '7@2 {"name":"ada"}', '7@3 null')
  listener.close()
})

test('an editor that reconnects is seen again at once', async () => {
  const room = newRoom()
  const [ada, bob] = [edit(room, 'ada'), edit(room, 'bob')]
  await sees(ada, 'ada', 'bob')
  bob.provider.disconnect()
  await sees(ada, 'ada')
  bob.provider.connect()
  await sees(ada, 'ada', 'bob')
  bob.provider.ws?.close()
  await sees(ada, 'ada')
  await sees(ada, 'ada', 'bob')
}, 10_000)

test('a client that comes back at a clock that others saw end is told so, even after a wake', async () => {
  const room = newRoom()
  const listener = await rawIn(room, seatOf('lea'))
  const first = await rawIn(room, seatOf('ada'))
  first.send(awarenessFrame([entry(7, 5, { name: 'ada' })]))
  await first.settled()
  first.close()
  await hears(listener, '7@5 {"name":"ada"}', '7@6 null')
  await hibernate(room)
  const second = await rawIn(room, seatOf('ada'))
  second.send(awarenessFrame([entry(7, 5, { name: 'ada' })]))
  await hears(second, '7@6 null')
  second.send(awarenessFrame([entry(7, 7, { name: 'ada' })]))
  await hears(listener, '7@5 {"name":"ada"}', '7@6 null', '7@7 {"name":"ada"}')
  second.close()
  listener.close()
})

test('only what changed is told at once; a renewal waits for company', async () => {
  const room = newRoom()
  const [ada, bob, cleo, listener] = await Promise.all(['ada', 'bob', 'cleo', 'lea'].map((name) => rawIn(room, seatOf(name))))
  const peers = [ada, bob, cleo] as RawPeer[]
  for (const [i, peer] of peers.entries()) {
    peer.send(awarenessFrame([entry(i, 1, { i })]))
    await peer.settled()
  }
  await hibernate(room)
  ada?.send(awarenessFrame([entry(0, 2, { i: 0 })]))
  await ada?.settled()
  ada?.send(awarenessFrame([entry(0, 3, { i: 'moved' })]))
  ada?.send(awarenessFrame([entry(0, 2, { i: 'old' })]))
  await hears(listener as RawPeer, '0@1 {"i":0}', '1@1 {"i":1}', '2@1 {"i":2}', '0@3 {"i":"moved"}')
  for (const peer of [...peers, listener]) peer?.close()
})

test('who is not seen hears their own word and nobody else does: a provider takes silence for a dead socket', async () => {
  for (const unseen of [seatOf('gil', 'editor', { isIncognito: true }), seatOf('vic', 'viewer', { isBroadcast: true })]) {
    const room = newRoom()
    const [hidden, other] = [await rawIn(room, unseen), await rawIn(room, seatOf('ada', 'editor', { isBroadcast: unseen.isBroadcast }))]
    hidden.send(awarenessFrame([entry(7, 1, { name: 'me' })]))
    await hears(hidden, '7@1 {"name":"me"}')
    hidden.send(awarenessFrame([entry(8, 1, { name: 'bounced' })]))
    hidden.send(awarenessFrame([entry(7, 2, 'null')]))
    await hears(hidden, '7@1 {"name":"me"}')
    await hears(other)
    for (const peer of [hidden, other]) peer.close()
  }
})

test('many changes in a moment are one, the latest', async () => {
  const room = newRoom()
  const [ada, listener] = [await rawIn(room, seatOf('ada')), await rawIn(room, seatOf('lea'))]
  for (let clock = 1; clock <= 100; clock++) ada.send(awarenessFrame([entry(7, clock, { at: clock })]))
  await ada.settled()
  await listener.frame(() => heard(listener).some((line) => line.startsWith('7@100')))
  expect(heard(listener).length).toBeLessThan(20)
  ada.close()
  listener.close()
})

test('presences are told again to who asks', async () => {
  const room = newRoom()
  const ada = await rawIn(room, seatOf('ada'))
  ada.send(awarenessFrame([entry(7, 1, { name: 'ada' })]))
  await ada.settled()
  ada.send(3)
  await hears(ada, '7@1 {"name":"ada"}', '7@1 {"name":"ada"}')
  ada.close()
})

test('a state fits up to the limit, and one byte more ends the socket', async () => {
  const room = newRoom()
  const listener = await rawIn(room, seatOf('lea'))
  const ada = await rawIn(room, seatOf('ada'))
  const stateOf = (bytes: number) => JSON.stringify({ s: 'x'.repeat(bytes - 8) })
  ada.send(awarenessFrame([entry(7, 1, stateOf(PRESENCE_BYTES_MAX))]))
  await hears(listener, `7@1 ${stateOf(PRESENCE_BYTES_MAX)}`)
  ada.send(awarenessFrame([entry(7, 2, stateOf(PRESENCE_BYTES_MAX + 1))]))
  expect(await ada.closed).toEqual({ code: 4413, reason: 'payload-too-large' })
  await hears(listener, `7@1 ${stateOf(PRESENCE_BYTES_MAX)}`, '7@2 null')
  listener.close()
})

test('a crowd of large states reaches who joins in frames small enough to send back', async () => {
  const room = newRoom()
  const crowd = await Promise.all(Array.from({ length: 40 }, (_, i) => rawIn(room, seatOf(`user${i}`))))
  for (const [i, peer] of crowd.entries()) peer.send(awarenessFrame([entry(i, 1, { s: 'é'.repeat(2_000) })]))
  await Promise.all(crowd.map((peer) => peer.settled()))
  await hibernate(room)
  const late = await rawIn(room, seatOf('late'))
  await late.settled()
  expect(heard(late)).toHaveLength(40)
  expect(Math.max(...late.frames.map((frame) => frame.byteLength))).toBeLessThan(100_000)
  for (const peer of [...crowd, late]) peer.close()
})

/** Lets time pass for every presence: none was told or heard of lately. */
const age = (room: Room) =>
  runInDurableObject(room, (_, ctx) => {
    for (const socket of ctx.getWebSockets()) {
      const place = socket.deserializeAttachment() as Place
      const presence = place.presence && {
        ...place.presence,
        heardAt: place.presence.heardAt - 60_000,
        toldAt: place.presence.toldAt - 60_000,
      }
      socket.serializeAttachment({ ...place, presence })
    }
  }).then(() => hibernate(room))

/** Waits until a client of our own was told of a presence. */
const untilTold = (peer: LivePeer, clientId: number) =>
  expect
    .poll(
      () =>
        peer.binary
          .flatMap((data) => readFrame(new Uint8Array(data)))
          .flatMap((message) => (message.kind === 'awareness' ? message.entries.map((told) => told.clientId) : [])),
      { timeout: 20_000 },
    )
    .toContain(clientId)

test('what our own clients show needs no renewal: it lasts as long as its socket, and editors of others are told it anew', async () => {
  const room = newRoom()
  const ada = await liveIn(room, 'ada')
  await ada.subscribe('document')
  const say = (clock: number, state: unknown) => ada.socket.send(awarenessFrame([entry(7, clock, state)]))
  say(1, { name: 'ada' })
  await untilTold(ada, 7)
  await age(room)
  const lea = await rawIn(room, seatOf('lea'))
  const hearsNext = async (...lines: string[]) => {
    await lea.frame(() => heard(lea).length >= lines.length)
    await lea.settled()
    expect(heard(lea).toSorted()).toEqual(lines.toSorted())
    lea.frames.length = 0
  }
  await hearsNext('7@2 {"name":"ada"}')
  lea.send(awarenessFrame([entry(8, 1, { name: 'lea' })]))
  await hearsNext('8@1 {"name":"lea"}')
  await age(room)
  lea.send(awarenessFrame([entry(8, 2, { name: 'lea' })]))
  await hearsNext('7@3 {"name":"ada"}', '8@2 {"name":"lea"}')
  say(2, { name: 'ada', at: 1 })
  await hearsNext('7@4 {"name":"ada","at":1}')
  ada.close()
  await hearsNext('7@5 null')
  lea.close()
})

test('a room with idle editors of our own alone leaves memory at once, and who comes later sees them', async () => {
  const room = newRoom()
  const [ada, bob] = [await liveIn(room, 'ada'), await liveIn(room, 'bob')]
  for (const [id, peer] of [ada, bob].entries()) {
    await peer.subscribe('document')
    peer.socket.send(awarenessFrame([entry(id, 1, { id })]))
  }
  await untilTold(ada, 1)
  await age(room)
  const { frames } = await room.stats()
  const startedAt = Date.now()
  await hibernate(room)
  expect(Date.now() - startedAt).toBeLessThan(5_000)
  for (const peer of [ada, bob]) {
    peer.socket.send('ping')
    await expect.poll(() => peer.texts, { timeout: 20_000 }).toContain('pong')
  }
  expect((await room.stats()).frames).toBe(frames)
  const late = await rawIn(room, seatOf('late'))
  await late.frame(() => heard(late).length === 2)
  for (const peer of [ada, bob, late]) peer.close()
})
