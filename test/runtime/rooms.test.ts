import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from 'cloudflare:test'
import { afterEach, describe, expect, test } from 'vitest'
import * as Y from 'yjs'
import { closeCodeOf } from '../../src/contract/problem.ts'
import { ROOM_FRAME_BYTES_MAX } from '../../src/contract/rooms.ts'
import { readFrame, step1Frame, updateFrame } from '../../src/edge/rooms/framing.ts'
import { SOCKETS_PER_USER_MAX, TRAFFIC } from '../../src/edge/rooms/policy.ts'
import { type Editor, editorIn, enter, newRoom, type Room, rawIn, seatOf, until, userId } from './rooms-peer.ts'

const editors: Editor[] = []

function edit(...args: Parameters<typeof editorIn>): Editor {
  const editor = editorIn(...args)
  editors.push(editor)
  return editor
}

afterEach(() => {
  for (const editor of editors.splice(0)) editor.stop()
})

const hibernate = (room: Room) => evictDurableObject(room, { webSockets: 'hibernate' })

const isUpdate = ([type, kind]: Uint8Array) => type === 0 && kind === 2
const isStep1 = ([type, kind]: Uint8Array) => type === 0 && kind === 0
const isDenial = ([type]: Uint8Array) => type === 2

/** A document that says something, and the frame that brings it. */
function saying(text: string) {
  const doc = new Y.Doc()
  doc.getText('t').insert(0, text)
  return { doc, frame: updateFrame(Y.encodeStateAsUpdate(doc)) }
}

describe('hibernation', () => {
  test('sockets go on after the memory is gone, and the document is whole', async () => {
    const room = newRoom()
    const [ada, bob] = [edit(room, 'ada'), edit(room, 'bob')]
    ada.text.insert(0, 'before ')
    await until([ada, bob], () => bob.text.toString() === 'before ')
    await runInDurableObject(room, (object) => Object.assign(object, { isOld: true }))
    await hibernate(room)
    bob.text.insert(7, 'after')
    await until([ada, bob], () => ada.text.toString() === 'before after')
    await runInDurableObject(room, (object) => expect(object).not.toHaveProperty('isOld'))
    const cleo = edit(room, 'cleo', 'viewer')
    await until([cleo], () => cleo.text.toString() === 'before after')
  })

  test('a change that is being gathered is not lost', async () => {
    const room = newRoom()
    const ada = await rawIn(room, seatOf('ada'))
    ada.send(saying('hello').frame)
    await hibernate(room)
    const bob = edit(room, 'bob')
    await until([bob], () => bob.text.toString() === 'hello')
    ada.close()
  })

  test('a seat keeps its role', async () => {
    const room = newRoom()
    const viewer = await rawIn(room, seatOf('vera', 'viewer'))
    await hibernate(room)
    viewer.send(saying('no').frame)
    await viewer.frame(isDenial)
    viewer.close()
  })
})

