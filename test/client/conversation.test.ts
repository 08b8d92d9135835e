import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Client, createClient, type Message, type Room } from '../../src/client/client.ts'
import type { UserId } from '../../src/contract/identity.ts'
import type { RoomId, RoomRole } from '../../src/contract/rooms.ts'
import { type Edge, PASSWORD, startEdge, type TestUser } from '../harness.ts'
import { killRuntime } from '../workerd.ts'
import { startLine } from './line.ts'
import { soon } from './service.ts'

let edge: Edge
let ada: TestUser
let bob: TestUser
beforeAll(async () => {
  edge = await startEdge()
  ;[ada, bob] = [await edge.signUp('ada'), await edge.signUp('bob')]
})
afterAll(async () => {
  for (const { client } of [ada, bob]) client.close()
  await edge.stop()
})

const slugOf = (call: Promise<unknown>) =>
  call.then(
    () => 'fine',
    (error: { slug?: string; name: string }) => error.slug ?? error.name,
  )

const seat = (roomId: RoomId, user: TestUser, role: RoomRole) =>
  ada.client.putRoomMember({ params: { roomId, userId: user.id as UserId }, body: { role } })

async function openRoom(role: RoomRole = 'editor'): Promise<RoomId> {
  const { id } = await ada.client.createRoom({ body: { name: 'talk' } })
  await seat(id, bob, role)
  return id
}

/** Another device of a user, over a line that can be cut. */
async function away(user: TestUser) {
  const line = await startLine(edge.origin)
  const client: Client = createClient({ origin: line.origin })
  await client.login({ body: { email: user.email, password: PASSWORD } })
  return {
    line,
    client,
    stop() {
      client.close()
      line.stop()
    },
  }
}

const talkOnly = { streams: ['messages', 'presence', 'signals'] } as const
const caughtUp = (room: Room) => soon(() => room.messages.state.isCaughtUp).toBe(true)
const textsOf = (room: Room) => room.messages.state.items.map(({ text }) => text)
const told = <K extends 'problem' | 'gap' | 'signal'>(room: Room, name: K) => new Promise((resolve) => room.on(name, resolve))

