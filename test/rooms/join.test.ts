import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { WebSocket } from 'ws'
import * as Y from 'yjs'
import { TICKET_TTL_SECONDS } from '../../src/contract/identity.ts'
import type { RoomId } from '../../src/contract/rooms.ts'
import { keyringOf } from '../../src/edge/platform/keyring.ts'
import type { Actor, Scope } from '../../src/edge/platform/scope.ts'
import { mintTicket } from '../../src/edge/platform/ticket.ts'
import { updateFrame } from '../../src/edge/rooms/framing.ts'
import { SOCKETS_PER_USER_MAX } from '../../src/edge/rooms/policy.ts'
import { type Edge, ORIGIN, startEdge } from '../harness.ts'
import { allowedMs } from '../pace.ts'
import { workerdPids } from '../workerd.ts'
import { bearer, closeOf, type Editor, editorOf, frameOf, knock, meet, type Person, until } from './person.ts'

let edge: Edge
let ada: Person
let bob: Person
let stranger: Person

beforeAll(async () => {
  edge = await startEdge()
  ;[ada, bob, stranger] = await Promise.all([meet(edge, 'ada'), meet(edge, 'bob'), meet(edge, 'stranger')])
})
afterAll(() => edge.stop())

const editors: Editor[] = []
const sockets: WebSocket[] = []
afterEach(() => {
  for (const editor of editors.splice(0)) editor.stop()
  for (const socket of sockets.splice(0)) socket.terminate()
})

function edit(roomId: RoomId, given: Parameters<typeof editorOf>[2]): Editor {
  const editor = editorOf(edge, roomId, given)
  editors.push(editor)
  return editor
}

/** A socket that must open. */
async function enter(person: Person, roomId: RoomId, headers: Record<string, string> = {}): Promise<WebSocket> {
  const { socket, status, slug } = await knock(edge, door(roomId), { protocols: bearer(person), headers })
  if (!socket) throw new Error(`${status} ${slug}`)
  sockets.push(socket)
  return socket
}

const door = (roomId: RoomId) => `/v1/rooms/${roomId}/y`
const isDenial = ([type]: Uint8Array) => type === 2
const isUpdate = ([type, kind]: Uint8Array) => type === 0 && kind === 2

/** A change that brings a text. */
function change(text: string): Uint8Array {
  const doc = new Y.Doc()
  doc.getText('t').insert(0, text)
  return updateFrame(Y.encodeStateAsUpdate(doc))
}

describe('two unmodified y-websocket providers', () => {
  test('converge both ways, by bearer and by ticket, and see each other', async () => {
    const roomId = await ada.openRoom()
    await ada.seat(roomId, bob, 'editor')
    const one = edit(roomId, { protocols: bearer(ada) })
    one.text.insert(0, 'hello ')
    const two = edit(roomId, { params: { ticket: await bob.ticketTo(roomId) } })
    await until(two, () => two.text.toString() === 'hello ')
    two.text.insert(6, 'world')
    await until(one, () => one.text.toString() === 'hello world')
    expect(one.provider.ws?.protocol).toBe('parvis')
    two.provider.awareness.setLocalStateField('name', 'bob')
    await until(one, () => one.provider.awareness.getStates().get(two.doc.clientID)?.['name'] === 'bob')
    two.stop()
    await until(one, () => !one.provider.awareness.getStates().has(two.doc.clientID))
  })

  test('edits made apart are merged', async () => {
    const roomId = await ada.openRoom()
    const one = edit(roomId, { protocols: bearer(ada) })
    await until(one, () => one.provider.synced)
    one.provider.disconnect()
    one.text.insert(0, 'apart')
    const two = edit(roomId, { protocols: bearer(ada) })
    two.doc.getMap('m').set('k', 1)
    one.provider.connect()
    await until(two, () => two.text.toString() === 'apart')
    await until(one, () => one.doc.getMap('m').get('k') === 1)
  })
})

