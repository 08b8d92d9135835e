import { encode, writeUint8Array, writeVarString } from 'lib0/encoding'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { WebSocket } from 'ws'
import * as Y from 'yjs'
import type { RoomId } from '../../src/contract/rooms.ts'
import { updateFrame } from '../../src/edge/rooms/framing.ts'
import { type Edge, startEdge } from '../harness.ts'
import { closeFrameOf } from '../inbox/close-frame.ts'
import { allowedMs } from '../pace.ts'
import { bearer, frameOf, knock, meet, type Person } from './person.ts'

/** What is promised: from the answer of whoever changes a seat to what its sockets are told. */
const BOUND_MS = 2_000

/** How a socket of one framing comes in, writes, and hears what became of it. */
interface Framing {
  readonly open: (roomId: RoomId, person: Person) => Promise<WebSocket>
  readonly wrap: (roomId: RoomId, update: Uint8Array) => Uint8Array
  /** Whether a frame says that a change was taken, or refused; nothing if it speaks of something else. */
  readonly verdict: (frame: Uint8Array) => 'taken' | 'refused' | undefined
}

let edge: Edge

const sockets: WebSocket[] = []
afterEach(() => {
  for (const socket of sockets.splice(0)) socket.terminate()
})

async function enter(path: string, protocols: string[]): Promise<WebSocket> {
  const { socket, slug } = await knock(edge, path, { protocols })
  if (!socket) throw new Error(slug)
  sockets.push(socket)
  return socket
}

const verdictOfY = ([type, kind]: Uint8Array) => (type === 2 ? 'refused' : type === 0 && kind === 2 ? 'taken' : undefined)
/** Of a frame that names a document, the rest. */
const bodyOf = (frame: Uint8Array) => frame.subarray(1 + (frame[0] ?? 0))
const naming = (roomId: RoomId, body: Uint8Array) =>
  encode((e) => {
    writeVarString(e, roomId)
    writeUint8Array(e, body)
  })

const FRAMINGS: Readonly<Record<string, Framing>> = {
  y: {
    open: (roomId, person) => enter(`/v1/rooms/${roomId}/y`, bearer(person)),
    wrap: (_, update) => updateFrame(update),
    verdict: verdictOfY,
  },
  hocuspocus: {
    open: async (roomId, { accessToken }) => {
      const socket = await enter(`/v1/rooms/${roomId}/hocuspocus`, [])
      const admitted = frameOf(socket, (frame) => bodyOf(frame)[0] === 2)
      const token = encode((e) => {
        writeUint8Array(e, Uint8Array.of(2, 0))
        writeVarString(e, accessToken)
      })
      socket.send(naming(roomId, token))
      await admitted
      return socket
    },
    wrap: (roomId, update) => naming(roomId, updateFrame(update)),
    verdict: (frame) => {
      const [type, isStored] = bodyOf(frame)
      return type === 8 ? (isStored === 1 ? 'taken' : 'refused') : undefined
    },
  },
  live: {
    open: async (roomId, person) => {
      const socket = await enter(`/v1/rooms/${roomId}/live`, bearer(person))
      const greeted = frameOf(socket, ([type, kind]) => type === 0 && kind === 0)
      socket.send(JSON.stringify({ type: 'subscribe', stream: 'document' }))
      await greeted
      return socket
    },
    wrap: (_, update) => updateFrame(update),
    verdict: verdictOfY,
  },
}

/** Writes on, each change when the last has its answer, until one is refused; answers when, and how many were taken. */
function writeOn(socket: WebSocket, roomId: RoomId, { wrap, verdict }: Framing) {
  const doc = new Y.Doc()
  const list = doc.getArray<number>('written')
  let taken = 0
  doc.on('update', (update: Uint8Array) => socket.send(wrap(roomId, update)))
  const refused = new Promise<{ at: number; taken: number }>((resolve) => {
    socket.on('message', (data: ArrayBuffer, isBinary: boolean) => {
      const said = isBinary ? verdict(new Uint8Array(data)) : undefined
      if (said === 'refused') resolve({ at: performance.now(), taken })
      if (said !== 'taken') return
      taken++
      list.push([taken])
    })
  })
  list.push([0])
  return refused
}

describe.each([
  ['in the room', '1000'],
  ['on a leaf', '2'],
])('an open socket %s', (_, above) => {
  let ada: Person
  let bob: Person
  beforeAll(async () => {
    edge = await startEdge({ vars: { ROOM_LEAVES_ABOVE: above } })
    ada = await meet(edge, 'ada')
  }, 120_000)
  afterAll(() => edge.stop())

  /** A room with others in it, and one more socket of an editor. */
  async function seated(framing: Framing) {
    bob = await meet(edge, 'bob')
    const roomId = await ada.openRoom()
    for (let i = 0; i < 2; i++) await enter(`/v1/rooms/${roomId}/y`, bearer(ada))
    await ada.seat(roomId, bob, 'editor')
    const socket = await framing.open(roomId, bob)
    const { body } = await ada.send('GET', `/v1/rooms/${roomId}/stats`)
    expect(body).toMatchObject({ sockets: 3, leaves: above === '2' ? 1 : 0 })
    return { roomId, socket }
  }

  const writtenIn = async (roomId: RoomId) => {
    const { body } = await ada.send('GET', `/v1/rooms/${roomId}/document?format=json`)
    return (body['json'] as { written?: number[] }).written ?? []
  }

  describe.each(Object.entries(FRAMINGS))('of framing %s', (_, framing) => {
    test('of an editor who becomes a viewer is refused what it writes, within two seconds', { timeout: 120_000 }, async () => {
      const { roomId, socket } = await seated(framing)
      const refused = writeOn(socket, roomId, framing)
      await frameOf(socket, (frame) => framing.verdict(frame) === 'taken')
      expect((await ada.seat(roomId, bob, 'viewer')).status).toBeLessThan(300)
      const answeredAt = performance.now()
      const { at, taken } = await refused
      expect(at - answeredAt).toBeLessThan(await allowedMs(edge, BOUND_MS))
      expect(await writtenIn(roomId)).toEqual(Array.from({ length: taken }, (_, i) => i))
      expect(socket.readyState).toBe(socket.OPEN)
    })

    test('of somebody who loses their seat closes, within two seconds', { timeout: 120_000 }, async () => {
      const { roomId, socket } = await seated(framing)
      const closed = closeFrameOf(socket).then((close) => ({ ...close, at: performance.now() }))
      expect((await ada.unseat(roomId, bob)).status).toBe(204)
      const answeredAt = performance.now()
      const { at, ...close } = await closed
      expect(close).toEqual({ code: 4404, reason: 'not-found' })
      expect(at - answeredAt).toBeLessThan(await allowedMs(edge, BOUND_MS))
    })

    test('of a session that ends closes, within two seconds', { timeout: 120_000 }, async () => {
      const { socket } = await seated(framing)
      const closed = closeFrameOf(socket).then((close) => ({ ...close, at: performance.now() }))
      expect((await bob.send('POST', '/v1/auth/logout', { refreshToken: bob.refreshToken })).status).toBeLessThan(300)
      const answeredAt = performance.now()
      const { at, ...close } = await closed
      expect(close).toEqual({ code: 4401, reason: 'session-ended' })
      expect(at - answeredAt).toBeLessThan(await allowedMs(edge, BOUND_MS))
    })
  })
})
