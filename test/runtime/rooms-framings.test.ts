import { evictDurableObject, runInDurableObject } from 'cloudflare:test'
import { afterEach, describe, expect, test, vi } from 'vitest'
import * as Y from 'yjs'
import { CATCH_UP_EVENTS, LIVE_BEHIND_CHARS } from '../../src/contract/room-live.ts'
import { MESSAGE_CHARS_MAX } from '../../src/contract/room-messages.ts'
import { PRESENCE_BYTES_MAX } from '../../src/contract/rooms.ts'
import { awarenessFrame, type PresenceEntry, readFrame, step1Frame, updateFrame } from '../../src/edge/rooms/framing.ts'
import { named, readNamedFrame } from '../../src/edge/rooms/hocuspocus-framing.ts'
import type { Place } from '../../src/edge/rooms/place.ts'
import { TRAFFIC } from '../../src/edge/rooms/policy.ts'
import { liveIn, newCid } from './live-peer.ts'
import { editorIn, eventually, kill, leafOf, newRoom, type Room, rawIn, sameAs, seatOf, talliedIn, until, userId } from './rooms-peer.ts'

/** A socket of some framing in one room, to be used by hand. */
interface Hand {
  readonly send: (frame: Uint8Array) => void
  readonly closed: Promise<{ readonly code: number; readonly reason: string }>
  /** Every presence it has heard of. */
  readonly heard: () => readonly string[]
  readonly got: () => readonly Uint8Array[]
}

const textOf = ({ clientId, json }: PresenceEntry) => `${clientId} ${new TextDecoder().decode(json)}`
const presencesIn = (frame: Uint8Array) =>
  readFrame(frame).flatMap((message) => (message.kind === 'awareness' ? message.entries.map(textOf) : []))

async function byY(room: Room, name: string): Promise<Hand> {
  const { send, closed, frames } = await rawIn(room, seatOf(name))
  return { send, closed, got: () => frames, heard: () => frames.filter(([type]) => type === 1).flatMap(presencesIn) }
}

/** The token of a Hocuspocus socket is a matter of the door; here it has been accepted. */
async function byHocuspocus(room: Room, name: string): Promise<Hand> {
  const { send, closed, frames } = await rawIn(room, seatOf(name))
  const key = room.name ?? ''
  await runInDurableObject(room, (_, state) => {
    for (const socket of state.getWebSockets()) {
      const place = socket.deserializeAttachment() as Place
      if (place.userId === userId(name)) socket.serializeAttachment({ ...place, framing: 'hocuspocus', key })
    }
  })
  await evictDurableObject(room, { webSockets: 'hibernate' })
  const isNamed = (frame: Uint8Array) => frame[0] === key.length
  const entries = (frame: Uint8Array) => {
    if (frame[1 + key.length] !== 1) return []
    const read = readNamedFrame(frame)
    return read.kind === 'message' && read.message.kind === 'awareness' ? read.message.entries.map(textOf) : []
  }
  return { send: (frame) => send(named(key, frame)), closed, got: () => frames, heard: () => frames.filter(isNamed).flatMap(entries) }
}

async function byLive(room: Room, name: string): Promise<Hand> {
  const peer = await liveIn(room, name)
  await peer.subscribe('document')
  const got = () => peer.binary.map((data) => new Uint8Array(data))
  return {
    send: (frame) => peer.socket.send(frame),
    closed: peer.closed,
    got,
    heard: () =>
      got()
        .filter(([type]) => type === 1)
        .flatMap(presencesIn),
  }
}

const FRAMINGS = { y: byY, hocuspocus: byHocuspocus, live: byLive }
/** What passes has another code where 44xx is taken for good. */
const LIMITED = { y: 4503, hocuspocus: 4503, live: 4429 }

const entry = (clientId: number, clock: number, state: unknown): PresenceEntry => ({
  clientId,
  clock,
  json: new TextEncoder().encode(JSON.stringify(state)),
})

function change(text: string): Uint8Array {
  const doc = new Y.Doc()
  doc.getText('t').insert(0, text)
  return updateFrame(Y.encodeStateAsUpdate(doc))
}

