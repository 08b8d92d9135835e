import { HocuspocusProvider, HocuspocusProviderWebsocket } from '@hocuspocus/provider'
import * as previous from '@hocuspocus/provider-v3'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { WebsocketProvider } from 'y-websocket'
import * as Y from 'yjs'
import type { UserId } from '../../src/contract/identity.ts'
import type { RoomId, RoomRole } from '../../src/contract/rooms.ts'
import { type Edge, startEdge, type TestUser } from '../harness.ts'
import { QuietSocket } from './person.ts'

/** The shortest that a token may last. */
const TOKEN_SECONDS = 60
/** Providers take 30 seconds of silence for a dead socket, and look every three. */
const IDLE_MS = 40_000

const HOCUSPOCUS = { current: { HocuspocusProvider, HocuspocusProviderWebsocket }, previous } as unknown as Record<
  string,
  { HocuspocusProvider: typeof HocuspocusProvider; HocuspocusProviderWebsocket: typeof HocuspocusProviderWebsocket }
>

let edge: Edge
let ada: TestUser
let vic: TestUser
beforeAll(async () => {
  edge = await startEdge({ vars: { ACCESS_TTL_SECONDS: String(TOKEN_SECONDS) } })
  ;[ada, vic] = await Promise.all([edge.signUp('ada'), edge.signUp('vic')])
})
afterAll(() => edge.stop())

const stops: (() => void)[] = []
afterAll(() => {
  for (const stop of stops) stop()
})

const eventually = <T>(look: () => T) => expect.poll(look, { timeout: 30_000 })
const doorOf = (roomId: RoomId) => `${edge.origin.replace('http', 'ws')}/v1/rooms/${roomId}`

/** An unmodified provider: its document, how often its socket was closed, and what it is called. */
interface Editor {
  readonly name: string
  readonly roomId: RoomId
  readonly doc: Y.Doc
  readonly isSynced: () => boolean
  readonly closes: () => number
}

interface Join {
  readonly roomId: RoomId
  readonly user: TestUser
  readonly isIncognito?: boolean
}

/** `y-websocket`, as the README has it. */
async function joinByY({ roomId, user, isIncognito = false }: Join): Promise<Editor> {
  const doc = new Y.Doc()
  const protocols = async () => ['parvis', `bearer.${await user.client.accessToken()}`]
  const provider = new WebsocketProvider(doorOf(roomId), 'y', doc, {
    protocols: await protocols(),
    params: isIncognito ? { incognito: '1' } : {},
    disableBc: true,
    WebSocketPolyfill: QuietSocket as unknown as typeof globalThis.WebSocket,
  })
  let closes = 0
  provider.on('connection-close', async () => {
    closes++
    provider.protocols = await protocols()
  })
  stops.push(() => provider.destroy())
  return { name: 'y-websocket', roomId, doc, isSynced: () => provider.synced, closes: () => closes }
}

const joinByHocuspocus =
  (major: string) =>
  async ({ roomId, user, isIncognito = false }: Join): Promise<Editor> => {
    const kind = HOCUSPOCUS[major] as (typeof HOCUSPOCUS)[string]
    const doc = new Y.Doc()
    let closes = 0
    const websocketProvider = new kind.HocuspocusProviderWebsocket({
      url: `${doorOf(roomId)}/hocuspocus${isIncognito ? '?incognito=1' : ''}`,
      WebSocketPolyfill: QuietSocket,
      onClose: () => closes++,
    })
    const token = async () => (await user.client.accessToken()) ?? ''
    const provider = new kind.HocuspocusProvider({ websocketProvider, name: roomId, document: doc, token })
    provider.attach()
    stops.push(() => {
      provider.destroy()
      websocketProvider.destroy()
    })
    return { name: `Hocuspocus, ${major} major`, roomId, doc, isSynced: () => provider.isSynced, closes: () => closes }
  }

const WAYS = [joinByY, joinByHocuspocus('current'), joinByHocuspocus('previous')]