describe('the door', () => {
  test('answers problems before any upgrade', async () => {
    const roomId = await ada.openRoom()
    const { accessToken } = ada
    const cases: [string, Parameters<typeof knock>[2], number, string][] = [
      [door(roomId), {}, 403, 'origin-untrusted'],
      [door(roomId), { headers: { origin: ORIGIN } }, 401, 'unauthenticated'],
      [door(roomId), { protocols: ['parvis', 'bearer.a.b.c'] }, 401, 'unauthenticated'],
      [door(roomId), { headers: { authorization: `Basic ${accessToken}` } }, 401, 'unauthenticated'],
      [door(roomId), { protocols: bearer(ada), headers: { origin: 'https://evil.example' } }, 403, 'origin-untrusted'],
      [door(roomId), { protocols: bearer(ada), headers: { origin: 'null' } }, 403, 'origin-untrusted'],
      [door(roomId), { headers: { cookie: `__Host-parvis-access=${accessToken}` } }, 403, 'origin-untrusted'],
      [
        door(roomId),
        { headers: { cookie: `__Host-parvis-access=${accessToken}`, origin: 'https://evil.example' } },
        403,
        'origin-untrusted',
      ],
      [door(roomId), { protocols: bearer(stranger) }, 404, 'not-found'],
      [door('rm_00000000000000000000000000' as RoomId), { protocols: bearer(ada) }, 404, 'not-found'],
      [door('rm_x' as RoomId), { protocols: bearer(ada) }, 404, 'not-found'],
      [`${door(roomId)}?ticket=x.y.z`, {}, 401, 'ticket-invalid'],
    ]
    for (const [path, given, status, slug] of cases)
      expect(await knock(edge, path, given), `${path} ${JSON.stringify(given)}`).toMatchObject({ status, slug })
    expect(await ada.send('GET', door(roomId))).toMatchObject({ status: 426, slug: 'upgrade-required' })
  })

  test('opens to our own origin by cookie and to any client by header', async () => {
    const roomId = await ada.openRoom()
    for (const headers of [
      { cookie: `__Host-parvis-access=${ada.accessToken}`, origin: ORIGIN },
      { authorization: `Bearer ${ada.accessToken}` },
    ]) {
      const { socket, status } = await knock(edge, door(roomId), { headers })
      expect(status).toBe(101)
      socket?.close()
    }
  })

  test('takes nobody’s word for a seat', async () => {
    const roomId = await ada.openRoom()
    await ada.seat(roomId, bob, 'viewer')
    const forged = JSON.stringify({
      userId: ada.userId,
      sessionId: ada.sessionId,
      role: 'owner',
      version: 99,
      expiresAt: 9e15,
      ticket: null,
      subprotocol: null,
    })
    const socket = await enter(bob, roomId, { 'parvis-admission': forged })
    socket.send(change('mine now'))
    await frameOf(socket, isDenial)
  })

  test('holds so many sockets of one user', async () => {
    const roomId = await ada.openRoom()
    await Promise.all(Array.from({ length: SOCKETS_PER_USER_MAX }, () => enter(ada, roomId)))
    expect(await knock(edge, door(roomId), { protocols: bearer(ada) })).toMatchObject({ status: 409, slug: 'limit-reached' })
  })
})

