import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { UserId } from '../../src/contract/identity.ts'
import { ROOM_MEMBERS_MAX, ROOM_NAME_CHARS_MAX, ROOMS_PER_OWNER_MAX, type RoomId, type RoomRole } from '../../src/contract/rooms.ts'
import { type Edge, startEdge, type TestUser } from '../harness.ts'

let edge: Edge
let ada: TestUser
let bob: TestUser
let stranger: TestUser

beforeAll(async () => {
  edge = await startEdge()
  ada = await edge.signUp('ada')
  bob = await edge.signUp('bob')
  stranger = await edge.signUp('stranger')
})
afterAll(() => edge.stop())

const problem = (slug: string) => expect.objectContaining({ name: 'Problem', slug })
const NOBODY = 'usr_00000000000000000000000000' as UserId
const NOWHERE = 'rm_00000000000000000000000000' as RoomId

/** Rows numbered up to the first parameter. */
const numbered = 'WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)'

const open = (user: TestUser, name = 'room') => user.client.createRoom({ body: { name } })
const put = (by: TestUser, roomId: RoomId, of: TestUser | UserId, role: RoomRole) =>
  by.client.putRoomMember({ params: { roomId, userId: typeof of === 'string' ? of : (of.id as UserId) }, body: { role } })
const remove = (by: TestUser, roomId: RoomId, of: TestUser) => by.client.removeRoomMember({ params: { roomId, userId: of.id as UserId } })
const rolesIn = async (by: TestUser, roomId: RoomId) =>
  Object.fromEntries((await by.client.listRoomMembers({ params: { roomId } })).items.map((m) => [m.userId, m.role]))

const auditOf = async (subject: string) =>
  (await edge.db.prepare('SELECT action, actor_id, cause FROM audit_entries WHERE subject = ? ORDER BY id').bind(subject).all()).results

describe('opening a room', () => {
  test('makes its creator the owner, on record', async () => {
    const room = await open(ada, '  Reading  ')
    expect(room).toMatchObject({ name: 'Reading', role: 'owner' })
    expect(await ada.client.getRoom({ params: { roomId: room.id } })).toEqual(room)
    expect(await rolesIn(ada, room.id)).toEqual({ [ada.id]: 'owner' })
    expect(await auditOf(room.id)).toEqual([{ action: 'room.create', actor_id: ada.id, cause: null }])
  })

  test.each(['', '   ', 'x'.repeat(ROOM_NAME_CHARS_MAX + 1), 'a\u0000b', 'a\u202eb', 'line\nbreak'])(
    'with the name %j is refused',
    async (name) => {
      await expect(open(ada, name)).rejects.toEqual(problem('invalid-request'))
    },
  )

  test('ends at the quota, also for calls at once, and what others give does not count', async () => {
    const keen = await edge.signUp('keen')
    await edge.db.batch([
      edge.db
        .prepare(
          `INSERT INTO rooms (id, name, creator_id, created_at) ${numbered} SELECT 'rm_0' || printf('%025d', i), 'old', ?2, 0 FROM n`,
        )
        .bind(ROOMS_PER_OWNER_MAX - 2, keen.id),
      edge.db
        .prepare(
          "INSERT INTO room_members (room_id, user_id, role, added_at) SELECT id, creator_id, 'owner', 0 FROM rooms WHERE creator_id = ?",
        )
        .bind(keen.id),
    ])
    const given = await open(ada, 'a gift')
    await put(ada, given.id, keen, 'owner')
    const answers = await Promise.allSettled(Array.from({ length: 6 }, () => open(keen)))
    expect(answers.filter((a) => a.status === 'fulfilled')).toHaveLength(2)
    for (const a of answers) if (a.status === 'rejected') expect(a.reason).toEqual(problem('limit-reached'))
    const left = await edge.db
      .prepare("SELECT count(*) AS n FROM audit_entries WHERE actor_id = ? AND action = 'room.create'")
      .bind(keen.id)
      .first('n')
    expect(left).toBe(2)
  })
})

