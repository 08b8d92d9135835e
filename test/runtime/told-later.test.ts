import { applyD1Migrations, runDurableObjectAlarm, runInDurableObject } from 'cloudflare:test'
import { env } from 'cloudflare:workers'
import { sql } from 'drizzle-orm'
import { beforeAll, expect, test } from 'vitest'
import type { UserId } from '../../src/contract/identity.ts'
import type { RoomId } from '../../src/contract/rooms.ts'
import { makeScope } from '../../src/edge/app.ts'
import { outboxProbe } from '../../src/edge/ops/probes.ts'
import { newId } from '../../src/edge/platform/id.ts'
import { traceFrom } from '../../src/edge/platform/trace.ts'
import { hearersOf } from '../../src/edge/rooms/news.ts'

beforeAll(() => applyD1Migrations(env.DB, env.TEST_MIGRATIONS))

const newScope = () => makeScope(env, { trace: traceFrom(undefined), waitUntil: () => undefined }).scope

/** A room and so many people with seats in it, the first its owner. */
async function together(count: number): Promise<{ readonly users: readonly UserId[]; readonly roomId: RoomId }> {
  const users = Array.from({ length: count }, () => newId('usr', Date.now()) as UserId)
  const roomId = newId('rm', Date.now()) as RoomId
  const person = env.DB.prepare("INSERT INTO users (id, email, password_hash, locale, created_at) VALUES (?, ?, '', 'en', 0)")
  const seat = env.DB.prepare('INSERT INTO room_members (room_id, user_id, role, added_at) VALUES (?, ?, ?, 0)')
  await env.DB.batch([
    env.DB.prepare("INSERT INTO rooms (id, name, created_at) VALUES (?, 'room', 0)").bind(roomId),
    ...users.flatMap((id, n) => [person.bind(id, `${id}@example.net`), seat.bind(roomId, id, n === 0 ? 'owner' : 'editor')]),
  ])
  return { users, roomId }
}

test('of more authors than one batch tells, the rest follow by themselves', async () => {
  const { users, roomId } = await together(60)
  const room = env.ROOMS.getByName(roomId)
  const told = () =>
    runInDurableObject(
      room,
      (_, { storage }) => storage.sql.exec<{ n: number }>('SELECT count(*) AS n FROM message_authors WHERE is_told = 1').one().n,
    )
  await runInDurableObject(room, async (_, { storage }) => {
    for (const userId of users) storage.sql.exec('INSERT INTO message_authors (user_id) VALUES (?)', userId)
    await storage.setAlarm(Date.now() + 3_600_000)
  })
  await runDurableObjectAlarm(room)
  expect(await told()).toBeGreaterThanOrEqual(50)
  // Nothing else happens here: it is the room that comes again.
  await expect.poll(told, { timeout: 20_000 }).toBe(60)
  expect(await env.DB.prepare('SELECT count(*) AS n FROM room_authors WHERE room_id = ?').bind(roomId).first('n')).toBe(60)
})

test('webhooks of an owner whose account is disabled hear nothing new, and hear again once it is enabled', async () => {
  const { users, roomId } = await together(1)
  await env.DB.prepare(
    "INSERT INTO webhooks (id, user_id, url, kinds, secret, created_at) VALUES ('whk_1', ?, 'https://a.example', '[]', '', 0)",
  )
    .bind(users[0])
    .run()
  const hearers = () => newScope().db.all<{ id: string }>(sql`SELECT id FROM ${hearersOf(roomId)}`)
  const disable = (at: number | null) => env.DB.prepare('UPDATE users SET disabled_at = ? WHERE id = ?').bind(at, users[0]).run()
  expect(await hearers()).toHaveLength(1)
  await disable(1)
  expect(await hearers()).toEqual([])
  await disable(null)
  expect(await hearers()).toHaveLength(1)
})

test('an event that a receiver is to be asked again for is as old as its wait is overdue; any other as old as it is', async () => {
  const now = Date.now()
  const event = (id: string, lastError: string, nextAttemptAt: number) =>
    env.DB.prepare(
      "INSERT OR REPLACE INTO outbox_events (id, topic, payload, traceparent, created_at, attempts, next_attempt_at, last_error) VALUES (?, 't', '', '', ?, 9, ?, ?)",
    )
      .bind(id, now - 86_400_000, nextAttemptAt, lastError)
      .run()
  const check = () => outboxProbe.check({ ...newScope(), now: () => now })
  await event('evt_1', 'LaterError: an attempt failed', now + 3_600_000)
  expect(await check()).toMatchObject({ ok: true })
  await event('evt_1', 'LaterError: an attempt failed', now - 600_000)
  expect(await check()).toMatchObject({ ok: false })
  await event('evt_1', 'TypeError: fetch failed', now + 3_600_000)
  expect(await check()).toMatchObject({ ok: false })
})