/** On a slow machine allowances would grow as fast as they are spent. */
const stopClock = () => void vi.useFakeTimers({ toFake: ['Date'], now: Date.now() })
afterEach(() => void vi.useRealTimers())

describe.each(Object.keys(FRAMINGS) as (keyof typeof FRAMINGS)[])('a socket of framing %s', (framing) => {
  const open = FRAMINGS[framing]

  test('that floods with tiny changes is closed with rate-limited, and nobody else', { timeout: 120_000 }, async () => {
    const room = newRoom()
    const witness = editorIn(room, 'wit')
    const flood = await open(room, 'floyd')
    const frame = change('x')
    // Each of many ends that mean nobody is as much work as a message.
    const ends = awarenessFrame(Array.from({ length: 9_990 }, (_, i) => ({ ...entry(i, 1, null) })))
    stopClock()
    for (let i = 0; i < TRAFFIC.messages.burst / 10_000; i++) flood.send(ends)
    for (let i = 0; i < 100; i++) flood.send(frame)
    expect(await flood.closed).toEqual({ code: LIMITED[framing], reason: 'rate-limited' })
    await until([witness], () => witness.text.toString() === 'x')
    witness.stop()
  })

  test('that sends more bytes than anybody may is closed with rate-limited', { timeout: 120_000 }, async () => {
    const room = newRoom()
    const flood = await open(room, 'floyd')
    const frame = change('x'.repeat(1_000_000))
    stopClock()
    for (let i = 0; i <= (TRAFFIC.bytes.burst * 1.2) / frame.byteLength; i++) flood.send(frame)
    expect(await flood.closed).toEqual({ code: LIMITED[framing], reason: 'rate-limited' })
  })

  test('that asks for everything again and again is charged by the answer', { timeout: 120_000 }, async () => {
    const room = newRoom()
    const ada = await open(room, 'ada')
    stopClock()
    for (let i = 0; i < 9; i++) ada.send(change('w'.repeat(1_000_000)))
    for (let i = 0; i < 20; i++) ada.send(step1Frame(new Uint8Array([0])))
    expect(await ada.closed).toEqual({ code: LIMITED[framing], reason: 'rate-limited' })
  })

  test('that takes six megabytes of the document without a word is closed with a code it comes back from', {
    timeout: 120_000,
  }, async () => {
    const room = newRoom()
    const silent = await open(room, 'sam')
    const writer = await rawIn(room, seatOf('ada'))
    for (let i = 0; i < 10; i++) {
      writer.send(change(String(i).repeat(900_000)))
      await writer.settled()
    }
    expect(await silent.closed).toEqual({ code: LIMITED[framing], reason: 'rate-limited' })
    writer.close()
  })

  test.each([
    ['an endless number', [0, 2, ...Array(12).fill(255)]],
    ['a length beyond the end', [0, 2, 200, 1, 2]],
    ['an update that is none', [0, 2, 4, 9, 9, 9, 9]],
    ['a presence cut short', [1, 3, 1, 5, 1]],
    ['the server’s own broadcast', [6, 1, 120]],
  ])('that sends %s is closed with invalid-request', async (_, bytes) => {
    const room = newRoom()
    const mallory = await open(room, 'mallory')
    mallory.send(Uint8Array.from(bytes))
    expect(await mallory.closed).toEqual({ code: 4400, reason: 'invalid-request' })
  })

  test('cannot speak for a client that another socket holds', async () => {
    const room = newRoom()
    const listener = await rawIn(room, seatOf('lea'))
    const ada = await rawIn(room, seatOf('ada'))
    ada.send(awarenessFrame([entry(7, 1, { name: 'ada' })]))
    await ada.settled()
    const mallory = await open(room, 'mallory')
    mallory.send(awarenessFrame([entry(7, 9, { name: 'mallory' })]))
    mallory.send(awarenessFrame([entry(7, 9, null)]))
    mallory.send(awarenessFrame([entry(8, 1, { name: 'mallory' })]))
    const heard = () => listener.frames.filter(([type]) => type === 1).flatMap(presencesIn)
    await listener.frame(() => heard().some((line) => line.startsWith('8 ')))
    expect(heard()).toEqual(['7 {"name":"ada"}', '8 {"name":"mallory"}'])
  })

  test('that shows more of itself than 4 KiB is told so, and nobody hears of it', async () => {
    const room = newRoom()
    const listener = await rawIn(room, seatOf('lea'))
    const ada = await open(room, 'ada')
    ada.send(awarenessFrame([entry(7, 1, { s: 'x'.repeat(PRESENCE_BYTES_MAX) })]))
    if (framing === 'hocuspocus') {
      const refusal = () => ada.got().some((frame) => new TextDecoder().decode(frame).includes('payload-too-large'))
      await eventually(async () => refusal())
    } else expect(await ada.closed).toEqual({ code: 4413, reason: 'payload-too-large' })
    await listener.settled()
    expect(listener.frames.filter(([type]) => type === 1).flatMap(presencesIn)).toEqual([])
  })
})