describe('listing rooms', () => {
  test('gives the newest first, page by page, and only one’s own', async () => {
    const reader = await edge.signUp('reader')
    const names = ['one', 'two', 'three', 'four', 'five']
    for (const name of names) await open(reader, name)
    const other = await open(ada, 'shared')
    await put(ada, other.id, reader, 'viewer')
    const pages: string[][] = []
    let cursor: string | undefined
    do {
      const page = await reader.client.listRooms({ query: { limit: 2, cursor } })
      pages.push(page.items.map((room) => room.name))
      cursor = page.nextCursor
    } while (cursor !== undefined)
    expect(pages).toEqual([
      ['shared', 'five'],
      ['four', 'three'],
      ['two', 'one'],
    ])
    expect((await stranger.client.listRooms()).items).toEqual([])
  })

  test.each(['x', 'dXNyXzAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAw', 'cm1fJyBPUiAxPTE', '../..'])(
    'refuses the forged cursor %s',
    async (cursor) => {
      await expect(ada.client.listRooms({ query: { cursor } })).rejects.toEqual(problem('invalid-request'))
    },
  )
})

describe('a stranger', () => {
  test('meets not-found wherever there is a room, and learns nothing by it', async () => {
    const { id: roomId } = await open(ada)
    const calls = (room: RoomId): (() => Promise<unknown>)[] => [
      () => stranger.client.getRoom({ params: { roomId: room } }),
      () => stranger.client.listRoomMembers({ params: { roomId: room } }),
      () => put(stranger, room, stranger, 'owner'),
      () => put(stranger, room, NOBODY, 'owner'),
      () => remove(stranger, room, ada),
      () => remove(stranger, room, stranger),
      () => stranger.client.createRoomTicket({ params: { roomId: room } }),
    ]
    for (const room of [roomId, NOWHERE, 'rm_x' as RoomId])
      for (const call of calls(room)) await expect(call()).rejects.toEqual(problem('not-found'))
    expect(await rolesIn(ada, roomId)).toEqual({ [ada.id]: 'owner' })
  })
})

describe('giving a seat', () => {
  test('adds a member, changes a role, and repeats without effect', async () => {
    const { id } = await open(ada)
    const first = await put(ada, id, bob, 'viewer')
    const second = await put(ada, id, bob, 'editor')
    const third = await put(ada, id, bob, 'editor')
    expect(first).toMatchObject({ userId: bob.id, role: 'viewer' })
    expect(second).toEqual({ ...first, role: 'editor' })
    expect(third).toEqual(second)
    expect((await bob.client.getRoom({ params: { roomId: id } })).role).toBe('editor')
    expect(await auditOf(id)).toEqual([
      { action: 'room.create', actor_id: ada.id, cause: null },
      { action: 'room.member-add', actor_id: ada.id, cause: `${bob.id} as viewer` },
      { action: 'room.member-role', actor_id: ada.id, cause: `${bob.id} as editor` },
    ])
  })

  test('is for owners only', async () => {
    const { id } = await open(ada)
    for (const role of ['editor', 'viewer'] as const) {
      await put(ada, id, bob, role)
      await expect(put(bob, id, stranger, 'viewer')).rejects.toEqual(problem('forbidden'))
      await expect(put(bob, id, bob, 'owner')).rejects.toEqual(problem('forbidden'))
      await expect(remove(bob, id, ada)).rejects.toEqual(problem('forbidden'))
    }
  })

  test('to somebody who does not exist or was disabled answers not-found', async () => {
    const { id } = await open(ada)
    const gone = await edge.signUp('gone')
    await edge.db.prepare('UPDATE users SET disabled_at = 1 WHERE id = ?').bind(gone.id).run()
    await expect(put(ada, id, NOBODY, 'viewer')).rejects.toEqual(problem('not-found'))
    await expect(put(ada, id, gone, 'viewer')).rejects.toEqual(problem('not-found'))
  })

  test('stops at the most members a room can have, though calls come at once', async () => {
    const { id } = await open(ada)
    await edge.db.batch([
      edge.db
        .prepare(
          `INSERT INTO users (id, email, password_hash, locale, created_at) ${numbered} SELECT 'usr_1' || printf('%025d', i), i || '@example.com', '', 'en', 0 FROM n`,
        )
        .bind(ROOM_MEMBERS_MAX - 2),
      edge.db
        .prepare(
          "INSERT INTO room_members (room_id, user_id, role, added_at) SELECT ?, id, 'viewer', 0 FROM users WHERE email LIKE '%@example.com'",
        )
        .bind(id),
    ])
    const answers = await Promise.allSettled([put(ada, id, bob, 'viewer'), put(ada, id, stranger, 'viewer')])
    expect(answers.map((a) => a.status).sort()).toEqual(['fulfilled', 'rejected'])
    expect(answers.find((a) => a.status === 'rejected')?.reason).toEqual(problem('limit-reached'))
  })
})

