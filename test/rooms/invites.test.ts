import { afterAll, beforeAll, expect, test } from 'vitest'
import { INVITES_PER_ROOM_MAX } from '../../src/contract/room-invites.ts'
import type { RoomId } from '../../src/contract/rooms.ts'
import { type Edge, startEdge } from '../harness.ts'
import { meet, type Person } from './person.ts'

let edge: Edge
let ada: Person
let others: [Person, Person, Person]

beforeAll(async () => {
  edge = await startEdge()
  ada = await meet(edge, 'ada')
  others = await Promise.all([meet(edge, 'bob'), meet(edge, 'cleo'), meet(edge, 'dan')])
})
afterAll(() => edge.stop())

const invite = async (roomId: RoomId, wanted: object) => (await ada.send('POST', `/v1/rooms/${roomId}/invites`, wanted)).body
const accept = (person: Person, token: unknown) => person.send('POST', '/v1/room-invites/accept', { token })
const list = async (roomId: RoomId) => (await ada.send('GET', `/v1/rooms/${roomId}/invites`)).body['items'] as Record<string, unknown>[]

test('a link seats whoever brings it, with its role, and its secret is kept nowhere', async () => {
  const roomId = await ada.openRoom()
  const made = await invite(roomId, { role: 'commenter', usesMax: 2 })
  const token = String(made['token'])
  expect(token).toMatch(/^[A-Za-z0-9_-]{43}$/)
  expect(await accept(others[0], token)).toMatchObject({ status: 200, body: { id: roomId, role: 'commenter' } })
  expect(await accept(others[0], token)).toMatchObject({ status: 200, body: { role: 'commenter' } })
  const { token: _, ...rest } = made
  expect(await list(roomId)).toEqual([{ ...rest, uses: 1 }])
  const stored = await edge.db.prepare('SELECT * FROM room_invites WHERE room_id = ?').bind(roomId).first()
  expect(JSON.stringify(stored)).not.toContain(token)
  const { results } = await edge.db.prepare('SELECT action, cause FROM audit_entries WHERE subject = ? ORDER BY id').bind(roomId).all()
  expect(results.slice(1)).toEqual([
    { action: 'room.invite-create', cause: `${made['id']} as commenter` },
    { action: 'room.member-add', cause: `${others[0].userId} as commenter by ${made['id']}` },
  ])
})

test('of racing people the last use goes to one', async () => {
  const roomId = await ada.openRoom()
  const { token } = await invite(roomId, { role: 'editor' })
  const answers = await Promise.all(others.map((person) => accept(person, token)))
  expect(answers.map(({ status, slug }) => slug ?? status).sort()).toEqual([200, 'code-invalid', 'code-invalid'])
  expect((await ada.send('GET', `/v1/rooms/${roomId}/members`)).body['items']).toHaveLength(2)
})

test('a link that was revoked, has expired, or never was opens nothing', async () => {
  const roomId = await ada.openRoom()
  const [revoked, expired] = [await invite(roomId, { role: 'viewer' }), await invite(roomId, { role: 'viewer' })]
  expect(await ada.send('DELETE', `/v1/rooms/${roomId}/invites/${revoked['id']}`)).toMatchObject({ status: 204 })
  expect(await ada.send('DELETE', `/v1/rooms/${roomId}/invites/${revoked['id']}`)).toMatchObject({ status: 404 })
  await edge.db.prepare('UPDATE room_invites SET expires_at = 1 WHERE id = ?').bind(expired['id']).run()
  for (const token of [revoked['token'], expired['token'], 'x'.repeat(43)])
    expect(await accept(others[0], token)).toMatchObject({ status: 400, slug: 'code-invalid' })
})

test('links are their owners’ business, and of their own room only', async () => {
  const [roomId, other] = [await ada.openRoom(), await ada.openRoom()]
  const made = await invite(roomId, { role: 'viewer' })
  const [bob, cleo] = others
  await ada.seat(roomId, bob, 'editor')
  for (const [person, status] of [
    [bob, 403],
    [cleo, 404],
  ] as const) {
    expect(await person.send('POST', `/v1/rooms/${roomId}/invites`, { role: 'viewer' })).toMatchObject({ status })
    expect(await person.send('GET', `/v1/rooms/${roomId}/invites`)).toMatchObject({ status })
    expect(await person.send('DELETE', `/v1/rooms/${roomId}/invites/${made['id']}`)).toMatchObject({ status })
  }
  expect(await ada.send('DELETE', `/v1/rooms/${other}/invites/${made['id']}`)).toMatchObject({ status: 404 })
  expect(await ada.send('POST', `/v1/rooms/${roomId}/invites`, { role: 'owner' })).toMatchObject({ status: 400 })
})

test('a room has so many links and no more', async () => {
  const roomId = await ada.openRoom()
  await edge.db
    .prepare(
      `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) INSERT INTO room_invites
        (id, room_id, role, token_hash, uses_max, expires_at, created_at) SELECT 'inv_0' || printf('%025d', i), ?, 'viewer', 'h' || i, 1, 0, 0 FROM n`,
    )
    .bind(INVITES_PER_ROOM_MAX - 1, roomId)
    .run()
  const answers = await Promise.all([1, 2].map(() => ada.send('POST', `/v1/rooms/${roomId}/invites`, { role: 'viewer' })))
  expect(answers.map(({ status }) => status).sort()).toEqual([201, 409])
})
