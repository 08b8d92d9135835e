import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import * as Y from 'yjs'
import { type Client, ClosedError, createClient, type JoinOptions, type Room } from '../../src/client/client.ts'
import { type RoomPeer, startRoom } from './room-peer.ts'
import { ROOM_ID, type Service, soon, startService } from './service.ts'

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

/** Resolves when somebody's presence ends for another. */
const leaving = (seenBy: Room, who: Room) =>
  new Promise<void>((resolve) => {
    seenBy.awareness.on('change', ({ removed }: { removed: number[] }) => removed.includes(who.doc.clientID) && resolve())
  })

describe('a document', () => {
  test('holds what the room has once it is synced, and the room what it has', async () => {
    peer.doc.getText('text').insert(0, 'hello ')
    const doc = new Y.Doc()
    doc.getMap('meta').set('title', 'Plans')
    const room = await join({ doc })
    await room.whenSynced()
    expect(room.isSynced).toBe(true)
    expect(textOf(doc)).toBe('hello ')
    await room.saved()
    expect(peer.doc.getMap('meta').get('title')).toBe('Plans')
  })

  test('follows the others live', async () => {
    const [a, b] = await Promise.all([join(), join()])
    await Promise.all([a.whenSynced(), b.whenSynced()])
    type(a, 'both ')
    await soon(() => textOf(b.doc)).toBe('both ')
  })

  test('edited offline on both sides is merged on reconnect', async () => {
    const room = await join()
    await room.whenSynced()
    peer.state.refuse = 503
    peer.cut()
    await soon(() => room.isSynced).toBe(false)
    type(room, 'mine')
    peer.doc.getText('text').insert(0, 'theirs ')
    type(room, '!')
    peer.state.refuse = undefined
    await next(room, 'synced')
    await room.saved()
    expect(textOf(room.doc)).toContain('theirs ')
    expect(textOf(room.doc)).toContain('mine!')
    expect(textOf(peer.doc)).toBe(textOf(room.doc))
  })

  test('converges while connections are cut at random under eight writers', { timeout: 60_000 }, async () => {
    const rooms = await Promise.all(Array.from({ length: 8 }, () => join()))
    await Promise.all(rooms.map((room) => room.whenSynced()))
    for (let i = 0; i < 300; i++) {
      type(rooms[i % 8]!, `${i};`)
      if (i % 20 === 0) [...peer.sockets][i % 7]?.terminate()
      if (i % 10 === 0) await new Promise((resolve) => setImmediate(resolve))
    }
    await Promise.all(rooms.map((room) => room.saved()))
    const written = textOf(peer.doc).split(';').filter(Boolean).map(Number)
    expect(written.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 300 }, (_, i) => i))
    await soon(() => rooms.map((room) => textOf(room.doc) === textOf(peer.doc))).toEqual(Array(8).fill(true))
  })
})