describe('taking a seat away', () => {
  test('ends what its user could do', async () => {
    const { id } = await open(ada)
    await put(ada, id, bob, 'editor')
    await remove(ada, id, bob)
    await expect(bob.client.getRoom({ params: { roomId: id } })).rejects.toEqual(problem('not-found'))
    await expect(remove(ada, id, bob)).rejects.toEqual(problem('not-found'))
    expect((await auditOf(id)).at(-1)).toEqual({ action: 'room.member-remove', actor_id: ada.id, cause: bob.id })
  })

  test('is everybody’s right for their own', async () => {
    const { id } = await open(ada)
    await put(ada, id, bob, 'viewer')
    await remove(bob, id, bob)
    expect(await rolesIn(ada, id)).toEqual({ [ada.id]: 'owner' })
  })
})

describe('the last owner', () => {
  test('stays: neither leaves nor steps down', async () => {
    const { id } = await open(ada)
    await put(ada, id, bob, 'editor')
    await expect(remove(ada, id, ada)).rejects.toEqual(problem('conflict'))
    await expect(put(ada, id, ada, 'viewer')).rejects.toEqual(problem('conflict'))
    await put(ada, id, bob, 'owner')
    await remove(ada, id, ada)
    expect(await rolesIn(bob, id)).toEqual({ [bob.id]: 'owner' })
  })

  test.each(Array.from({ length: 5 }, (_, i) => i))(
    'stays when two owners leave, demote and remove each other at once (round %i)',
    async () => {
      const { id } = await open(ada)
      await put(ada, id, bob, 'owner')
      const answers = await Promise.allSettled([
        remove(ada, id, ada),
        remove(bob, id, bob),
        put(ada, id, bob, 'viewer'),
        put(bob, id, ada, 'viewer'),
        remove(ada, id, bob),
        remove(bob, id, ada),
      ])
      const owners = await edge.db
        .prepare("SELECT count(*) AS n FROM room_members WHERE room_id = ? AND role = 'owner'")
        .bind(id)
        .first('n')
      expect(owners).toBe(1)
      const slugs = answers.flatMap((a) => (a.status === 'rejected' ? [(a.reason as { slug: string }).slug] : []))
      expect(slugs.every((slug) => ['conflict', 'forbidden', 'not-found'].includes(slug))).toBe(true)
      const changes = await edge.db
        .prepare("SELECT count(*) AS n FROM audit_entries WHERE subject = ? AND action <> 'room.create'")
        .bind(id)
        .first('n')
      expect(changes).toBe(1 + answers.length - slugs.length)
    },
  )
})

test('members are listed page by page to members of every role', async () => {
  const { id } = await open(ada)
  await put(ada, id, bob, 'viewer')
  await put(ada, id, stranger, 'editor')
  const first = await bob.client.listRoomMembers({ params: { roomId: id }, query: { limit: 2 } })
  const second = await bob.client.listRoomMembers({ params: { roomId: id }, query: { limit: 2, cursor: first.nextCursor } })
  expect([...first.items, ...second.items].map((m) => m.displayName)).toEqual([null, null, null])
  expect([...first.items, ...second.items].map((m) => m.userId)).toEqual([ada.id, bob.id, stranger.id].sort())
  expect(second.nextCursor).toBeUndefined()
  const { nextCursor: foreign } = await ada.client.listRooms({ query: { limit: 1 } })
  await expect(ada.client.listRoomMembers({ params: { roomId: id }, query: { cursor: foreign } })).rejects.toEqual(
    problem('invalid-request'),
  )
  await remove(ada, id, stranger)
})

test('every event of changed seats is delivered', async () => {
  const { results } = await edge.db.prepare("SELECT last_error, done_at FROM outbox_events WHERE topic = 'rooms.members-changed'").all()
  expect(results.length).toBeGreaterThan(10)
  expect(results.filter((event) => event['last_error'] !== null)).toEqual([])
})
