import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from 'cloudflare:test'
import { expect, test } from 'vitest'
import * as Y from 'yjs'
import { PRESENCE_MEMBERS_MAX, PRESENCE_SAMPLE } from '../../src/contract/room-live.ts'
import { MESSAGES_BYTES_MAX } from '../../src/contract/room-messages.ts'
import { updateFrame } from '../../src/edge/rooms/framing.ts'
import { liveIn, newCid } from './live-peer.ts'
import { editorIn, newRoom, type Room, rawIn, seatOf, talliedIn, until, userId } from './rooms-peer.ts'

const revive = (room: Room) => evictDurableObject(room, { webSockets: 'close' })
const author = (name: string) => ({ userId: userId(name), role: 'editor' as const })
const post = (room: Room, text: string) =>
  room.publishMessage({ author: author('ada'), publication: { cid: newCid(), action: { kind: 'post', text } } })

test('a room counts what it costs: time in memory and not that of hibernation, frames, messages and refusals, over wakes', async () => {
  const room = newRoom()
  const ada = await liveIn(room, 'ada')
  await ada.subscribe('messages')
  await ada.post('one')
  const before = await room.stats()
  expect(before).toMatchObject({ frames: 2, messages: 1, refusals: 0, sockets: 1 })
  await evictDurableObject(room, { webSockets: 'hibernate' })
  ada.socket.send('{')
  await ada.frame('error')
  expect(await room.stats()).toMatchObject({ frames: 3, messages: 1, refusals: 1 })
  await evictDurableObject(room, { webSockets: 'hibernate' })
  const after = await room.stats()
  expect(after).toMatchObject({ frames: 3, messages: 1, refusals: 1, sockets: 1, since: before.since })
  // Three stays in memory, each with the ten seconds that it lingers.
  expect(after.awakeSeconds - before.awakeSeconds).toBeGreaterThanOrEqual(20)
  expect(after.awakeSeconds).toBeLessThan(60)
  ada.socket.close()
})

test('above two hundred people presence is a count and a sample, and everybody again when they are fewer', async () => {
  const room = newRoom()
  const people = await Promise.all(Array.from({ length: PRESENCE_MEMBERS_MAX + 1 }, (_, i) => liveIn(room, `crowd${i}`)))
  const watcher = await liveIn(room, 'watcher')
  await watcher.subscribe('presence')
  const whole = await watcher.frame('presence', ({ isWhole }) => isWhole)
  expect(whole).toMatchObject({ isSample: true, count: PRESENCE_MEMBERS_MAX + 2 })
  expect(whole.on).toHaveLength(PRESENCE_SAMPLE)
  for (const { socket } of people.slice(0, 10)) socket.close()
  const fewer = await watcher.frame('presence', ({ count }) => count <= PRESENCE_MEMBERS_MAX)
  expect(fewer).toMatchObject({ isWhole: true, isSample: false, off: [] })
  expect(fewer.on).toHaveLength(fewer.count)
  for (const { socket } of [...people, watcher]) socket.close()
}, 60_000)

test('beyond 64 MiB of messages the oldest go; a cursor among them is told that some are missing, one behind them is not', async () => {
  const room = newRoom()
  await post(room, 'the first')
  const segment = 1_000_000
  const rows = Math.ceil(MESSAGES_BYTES_MAX / segment) + 4
  await runInDurableObject(room, (_, { storage }) => {
    for (let i = 0; i < rows; i++) {
      const event = { seq: i + 2, at: Date.now(), userId: userId('ada'), cid: newCid(), kind: 'post', text: 'x'.repeat(segment) }
      storage.sql.exec(
        'INSERT INTO message_segments VALUES (?, ?, ?, ?, 1, ?)',
        event.seq,
        event.seq,
        event.at,
        event.at,
        JSON.stringify([event]),
      )
    }
  })
  await revive(room)
  await post(room, 'the last')
  expect(await runDurableObjectAlarm(room)).toBe(true)
  const kept = await runInDurableObject(
    room,
    (_, { storage }) =>
      storage.sql.exec('SELECT sum(length(events)) AS bytes, min(first_seq) AS first FROM message_segments').one() as {
        bytes: number
        first: number
      },
  )
  expect(kept.bytes).toBeLessThanOrEqual(MESSAGES_BYTES_MAX)
  expect(kept.first).toBeGreaterThan(2)
  const newest = await room.readMessages({ since: undefined, limit: 1 })
  const { epoch } = newest
  expect(newest.items.map((e) => e.kind === 'post' && e.text)).toEqual(['the last'])
  const of = async (since: { epoch: string; seq: number }) => (await room.readMessages({ since, limit: 1 })).recovered
  expect(await of({ epoch, seq: 1 })).toBe(false)
  expect(await of({ epoch, seq: kept.first - 2 })).toBe(false)
  expect(await of({ epoch, seq: kept.first - 1 })).toBe(true)
  expect(await of({ epoch: '0000000000000000', seq: kept.first })).toBe(false)
  const ada = await liveIn(room, 'ada')
  ada.send({ type: 'subscribe', stream: 'messages', since: { epoch, seq: 1 }, last: 0 })
  expect(await ada.frame('subscribed')).toMatchObject({ recovered: false, firstSeq: kept.first })
  ada.socket.close()
}, 60_000)