describe('exchange', () => {
  test('a change comes back to its sender, and many in a moment are one row and few frames', async () => {
    const room = newRoom()
    const [ada, bob] = [await rawIn(room, seatOf('ada')), await rawIn(room, seatOf('bob'))]
    const doc = new Y.Doc()
    doc.on('update', (update) => ada.send(updateFrame(update)))
    for (let i = 0; i < 60; i++) doc.getText('t').insert(i, 'x')
    await ada.settled()
    await bob.settled()
    const heard = new Y.Doc()
    const frames = bob.frames.filter(isUpdate)
    for (const message of frames.flatMap(readFrame)) if (message.kind === 'update') Y.applyUpdate(heard, message.update)
    expect(heard.getText('t').toString()).toBe('x'.repeat(60))
    expect(frames.length).toBeLessThan(10)
    expect(ada.frames.filter(isUpdate)).toEqual(frames)
    await runInDurableObject(room, (_, { storage }) => {
      expect(storage.sql.exec('SELECT count(*) AS rows FROM document_log').one()).toEqual({ rows: frames.length })
    })
    ada.close()
    bob.close()
  })

  test('an echo comes after what was sent before it is stored', async () => {
    const room = newRoom()
    const ada = await rawIn(room, seatOf('ada'))
    ada.send(saying('kept').frame)
    await ada.settled()
    const order = ada.frames.map(([type, kind]) => (type === 102 ? 'echo' : type === 0 && kind === 2 ? 'update' : 'other'))
    expect(order).toEqual(['other', 'update', 'echo'])
    await runInDurableObject(room, (_, { storage }) => expect(storage.sql.exec('SELECT 1 FROM document_log').toArray()).toHaveLength(1))
    ada.close()
  })

  test('what is known already is neither stored nor told', async () => {
    const room = newRoom()
    const ada = await rawIn(room, seatOf('ada'))
    const { frame } = saying('once')
    for (let i = 0; i < 5; i++) {
      ada.send(frame)
      await ada.settled()
    }
    expect(ada.frames.filter(isUpdate)).toHaveLength(1)
    ada.close()
  })

  test('a viewer reads, is told once that writing is refused, and changes nothing', async () => {
    const room = newRoom()
    const [ada, vera] = [edit(room, 'ada'), await rawIn(room, seatOf('vera', 'viewer'))]
    ada.text.insert(0, 'read me')
    await vera.frame(isUpdate)
    vera.send(0, 1, 2, 0, 0)
    vera.send(step1Frame(new Uint8Array([0])))
    await vera.frame(([type, kind]) => type === 0 && kind === 1)
    await vera.settled()
    expect(vera.frames.filter(isDenial)).toHaveLength(0)
    for (const text of ['a', 'b', 'c']) vera.send(saying(text).frame)
    await vera.settled()
    expect(vera.frames.filter(isDenial)).toEqual([Uint8Array.from([2, 0, 9, ...new TextEncoder().encode('forbidden')])])
    expect(ada.text.toString()).toBe('read me')
    vera.close()
  })

  test('a viewer who brings back what the room knows is not refused', async () => {
    const room = newRoom()
    const ada = await rawIn(room, seatOf('ada'))
    const { doc, frame } = saying('known words')
    ada.send(frame)
    doc.getText('t').delete(0, 6)
    ada.send(updateFrame(Y.encodeStateAsUpdate(doc)))
    await ada.settled()
    const vera = await rawIn(room, seatOf('vera', 'viewer'))
    const step2 = updateFrame(Y.encodeStateAsUpdate(doc))
    step2[1] = 1
    vera.send(step2)
    await vera.settled()
    expect(vera.frames.filter(isDenial)).toHaveLength(0)
    ada.close()
    vera.close()
  })

  test('who sends a change without its ground is asked for all of it, and no echo vouches for it before', async () => {
    const room = newRoom()
    const doc = new Y.Doc()
    const updates: Uint8Array[] = []
    doc.on('update', (update) => updates.push(update))
    doc.getText('t').insert(0, 'ground ')
    doc.getText('t').insert(7, 'storey')
    const [ada, bob] = [await enter(room, seatOf('ada')), edit(room, 'bob')]
    const answers: number[][] = []
    ada.addEventListener('message', ({ data }) => answers.push([...new Uint8Array(data as ArrayBuffer)]))
    ada.send(updateFrame(updates[1] as Uint8Array))
    ada.send(Uint8Array.from([102, 1]))
    ada.send(Uint8Array.from([3]))
    await expect.poll(() => answers.filter(([type, kind]) => type === 0 && kind === 0).length).toBe(2)
    expect(answers.filter(([type]) => type === 102)).toEqual([])
    const everything = updateFrame(Y.encodeStateAsUpdate(doc))
    everything[1] = 1
    ada.send(everything)
    await until([bob], () => bob.text.toString() === 'ground storey')
    await expect.poll(() => answers.at(-1)).toEqual([102, 1])
    ada.close()
  })

  test('an editor whose neighbour tab brought it changes that the room lacks sends them too', async () => {
    const room = newRoom()
    const [ada, reader] = [edit(room, 'ada'), edit(room, 'reader')]
    await until([ada], () => ada.provider.synced)
    await until([reader], () => reader.provider.synced)
    const neighbour = new Y.Doc()
    neighbour.getText('t').insert(0, 'from the other tab')
    // As y-websocket hands over what a BroadcastChannel brought: with the provider as origin, so it is not sent on.
    Y.applyUpdate(ada.doc, Y.encodeStateAsUpdate(neighbour), ada.provider)
    ada.text.insert(18, ', and mine')
    await until([reader], () => reader.text.toString() === 'from the other tab, and mine')
  })
})

