import { HocuspocusProvider, HocuspocusProviderWebsocket } from '@hocuspocus/provider'
import * as previous from '@hocuspocus/provider-v3'
import { encode, writeUint8Array, writeVarString } from 'lib0/encoding'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { WebSocket } from 'ws'
import * as Y from 'yjs'
import type { RoomId } from '../../src/contract/rooms.ts'
import { SOCKETS_PER_USER_MAX } from '../../src/edge/rooms/policy.ts'
import { type Edge, ORIGIN, startEdge } from '../harness.ts'
import { bearer, closeOf, editorOf, frameOf, knock, meet, type Person, QuietSocket, until } from './person.ts'

let edge: Edge
let ada: Person
let bob: Person
let stranger: Person

beforeAll(async () => {
  edge = await startEdge()
  ;[ada, bob, stranger] = await Promise.all([meet(edge, 'ada'), meet(edge, 'bob'), meet(edge, 'stranger')])
})
afterAll(() => edge.stop())

/** Providers tell of no single event to wait for; a busy machine takes longer than the second that polling grants. */
const eventually = <T>(look: () => T) => expect.poll(look, { timeout: 20_000 })

const stops: (() => void)[] = []
afterEach(() => {
  for (const stop of stops.splice(0)) stop()
})

const door = (roomId: RoomId) => `/v1/rooms/${roomId}/hocuspocus`
const MAJORS = { current: { HocuspocusProvider, HocuspocusProviderWebsocket }, previous } as unknown as Record<
  string,
  { HocuspocusProvider: typeof HocuspocusProvider; HocuspocusProviderWebsocket: typeof HocuspocusProviderWebsocket }
>

interface EditorOptions {
  readonly major?: string
  readonly name?: string
  readonly query?: string
  readonly forceSyncInterval?: number | false
  /** A socket that is there already. */
  readonly on?: HocuspocusProviderWebsocket
}

/** An unmodified provider with a document of its own. */
function editor(
  roomId: RoomId,
  token: string | (() => Promise<string>),
  { major = 'current', name = roomId as string, query = '', on, forceSyncInterval = false }: EditorOptions = {},
) {
  const kind = MAJORS[major]
  if (!kind) throw new Error(major)
  const doc = new Y.Doc()
  const failures: string[] = []
  const websocketProvider =
    on ??
    new kind.HocuspocusProviderWebsocket({
      url: new URL(door(roomId) + query, edge.origin.replace('http', 'ws')).href,
      WebSocketPolyfill: QuietSocket,
    })
  const provider = new kind.HocuspocusProvider({
    websocketProvider,
    name,
    document: doc,
    forceSyncInterval,
    token,
    onAuthenticationFailed: ({ reason }) => void failures.push(reason),
  })
  provider.attach()
  const stop = () => {
    provider.destroy()
    websocketProvider.destroy()
  }
  stops.push(stop)
  return { doc, provider, websocketProvider, failures, text: doc.getText('t'), stop }
}

/** A frame that names a document. */
const naming = (name: string, ...bytes: number[]) =>
  encode((e) => {
    writeVarString(e, name)
    writeUint8Array(e, Uint8Array.from(bytes))
  })
const tokenFrame = (name: string, token: string) =>
  encode((e) => {
    writeUint8Array(e, naming(name, 2, 0))
    writeVarString(e, token)
  })
/** The type and what follows it. */
const bodyOf = (frame: Uint8Array) => frame.subarray(1 + (frame[0] ?? 0))

async function raw(roomId: RoomId): Promise<WebSocket> {
  const { socket, slug } = await knock(edge, door(roomId))
  if (!socket) throw new Error(slug)
  stops.push(() => socket.terminate())
  return socket
}

test('who asks not to be seen is not, in awareness neither, and still writes', async () => {
  const roomId = await ada.openRoom()
  await ada.seat(roomId, bob, 'editor')
  const one = editor(roomId, ada.accessToken)
  const hidden = editor(roomId, bob.accessToken, { query: '?incognito=1' })
  const y = editorOf(edge, roomId, { protocols: bearer(bob), params: { incognito: '1' } })
  stops.push(y.stop)
  hidden.provider.setAwarenessField('name', 'bob')
  y.provider.awareness.setLocalState({ name: 'bob too' })
  hidden.text.insert(0, 'from nobody ')
  await eventually(() => [one.text.toString(), y.text.toString()]).toEqual(['from nobody ', 'from nobody '])
  await eventually(() => hidden.provider.hasUnsyncedChanges).toBe(false)
  expect([...(one.provider.awareness?.getStates().keys() ?? [])]).toEqual([one.doc.clientID])
})

