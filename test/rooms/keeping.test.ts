import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { OrgId } from '../../src/contract/orgs.ts'
import { ROOMS_PER_ORG_MAX, type RoomId, type RoomRole } from '../../src/contract/rooms.ts'
import { type Edge, startEdge } from '../harness.ts'
import { post } from '../identity/raw.ts'
import { joinRaw } from '../orgs/join.ts'
import { bearer, closeOf, frameOf, knock, meet, type Person } from './person.ts'

let edge: Edge
let ada: Person
let bob: Person
let stranger: Person

beforeAll(async () => {
  edge = await startEdge()
  ;[ada, bob, stranger] = await Promise.all([meet(edge, 'ada'), meet(edge, 'bob'), meet(edge, 'stranger')])
})
afterAll(() => edge.stop())

const enter = async (person: Person, roomId: RoomId) => {
  const { socket } = await knock(edge, `/v1/rooms/${roomId}/y`, { protocols: bearer(person) })
  if (!socket) throw new Error('could not join')
  const greeted = frameOf(socket, ([type, kind]) => type === 0 && kind === 0)
  await greeted
  return socket
}

const change = Uint8Array.from([0, 2, 11, 1, 1, 1, 0, 4, 1, 1, 116, 1, 120, 0])
const isDenial = ([type]: Uint8Array) => type === 2
const isUpdate = ([type, kind]: Uint8Array) => type === 0 && kind === 2
const path = (roomId: string, rest = '') => `/v1/rooms/${roomId}${rest}`

const auditOf = async (subject: string) =>
  (
    await edge.db.prepare('SELECT action FROM audit_entries WHERE subject = ? ORDER BY id').bind(subject).all<{ action: string }>()
  ).results.map(({ action }) => action)

describe('a room', () => {
  test('is renamed by its owners and nobody else, on record', async () => {
    const roomId = await ada.openRoom()
    await ada.seat(roomId, bob, 'editor')
    expect(await ada.send('PATCH', path(roomId), { name: 'Minutes' })).toMatchObject({ status: 200, body: { name: 'Minutes' } })
    expect(await bob.send('PATCH', path(roomId), { name: 'mine' })).toMatchObject({ status: 403, slug: 'forbidden' })
    expect(await stranger.send('PATCH', path(roomId), { name: 'mine' })).toMatchObject({ status: 404, slug: 'not-found' })
    expect(await ada.send('PATCH', path(roomId), {})).toMatchObject({ status: 400, slug: 'invalid-request' })
    expect(await auditOf(roomId)).toEqual(['room.create', 'room.member-add', 'room.rename'])
  })

  test('that is asked to be what it is stays so, and nothing goes on record', async () => {
    const roomId = await ada.openRoom()
    const { body: room } = await ada.send('GET', path(roomId))
    for (const change of [{ archived: false }, { name: room['name'] }, { name: room['name'], archived: false }])
      expect(await ada.send('PATCH', path(roomId), change)).toMatchObject({ status: 200, body: room })
    expect(await auditOf(roomId)).toEqual(['room.create'])
  })

  test('that is a conversation keeps messages for a day until its owner says otherwise', async () => {
    const { body } = await ada.send('POST', '/v1/rooms', { name: 'us', kind: 'conversation' })
    const retention = path(String(body['id']), '/messages/retention')
    expect((await ada.send('GET', retention)).body).toEqual({ ttlSeconds: 86_400 })
    expect((await ada.send('PUT', retention, { ttlSeconds: 600 })).body).toEqual({ ttlSeconds: 600 })
    expect((await ada.send('GET', path(await ada.openRoom(), '/messages/retention'))).body).toEqual({ ttlSeconds: null })
  })

  test('tells its owners what it costs', async () => {
    const roomId = await ada.openRoom()
    await ada.seat(roomId, bob, 'editor')
    await ada.send('POST', path(roomId, '/messages'), { cid: 'counted-once', action: { kind: 'post', text: 'one' } })
    const { status, body } = await ada.send('GET', path(roomId, '/stats'))
    expect([status, body]).toEqual([
      200,
      expect.objectContaining({ messages: 1, sockets: 0, documentBytes: 0, awakeSeconds: expect.any(Number) }),
    ])
    expect((await bob.send('GET', path(roomId, '/stats'))).slug).toBe('forbidden')
    expect((await stranger.send('GET', path(roomId, '/stats'))).slug).toBe('not-found')
  })

  test('that is archived can be read and not written, by open sockets too, until it is brought back', async () => {
    const roomId = await ada.openRoom()
    const socket = await enter(ada, roomId)
    expect(await ada.send('PATCH', path(roomId), { archived: true })).toMatchObject({
      status: 200,
      body: { role: 'owner', archivedAt: expect.any(String) },
    })
    await expect.poll(() => edge.logs().some((line) => line['event'] === 'room.reseated' && line['roomId'] === roomId)).toBe(true)
    const denied = frameOf(socket, isDenial)
    socket.send(change)
    await denied
    const ids = async (query: string) =>
      ((await ada.send('GET', `/v1/rooms?limit=100${query}`)).body['items'] as { id: string }[]).map(({ id }) => id)
    expect(await ids('')).not.toContain(roomId)
    expect(await ids('&archived=true')).toEqual([roomId])
    const asked = frameOf(socket, ([type, kind]) => type === 0 && kind === 0)
    await ada.send('PATCH', path(roomId), { archived: false })
    await asked
    const told = frameOf(socket, isUpdate)
    socket.send(change)
    await told
    socket.close()
    expect(await auditOf(roomId)).toEqual(['room.create', 'room.archive', 'room.restore'])
  })

  test('that is deleted leaves no row, closes its sockets with gone, and its object forgets the document', async () => {
    const roomId = await ada.openRoom()
    await ada.seat(roomId, bob, 'editor')
    await ada.send('POST', path(roomId, '/invites'), { role: 'viewer' })
    const socket = await enter(bob, roomId)
    const told = frameOf(socket, isUpdate)
    socket.send(change)
    await told
    expect(await bob.send('DELETE', path(roomId))).toMatchObject({ status: 403 })
    expect(await stranger.send('DELETE', path(roomId))).toMatchObject({ status: 404 })
    const closed = closeOf(socket)
    expect(await ada.send('DELETE', path(roomId))).toMatchObject({ status: 204 })
    expect(await closed).toEqual({ code: 4410, reason: 'gone' })
    for (const table of ['rooms WHERE id', 'room_members WHERE room_id', 'room_invites WHERE room_id'])
      expect(await edge.db.prepare(`SELECT count(*) AS n FROM ${table} = ?`).bind(roomId).first('n')).toBe(0)
    expect(await ada.send('DELETE', path(roomId))).toMatchObject({ status: 404 })
    expect(await knock(edge, path(roomId, '/y'), { protocols: bearer(ada) })).toMatchObject({ status: 404 })
    expect((await auditOf(roomId)).at(-1)).toBe('room.delete')
  })

  test('is deleted once when its owners race', async () => {
    const roomId = await ada.openRoom()
    const answers = await Promise.all(Array.from({ length: 4 }, () => ada.send('DELETE', path(roomId))))
    expect(answers.map(({ status }) => status).sort()).toEqual([204, 404, 404, 404])
    expect((await auditOf(roomId)).filter((action) => action === 'room.delete')).toHaveLength(1)
  })

  test('gives a commenter a seat that reads and does not write', async () => {
    const roomId = await ada.openRoom()
    expect(await ada.seat(roomId, bob, 'commenter')).toMatchObject({ status: 200, body: { role: 'commenter' } })
    expect((await bob.send('GET', path(roomId))).body['role']).toBe('commenter')
    expect((await ada.send('GET', path(roomId, '/members'))).body['items']).toContainEqual(
      expect.objectContaining({ userId: bob.userId, role: 'commenter' }),
    )
    const socket = await enter(bob, roomId)
    const denied = frameOf(socket, isDenial)
    socket.send(change)
    await denied
    socket.close()
    await ada.seat(roomId, bob, 'viewer')
    expect((await bob.send('GET', path(roomId))).body['role']).toBe('viewer')
  })
})

