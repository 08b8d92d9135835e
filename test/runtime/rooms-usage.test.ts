import { applyD1Migrations, evictDurableObject, runDurableObjectAlarm, runInDurableObject } from 'cloudflare:test'
import { env } from 'cloudflare:workers'
import { beforeAll, expect, test } from 'vitest'
import * as Y from 'yjs'
import type { RoomId } from '../../src/contract/rooms.ts'
import { makeScope } from '../../src/edge/app.ts'
import { newId } from '../../src/edge/platform/id.ts'
import { traceFrom } from '../../src/edge/platform/trace.ts'
import { updateFrame } from '../../src/edge/rooms/framing.ts'
import { roomMetrics } from '../../src/edge/rooms/usage.ts'
import { liveIn } from './live-peer.ts'
import { type Room, rawIn, seatOf } from './rooms-peer.ts'

beforeAll(() => applyD1Migrations(env.DB, env.TEST_MIGRATIONS))

async function openRoom(): Promise<{ readonly room: Room; readonly roomId: RoomId }> {
  const roomId = newId('rm', Date.now()) as RoomId
  await env.DB.prepare("INSERT INTO rooms (id, name, created_at) VALUES (?, 'room', 0)").bind(roomId).run()
  return { room: env.ROOMS.getByName(roomId), roomId }
}

/** The metrics of rooms as `/metrics` tells them. */
async function metrics(): Promise<Record<string, number>> {
  const { scope } = makeScope(env, { trace: traceFrom(undefined), waitUntil: () => undefined })
  const samples = await roomMetrics(scope)
  return Object.fromEntries(samples.map(({ name, labels, value }) => [[name, ...Object.values(labels)].join(' '), value]))
}

/** As if it had told long ago, and slept since. */
async function makeDue(room: Room): Promise<void> {
  // Writes what memory has counted.
  await room.stats()
  await runInDurableObject(room, async (_, { storage }) => {
    storage.sql.exec('UPDATE room_tally_told SET at = 0')
    await storage.setAlarm(Date.now() + 3_600_000)
  })
  await evictDurableObject(room, { webSockets: 'hibernate' })
}

const writes = (roomId: RoomId) =>
  env.DB.prepare('SELECT told_at AS n FROM room_standings WHERE room_id = ?').bind(roomId).first<number>('n')

function change(): Uint8Array {
  const doc = new Y.Doc()
  doc.getText('t').insert(0, 'word')
  return updateFrame(Y.encodeStateAsUpdate(doc))
}

test('metrics tell what rooms hold and did, and no message costs a write of D1', async () => {
  const { room, roomId } = await openRoom()
  const ada = await liveIn(room, 'ada')
  await expect.poll(metrics).toMatchObject({ parvis_rooms_active: 1, 'parvis_room_sockets live': 1 })
  const toldAt = await writes(roomId)
  const raw = await rawIn(room, seatOf('bob'))
  raw.send(change())
  await raw.settled()
  const viewer = await rawIn(room, seatOf('vic', 'viewer'))
  viewer.send(change().map((byte, i) => (i === 5 ? byte ^ 1 : byte)))
  await viewer.frame(([type]) => type === 2)
  for (let i = 0; i < 20; i++) await ada.post(`${i}`)
  const mallory = await rawIn(room, seatOf('mallory'))
  mallory.send(9, 9)
  await mallory.closed
  expect(await writes(roomId)).toBe(toldAt)

  await makeDue(room)
  await runDurableObjectAlarm(room)
  await expect.poll(() => writes(roomId)).toBeGreaterThan(toldAt ?? 0)
  const told = await metrics()
  expect(told).toMatchObject({
    parvis_rooms_active: 1,
    'parvis_room_sockets live': 1,
    'parvis_room_sockets y': 2,
    'parvis_room_sockets hocuspocus': 0,
    'parvis_room_joins_today live': 1,
    'parvis_room_joins_today y': 3,
    'parvis_room_messages_today accepted': 20,
    'parvis_room_updates_today accepted': 1,
    'parvis_room_updates_today forbidden': 1,
    'parvis_room_closes_today invalid-request': 1,
  })
  expect(told['parvis_room_stored_bytes']).toBeGreaterThan(0)
  expect(told['parvis_room_awake_seconds_today']).toBeGreaterThan(0)
})

test('a room that empties tells so by itself, once, and one that is deleted stores nothing', async () => {
  const { room, roomId } = await openRoom()
  const before = (await metrics())['parvis_room_stored_bytes'] ?? 0
  const raw = await rawIn(room, seatOf('ada'))
  await expect.poll(() => writes(roomId)).toBeGreaterThan(0)
  expect((await metrics())['parvis_room_stored_bytes']).toBeGreaterThan(before)
  const held = (await metrics())['parvis_rooms_active'] ?? 0
  raw.close()
  const alarmAt = () => runInDurableObject(room, (_, { storage }) => storage.getAlarm())
  await expect.poll(alarmAt).toBeLessThan(Date.now() + 400_000)
  await makeDue(room)
  await runDurableObjectAlarm(room)
  await expect.poll(async () => (await metrics())['parvis_rooms_active']).toBe(held - 1)
  expect(await alarmAt()).toBeNull()
  await env.DB.prepare('DELETE FROM rooms WHERE id = ?').bind(roomId).run()
  expect((await metrics())['parvis_room_stored_bytes']).toBe(before)
})

test('what cannot be told now is told with the next, and nothing is told of a room that is no more', async () => {
  const { room, roomId } = await openRoom()
  await env.DB.prepare('ALTER TABLE room_days RENAME TO room_days_away').run()
  const raw = await rawIn(room, seatOf('ada'))
  await raw.settled()
  await makeDue(room)
  await runDurableObjectAlarm(room)
  await env.DB.prepare('ALTER TABLE room_days_away RENAME TO room_days').run()
  expect(await writes(roomId)).toBeNull()
  const joins = (await metrics())['parvis_room_joins_today y'] ?? 0
  await makeDue(room)
  await runDurableObjectAlarm(room)
  await expect.poll(async () => (await metrics())['parvis_room_joins_today y']).toBe(joins + 1)
  await env.DB.prepare('DELETE FROM rooms WHERE id = ?').bind(roomId).run()
  await makeDue(room)
  await runDurableObjectAlarm(room)
  expect(await writes(roomId)).toBeNull()
})
