import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { WebSocket } from 'ws'
import type { LiveClientFrame, LiveServerFrame } from '../../src/contract/room-live.ts'
import type { RoomId } from '../../src/contract/rooms.ts'
import { type Edge, startEdge } from '../harness.ts'
import { post } from '../identity/raw.ts'
import { bearer, closeOf, knock, meet, type Person } from '../rooms/person.ts'

let edge: Edge
let ada: Person
let bob: Person
let stranger: Person
beforeAll(async () => {
  // A user may publish twenty messages a minute.
  edge = await startEdge({ vars: { LIMITS: 'register=100000/60 mail=100000/60 code=100000/60 login-place=100000/60 messages=1/60' } })
  ;[ada, bob, stranger] = await Promise.all([meet(edge, 'ada'), meet(edge, 'bob'), meet(edge, 'stranger')])
})
afterAll(() => edge.stop())

type Frame<T extends LiveServerFrame['type']> = Extract<LiveServerFrame, { type: T }>

/** A socket by hand; each frame it is told can be waited for once. */
function peerOn(socket: WebSocket) {
  const frames: LiveServerFrame[] = []
  const looks = new Set<() => void>()
  socket.on('message', (data: Buffer, isBinary: boolean) => {
    if (isBinary) return
    frames.push(JSON.parse(new TextDecoder().decode(data)) as LiveServerFrame)
    for (const look of looks) look()
  })
  return {
    socket,
    closed: closeOf(socket),
    send: (frame: LiveClientFrame | { type: 'subscribe'; stream: string }) => socket.send(JSON.stringify(frame)),
    next: <T extends LiveServerFrame['type']>(...types: T[]) =>
      new Promise<Frame<T>>((resolve) => {
        const look = () => {
          const at = frames.findIndex((frame) => types.includes(frame.type as T))
          if (at < 0) return
          looks.delete(look)
          resolve(frames.splice(at, 1)[0] as Frame<T>)
        }
        looks.add(look)
        look()
      }),
  }
}

async function enter(roomId: RoomId, person?: Pick<Person, 'accessToken'>) {
  const { socket, slug } = await knock(edge, `/v1/rooms/${roomId}/live`, { protocols: person ? bearer(person) : ['parvis'] })
  if (!socket) throw new Error(slug)
  return peerOn(socket)
}

/** The next tokens of somebody's session. */
async function renewed(person: Person) {
  const { body } = await post(edge, '/v1/auth/refresh', { refreshToken: person.refreshToken })
  return String(body['accessToken'])
}

/** When an access token expires, as it says itself. */
function endOf(token: string): number {
  const { exp } = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as { exp: number }
  return exp * 1000
}

describe('a socket without a credential', () => {
  test('is let in by its first frame, and is tied to the session like any other', async () => {
    const roomId = await ada.openRoom()
    const peer = await enter(roomId)
    peer.send({ type: 'authenticate', token: ada.accessToken })
    expect(await peer.next('ready')).toMatchObject({ userId: ada.userId, role: 'owner' })
    peer.send({ type: 'subscribe', stream: 'presence' })
    expect((await peer.next('presence')).on).toEqual([{ userId: ada.userId, state: null }])
    const cleo = await meet(edge, 'cleo')
    await ada.seat(roomId, cleo, 'editor')
    const hers = await enter(roomId)
    hers.send({ type: 'authenticate', token: cleo.accessToken })
    await hers.next('ready')
    await post(edge, '/v1/auth/logout', { refreshToken: cleo.refreshToken })
    expect(await hers.closed).toEqual({ code: 4401, reason: 'session-ended' })
    peer.socket.close()
  })

  test('need not wait to be let in: what it says meanwhile is heard then', async () => {
    const peer = await enter(await ada.openRoom())
    peer.send({ type: 'authenticate', token: ada.accessToken })
    for (const stream of ['messages', 'presence', 'document']) peer.send({ type: 'subscribe', stream })
    peer.send({ type: 'publish', cid: 'before-the-answer', action: { kind: 'post', text: 'in a hurry' } })
    await peer.next('ready')
    expect((await peer.next('ack')).seq).toBe(1)
    expect((await peer.next('presence')).on).toEqual([{ userId: ada.userId, state: null }])
    peer.socket.close()
  })

  test('is let in by a ticket, once', async () => {
    const roomId = await ada.openRoom()
    const token = await ada.ticketTo(roomId)
    const peer = await enter(roomId)
    peer.send({ type: 'authenticate', token })
    await peer.next('ready')
    const again = await enter(roomId)
    again.send({ type: 'authenticate', token })
    expect(await again.closed).toEqual({ code: 4401, reason: 'ticket-invalid' })
    peer.socket.close()
  })

  test('of a stranger is closed without a word about the room, and a room that is none opens no socket', async () => {
    const peer = await enter(await ada.openRoom())
    peer.send({ type: 'authenticate', token: stranger.accessToken })
    expect(await peer.closed).toEqual({ code: 4404, reason: 'not-found' })
    await expect(enter(`rm_${'0'.repeat(26)}` as RoomId)).rejects.toThrow('not-found')
  })
})

describe('a token on an open socket', () => {
  test('is replaced in place by a newer one of the same user', async () => {
    const dora = await meet(edge, 'dora')
    const peer = await enter(await dora.openRoom(), dora)
    await peer.next('ready')
    const token = await renewed(dora)
    peer.send({ type: 'refresh', token })
    expect((await peer.next('ready')).expiresAt).toBe(endOf(token))
    peer.send({ type: 'publish', cid: 'after-the-renewal', action: { kind: 'post', text: 'still here' } })
    expect((await peer.next('ack')).seq).toBe(1)
    peer.socket.close()
  })

  test('cannot become another user’s, whatever seat that one has', async () => {
    const roomId = await ada.openRoom()
    await ada.seat(roomId, bob, 'editor')
    const peer = await enter(roomId, ada)
    await peer.next('ready')
    peer.send({ type: 'refresh', token: bob.accessToken })
    expect(await peer.closed).toEqual({ code: 4401, reason: 'unauthenticated' })
  })
})

test('a user’s messages are counted across rooms, and the room says when to go on', async () => {
  const eve = await meet(edge, 'eve')
  const [one, two] = [await enter(await eve.openRoom(), eve), await enter(await eve.openRoom(), eve)]
  let cids = 0
  const publish = ({ send, next }: typeof one) => {
    send({ type: 'publish', cid: `message-${++cids}`, action: { kind: 'post', text: 'again' } })
    return next('ack', 'error')
  }
  /** Publishes until the user may not; what only this socket may not at once, it may within a second. */
  const exhaust = async (peer: typeof one): Promise<{ accepted: number; refusal: Frame<'error'> }> => {
    for (let accepted = 0; ; ) {
      const answer = await publish(peer)
      if (answer.type === 'ack') accepted += 1
      else if ((answer.retryAfterMs ?? 0) > 1_000) return { accepted, refusal: answer }
      else await new Promise((resolve) => setTimeout(resolve, answer.retryAfterMs))
    }
  }
  const { accepted, refusal } = await exhaust(one)
  expect(accepted).toBeGreaterThanOrEqual(20)
  expect(refusal).toMatchObject({ code: 'rate-limited', temporary: true, about: 'publish', cid: expect.any(String) })
  expect((await exhaust(two)).accepted).toBeLessThan(20)
  for (const { socket } of [one, two]) socket.close()
})
