import { HocuspocusProvider, HocuspocusProviderWebsocket } from '@hocuspocus/provider'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { WebSocket } from 'ws'
import * as Y from 'yjs'
import type { RoomId, RoomRole } from '../../src/contract/rooms.ts'
import { newId } from '../../src/edge/platform/id.ts'
import { soon } from '../client/service.ts'
import { type Edge, startEdge, type TestUser } from '../harness.ts'
import { bearer, closeOf, editorOf, knock, meet, type Person } from './person.ts'

let edge: Edge
let ada: TestUser
let bob: TestUser
let host: Person
beforeAll(async () => {
  edge = await startEdge({ vars: { ROOM_LEAVES_ABOVE: '2', ROOM_LEAF_SOCKETS: '2' } })
  ;[ada, bob] = [await edge.signUp('ada'), await edge.signUp('bob')]
  host = await meet(edge, 'host')
})
afterAll(async () => {
  for (const { client } of [ada, bob]) client.close()
  await edge.stop()
})

const seat = (roomId: RoomId, user: TestUser, role: RoomRole) => host.seat(roomId, { userId: user.id }, role)

/** A room whose own object is full. */
async function openFullRoom(): Promise<RoomId> {
  const roomId = await host.openRoom()
  for (let i = 0; i < 2; i++) await knock(edge, `/v1/rooms/${roomId}/y`, { protocols: bearer(host) })
  for (const user of [ada, bob]) await seat(roomId, user, 'editor')
  return roomId
}

function hocuspocusIn(roomId: RoomId) {
  const doc = new Y.Doc()
  const url = new URL(`/v1/rooms/${roomId}/hocuspocus`, edge.origin.replace('http', 'ws')).href
  const websocketProvider = new HocuspocusProviderWebsocket({ url, WebSocketPolyfill: WebSocket })
  const provider = new HocuspocusProvider({ websocketProvider, name: roomId, document: doc, token: host.accessToken })
  provider.attach()
  const stop = () => {
    provider.destroy()
    websocketProvider.destroy()
  }
  return { provider, text: doc.getText('t'), stop }
}

test('the typed client and unmodified providers of both framings meet on leaves', async () => {
  const roomId = await openFullRoom()
  const [a, b] = [await ada.client.rooms.join(roomId), await bob.client.rooms.join(roomId)]
  const editor = editorOf(edge, roomId, { protocols: bearer(host) })
  const tiptap = hocuspocusIn(roomId)
  a.doc.getText('t').insert(0, 'from the client. ')
  editor.text.insert(0, 'from y-websocket. ')
  tiptap.text.insert(0, 'from Hocuspocus. ')
  const all = [a.doc.getText('t'), b.doc.getText('t'), editor.text, tiptap.text]
  await soon(() => all.every((text) => text.length === 52)).toBe(true)
  expect(new Set(all.map(String)).size).toBe(1)
  await soon(() => tiptap.provider.unsyncedChanges).toBe(0)
  const { seq } = await a.messages.post('hello over there')
  await soon(() => b.messages.state.items.at(-1)).toMatchObject({ seq, userId: ada.id, text: 'hello over there' })
  b.presence.show({ cursor: 3 })
  await soon(() => a.presence.state.members.find(({ userId }) => userId === bob.id)?.state).toEqual({ cursor: 3 })
  const { body } = await host.send('GET', `/v1/rooms/${roomId}/stats`)
  expect(body).toMatchObject({ sockets: 6 })
  expect(Number(body['leaves'])).toBeGreaterThan(0)
  for (const room of [a, b]) room.close()
  for (const { stop } of [editor, tiptap]) stop()
})

test('who loses their seat loses their socket on a leaf, and who may only view from now on may not write there', async () => {
  const roomId = await openFullRoom()
  const [a, b] = [await ada.client.rooms.join(roomId), await bob.client.rooms.join(roomId)]
  await soon(() => [a.status, b.status]).toEqual(['open', 'open'])
  await host.unseat(roomId, { userId: bob.id })
  await soon(() => b.status).toBe('closed')
  await seat(roomId, ada, 'viewer')
  await soon(() => a.role).toBe('viewer')
  await expect(a.messages.post('too late')).rejects.toMatchObject({ slug: 'forbidden' })
  a.close()
})

test('a room for an audience lets owners and editors speak, over sockets and REST, and everybody hear', async () => {
  const { body } = await host.send('POST', '/v1/rooms', { name: 'stage', kind: 'broadcast' })
  expect(body).toMatchObject({ isBroadcast: true })
  const roomId = body['id'] as RoomId
  await seat(roomId, ada, 'viewer')
  await seat(roomId, bob, 'commenter')
  expect(await ada.client.getRoom({ params: { roomId } })).toMatchObject({ isBroadcast: true, role: 'viewer' })
  const idsOf = (items: readonly { readonly userId: string }[]) => items.map(({ userId }) => userId).sort()
  const membersFor = async ({ client }: TestUser, query = {}) => idsOf((await client.listRoomMembers({ params: { roomId }, query })).items)
  const all = await host.send('GET', `/v1/rooms/${roomId}/members`)
  expect(idsOf(all.body['items'] as [])).toEqual([host.userId, ada.id, bob.id].sort())
  expect(await membersFor(ada)).toEqual([host.userId, ada.id].sort())
  expect(await membersFor(ada, { userIds: `${host.userId},${bob.id},${newId('usr', Date.now())}` })).toEqual([host.userId])
  const [a, b] = [await ada.client.rooms.join(roomId), await bob.client.rooms.join(roomId)]
  await host.send('POST', `/v1/rooms/${roomId}/messages`, { cid: 'welcome-01', action: { kind: 'post', text: 'welcome' } })
  for (const room of [a, b]) await soon(() => room.messages.state.items.at(-1)?.text).toBe('welcome')
  await expect(b.messages.post('may I?')).rejects.toMatchObject({ slug: 'forbidden' })
  const publication = { cid: 'may-i-0001', action: { kind: 'post', text: 'or so?' } } as const
  await expect(bob.client.publishRoomMessage({ params: { roomId }, body: publication })).rejects.toMatchObject({ slug: 'forbidden' })
  await soon(() => a.presence.state).toMatchObject({ count: 2, members: [] })
  const spare = await knock(edge, `/v1/rooms/${roomId}/y`, { protocols: bearer(host) })
  const closed = spare.socket ? closeOf(spare.socket) : undefined
  await host.send('DELETE', `/v1/rooms/${roomId}`)
  expect(await closed).toMatchObject({ reason: 'gone' })
  await soon(() => [a.status, b.status]).toEqual(['closed', 'closed'])
})