describe('a ticket', () => {
  const open = async (roomId: RoomId, ticket: string) => {
    const { socket, status, slug } = await knock(edge, door(roomId), { protocols: ['parvis', `ticket.${ticket}`] })
    if (socket) sockets.push(socket)
    return { status, slug, socket }
  }

  test('works once, also when two try at once', async () => {
    const roomId = await ada.openRoom()
    const ticket = await ada.ticketTo(roomId)
    const answers = await Promise.all([open(roomId, ticket), open(roomId, ticket), open(roomId, ticket)])
    expect(answers.map((a) => a.status).sort()).toEqual([101, 401, 401])
    expect(await open(roomId, ticket)).toMatchObject({ status: 401, slug: 'ticket-invalid' })
  })

  test('opens its own room only', async () => {
    const [one, two] = [await ada.openRoom(), await ada.openRoom()]
    expect(await open(two, await ada.ticketTo(one))).toMatchObject({ status: 401, slug: 'ticket-invalid' })
  })

  test('that was changed or has expired opens nothing', async () => {
    const roomId = await ada.openRoom()
    const ticket = await ada.ticketTo(roomId)
    const [version = '', payload = '', mac = ''] = ticket.split('.')
    const claims = { ...(JSON.parse(Buffer.from(payload, 'base64url').toString()) as object), sub: bob.userId }
    for (const forged of [
      `${version}.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.${mac}`,
      `${version}.${payload}.${Buffer.alloc(32).toString('base64url')}`,
      `9.${payload}.${mac}`,
      `${version}.${payload}.`,
    ])
      expect(await open(roomId, forged)).toMatchObject({ status: 401, slug: 'ticket-invalid' })
    const [number, secret] = edge.settings.SECRET_KEYS.split(':') as [string, string]
    const keyring = keyringOf([{ version: Number(number), bytes: new Uint8Array(Buffer.from(secret, 'base64url')) }])
    const mint = (ageSeconds: number) => {
      const scope = { config: { keyring }, now: () => Date.now() - ageSeconds * 1000, newId: () => `tkt_${ageSeconds}` } as unknown as Scope
      return mintTicket(scope, { userId: ada.userId, sessionId: ada.sessionId, expiresAt: Date.now() + 60_000 } as Actor, roomId)
    }
    expect(await open(roomId, (await mint(1)).ticket)).toMatchObject({ status: 101 })
    expect(await open(roomId, (await mint(TICKET_TTL_SECONDS + 1)).ticket)).toMatchObject({ status: 401, slug: 'ticket-invalid' })
  })

  test('of somebody who was removed, or has signed out since, opens nothing', async () => {
    const roomId = await ada.openRoom()
    const guest = await meet(edge, 'guest')
    await ada.seat(roomId, guest, 'editor')
    const [first, second] = [await guest.ticketTo(roomId), await guest.ticketTo(roomId)]
    await edge.request('/v1/auth/logout', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ refreshToken: guest.refreshToken }),
    })
    expect(await open(roomId, first)).toMatchObject({ status: 401, slug: 'session-ended' })
    await ada.unseat(roomId, guest)
    expect(await open(roomId, second)).toMatchObject({ status: 404, slug: 'not-found' })
  })
})

describe('roles bind on open sockets', () => {
  test('a viewer is refused while an editor’s change goes through', async () => {
    const roomId = await ada.openRoom()
    await ada.seat(roomId, bob, 'viewer')
    const [viewer, owner] = [await enter(bob, roomId), edit(roomId, { protocols: bearer(ada) })]
    viewer.send(change('by the viewer '))
    await frameOf(viewer, isDenial)
    const heard = frameOf(viewer, isUpdate)
    owner.text.insert(0, 'by the owner')
    await heard
    expect(owner.text.toString()).toBe('by the owner')
  })

  test('a removed member’s editor is closed for good within a second', async () => {
    const roomId = await ada.openRoom()
    await ada.seat(roomId, bob, 'editor')
    const editor = edit(roomId, { protocols: bearer(bob) })
    await until(editor, () => editor.provider.synced)
    await ada.unseat(roomId, bob)
    const startedAt = performance.now()
    expect(await editor.closed).toEqual({ code: 4404, reason: 'not-found' })
    const tookMs = performance.now() - startedAt
    expect(tookMs).toBeLessThan(await allowedMs(edge, 1_000))
    expect(await knock(edge, door(roomId), { protocols: bearer(bob) })).toMatchObject({ status: 404 })
  })

  test('a role that is taken or given works within a second, without a new socket', async () => {
    const roomId = await ada.openRoom()
    await ada.seat(roomId, bob, 'viewer')
    const editor = edit(roomId, { protocols: bearer(bob) })
    const owner = edit(roomId, { protocols: bearer(ada) })
    await until(editor, () => editor.provider.synced)
    editor.text.insert(0, 'kept for later')
    await ada.seat(roomId, bob, 'editor')
    const startedAt = performance.now()
    await until(owner, () => owner.text.toString() === 'kept for later')
    const tookMs = performance.now() - startedAt
    expect(tookMs).toBeLessThan(await allowedMs(edge, 1_000))
  })

  test('a member who keeps knocking while being removed is out in the end', async () => {
    const roomId = await ada.openRoom()
    await ada.seat(roomId, bob, 'editor')
    const knocks = Array.from({ length: 8 }, () => knock(edge, door(roomId), { protocols: bearer(bob) }))
    const removal = ada.unseat(roomId, bob)
    const opened = (await Promise.all(knocks)).flatMap(({ socket }) => (socket ? [socket] : []))
    await removal
    await expect.poll(() => opened.every((socket) => socket.readyState >= socket.CLOSING), { timeout: 20_000 }).toBe(true)
    for (const socket of opened) socket.terminate()
  })
})