describe('saved', () => {
  test('resolves when the room has stored the change, not before', async () => {
    const room = await join()
    await room.whenSynced()
    peer.state.holdsEchoes = true
    type(room, 'x')
    expect(room.hasUnsaved).toBe(true)
    let isSaved = false
    const saved = room.saved().then(() => {
      isSaved = true
    })
    await soon(() => textOf(peer.doc)).toBe('x')
    expect(isSaved).toBe(false)
    peer.releaseEchoes()
    await saved
    expect(room.hasUnsaved).toBe(false)
  })

  test('says nothing of changes made after the question', async () => {
    const room = await join()
    await room.whenSynced()
    peer.state.holdsEchoes = true
    type(room, 'x')
    const saved = room.saved()
    type(room, 'y')
    await soon(() => textOf(peer.doc)).toBe('xy')
    peer.releaseEchoes()
    await saved
    expect(room.hasUnsaved).toBe(true)
    await next(room, 'saved')
    expect(room.hasUnsaved).toBe(false)
  })

  test('is not asked again after a reconnect without changes', async () => {
    const room = await join()
    type(room, 'xx')
    // A deletion stays in the answer to every room, known or not.
    room.doc.getText('text').delete(0, 1)
    await room.saved()
    const questions = () => peer.heard.filter((h) => h.type === 102).length
    const before = questions()
    peer.cut()
    await next(room, 'synced')
    await room.saved()
    expect(questions()).toBe(before + 1)
  })

  test('waits through a disconnect that swallowed the echo', async () => {
    const room = await join()
    await room.whenSynced()
    peer.state.holdsEchoes = true
    type(room, 'x')
    const saved = room.saved()
    await soon(() => peer.heard.some((h) => h.type === 102)).toBe(true)
    peer.state.holdsEchoes = false
    peer.cut()
    await saved
    expect(textOf(peer.doc)).toBe('x')
  })

  test('is told without being asked for, once for a burst of changes', async () => {
    const room = await join()
    await room.whenSynced()
    const told = next(room, 'saved')
    for (const letter of 'abcdef') type(room, letter)
    await told
    expect(peer.heard.filter((h) => h.type === 102)).toHaveLength(1)
    expect(room.hasUnsaved).toBe(false)
  })

  test('covers what the document held before it was joined', async () => {
    const doc = new Y.Doc()
    doc.getText('text').insert(0, 'from the disk')
    const room = await join({ doc })
    await next(room, 'saved')
    expect(textOf(peer.doc)).toBe('from the disk')
  })

  test('rejects for a reader, and holds again once the reader may write', async () => {
    peer.state.isReader = true
    const room = await join()
    await room.whenSynced()
    await room.saved()
    const refused = next(room, 'problem')
    type(room, 'mine')
    expect(await failure(room.saved())).toMatchObject({ slug: 'forbidden' })
    expect(await refused).toMatchObject({ slug: 'forbidden' })
    expect(room.status).toBe('open')
    expect(room.hasUnsaved).toBe(true)
    peer.doc.getText('text').insert(0, 'still reading ')
    await soon(() => textOf(room.doc)).toContain('still reading ')
    const saved = next(room, 'saved')
    peer.promote()
    await saved
    expect(textOf(peer.doc)).toContain('mine')
  })

  test('rejects when the room is closed here', async () => {
    const room = await join()
    await room.whenSynced()
    peer.state.holdsEchoes = true
    const saved = failure(room.saved())
    room.close()
    expect(await saved).toBeInstanceOf(ClosedError)
    expect(await failure(room.whenSynced())).toBeInstanceOf(ClosedError)
  })
})

describe('presence', () => {
  test('is shown to others and gone with its client', async () => {
    const [a, b] = await Promise.all([join(), join()])
    a.awareness.setLocalStateField('user', { name: 'Ada' })
    await soon(() => b.awareness.getStates().get(a.doc.clientID)).toEqual({ user: { name: 'Ada' } })
    a.close()
    await soon(() => b.awareness.getStates().has(a.doc.clientID)).toBe(false)
  })

  test('comes back after a disconnect, although the room has seen it end', async () => {
    const [a, b] = await Promise.all([join(), join()])
    a.awareness.setLocalState({ name: 'Ada' })
    await soon(() => b.awareness.getStates().has(a.doc.clientID)).toBe(true)
    const left = leaving(b, a)
    peer.cut()
    await left
    await soon(() => b.awareness.getStates().get(a.doc.clientID)).toEqual({ name: 'Ada' })
  })

  test('of others is never sent back, and an empty one not at all', async () => {
    const rooms = await Promise.all(Array.from({ length: 5 }, () => join()))
    await Promise.all(rooms.map((room) => room.whenSynced()))
    expect(peer.heard.filter((h) => h.type === 1)).toEqual([])
    rooms[0]!.awareness.setLocalState({ name: 'Ada' })
    await Promise.all(rooms.map((room) => soon(() => room.awareness.getStates().get(rooms[0]!.doc.clientID)).toBeDefined()))
    await Promise.all(rooms.map((room) => room.saved()))
    expect(peer.heard.filter((h) => h.type === 1)).toHaveLength(1)
  })
})

test('an observer that throws is told, and the room goes on', async () => {
  const room = await join()
  await room.whenSynced()
  const told = next(room, 'problem')
  const blunder = () => {
    throw new Error('in an observer')
  }
  room.doc.getText('text').observe(blunder)
  peer.doc.getText('text').insert(0, 'a')
  expect(await told).toMatchObject({ message: 'in an observer' })
  room.doc.getText('text').unobserve(blunder)
  peer.doc.getText('text').insert(1, 'b')
  await soon(() => textOf(room.doc)).toBe('ab')
  expect(room.status).toBe('open')
})
