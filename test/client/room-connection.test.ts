import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { WebSocket } from 'ws'
import type * as Y from 'yjs'
import { type Client, createClient, type JoinOptions, type Room } from '../../src/client/client.ts'
import { type RoomPeer, startRoom } from './room-peer.ts'
import { ROOM_ID, type Service, soon, startService, troubleFor, troubleOf } from './service.ts'

const LOGIN = { body: { email: 'ada@example.org', password: 'correct horse battery staple' } }

let service: Service
let peer: RoomPeer
let client: Client
beforeEach(async () => {
  service = await startService()
  peer = startRoom(service)
  client = createClient({ origin: service.origin })
  await client.login(LOGIN)
})
afterEach(async () => {
  vi.useRealTimers()
  client.close()
  peer.stop()
  await service.stop()
})

const join = (options?: JoinOptions) => client.rooms.join(ROOM_ID, options)
const textOf = (doc: Y.Doc) => doc.getText('text').toString()
const type = (room: Room, text: string) => room.doc.getText('text').insert(room.doc.getText('text').length, text)
const failure = (call: Promise<unknown>) =>
  call.then(
    () => undefined,
    (error: unknown) => error,
  )
/** The next event of a room. */
const next = <K extends 'synced' | 'saved' | 'problem'>(room: Room, name: K) =>
  new Promise((resolve) => {
    const off = room.on(name, (event) => {
      off()
      resolve(event)
    })
  })
const closed = (room: Room) =>
  new Promise<void>((resolve) => {
    room.on('status', (status) => status === 'closed' && resolve())
  })

