import { encode, writeUint8Array, writeVarString } from 'lib0/encoding'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { OrgId } from '../../src/contract/orgs.ts'
import { endpoints } from '../../src/contract/registry.ts'
import type { RoomId } from '../../src/contract/rooms.ts'
import { newId } from '../../src/edge/platform/id.ts'
import { type Edge, ORIGIN, startEdge } from '../harness.ts'
import { bearer, frameOf, knock, meet, type Person } from './person.ts'

/** A body that fits, for every call of a room that wants one. */
const BODIES: Readonly<Record<string, unknown>> = {
  updateRoom: { name: 'taken over' },
  putRoomMember: { role: 'owner' },
  publishRoomMessage: { cid: 'cid-00000001', action: { kind: 'post', text: 'hello' } },
  setMessageRetention: { ttlSeconds: 3_600 },
  createRoomInvite: { role: 'editor', ttlSeconds: 3_600 },
  patchRoomDocument: { operations: [{ op: 'text.insert', name: 't', index: 0, text: 'x' }] },
  createRoomVersion: { name: 'mine' },
}

let edge: Edge
let ada: Person
let eve: Person
let roomId: RoomId
let versionId: string

beforeAll(async () => {
  edge = await startEdge()
  ;[ada, eve] = await Promise.all([meet(edge, 'ada'), meet(edge, 'eve')])
  const found = async (owner: Person) => (await owner.send('POST', '/v1/orgs', { name: 'An organisation' })).body['id'] as OrgId
  const orgId = await found(ada)
  // Who owns another organisation has every right there, and none here.
  await eve.send('POST', '/v1/rooms', { name: 'theirs', orgId: await found(eve) })
  roomId = (await ada.send('POST', '/v1/rooms', { name: 'ours', orgId })).body['id'] as RoomId
  versionId = String((await ada.send('POST', `/v1/rooms/${roomId}/versions`, { name: 'first' })).body['id'])
})
afterAll(() => edge.stop())

const CALLS = Object.values(endpoints).filter(({ path }) => path.startsWith('/v1/rooms/:roomId'))
const bodyOf = (frame: Uint8Array) => frame.subarray(1 + (frame[0] ?? 0))

test.each(CALLS.map((call) => [call.id, call] as const))(
  '%s answers somebody of another organisation as if there were no room',
  async (id, call) => {
    const { method, path } = call
    if ('body' in call && call.body) expect(Object.keys(BODIES)).toContain(id)
    const names: Readonly<Record<string, string>> = { userId: eve.userId, versionId, inviteId: newId('inv', Date.now()) }
    const answers = []
    for (const room of [roomId, newId('rm', Date.now())]) {
      const url = path.replace(':roomId', room).replace(/:(\w+)/g, (_, name: string) => names[name] ?? name)
      const { status, slug, body } = await eve.send(method, url, BODIES[id])
      answers.push({ status, slug, title: body['title'] })
    }
    expect(answers[0]).toMatchObject({ status: 404, slug: 'not-found' })
    expect(answers[1]).toEqual(answers[0])
  },
)

test.each(['y', 'live'])('the door of framing %s does so too, with a token and by a cookie', async (framing) => {
  const cookie = { cookie: `__Host-parvis-access=${eve.accessToken}`, origin: ORIGIN }
  for (const room of [roomId, newId('rm', Date.now())])
    for (const given of [{ protocols: bearer(eve) }, { headers: cookie }])
      expect(await knock(edge, `/v1/rooms/${room}/${framing}`, given)).toMatchObject({ status: 404, slug: 'not-found' })
})

test('a token in a frame opens nothing either: of Hocuspocus it is refused, of our own protocol it closes the socket', async () => {
  const { socket: named } = await knock(edge, `/v1/rooms/${roomId}/hocuspocus`)
  const refusal = frameOf(named!, (frame) => bodyOf(frame)[0] === 2)
  const token = encode((e) => {
    writeVarString(e, roomId)
    writeUint8Array(e, Uint8Array.of(2, 0))
    writeVarString(e, eve.accessToken)
  })
  named!.send(token)
  expect(new TextDecoder().decode(bodyOf(await refusal))).toContain('not-found')
  named!.terminate()
  const { socket } = await knock(edge, `/v1/rooms/${roomId}/live`)
  const closed = new Promise((resolve) => socket!.on('close', (code, reason) => resolve({ code, reason: reason.toString() })))
  socket!.send(JSON.stringify({ type: 'authenticate', token: eve.accessToken }))
  expect(await closed).toEqual({ code: 4404, reason: 'not-found' })
})

test('no page but a trusted one opens the door of our own protocol, with a credential, by a cookie or without', async () => {
  const evil = { origin: 'https://evil.example' }
  for (const given of [
    { headers: evil },
    { headers: { origin: 'null' } },
    { headers: evil, protocols: bearer(ada) },
    { headers: { ...evil, cookie: `__Host-parvis-access=${ada.accessToken}` } },
    { headers: { cookie: `__Host-parvis-access=${ada.accessToken}` } },
  ])
    expect(await knock(edge, `/v1/rooms/${roomId}/live`, given)).toMatchObject({ status: 403, slug: 'origin-untrusted' })
})