describe('two people', () => {
  test('converse: replies, edits, reactions and deletions are the same for both', async () => {
    const id = await openRoom()
    const [a, b] = [await ada.client.rooms.join(id), await bob.client.rooms.join(id, talkOnly)]
    await caughtUp(b)
    const { seq } = await a.messages.post('Tea?')
    await b.messages.post('Gladly', { replyTo: seq })
    await a.messages.edit(seq, 'Tea at four?')
    await b.messages.react(seq, '🍵')
    await a.messages.react(seq, '🍵')
    await b.messages.unreact(seq, '🍵')
    const { seq: taken } = await b.messages.post('a slip')
    await b.messages.delete(taken)
    await soon(() => a.messages.state.items.at(-1)?.isDeleted).toBe(true)
    expect(b.messages.state.items).toEqual(a.messages.state.items)
    expect(a.messages.state.items).toMatchObject([
      { userId: ada.id, text: 'Tea at four?', isEdited: true, reactions: [{ emoji: '🍵', userIds: [ada.id] }] },
      { userId: bob.id, text: 'Gladly', replyTo: seq },
      { userId: bob.id, text: '', isDeleted: true },
    ] satisfies Partial<Message>[])
    expect(await slugOf(b.messages.edit(seq, 'mine'))).toBe('forbidden')
    expect(await slugOf(a.messages.react(taken, '🍵'))).toBe('not-found')
    a.close()
    b.close()
  })

  test('see who is here and what they show, who writes, and how far each has read', async () => {
    const id = await openRoom()
    const [a, b] = [await ada.client.rooms.join(id, talkOnly), await bob.client.rooms.join(id, talkOnly)]
    b.presence.show({ mood: 'sleepy' })
    for (const mood of ['waking', 'awake']) b.presence.show({ mood })
    const bobs = () => a.presence.state.members.find(({ userId }) => userId === bob.id)?.state
    await soon(bobs).toEqual({ mood: 'awake' })
    expect(a.presence.state.count).toBe(2)
    await caughtUp(a)
    b.messages.typing()
    await soon(() => a.messages.state.typists).toEqual([bob.id])
    const { seq } = await b.messages.post('there')
    await soon(() => a.messages.state.items.length).toBe(1)
    expect(a.messages.state.typists).toEqual([])
    a.messages.markRead(seq)
    await soon(() => b.messages.state.reads[ada.id]).toBe(seq)
    b.close()
    await soon(() => a.presence.state.members.map(({ userId }) => userId)).toEqual([ada.id])
    a.close()
  })

  test('read back to the first message, with what was changed since, and call each other by name though nobody is there', async () => {
    const id = await openRoom()
    await bob.client.updateMe({ ifMatch: (await bob.client.getMe()).etag, body: { displayName: 'Bob B.' } })
    const room = await bob.client.rooms.join(id, talkOnly)
    await caughtUp(room)
    for (let n = 1; n <= 20; n++) void room.messages.post(`text ${n}`)
    await room.messages.post('last')
    await room.messages.react(1, '🍵')
    await room.messages.edit(2, 'text two')
    room.close()
    const a = await ada.client.rooms.join(id, { ...talkOnly, history: 10 })
    await caughtUp(a)
    expect(textsOf(a)).toHaveLength(8)
    expect(a.messages.state.hasOlder).toBe(true)
    const { cursor } = a.messages
    await Promise.all([a.messages.loadOlder(), a.messages.loadOlder()])
    expect(textsOf(a)).toHaveLength(18)
    await a.messages.loadOlder()
    expect(a.messages.state.hasOlder).toBe(false)
    await a.messages.loadOlder()
    expect(textsOf(a)).toEqual([...Array.from({ length: 20 }, (_, i) => (i === 1 ? 'text two' : `text ${i + 1}`)), 'last'])
    expect(a.messages.state.items.slice(0, 2)).toMatchObject([{ reactions: [{ emoji: '🍵', userIds: [bob.id] }] }, { isEdited: true }])
    expect(a.messages.cursor).toEqual(cursor)
    expect([a.nameOf(bob.id), a.nameOf(ada.id), a.nameOf('usr_unknown')]).toEqual([undefined, undefined, undefined])
    await soon(() => a.nameOf(bob.id)).toBe('Bob B.')
    expect([a.nameOf(ada.id), a.nameOf('usr_unknown')]).toEqual([undefined, undefined])
    a.close()
  })

  test('signal each other, one or all', async () => {
    const id = await openRoom()
    const [a, b] = [await ada.client.rooms.join(id, talkOnly), await bob.client.rooms.join(id, talkOnly)]
    const heard: unknown[] = []
    b.on('signal', (signal) => heard.push(signal))
    await Promise.all([caughtUp(a), caughtUp(b)])
    // A stream starts in the order in which it was asked for; presence was before.
    await soon(() => a.signal({ wave: 1 }) && heard.length > 0).toBe(true)
    a.signal('to nobody here', ada.id)
    a.signal('to you', bob.id)
    await soon(() => heard.at(-1)).toEqual({ userId: ada.id, data: 'to you' })
    expect(JSON.stringify(heard)).not.toContain('nobody')
    a.close()
    b.close()
  })

  test('share a document on the same socket', async () => {
    const id = await openRoom()
    const [a, b] = [await ada.client.rooms.join(id), await bob.client.rooms.join(id)]
    a.doc.getText('t').insert(0, 'both')
    await a.saved()
    await b.whenSynced()
    expect(b.doc.getText('t').toString()).toBe('both')
    expect(edge.logs().filter((line) => line['event'] === 'room.joined' && line['roomId'] === id)).toHaveLength(2)
    a.close()
    b.close()
  })
})