test('garbage ends its own socket and nobody else’s', async () => {
  const roomId = await ada.openRoom()
  const [socket, owner] = [await enter(ada, roomId), edit(roomId, { protocols: bearer(ada) })]
  await until(owner, () => owner.provider.synced)
  socket.send(Uint8Array.from([0, 2, 255, 255, 255]))
  expect(await closeOf(socket)).toEqual({ code: 4400, reason: 'invalid-request' })
  expect(owner.provider.wsconnected).toBe(true)
})

test('lines of the log tell joins and leaves with the trace of their upgrade, and no secret', async () => {
  const roomId = await ada.openRoom()
  const traceId = '4bf92f3577b34da6a3ce929d0e0e4736'
  const ticket = await ada.ticketTo(roomId)
  const { socket } = await knock(edge, `${door(roomId)}?ticket=${ticket}`, {
    headers: { traceparent: `00-${traceId}-00f067aa0ba902b7-01` },
  })
  socket?.close()
  const lines = () => edge.logs().filter((line) => line['traceId'] === traceId)
  await expect.poll(() => lines().map((line) => line['event'])).toEqual(expect.arrayContaining(['request', 'room.joined', 'room.left']))
  expect(lines().find((line) => line['event'] === 'room.joined')).toMatchObject({ roomId, userId: ada.userId, role: 'owner' })
  const all = JSON.stringify(edge.logs())
  for (const secret of [ticket, ada.accessToken, ada.refreshToken]) expect(all).not.toContain(secret)
})

test('what was acknowledged survives a kill of the runtime, and editors come back by themselves', { timeout: 180_000 }, async () => {
  const own = await startEdge()
  try {
    const owner = await meet(own, 'owner')
    const roomId = await owner.openRoom()
    const one = editorOf(own, roomId, { protocols: bearer(owner) })
    await until(one, () => one.provider.synced)
    const { socket } = await knock(own, door(roomId), { protocols: bearer(owner) })
    socket?.send(change('acknowledged'))
    socket?.send(Uint8Array.from([102, 1]))
    await frameOf(socket as WebSocket, ([type]) => type === 102)
    await until(one, () => one.text.toString() === 'acknowledged')
    const lost = new Promise((resolve) => one.provider.once('connection-close', resolve))
    process.kill(workerdPids().at(-1) as number, 'SIGKILL')
    await lost
    one.doc.getMap('m').set('while', 'away')
    await until(one, () => one.provider.synced)
    const two = editorOf(own, roomId, { protocols: bearer(owner) })
    await until(two, () => two.text.toString() === 'acknowledged' && two.doc.getMap('m').get('while') === 'away')
    one.stop()
    two.stop()
  } finally {
    await own.stop()
  }
})
