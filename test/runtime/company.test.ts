import { applyD1Migrations, evictDurableObject, runDurableObjectAlarm, runInDurableObject } from 'cloudflare:test'
import { env } from 'cloudflare:workers'
import { beforeAll, expect, test } from 'vitest'
import type { UserId } from '../../src/contract/identity.ts'
import { INBOX_PEER_ROOM_MEMBERS_MAX, INBOX_PEERS_MAX, type InboxSight } from '../../src/contract/inbox.ts'
import type { RoomId } from '../../src/contract/rooms.ts'
import type { Word } from '../../src/edge/inbox/company.ts'
import { newId } from '../../src/edge/platform/id.ts'
import { inboxOf, listen, newUser } from './inbox-peer.ts'
import { enter, newRoom, seatOf } from './rooms-peer.ts'

beforeAll(() => applyD1Migrations(env.DB, env.TEST_MIGRATIONS))

/** So many people with seats in one room. */
async function together(count: number): Promise<{ readonly users: readonly UserId[]; readonly roomId: RoomId }> {
  const users = Array.from({ length: count }, newUser)
  const person = env.DB.prepare("INSERT INTO users (id, email, password_hash, locale, created_at) VALUES (?, ?, '', 'en', 0)")
  await env.DB.batch(users.map((id) => person.bind(id, `${id}@example.net`)))
  return { users, roomId: await share(users) }
}

async function share(users: readonly UserId[]): Promise<RoomId> {
  const roomId = newId('rm', Date.now()) as RoomId
  const seat = env.DB.prepare("INSERT INTO room_members (room_id, user_id, role, added_at) VALUES (?, ?, 'editor', 0)")
  await env.DB.batch([
    env.DB.prepare("INSERT INTO rooms (id, name, created_at) VALUES (?, 'room', 0)").bind(roomId),
    ...users.map((id) => seat.bind(roomId, id)),
  ])
  return roomId
}

async function pair(): Promise<readonly [UserId, UserId, RoomId]> {
  const { users, roomId } = await together(2)
  return [users[0]!, users[1]!, roomId]
}

/** A device that takes part in presence; `edges` is what it was told since its first whole picture. */
async function arrive(user: UserId, presence: InboxSight = 'shown') {
  const device = await listen(user)
  device.tell({ type: 'subscribe', presence })
  await device.frame('presence')
  const edges = () =>
    device.frames.flatMap((f) =>
      f.type === 'presence' && !f.isWhole ? [...f.on.map((id) => `+${id}`), ...f.off.map((id) => `-${id}`)] : [],
    )
  const shown = () => {
    const ids = new Set<string>(device.frames.flatMap((f) => (f.type === 'presence' && f.isWhole ? f.on : [])))
    for (const edge of edges()) edge.startsWith('+') ? ids.add(edge.slice(1)) : ids.delete(edge.slice(1))
    return ids
  }
  return {
    ...device,
    edges,
    shown,
    sees: (...ids: UserId[]) => device.seen(() => (shown().size === ids.length && ids.every((id) => shown().has(id)) ? true : undefined)),
  }
}

/** Waits until an inbox has a row of this. */
const untilStored = (user: UserId, query: string) =>
  expect
    .poll(() => runInDurableObject(inboxOf(user), (_, { storage }) => storage.sql.exec(query).toArray().length), { timeout: 20_000 })
    .toBeGreaterThan(0)

/** Lets the grace of whoever left be over. */
async function endGrace(user: UserId): Promise<void> {
  await untilStored(user, "SELECT 1 FROM company_own WHERE leaves_at IS NOT NULL OR standing = 'away'")
  await runInDurableObject(inboxOf(user), (_, { storage }) => void storage.sql.exec('UPDATE company_own SET leaves_at = 0'))
  await runDurableObjectAlarm(inboxOf(user))
}

/** Everything that was begun at an inbox is done: a word from nobody has gone through it. */
const settled = (user: UserId) => inboxOf(user).meet({ userId: newUser(), standing: 'away', turn: 1, until: 0 })

test('who shares a room sees the other come, and go after the grace; a reload in between is no edge', async () => {
  const [ada, bob] = await pair()
  const atAda = await arrive(ada)
  const first = await arrive(bob)
  await Promise.all([atAda.sees(bob), first.sees(ada)])
  first.close()
  await first.closed
  const second = await arrive(bob)
  await second.sees(ada)
  await evictDurableObject(inboxOf(bob), { webSockets: 'hibernate' })
  second.close()
  await second.closed
  await endGrace(bob)
  await atAda.sees()
  expect(atAda.edges()).toEqual([`+${bob}`, `-${bob}`])
  atAda.close()
})

test('a second device is told at once who is here, and one that does not take part is told nothing', async () => {
  const [ada, bob] = await pair()
  const [atAda, atBob] = [await arrive(ada), await arrive(bob)]
  await atAda.sees(bob)
  const deaf = await listen(ada)
  deaf.tell({ type: 'subscribe' })
  await deaf.frame('subscribed')
  const another = await arrive(ada)
  expect((await another.frame('presence')).on).toEqual([bob])
  expect(deaf.frames.some(({ type }) => type === 'presence')).toBe(false)
  for (const device of [atAda, atBob, deaf, another]) device.close()
})