describe('bad frames', () => {
  const cases: Record<string, { bytes: number[]; slug: 'invalid-request' | 'payload-too-large' }> = {
    'an empty frame': { bytes: [], slug: 'invalid-request' },
    'an endless number': { bytes: Array(12).fill(255), slug: 'invalid-request' },
    'a length beyond the end': { bytes: [0, 2, 200, 1, 2], slug: 'invalid-request' },
    'an unknown type': { bytes: [77, 1], slug: 'invalid-request' },
    'an unknown sync message': { bytes: [0, 9, 0], slug: 'invalid-request' },
    'a permission message from a client': { bytes: [2, 0, 0], slug: 'invalid-request' },
    'an update that is none': { bytes: [0, 2, 4, 9, 9, 9, 9], slug: 'invalid-request' },
    'a state vector that is none': { bytes: [0, 0, 2, 255, 255], slug: 'invalid-request' },
    'an awareness message cut short': { bytes: [1, 3, 1, 5, 1], slug: 'invalid-request' },
    'a presence that is no object': { bytes: [1, 4, 1, 5, 1, 1, 53], slug: 'invalid-request' },
    'a presence that is no JSON': { bytes: [1, 5, 1, 5, 1, 1, 123], slug: 'invalid-request' },
    'a frame beyond the limit': { bytes: Array(ROOM_FRAME_BYTES_MAX + 1).fill(0), slug: 'payload-too-large' },
  }

  test.each(Object.entries(cases))('%s ends that socket and no other', async (_, { bytes, slug }) => {
    const room = newRoom()
    const [ada, mallory] = [edit(room, 'ada'), await rawIn(room, seatOf('mallory'))]
    await until([ada], () => ada.provider.synced)
    mallory.send(Uint8Array.from(bytes))
    expect(await mallory.closed).toEqual({ code: closeCodeOf(slug), reason: slug })
    ada.text.insert(0, 'still here')
    const bob = edit(room, 'bob')
    await until([bob], () => bob.text.toString() === 'still here')
  })

  test('text is not spoken here', async () => {
    const peer = await rawIn(newRoom(), seatOf('tess'))
    peer.sendText('hello')
    expect(await peer.closed).toEqual({ code: 4400, reason: 'invalid-request' })
  })

  test('a flood ends with rate-limited, and coming back does not refill', async () => {
    const room = newRoom()
    const flood = await rawIn(room, seatOf('floyd'))
    const packed = Uint8Array.from(Array.from({ length: 32 }, () => [1, 1, 0]).flat())
    for (let i = 0; i <= (TRAFFIC.messages.burst * 1.1) / 32; i++) flood.send(packed)
    expect(await flood.closed).toEqual({ code: 4503, reason: 'rate-limited' })
    const again = await rawIn(room, seatOf('floyd'))
    for (let i = 0; i < 200; i++) again.send(packed)
    expect(await again.closed).toMatchObject({ code: 4503 })
  })

  test('asking for everything again and again is charged by the answer', async () => {
    const room = newRoom()
    const ada = await rawIn(room, seatOf('ada'))
    for (let i = 0; i < 9; i++) ada.send(saying('w'.repeat(1_000_000)).frame)
    await ada.settled()
    for (let i = 0; i < 20; i++) ada.send(step1Frame(new Uint8Array([0])))
    expect(await ada.closed).toMatchObject({ code: 4503 })
  })
})