async function openRoom(role?: RoomRole, kind: 'room' | 'broadcast' = 'room'): Promise<RoomId> {
  const { id } = await ada.client.createRoom({ body: { name: 'room', kind } })
  if (role) await ada.client.putRoomMember({ params: { roomId: id, userId: vic.id as UserId }, body: { role } })
  return id
}

/** Nobody else is in these rooms, so nothing is heard but what the room itself says. */
async function joinAlone(): Promise<{ readonly own: readonly Editor[]; readonly unseen: readonly Editor[] }> {
  const own = await Promise.all(WAYS.map(async (join) => join({ roomId: await openRoom(), user: ada })))
  const hidden = await Promise.all(WAYS.map(async (join) => join({ roomId: await openRoom(), user: ada, isIncognito: true })))
  const audience = await Promise.all(WAYS.map(async (join) => join({ roomId: await openRoom('viewer', 'broadcast'), user: vic })))
  return { own, unseen: [...hidden, ...audience] }
}

/** 10 MiB go to readers that say nothing of themselves. */
async function readBurst(): Promise<readonly Editor[]> {
  const roomId = await openRoom('viewer')
  const readers = await Promise.all(WAYS.map((join) => join({ roomId, user: vic })))
  await eventually(() => readers.every((reader) => reader.isSynced())).toBe(true)
  const writer = await ada.client.rooms.join(roomId, { streams: ['document'] })
  for (let i = 1; i <= 11; i++) {
    writer.doc.getArray('a').push([String(i % 10).repeat(1_000_000)])
    await writer.saved()
    await eventually(() => readers.map(({ doc }) => doc.getArray('a').length)).toEqual(readers.map(() => i))
  }
  return readers
}

const closed = (editors: readonly Editor[]) =>
  editors.filter(({ closes }) => closes() > 0).map(({ name, closes }) => `${name}: ${closes()}`)

test('unmodified providers stay while they are idle, seen or not, and under load; with a token that ends they go on as the next', {
  timeout: 180_000,
}, async () => {
  const { own, unseen } = await joinAlone()
  const idle = [...own, ...unseen]
  await eventually(() => idle.every((editor) => editor.isSynced())).toBe(true)
  const joinedAt = Date.now()
  expect(closed(await readBurst())).toEqual([])
  // Silence is what is to be borne.
  await new Promise((resolve) => setTimeout(resolve, joinedAt + IDLE_MS - Date.now()))
  expect(closed(own)).toEqual([])
  expect(closed(unseen)).toEqual([])
  await new Promise((resolve) => setTimeout(resolve, joinedAt + TOKEN_SECONDS * 1_000 - Date.now()))
  for (const { doc } of own) doc.getText('t').insert(0, 'still here')
  const told = async ({ roomId }: Editor) => (await ada.client.getRoomDocument({ params: { roomId }, query: { format: 'text' } })).text
  for (const editor of own) await expect.poll(() => told(editor), { timeout: 30_000 }).toBe('still here')
  await eventually(() => own.every((editor) => editor.isSynced())).toBe(true)
  expect(own.filter(({ closes }) => closes() > 3)).toEqual([])
})

test('a changed role and a lost seat reach open sockets of every framing by themselves', async () => {
  const roomId = await openRoom('editor')
  const editors = await Promise.all(WAYS.map((join) => join({ roomId, user: vic })))
  const room = await vic.client.rooms.join(roomId)
  await room.whenSynced()
  await eventually(() => editors.every((editor) => editor.isSynced())).toBe(true)
  const reader = await ada.client.rooms.join(roomId)
  await ada.client.putRoomMember({ params: { roomId, userId: vic.id as UserId }, body: { role: 'viewer' } })
  await eventually(() => room.role).toBe('viewer')
  for (const { doc } of editors) doc.getText('t').insert(0, 'no')
  await ada.client.removeRoomMember({ params: { roomId, userId: vic.id as UserId } })
  await eventually(() => [room.status, ...editors.map(({ closes }) => closes() > 0)]).toEqual(['closed', true, true, true])
  expect(reader.doc.getText('t').toString()).toBe('')
  for (const { client } of [ada, vic]) client.close()
})