describe.each(['current', 'previous'])('unmodified Hocuspocus providers of the %s major', (major) => {
  test('converge with each other and with y-websocket, have every change acknowledged, and see each other', async () => {
    const roomId = await ada.openRoom()
    await ada.seat(roomId, bob, 'editor')
    const one = editor(roomId, ada.accessToken, { major })
    const two = editor(roomId, () => bob.ticketTo(roomId), { major })
    const y = editorOf(edge, roomId, { protocols: bearer(ada) })
    stops.push(y.stop)
    one.text.insert(0, 'hello ')
    await eventually(() => two.text.toString()).toBe('hello ')
    two.text.insert(6, 'world')
    await until(y, () => y.text.toString() === 'hello world')
    y.text.insert(11, '!')
    await eventually(() => [one.text.toString(), two.text.toString()]).toEqual(['hello world!', 'hello world!'])
    await eventually(() => [one.provider.hasUnsyncedChanges, two.provider.hasUnsyncedChanges]).toEqual([false, false])
    two.provider.setAwarenessField('name', 'bob')
    await eventually(() => one.provider.awareness?.getStates().get(two.doc.clientID)?.['name']).toBe('bob')
    two.stop()
    await eventually(() => one.provider.awareness?.getStates().has(two.doc.clientID)).toBe(false)
    expect(one.failures).toEqual([])
  })

  test.each(['viewer', 'commenter'] as const)('a %s reads, and none of their changes counts as stored', async (role) => {
    const roomId = await ada.openRoom()
    await ada.seat(roomId, bob, role)
    const one = editor(roomId, ada.accessToken, { major })
    one.text.insert(0, 'read me')
    const two = editor(roomId, bob.accessToken, { major })
    await eventually(() => two.text.toString()).toBe('read me')
    expect(two.provider.authorizedScope).toBe('readonly')
    await eventually(() => two.provider.hasUnsyncedChanges).toBe(false)
    two.text.insert(0, 'not ')
    two.provider.setAwarenessField('mark', 1)
    await eventually(() => one.provider.awareness?.getStates().get(two.doc.clientID)?.['mark']).toBe(1)
    expect(two.provider.hasUnsyncedChanges).toBe(true)
    expect(one.text.toString()).toBe('read me')
    await ada.seat(roomId, bob, 'editor')
    await eventually(() => one.text.toString()).toBe('not read me')
    expect(two.provider.authorizedScope).toBe('read-write')
  })

  test('a viewer who asks again and again whether all is there is told each time that it is', async () => {
    const roomId = await ada.openRoom()
    await ada.seat(roomId, bob, 'viewer')
    const one = editor(roomId, ada.accessToken, { major })
    one.text.insert(0, 'not ')
    one.text.delete(0, 4)
    await eventually(() => one.provider.hasUnsyncedChanges).toBe(false)
    const two = editor(roomId, bob.accessToken, { major, forceSyncInterval: 200 })
    let syncs = 0
    two.provider.on('unsyncedChanges', ({ number }: { readonly number: number }) => number === 0 && syncs++)
    await eventually(() => syncs).toBeGreaterThan(3)
  })

  test('leaves a socket to the next provider, which joins by it and misses nothing; a token that does not do closes it to neither', async () => {
    const roomId = await ada.openRoom()
    const one = editor(roomId, ada.accessToken, { major })
    let closes = 0
    one.websocketProvider.on('close', () => closes++)
    one.text.insert(0, 'first ')
    await eventually(() => one.provider.hasUnsyncedChanges).toBe(false)
    one.provider.destroy()
    let token = bob.accessToken
    const two = editor(roomId, async () => token, { major, on: one.websocketProvider })
    await eventually(() => two.failures).toEqual(['not-found'])
    token = ada.accessToken
    await two.provider.sendToken()
    two.provider.startSync()
    await eventually(() => [two.text.toString(), two.provider.isSynced]).toEqual(['first ', true])
    two.text.insert(6, 'second')
    await eventually(() => two.provider.hasUnsyncedChanges).toBe(false)
    expect(closes).toBe(0)
  })

  test('is told why its token does not do, and comes in with a better one', async () => {
    const roomId = await ada.openRoom()
    let token = stranger.accessToken
    const one = editor(roomId, async () => token, { major })
    await eventually(() => one.failures).toEqual(['not-found'])
    token = ada.accessToken
    await one.provider.sendToken()
    await eventually(() => one.provider.isSynced).toBe(true)
  })
})