describe('seats', () => {
  test('a removed member is put out and the others stay', async () => {
    const room = newRoom()
    const [ada, mallory] = [edit(room, 'ada'), await rawIn(room, seatOf('mallory'))]
    await until([ada], () => ada.provider.synced)
    await room.applySeats([{ userId: userId('mallory'), role: null, version: 2 }])
    expect(await mallory.closed).toEqual({ code: 4404, reason: 'not-found' })
    expect(ada.provider.wsconnected).toBe(true)
  })

  test('a role that changes binds at once: first refused, then asked for what was refused', async () => {
    const room = newRoom()
    const ada = await rawIn(room, seatOf('ada'))
    await room.applySeats([{ userId: userId('ada'), role: 'viewer', version: 2 }])
    ada.send(saying('refused').frame)
    await ada.frame(isDenial)
    await room.applySeats([{ userId: userId('ada'), role: 'editor', version: 3 }])
    await ada.settled()
    expect(ada.frames.filter(isStep1)).toHaveLength(2)
    ada.send(saying('taken').frame)
    await ada.frame(isUpdate)
    ada.close()
  })

  test('old news of a seat changes nothing', async () => {
    const room = newRoom()
    const ada = await rawIn(room, seatOf('ada', 'editor', { version: 7 }))
    await room.applySeats([{ userId: userId('ada'), role: null, version: 6 }])
    await room.applySeats([{ userId: userId('ada'), role: 'viewer', version: 7 }])
    ada.send(saying('mine').frame)
    await ada.frame(isUpdate)
    ada.close()
  })

  test('a join that was checked before a removal has to be checked again', async () => {
    const room = newRoom()
    await room.applySeats([{ userId: userId('mallory'), role: null, version: 2 }])
    await hibernate(room)
    await expect(rawIn(room, seatOf('mallory', 'editor', { version: 1 }))).rejects.toThrow('conflict')
    const other = await rawIn(room, seatOf('ada', 'editor', { version: 2 }))
    other.close()
  })

  test('a ticket opens the door once', async () => {
    const room = newRoom()
    const ticket = { jti: 'tkt_1', expiresAt: Date.now() + 30_000 }
    const first = await rawIn(room, seatOf('ada', 'editor', { ticket }))
    await hibernate(room)
    await expect(rawIn(room, seatOf('ada', 'editor', { ticket }))).rejects.toThrow('ticket-invalid')
    first.close()
  })

  test('one user cannot fill the room', async () => {
    const room = newRoom()
    const tabs = await Promise.all(Array.from({ length: SOCKETS_PER_USER_MAX }, () => rawIn(room, seatOf('ada'))))
    await expect(rawIn(room, seatOf('ada'))).rejects.toThrow('limit-reached')
    const bob = await rawIn(room, seatOf('bob'))
    for (const peer of [...tabs, bob]) peer.close()
  })

  test('an expired token ends its socket at the next message, and a silent one at the alarm', async () => {
    const room = newRoom()
    const expiresAt = Date.now() - 1
    const talking = await rawIn(room, seatOf('ada', 'editor', { expiresAt }))
    expect(await talking.closed).toEqual({ code: 4503, reason: 'unauthenticated' })
    const silent = await enter(room, seatOf('bob', 'editor', { expiresAt }))
    const heard: number[] = []
    silent.addEventListener('message', ({ data }) => void heard.push(new Uint8Array(data as ArrayBuffer)[1] ?? -1))
    const closed = new Promise((resolve) => silent.addEventListener('close', ({ code, reason }) => resolve({ code, reason })))
    const fresh = await rawIn(room, seatOf('cleo'))
    fresh.send(saying('not for the expired').frame)
    await fresh.settled()
    await runDurableObjectAlarm(room)
    expect(await closed).toEqual({ code: 4503, reason: 'unauthenticated' })
    expect(heard).toEqual([0])
    await fresh.settled()
    await runInDurableObject(room, async (_, { storage }) => expect(await storage.getAlarm()).toBeGreaterThan(Date.now()))
    fresh.close()
  })
})
