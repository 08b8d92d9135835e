import { evictDurableObject, runInDurableObject } from 'cloudflare:test'
import { encode, writeVarUint8Array } from 'lib0/encoding'
import { expect, test } from 'vitest'
import * as Y from 'yjs'
import { ROOM_DOCUMENT_BYTES_MAX } from '../../src/contract/rooms.ts'
import { readFrame, step1Frame, updateFrame } from '../../src/edge/rooms/framing.ts'
import { liveIn } from './live-peer.ts'
import { newRoom, type RawPeer, type Room, rawIn, seatOf } from './rooms-peer.ts'

const MEGABYTE = 1_000_000

const stored = (room: Room) =>
  runInDurableObject(room, (_, { storage }) => {
    const log = storage.sql.exec('SELECT count(*) AS rows, coalesce(sum(length(bytes)), 0) AS bytes FROM document_log').one()
    const parts = storage.sql.exec('SELECT count(*) AS rows, coalesce(max(length(bytes)), 0) AS largest FROM document_parts').one()
    return { log, parts } as { log: { rows: number; bytes: number }; parts: { rows: number; largest: number } }
  })

/** What somebody who knows nothing is told. */
async function readAll(room: Room): Promise<Y.Doc> {
  const reader = await rawIn(room, seatOf('reader', 'viewer'))
  reader.send(step1Frame(new Uint8Array([0])))
  const frame = await reader.frame(([type, kind]) => type === 0 && kind === 1)
  const doc = new Y.Doc()
  for (const message of readFrame(frame)) if (message.kind === 'step2') Y.applyUpdate(doc, message.update)
  reader.close()
  return doc
}

/** A document whose every change goes to the room. */
function writerTo(peer: RawPeer): Y.Doc {
  const doc = new Y.Doc()
  doc.on('update', (update) => peer.send(updateFrame(update)))
  return doc
}

/** Text that no encoder shortens, so that sizes are what they seem. */
const text = (seed: number, chars: number) => String.fromCharCode(97 + (seed % 26)).repeat(chars)

/** A row as the room stores it. */
const packed = (updates: readonly Uint8Array[]) =>
  encode((e) => {
    for (const update of updates) writeVarUint8Array(e, update)
  })

const revive = (room: Room) => evictDurableObject(room, { webSockets: 'close' })

test('five hundred rows become one state, and nothing changes for those who read', async () => {
  const room = newRoom()
  const doc = new Y.Doc()
  const updates: Uint8Array[] = []
  doc.on('update', (update) => updates.push(update))
  while (updates.length < 480) {
    doc.getText('t').insert(0, 'words ', { bold: updates.length % 3 === 0 })
    if (updates.length % 2) doc.getText('t').delete(1, 2)
  }
  const rows = updates.length
  await room.ping()
  await runInDurableObject(room, (_, { storage }) => {
    for (const update of updates.splice(0)) storage.sql.exec('INSERT INTO document_log (bytes) VALUES (?)', packed([update]))
  })
  await revive(room)
  const ada = await rawIn(room, seatOf('ada'))
  ada.send(updateFrame(Y.encodeStateAsUpdate(doc)))
  await ada.settled()
  expect(await stored(room)).toMatchObject({ log: { rows }, parts: { rows: 0 } })
  for (let i = 0; i < 30; i++) {
    doc.getText('t').insert(0, '.')
    for (const update of updates.splice(0)) ada.send(updateFrame(update))
    await ada.settled()
  }
  const { log, parts } = await stored(room)
  expect(parts.rows).toBe(1)
  expect(log.rows).toBeLessThan(20)
  await revive(room)
  expect((await readAll(room)).getText('t').toDelta()).toEqual(doc.getText('t').toDelta())
})