describe('a line that breaks', () => {
  test('in the middle of publishing loses, doubles and reorders nothing', { timeout: 60_000 }, async () => {
    const id = await openRoom()
    const far = await away(bob)
    const [a, b] = [await ada.client.rooms.join(id, talkOnly), await far.client.rooms.join(id, talkOnly)]
    await caughtUp(a)
    const words = Array.from({ length: 30 }, (_, i) => `word ${i}`)
    const sent: Promise<{ seq: number }>[] = []
    for (const [i, word] of words.entries()) {
      sent.push(b.messages.post(word))
      if (i % 6 !== 5) continue
      await soon(() => a.messages.state.items.length).toBeGreaterThan(i - 4)
      far.line.cut()
    }
    const seqs = (await Promise.all(sent)).map(({ seq }) => seq)
    expect(seqs).toEqual(words.map((_, i) => i + 1))
    await soon(() => textsOf(a)).toEqual(words)
    await caughtUp(b)
    expect(b.messages.state.items).toEqual(a.messages.state.items)
    expect(b.messages.state.pending).toEqual([])
    a.close()
    far.stop()
  })

  test('is caught up with exactly: what was posted, changed and taken away meanwhile, and what waited here goes out', async () => {
    const id = await openRoom()
    const far = await away(bob)
    const [a, b] = [await ada.client.rooms.join(id, talkOnly), await far.client.rooms.join(id, talkOnly)]
    await Promise.all([caughtUp(a), caughtUp(b)])
    const { seq } = await a.messages.post('before')
    await soon(() => textsOf(b)).toEqual(['before'])
    far.line.state.isDown = true
    far.line.cut()
    await soon(() => b.status).toBe('waiting')
    const waiting = b.messages.post('from the train')
    await a.messages.edit(seq, 'after')
    const { seq: gone } = await a.messages.post('a secret')
    await a.messages.delete(gone)
    await a.messages.react(seq, '🚆')
    expect(b.messages.state).toMatchObject({ isCaughtUp: false, pending: [{ action: { text: 'from the train' } }] })
    far.line.state.isDown = false
    await waiting
    await soon(() => b.messages.state).toMatchObject({ isCaughtUp: true, pending: [] })
    await soon(() => a.messages.state.items).toEqual(b.messages.state.items)
    expect(textsOf(b)).toEqual(['after', '', 'from the train'])
    a.close()
    far.stop()
  })

  test('by the death of the runtime in the middle of it loses no message that was acknowledged, and doubles none', {
    timeout: 90_000,
  }, async () => {
    const id = await openRoom()
    const room = await ada.client.rooms.join(id, talkOnly)
    await caughtUp(room)
    const sent: Promise<{ seq: number }>[] = []
    for (let death = 0; death < 3; death++) {
      for (let i = 0; i < 8; i++) sent.push(room.messages.post(`${death}.${i}`))
      await sent.at(-5)
      await killRuntime(edge)
    }
    const seqs = (await Promise.all(sent)).map(({ seq }) => seq)
    expect(seqs).toEqual(Array.from({ length: 24 }, (_, i) => i + 1))
    const { items } = await ada.client.listRoomMessages({ params: { roomId: id }, query: { limit: 100 } })
    expect(items.map((event) => 'text' in event && event.text)).toEqual(seqs.map((_, i) => `${Math.floor(i / 8)}.${i % 8}`))
    room.close()
  })
})

describe('a cursor', () => {
  test('goes on where an earlier visit ended; one of another history is a gap', async () => {
    const id = await openRoom()
    const first = await ada.client.rooms.join(id, talkOnly)
    await caughtUp(first)
    await first.messages.post('one')
    await soon(() => first.messages.cursor?.seq).toBe(1)
    const { cursor: since } = first.messages
    first.close()
    const b = await bob.client.rooms.join(id, talkOnly)
    for (const text of ['two', 'three']) await b.messages.post(text)
    const back = await ada.client.rooms.join(id, { ...talkOnly, since })
    await soon(() => textsOf(back)).toEqual(['two', 'three'])
    const strange = await ada.client.rooms.join(id, { ...talkOnly, since: { epoch: '0'.repeat(16), seq: 2 } })
    await told(strange, 'gap')
    await soon(() => textsOf(strange)).toEqual(['one', 'two', 'three'])
    const brief = await ada.client.rooms.join(id, { ...talkOnly, history: 1 })
    await soon(() => textsOf(brief)).toEqual(['three'])
    for (const room of [b, back, strange, brief]) room.close()
  })
})

describe('a seat', () => {
  test('of a viewer reads and may not post, until it is another', async () => {
    const id = await openRoom('viewer')
    const b = await bob.client.rooms.join(id, talkOnly)
    await caughtUp(b)
    expect(await slugOf(b.messages.post('mine'))).toBe('forbidden')
    const promoted = new Promise((resolve) => b.on('role', resolve))
    await seat(id, bob, 'commenter')
    expect(await promoted).toBe('commenter')
    expect(await slugOf(b.messages.post('mine'))).toBe('fine')
    b.close()
  })

  test('that is taken away ends the room by its name, and what waited there with it', async () => {
    const id = await openRoom()
    const b = await bob.client.rooms.join(id, talkOnly)
    await caughtUp(b)
    const problem = told(b, 'problem')
    await ada.client.removeRoomMember({ params: { roomId: id, userId: bob.id as UserId } })
    expect(await problem).toMatchObject({ slug: 'not-found' })
    expect(b.status).toBe('closed')
    expect(await slugOf(b.messages.post('too late'))).toBe('not-found')
    expect(b.presence.state.count).toBe(0)
  })

  test('of somebody who asks not to be seen is not', async () => {
    const id = await openRoom()
    const [a, b] = [await ada.client.rooms.join(id, talkOnly), await bob.client.rooms.join(id, { ...talkOnly, incognito: true })]
    await Promise.all([caughtUp(a), caughtUp(b)])
    b.presence.show({ here: true })
    b.messages.typing()
    await b.messages.post('guess who')
    await soon(() => textsOf(a)).toEqual(['guess who'])
    expect(a.presence.state).toMatchObject({ count: 1, members: [{ userId: ada.id }] })
    expect(a.messages.state.typists).toEqual([])
    a.close()
    b.close()
  })
})