test('binary frames on a live socket that does not follow the document close it', async () => {
  const peer = await liveIn(newRoom(), 'ada')
  peer.socket.send(change('x'))
  expect(await peer.closed).toEqual({ code: 4400, reason: 'invalid-request' })
})

test('who leaves four times as much unread as ends a stream is closed at their next word, unless that says they have read it', {
  timeout: 60_000,
}, async () => {
  const room = newRoom()
  // Two characters of a frame each, and six.
  const text = '"'.repeat(MESSAGE_CHARS_MAX - 300) + '\u0001'.repeat(300)
  for (let i = 0; i < CATCH_UP_EVENTS + 100; i++)
    await room.publishMessage({
      author: { userId: userId('ada'), role: 'editor' },
      publication: { cid: newCid(), action: { kind: 'post', text } },
    })
  for (const { door, isHonest } of [room, leafOf(room, 0)].flatMap((door) => [true, false].map((isHonest) => ({ door, isHonest })))) {
    const reader = await liveIn(door, isHonest ? 'rea' : 'lax')
    await reader.subscribe('messages', { last: CATCH_UP_EVENTS })
    await reader.frame('messages')
    const chars = reader.texts.reduce((sum, { length }) => sum + length, 0)
    expect(chars).toBeGreaterThan(4 * LIVE_BEHIND_CHARS)
    if (isHonest) reader.send({ type: 'received', chars })
    reader.send({ type: 'typing' })
    if (!isHonest) expect(await reader.closed).toEqual({ code: 4429, reason: 'rate-limited' })
    else await reader.post('I have read it')
  }
  // Also those that a leaf closes by itself.
  await eventually(async () => (await talliedIn(room, 'closes', 'rate-limited')) === 2)
})

test('a room that is killed mid-window has all it acknowledged, and what it had not comes again, once', { timeout: 120_000 }, async () => {
  const room = newRoom()
  const door = { fetch: (request: Request) => sameAs(room).fetch(request) }
  const editor = editorIn(door, 'ed')
  await until([editor], () => editor.provider.synced)
  const acknowledged: number[] = []
  const cids: string[] = []
  for (let round = 0; round < 10; round++) {
    const peer = await liveIn(door, 'ada')
    const cid = newCid()
    cids.push(cid)
    const acked = peer.post(`${round}`, cid).then(({ seq }) => acknowledged.push(seq))
    editor.text.insert(0, `${round} `)
    if (round % 2 === 0) await acked
    await kill(sameAs(room))
    const again = await liveIn(door, 'ada')
    const { seq } = await again.post(`${round}`, cid)
    if (round % 2 === 0) expect(acknowledged.at(-1)).toBe(seq)
  }
  const { items } = await sameAs(room).readMessages({ since: undefined, limit: 100 })
  expect(items.map(({ cid }) => cid)).toEqual(cids)
  const reader = editorIn(door, 'rea')
  await until([reader, editor], () => reader.text.toString() === editor.text.toString() && editor.text.length === 20)
  editor.stop()
  reader.stop()
})