test('a third-party client that only reads is asked for a word and stays; one that says none is closed with a code it comes back from', async () => {
  const room = newRoom()
  const [writer, silent, reader] = [await rawIn(room, seatOf('ada')), await rawIn(room, seatOf('sam')), editorIn(room, 'eve', 'viewer')]
  let closes = 0
  reader.provider.on('connection-close', () => closes++)
  const read = reader.doc.getArray('a')
  await Promise.all([writer.settled(), silent.settled(), until([reader], () => reader.provider.synced)])
  const doc = new Y.Doc()
  doc.on('update', (update) => writer.send(updateFrame(update)))
  for (let i = 0; i < 12; i++) {
    doc.getArray('a').push([String(i % 10).repeat(900_000)])
    await Promise.all([writer.settled(), until([reader], () => read.length === i + 1)])
  }
  expect(await silent.closed).toEqual({ code: 4503, reason: 'rate-limited' })
  expect(await talliedIn(room, 'slow', 'closed')).toBe(1)
  expect(silent.frames.filter((frame) => frame.byteLength === 1 && frame[0] === 3)).toHaveLength(1)
  expect(closes).toBe(0)
  expect((await room.stats()).sockets).toBe(2)
  writer.close()
  reader.stop()
}, 60_000)

test('wherever the memory goes, with sockets or without, what was acknowledged is there and the room goes on', async () => {
  for (const webSockets of ['hibernate', 'close'] as const) {
    const room = newRoom()
    const acknowledged: number[] = []
    const works: Record<string, () => Promise<unknown>> = {
      publish: () =>
        post(room, 'a message').then((receipt) => void ('value' in receipt && acknowledged.push((receipt.value as { seq: number }).seq))),
      patch: () => room.patchDocument({ operations: [{ op: 'text.insert', name: 't', index: 0, text: 'x' }] }, '').catch(() => undefined),
      version: () => room.keepVersion('kept').catch(() => undefined),
      seats: () => room.applySeats([{ userId: userId('ada'), role: 'editor', version: 1 }]),
      retention: () => room.setMessageRetention(3_600),
      alarm: () => runDurableObjectAlarm(room),
      join: () => liveIn(room, 'bob').then(({ close }) => close()),
      read: () => room.readDocument('json'),
    }
    // At every moment of each: however many turns of the loop it takes, there is one eviction after so many.
    for (const [work, turns] of Object.values(works).flatMap((work) => [0, 1, 2, 3, 5, 8].map((turns) => [work, turns] as const))) {
      const ada = await liveIn(room, 'ada')
      await ada.subscribe('messages')
      const working = work().catch(() => undefined)
      for (let i = 0; i < turns; i++) await new Promise((resolve) => setTimeout(resolve, 0))
      await evictDurableObject(room, { webSockets }).catch(() => undefined)
      await working
      if (webSockets === 'hibernate') expect((await ada.post('still here')).seq).toBeGreaterThan(0)
      else ada.socket.close()
    }
    const { items } = await room.readMessages({ since: undefined, limit: 500 })
    expect(items.map(({ seq }) => seq)).toEqual(expect.arrayContaining(acknowledged))
    expect(items.map(({ seq }) => seq)).toEqual(items.map((_, i) => i + 1))
  }
}, 120_000)
