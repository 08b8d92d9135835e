import { drizzle } from 'drizzle-orm/d1'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { UserId } from '../../src/contract/identity.ts'
import { keyringOf } from '../../src/edge/platform/keyring.ts'
import type { Scope } from '../../src/edge/platform/scope.ts'
import { traceFrom } from '../../src/edge/platform/trace.ts'
import { rooms } from '../../src/edge/rooms/feature.ts'
import { step1Frame } from '../../src/edge/rooms/framing.ts'
import { type Edge, startEdge } from '../harness.ts'
import { until } from '../until.ts'
import { bearer, closeOf, frameOf, knock, meet } from './person.ts'

let edge: Edge
beforeAll(async () => {
  edge = await startEdge()
})
afterAll(() => edge.stop())

let ids = 0

/** What the feature may touch, over the Worker's own database and secrets. */
async function scopeOf(): Promise<Scope> {
  const [version, secret] = edge.settings.SECRET_KEYS.split(':') as [string, string]
  return {
    env: await edge.worker.getEnv(),
    db: drizzle(edge.db as unknown as Parameters<typeof drizzle>[0]),
    config: { keyring: keyringOf([{ version: Number(version), bytes: new Uint8Array(Buffer.from(secret, 'base64url')) }]) },
    now: Date.now,
    newId: (prefix: string) => `${prefix}_0${String(++ids).padStart(25, '0')}`,
    trace: traceFrom(undefined),
    waitUntil: () => undefined,
    deliver: () => undefined,
  } as unknown as Scope
}

test('export tells every room, erase takes every seat, closes its sockets and leaves the rooms to the others', async () => {
  const [owner, guest] = [await meet(edge, 'owner'), await meet(edge, 'guest')]
  const shared = await owner.openRoom()
  await owner.seat(shared, guest, 'editor')
  const own = await guest.openRoom()
  await guest.seat(own, owner, 'viewer')
  await edge.db.batch([
    edge.db.prepare(
      "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 51) INSERT INTO rooms (id, name, created_at) SELECT 'rm_0' || printf('%025d', i), 'many', 0 FROM n",
    ),
    edge.db
      .prepare("INSERT INTO room_members (room_id, user_id, role, added_at) SELECT id, ?, 'viewer', 0 FROM rooms WHERE name = 'many'")
      .bind(guest.userId),
  ])
  const { socket } = await knock(edge, `/v1/rooms/${shared}/y`, { protocols: bearer(guest) })
  if (!socket) throw new Error('the guest could not join')
  const answer = frameOf(socket, ([type, kind]) => type === 0 && kind === 1)
  socket.send(step1Frame(new Uint8Array([0])))
  await answer

  const post = { cid: 'a-first-one', action: { kind: 'post', text: 'of the guest' } }
  expect((await guest.send('POST', `/v1/rooms/${shared}/messages`, post)).status).toBe(201)
  const read = async () => (await owner.send('GET', `/v1/rooms/${shared}/messages`)).body['items'] as { text: string }[]
  expect((await read()).map(({ text }) => text)).toEqual(['of the guest'])

  const { personalData } = rooms
  const told = (await personalData?.export(await scopeOf(), guest.userId as UserId)) as {
    rooms: { id: string; role: string }[]
    roomMessages: { roomId: string; events: { text: string }[] }[]
  }
  expect(told.rooms).toHaveLength(53)
  expect(told.roomMessages.map(({ events }) => events.map(({ text }) => text))).toEqual([['of the guest']])
  expect(told.rooms).toEqual(
    expect.arrayContaining([expect.objectContaining({ id: shared, role: 'editor' }), expect.objectContaining({ id: own, role: 'owner' })]),
  )

  await personalData?.erase(await scopeOf(), guest.userId as UserId)
  const closed = closeOf(socket)
  await edge.worker.scheduled({ cron: '* * * * *' })
  expect(await closed).toEqual({ code: 4404, reason: 'not-found' })
  await expect.poll(async () => (await read()).map(({ text }) => text), { timeout: 10_000 }).toEqual([''])
  const left = await edge.db
    .prepare('SELECT (SELECT count(*) FROM room_members WHERE user_id = ?1) + (SELECT count(*) FROM rooms WHERE creator_id = ?1) AS n')
    .bind(guest.userId)
    .first('n')
  expect(left).toBe(0)
  expect((await owner.send('GET', `/v1/rooms/${own}`)).status).toBe(200)
  await personalData?.erase(await scopeOf(), guest.userId as UserId)
}, 60_000)

test('what somebody wrote in a room they have left is exported, and erased with them', async () => {
  const [owner, guest] = [await meet(edge, 'owner'), await meet(edge, 'guest')]
  const shared = await owner.openRoom()
  await owner.seat(shared, guest, 'editor')
  await guest.send('POST', `/v1/rooms/${shared}/messages`, { cid: 'before-leaving', action: { kind: 'post', text: 'still here' } })
  const authors = () => edge.db.prepare('SELECT count(*) AS n FROM room_authors WHERE user_id = ?').bind(guest.userId).first<number>('n')
  await until(async () => (await authors()) === 1)
  await owner.unseat(shared, guest)
  const { personalData } = rooms
  const told = (await personalData?.export(await scopeOf(), guest.userId as UserId)) as { roomMessages: { roomId: string }[] }
  expect(told.roomMessages.map(({ roomId }) => roomId)).toEqual([shared])
  await personalData?.erase(await scopeOf(), guest.userId as UserId)
  await until(async () => {
    await edge.worker.scheduled({ cron: '* * * * *' })
    return ((await owner.send('GET', `/v1/rooms/${shared}/messages`)).body['items'] as { text: string }[])[0]?.text === ''
  })
  expect(await authors()).toBe(0)
})

test('a room whose only owner is erased passes to its strongest member, of equals the one there longest; with nobody left it is gone', async () => {
  const [owner, viewer, late, early] = [
    await meet(edge, 'owner'),
    await meet(edge, 'viewer'),
    await meet(edge, 'late'),
    await meet(edge, 'early'),
  ]
  const roomId = await owner.openRoom()
  const alone = await owner.openRoom()
  await owner.seat(roomId, viewer, 'viewer')
  await owner.seat(roomId, early, 'editor')
  await owner.seat(roomId, late, 'editor')
  await rooms.personalData?.erase(await scopeOf(), owner.userId as UserId)
  await edge.worker.scheduled({ cron: '* * * * *' })
  const roles = (await early.send('GET', `/v1/rooms/${roomId}/members`)).body['items'] as { userId: string; role: string }[]
  expect(Object.fromEntries(roles.map(({ userId, role }) => [userId, role]))).toEqual({
    [viewer.userId]: 'viewer',
    [early.userId]: 'owner',
    [late.userId]: 'editor',
  })
  const inbox = async () => (await early.send('GET', '/v1/inbox')).body['items'] as { content: { roomId?: string; role?: string } }[]
  await until(async () => {
    await edge.worker.scheduled({ cron: '* * * * *' })
    return (await inbox()).some(({ content }) => content.roomId === roomId && content.role === 'owner')
  })
  expect(await edge.db.prepare('SELECT count(*) AS n FROM rooms WHERE id = ?').bind(alone).first('n')).toBe(0)
})