describe('a connection', () => {
  test('shows the bearer token in a subprotocol and never in the URL', async () => {
    const room = await join()
    await room.whenSynced()
    expect(peer.offers[0]).toEqual(['parvis', `bearer.${await client.accessToken()}`])
  })

  test('is made with the WebSocket that is given, where the platform has none', async () => {
    const other = createClient({ origin: service.origin, WebSocket })
    await other.login(LOGIN)
    const room = await other.rooms.join(ROOM_ID)
    type(room, 'through ws')
    await room.saved()
    expect(textOf(peer.doc)).toBe('through ws')
    other.close()
  })

  test('uses a fresh ticket each time when asked to', async () => {
    const room = await join({ ticket: true })
    await room.whenSynced()
    peer.cut()
    await next(room, 'synced')
    const tickets = peer.offers.map(([, ticket]) => ticket)
    expect(tickets).toEqual([expect.stringMatching(/^ticket\./), expect.stringMatching(/^ticket\./)])
    expect(new Set(tickets).size).toBe(2)
  })

  test('whose token expired returns at once with a fresh one, and nobody seems to leave', async () => {
    const [a, b] = await Promise.all([join(), join()])
    b.awareness.setLocalState({ name: 'Bob' })
    await soon(() => a.awareness.getStates().has(b.doc.clientID)).toBe(true)
    const statuses: string[] = []
    a.on('status', (status) => statuses.push(status))
    service.expireTokens()
    const [socketOfA] = [...peer.sockets]
    socketOfA?.close(4401, 'unauthenticated')
    await next(a, 'synced')
    expect(statuses).toEqual(['connecting', 'open'])
    expect(service.to('/v1/auth/refresh')).toHaveLength(1)
    expect(a.awareness.getStates().has(b.doc.clientID)).toBe(true)
  })

  test('whose fresh token is refused too is over', async () => {
    const room = await join()
    await room.whenSynced()
    const problem = next(room, 'problem')
    service.server.prependListener('upgrade', () => setTimeout(() => peer.close(4401, 'unauthenticated'), 20))
    peer.state.isDead = true
    peer.close(4401, 'unauthenticated')
    expect(await problem).toMatchObject({ slug: 'unauthenticated' })
    expect(room.status).toBe('closed')
    expect(peer.offers).toHaveLength(2)
    expect(service.to('/v1/auth/refresh')).toHaveLength(1)
  })

  test.each([
    [4403, 'forbidden'],
    [4404, 'not-found'],
    [4413, 'payload-too-large'],
    [4400, 'invalid-request'],
    [4418, 'invalid-request'],
  ])('closed with %i is over: %s', async (code, slug) => {
    const room = await join()
    await room.whenSynced()
    const problem = next(room, 'problem')
    peer.close(code, slug)
    expect(await problem).toMatchObject({ slug })
    expect(room.status).toBe('closed')
    expect(await failure(room.saved())).toMatchObject({ slug })
  })

  test('whose session ended signs the client out', async () => {
    const room = await join()
    await room.whenSynced()
    const out = new Promise((resolve) => client.on('signedOut', resolve))
    peer.close(4401, 'session-ended')
    expect(await out).toMatchObject({ cause: 'session-ended' })
    expect(room.status).toBe('closed')
    expect(await client.session()).toBeUndefined()
  })

  test('ends when its client signs out', async () => {
    const room = await join()
    await room.whenSynced()
    const over = closed(room)
    await client.logout()
    await over
    expect(await failure(room.whenSynced())).toMatchObject({ slug: 'session-ended' })
  })

  test('to a room without a seat is over, although a browser hides why the upgrade failed', async () => {
    service.state.seats = false
    const room = await join()
    expect(await failure(room.whenSynced())).toMatchObject({ slug: 'not-found' })
  })

  test('of nobody is over', async () => {
    await client.logout()
    const room = await join()
    expect(await failure(room.whenSynced())).toMatchObject({ slug: 'unauthenticated' })
  })

  test('that cannot be made is tried again, one attempt at a time', async () => {
    peer.state.refuse = 503
    const room = await join()
    await soon(() => room.status).toBe('waiting')
    expect(peer.sockets.size).toBe(0)
    peer.state.refuse = undefined
    await room.whenSynced()
    expect(peer.sockets.size).toBe(1)
  })

  test('that cannot be made asks why once a try, so that an outage is not made worse', async () => {
    peer.state.refuse = 503
    service.state.trouble = ({ path }) => (path === `/v1/rooms/${ROOM_ID}` ? 'cut-before' : undefined)
    await join()
    await soon(() => peer.offers.length).toBeGreaterThanOrEqual(3)
    expect(service.to(`/v1/rooms/${ROOM_ID}`).length).toBeLessThanOrEqual(peer.offers.length)
  })

  test('waits for the network while a ticket cannot be had', async () => {
    service.state.trouble = troubleFor(`/v1/rooms/${ROOM_ID}/tickets`, ['cut-before', troubleOf('unavailable')])
    const room = await join({ ticket: true })
    await room.whenSynced()
    expect(service.to(`/v1/rooms/${ROOM_ID}/tickets`)).toHaveLength(3)
  })

  test('is left alone for a while by a client that sent too much', async () => {
    const room = await join()
    await room.whenSynced()
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    peer.close(4429, 'rate-limited')
    await vi.waitUntil(() => room.status === 'waiting', { timeout: 10_000 })
    await vi.advanceTimersByTimeAsync(4_900)
    expect(room.status).toBe('waiting')
    await vi.advanceTimersByTimeAsync(1_100)
    vi.useRealTimers()
    await soon(() => room.isSynced).toBe(true)
  })

  test('that fell silent is found out by a probe and replaced', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'Date'] })
    const room = await join()
    await room.whenSynced()
    peer.state.isDead = true
    await vi.advanceTimersByTimeAsync(24_000)
    expect(peer.said).not.toContain('ping')
    await vi.advanceTimersByTimeAsync(6_000)
    await vi.waitUntil(() => peer.said.includes('ping'), { timeout: 10_000 })
    const synced = next(room, 'synced')
    await vi.advanceTimersByTimeAsync(15_000)
    peer.state.isDead = false
    vi.useRealTimers()
    await synced
  })

  test('on which nonsense arrives is replaced', async () => {
    const room = await join()
    await room.whenSynced()
    const problem = next(room, 'problem')
    const synced = next(room, 'synced')
    peer.sendRaw(new Uint8Array([77, 1, 2, 3]))
    expect(await problem).toMatchObject({ name: 'ContractError' })
    await synced
  })

  test('of a room closed while a ticket is on its way is not opened', async () => {
    let release = () => {}
    const held = new Promise<void>((resolve) => {
      release = resolve
    })
    const answered = Promise.withResolvers<void>()
    const slow = createClient({
      origin: service.origin,
      fetch: async (url, init) => {
        const answer = await fetch(url, init)
        if (!url.pathname.endsWith('/tickets')) return answer
        await held
        setImmediate(answered.resolve)
        return answer
      },
    })
    await slow.login(LOGIN)
    const room = await slow.rooms.join(ROOM_ID, { ticket: true })
    room.close()
    release()
    await answered.promise
    await client.getMe()
    expect(peer.offers).toEqual([])
  })

  test('of a room closed before it opened leaves nothing behind', async () => {
    peer.state.isDeaf = true
    const room = await join()
    await soon(() => peer.offers.length).toBe(1)
    room.close()
    expect(room.status).toBe('closed')
    await new Promise((resolve) => setImmediate(resolve))
    expect(peer.offers).toHaveLength(1)
  })
})