describe('the door', () => {
  test('asks of an upgrade only a trusted page and a room that exists', async () => {
    const roomId = await ada.openRoom()
    expect(await knock(edge, door(roomId), { headers: { origin: 'https://evil.example' } })).toMatchObject({ slug: 'origin-untrusted' })
    expect(await knock(edge, door('rm_00000000000000000000000000' as RoomId))).toMatchObject({ status: 404, slug: 'not-found' })
    const { socket } = await knock(edge, door(roomId), { headers: { origin: ORIGIN } })
    expect(socket).toBeDefined()
    socket?.terminate()
  })

  test('tells a reused ticket, a foreign document and a second name from what it lets in', async () => {
    const roomId = await ada.openRoom()
    const other = await ada.openRoom()
    const ticket = await ada.ticketTo(roomId)
    const first = await raw(roomId)
    const answer = frameOf(first, () => true)
    first.send(tokenFrame(roomId, ticket))
    expect([...bodyOf(await answer)].slice(0, 2)).toEqual([2, 2])
    for (const [name, token] of [
      [roomId, ticket],
      [other, ada.accessToken],
      [roomId, await ada.ticketTo(other)],
      [roomId, 'a.b.c'],
      [roomId, ''],
    ] as const) {
      const socket = await raw(roomId)
      const refusal = frameOf(socket, () => true)
      socket.send(tokenFrame(name, token))
      expect([...bodyOf(await refusal)].slice(0, 2), `${name} ${token}`).toEqual([2, 1])
    }
    const second = frameOf(first, (frame) => bodyOf(frame)[0] === 2)
    first.send(tokenFrame(`${roomId}\0other`, ada.accessToken))
    expect([...bodyOf(await second)].slice(0, 2)).toEqual([2, 1])
  })

  test('lets a socket renew its token while its user has all the sockets they may', async () => {
    const roomId = await ada.openRoom()
    const socket = await raw(roomId)
    const admitted = frameOf(socket, () => true)
    socket.send(tokenFrame(roomId, ada.accessToken))
    await admitted
    for (let i = 1; i < SOCKETS_PER_USER_MAX; i++) {
      const { socket: other } = await knock(edge, `/v1/rooms/${roomId}/y`, { protocols: bearer(ada) })
      stops.push(() => other?.terminate())
    }
    expect(await knock(edge, `/v1/rooms/${roomId}/y`, { protocols: bearer(ada) })).toMatchObject({ slug: 'limit-reached' })
    const renewed = frameOf(socket, (frame) => bodyOf(frame)[0] === 2)
    socket.send(tokenFrame(roomId, ada.accessToken))
    expect([...bodyOf(await renewed)].slice(0, 2)).toEqual([2, 2])
  })

  test.each([
    ['seventeen frames', (socket: WebSocket, id: string) => Array.from({ length: 17 }, () => socket.send(naming(id, 3)))],
    ['more bytes than a greeting', (socket: WebSocket, id: string) => socket.send(naming(id, 0, 2, ...Array(70_000).fill(0)))],
  ])('ends a socket that sends %s before its token', async (_, flood) => {
    const roomId = await ada.openRoom()
    const socket = await raw(roomId)
    const closed = closeOf(socket)
    flood(socket, roomId)
    expect(await closed).toEqual({ code: 4413, reason: 'payload-too-large' })
  })

  test('ends a socket that shows no token in ten seconds, whatever else it sends', async () => {
    const socket = await raw(await ada.openRoom())
    const closed = closeOf(socket)
    socket.send(Uint8Array.from([9]))
    expect(await closed).toEqual({ code: 4401, reason: 'unauthenticated' })
  })

  test.each([
    ['the server’s own broadcast', [6, 1, 120]],
    ['the server’s own status', [8, 1]],
    ['an unknown message', [77]],
    ['an endless number', [255, 255, 255, 255, 255, 255, 255, 255, 255, 255]],
    ['an update cut short', [0, 2, 200, 1]],
    ['y-sweet’s echo', [102, 1]],
  ])('%s ends its socket', async (_, bytes) => {
    const roomId = await ada.openRoom()
    const socket = await raw(roomId)
    const admitted = frameOf(socket, () => true)
    socket.send(tokenFrame(roomId, ada.accessToken))
    await admitted
    const closed = closeOf(socket)
    socket.send(naming(roomId, ...bytes))
    expect(await closed).toEqual({ code: 4400, reason: 'invalid-request' })
  })
})