test.each([3, 10, 30])('a document of %i MB survives eviction', { timeout: 60_000 }, async (megabytes) => {
  const room = newRoom()
  const ada = await rawIn(room, seatOf('ada'))
  const doc = writerTo(ada)
  for (let i = 0; i < megabytes; i++) doc.getArray('a').push([text(i, MEGABYTE)])
  await ada.settled()
  doc.getText('t').insert(0, 'and a last word')
  await ada.settled()
  const { parts } = await stored(room)
  expect(parts.rows).toBeGreaterThan(1)
  expect(parts.largest).toBeLessThanOrEqual(1_048_576)
  await revive(room)
  const read = await readAll(room)
  expect(read.getArray('a').length).toBe(megabytes)
  expect(read.getArray('a').toArray()).toEqual(doc.getArray('a').toArray())
  expect(read.getText('t').toString()).toBe('and a last word')
})

test('a document at its limit refuses growth with payload-too-large, keeps what it has, and can be emptied', async () => {
  const room = newRoom()
  const chunk = 1_000_000
  const fits = Math.floor(ROOM_DOCUMENT_BYTES_MAX / chunk)
  let ada = await rawIn(room, seatOf('ada'))
  const watcher = await liveIn(room, 'watcher', 'viewer')
  await watcher.subscribe('document')
  const doc = new Y.Doc()
  const updates: Uint8Array[] = []
  doc.on('update', (update) => updates.push(update))
  for (let i = 0; i <= fits; i++) doc.getArray('a').push([text(i, chunk)])
  const beyond = updates.at(-1) as Uint8Array
  for (const [i, update] of updates.slice(0, -1).entries()) {
    ada.send(updateFrame(update))
    if (i % 4 > 0) continue
    await ada.settled()
    // Who follows and says nothing is closed before long; this one asks who is here.
    watcher.socket.send(Uint8Array.of(3))
  }
  await ada.settled()
  const warnings = () => watcher.frames.flatMap((f) => (f.type === 'size' ? [f.bytes / f.bytesMax] : []))
  await watcher.frame('size', ({ bytes, bytesMax }) => bytes >= 0.95 * bytesMax)
  expect(warnings()).toEqual([expect.closeTo(0.82, 1), expect.closeTo(0.96, 1)])
  const late = await liveIn(room, 'late', 'viewer')
  await late.subscribe('document')
  await late.frame('size')
  ada.send(updateFrame(beyond))
  expect(await ada.closed).toEqual({ code: 4413, reason: 'payload-too-large' })
  expect((await readAll(room)).getArray('a').length).toBe(fits)
  await revive(room)
  ada = await rawIn(room, seatOf('ada'))
  doc.getArray('a').delete(0, fits)
  ada.send(updateFrame(updates.at(-1) as Uint8Array))
  await ada.settled()
  const left = await readAll(room)
  expect(left.getArray('a').length).toBe(0)
  ada.close()
}, 60_000)

test('hostile structures that can be read but not kept cost only their sender', async () => {
  const room = newRoom()
  const ada = await rawIn(room, seatOf('ada'))
  const doc = writerTo(ada)
  doc.getText('t').insert(0, 'safe')
  await ada.settled()
  const mallory = await rawIn(room, seatOf('mallory'))
  // An item whose parent is the deleted half of nothing: client 1, clock 0, origin far beyond, then a torn delete set.
  mallory.send(updateFrame(Uint8Array.from([1, 1, 1, 0, 0x84, 9, 250, 1, 1, 120, 1, 1, 1, 0])))
  await mallory.closed
  await revive(room)
  expect((await readAll(room)).getText('t').toString()).toBe('safe')
})

test('changes without their ground are not kept, however many come', async () => {
  const room = newRoom()
  const mallory = await rawIn(room, seatOf('mallory'))
  const doc = new Y.Doc()
  const updates: Uint8Array[] = []
  doc.on('update', (update) => updates.push(update))
  for (let i = 0; i < 50; i++) doc.getArray('a').push([text(i, 50_000)])
  for (const update of updates.slice(1)) mallory.send(updateFrame(update))
  await mallory.settled()
  expect(await stored(room)).toMatchObject({ log: { rows: 0 }, parts: { rows: 0 } })
  expect((await readAll(room)).getArray('a').length).toBe(0)
  mallory.close()
})