test('who is incognito sees the others and is never told of, whether the inbox says so or a room', async () => {
  const [ada, bob] = await pair()
  const atAda = await arrive(ada)
  const hidden = await arrive(bob, 'incognito')
  await hidden.sees(ada)
  atAda.close()
  await atAda.closed
  await endGrace(ada)
  await hidden.sees()
  expect(atAda.edges()).toEqual([])
  const socket = await enter(newRoom(), { ...seatOf('x'), userId: ada, isIncognito: true })
  await untilStored(ada, 'SELECT 1 FROM incognito_sockets')
  const back = await arrive(ada)
  await settled(bob)
  expect(hidden.edges()).toEqual([`+${ada}`, `-${ada}`])
  socket.close()
  await untilStored(ada, 'SELECT 1 FROM company_own WHERE leaves_at IS NOT NULL')
  // The line of the hidden socket was cut and is there again: nobody saw her in between.
  const again = await enter(newRoom(), { ...seatOf('x'), userId: ada, isIncognito: true })
  await untilStored(ada, 'SELECT 1 FROM company_own WHERE leaves_at IS NULL')
  await settled(bob)
  expect(hidden.edges()).toEqual([`+${ada}`, `-${ada}`])
  again.close()
  await endGrace(ada)
  await hidden.sees(ada)
  for (const device of [hidden, back]) device.close()
})

test('strangers, and members of rooms too large to be company, hear nothing of each other', async () => {
  const [ada] = await pair()
  const { users } = await together(INBOX_PEER_ROOM_MEMBERS_MAX + 1)
  const [bob, cleo] = [users[0]!, users[1]!]
  const devices = [await arrive(ada), await arrive(bob), await arrive(cleo)]
  for (const user of [ada, bob, cleo]) await settled(user)
  for (const device of devices) expect(device.edges()).toEqual([])
  const roomId = await share([bob, cleo])
  await inboxOf(cleo).seatsChanged()
  await Promise.all([devices[1]!.sees(cleo), devices[2]!.sees(bob)])
  await env.DB.prepare('DELETE FROM room_members WHERE room_id = ? AND user_id = ?').bind(roomId, cleo).run()
  await inboxOf(cleo).seatsChanged()
  await Promise.all([devices[1]!.sees(), devices[2]!.sees()])
  for (const device of devices) device.close()
})

test('company is bounded: of more than the most, those of the newest rooms', async () => {
  const { users } = await together(INBOX_PEER_ROOM_MEMBERS_MAX)
  const ada = users[0]!
  for (let n = 0; n < 2; n++) await share([ada, ...(await together(INBOX_PEER_ROOM_MEMBERS_MAX - 1)).users])
  const asked = await runInDurableObject(inboxOf(ada), async () => {
    const { peersOf } = await import('../../src/edge/rooms/service.ts')
    const { objectScope } = await import('../../src/edge/platform/object-scope.ts')
    return peersOf(objectScope({ waitUntil: () => undefined }, env, null), ada)
  })
  expect(asked).toHaveLength(INBOX_PEERS_MAX)
  const device = await arrive(ada)
  const word = (userId: UserId): Word => ({ userId, standing: 'shown', turn: 1, until: Date.now() + 60_000 })
  for (const peer of asked) expect((await inboxOf(ada).meet(word(peer))).standing).toBe('shown')
  expect((await inboxOf(ada).meet(word(newUser()))).standing).toBe('away')
  await device.sees(...asked)
  device.close()
})

test('an older word is not believed, and one that nobody took back runs out', async () => {
  const [ada, bob] = await pair()
  const device = await arrive(ada)
  const until = Date.now() + 60_000
  const say = (standing: Word['standing'], turn: number) => inboxOf(ada).meet({ userId: bob, standing, turn, until })
  await say('shown', 2)
  await say('away', 3)
  await say('shown', 1)
  await device.sees()
  await say('shown', 4)
  await device.sees(bob)
  await runInDurableObject(inboxOf(ada), (_, { storage }) => void storage.sql.exec('UPDATE company_peers SET until = 0'))
  await runDurableObjectAlarm(inboxOf(ada))
  await device.sees()
  expect(device.edges()).toEqual([`+${bob}`, `-${bob}`, `+${bob}`, `-${bob}`])
  device.close()
})

test('the end of the session is the end of being here, and erasure leaves no trace', async () => {
  const [ada, bob] = await pair()
  const [atAda, atBob] = [await arrive(ada), await arrive(bob)]
  await atAda.sees(bob)
  await inboxOf(bob).erase()
  await atAda.sees()
  await inboxOf(bob).endSessions('all')
  expect((await atBob.closed).reason).toBe('session-ended')
  expect(await runInDurableObject(inboxOf(bob), (_, { storage }) => storage.sql.exec('SELECT * FROM company_peers').toArray())).toEqual([])
  atAda.close()
})