describe('a room of an organisation', () => {
  const found = async (owner: Person) =>
    (await post(edge, '/v1/orgs', { name: 'Lighthouse' }, { authorization: `Bearer ${owner.accessToken}` })).body['id'] as OrgId
  const employ = (owner: Person, orgId: OrgId, user: Person, role: string) => joinRaw(edge, owner, { orgId, user, role })
  const open = (person: Person, orgId: OrgId) => person.send('POST', '/v1/rooms', { name: 'ours', orgId })

  test('is opened by owners and operators, and open to every member by their role', async () => {
    const orgId = await found(ada)
    await employ(ada, orgId, bob, 'reader')
    expect(await open(bob, orgId)).toMatchObject({ status: 403, slug: 'forbidden' })
    expect(await open(stranger, orgId)).toMatchObject({ status: 404, slug: 'not-found' })
    const roomId = (await open(ada, orgId)).body['id'] as RoomId
    const roles: [string, RoomRole][] = [
      ['reader', 'viewer'],
      ['operator', 'editor'],
      ['owner', 'owner'],
    ]
    for (const [given, role] of roles) {
      await ada.send('PUT', `/v1/orgs/${orgId}/members/${bob.userId}`, { role: given })
      expect((await bob.send('GET', path(roomId))).body).toMatchObject({ role, orgId })
    }
    expect((await bob.send('GET', `/v1/rooms?orgId=${orgId}`)).body['items']).toHaveLength(1)
    expect(await stranger.send('GET', path(roomId))).toMatchObject({ status: 404 })
    expect((await stranger.send('GET', `/v1/rooms?orgId=${orgId}`)).body['items']).toEqual([])
  })

  test('follows a changed role and a removal on open sockets, and takes the seats of who left', async () => {
    const orgId = await found(ada)
    await employ(ada, orgId, bob, 'operator')
    const roomId = (await open(bob, orgId)).body['id'] as RoomId
    const socket = await enter(bob, roomId)
    const closed = closeOf(socket)
    expect(await ada.send('DELETE', `/v1/orgs/${orgId}/members/${bob.userId}`)).toMatchObject({ status: 204 })
    expect(await closed).toEqual({ code: 4404, reason: 'not-found' })
    expect(await bob.send('GET', path(roomId))).toMatchObject({ status: 404 })
    expect((await ada.send('GET', path(roomId, '/members'))).body['items']).toEqual([])
    expect((await ada.send('GET', path(roomId))).body['role']).toBe('owner')
  })

  test('counts against the organisation, not against who opened it', async () => {
    const orgId = await found(ada)
    await edge.db
      .prepare(
        `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) INSERT INTO rooms (id, name, org_id, created_at)
          SELECT 'rm_4' || printf('%025d', i), 'many', ?, 0 FROM n`,
      )
      .bind(ROOMS_PER_ORG_MAX - 1, orgId)
      .run()
    const answers = await Promise.all([open(ada, orgId), open(ada, orgId)])
    expect(answers.map(({ status }) => status).sort()).toEqual([201, 409])
    expect(await post(edge, '/v1/rooms', { name: 'own' }, { authorization: `Bearer ${ada.accessToken}` })).toMatchObject({ status: 201 })
  })
})
