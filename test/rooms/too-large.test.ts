import { HocuspocusProvider, HocuspocusProviderWebsocket } from '@hocuspocus/provider'
import * as hocuspocusBefore from '@hocuspocus/provider-v3'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { WebsocketProvider } from 'y-websocket'
import * as yBefore from 'y-websocket-v2'
import * as Y from 'yjs'
import type { Problem } from '../../src/client/client.ts'
import { ROOM_FRAME_BYTES_MAX, type RoomId } from '../../src/contract/rooms.ts'
import { type Edge, startEdge, type TestUser } from '../harness.ts'
import { QuietSocket } from './person.ts'

/** A picture in a map, say: one value, which nobody can split. */
const LARGE = new Uint8Array(ROOM_FRAME_BYTES_MAX + 1)
const HOCUSPOCUS = { current: { HocuspocusProvider, HocuspocusProviderWebsocket }, previous: hocuspocusBefore } as unknown as Record<
  string,
  { HocuspocusProvider: typeof HocuspocusProvider; HocuspocusProviderWebsocket: typeof HocuspocusProviderWebsocket }
>

describe.each([
  ['in the room', '1000'],
  ['on a leaf', '2'],
])('one value larger than a frame, %s,', (_, above) => {
  let edge: Edge
  let ada: TestUser
  beforeAll(async () => {
    edge = await startEdge({ vars: { ROOM_LEAVES_ABOVE: above } })
    ada = await edge.signUp('ada')
  })
  afterAll(() => edge.stop())

  const eventually = <T>(look: () => T | Promise<T>) => expect.poll(look, { timeout: 20_000 })

  /** A room in which somebody else writes on, and another reads. */
  async function openRoom() {
    const { id: roomId } = await ada.client.createRoom({ body: { name: 'room' } })
    const other = await ada.client.rooms.join(roomId)
    await other.whenSynced()
    await (await ada.client.rooms.join(roomId)).whenSynced()
    return { roomId, other }
  }

  const urlOf = (roomId: RoomId) => `${edge.origin.replace('http', 'ws')}/v1/rooms/${roomId}`
  const large = () => {
    const doc = new Y.Doc()
    doc.getMap('photos').set('large', LARGE)
    return doc
  }

  /** Sockets as a provider opens them, counted. */
  function countedSockets() {
    const sockets: QuietSocket[] = []
    class Socket extends QuietSocket {
      constructor(url: string | URL, protocols?: string | string[]) {
        super(url, protocols)
        sockets.push(this)
      }
    }
    return { sockets, Socket: Socket as unknown as typeof globalThis.WebSocket }
  }

  async function joinByY(Provider: typeof WebsocketProvider, roomId: RoomId) {
    const { sockets, Socket } = countedSockets()
    const provider = new Provider(urlOf(roomId), 'y', large(), {
      protocols: ['parvis', `bearer.${await ada.client.accessToken()}`],
      disableBc: true,
      WebSocketPolyfill: Socket,
    })
    return { sockets, provider }
  }

  test('ends y-websocket for good, which is told why', async () => {
    const { roomId } = await openRoom()
    const { sockets, provider } = await joinByY(WebsocketProvider, roomId)
    const closed = new Promise((resolve) => provider.on('closed', resolve))
    expect(await closed).toEqual({ code: 4413, reason: 'payload-too-large' })
    expect(provider.shouldConnect).toBe(false)
    expect(sockets).toHaveLength(1)
    provider.destroy()
  })

  test('leaves y-websocket of the major before, which no code ends, where it is the second time: it hears the others and comes no more', async () => {
    const { roomId, other } = await openRoom()
    const { sockets, provider } = await joinByY(yBefore.WebsocketProvider as unknown as typeof WebsocketProvider, roomId)
    await eventually(() => sockets.length).toBe(2)
    for (let i = 1; i <= 3; i++) {
      other.doc.getText('t').insert(0, 'x')
      // Each of its own changes builds on what was refused, and it is asked for that again.
      provider.doc.getText('mine').insert(0, 'y')
      await eventually(() => provider.doc.getText('t').length).toBe(i)
    }
    expect(sockets).toHaveLength(2)
    expect(provider.wsconnected).toBe(true)
    expect(other.doc.getMap('photos').size).toBe(0)
    provider.destroy()
  })

  test.each(Object.keys(HOCUSPOCUS))('leaves a Hocuspocus provider of the %s major where it is, and tells it', async (major) => {
    const kind = HOCUSPOCUS[major]!
    const { roomId, other } = await openRoom()
    const { sockets, Socket } = countedSockets()
    const websocketProvider = new kind.HocuspocusProviderWebsocket({
      url: `${urlOf(roomId)}/hocuspocus`,
      WebSocketPolyfill: Socket,
      delay: 50,
      minDelay: 50,
    })
    const doc = large()
    const told = new Promise((resolve) => {
      const provider = new kind.HocuspocusProvider({
        websocketProvider,
        name: roomId,
        document: doc,
        token: async () => (await ada.client.accessToken()) ?? '',
        onAuthenticationFailed: ({ reason }) => resolve({ reason, isUnsaved: provider.hasUnsyncedChanges }),
      })
      provider.attach()
    })
    expect(await told).toMatchObject({ reason: 'payload-too-large' })
    for (let i = 1; i <= 3; i++) {
      other.doc.getText('t').insert(0, 'x')
      doc.getText('mine').insert(0, 'y')
      await eventually(() => doc.getText('t').length).toBe(i)
    }
    expect(sockets).toHaveLength(1)
    expect(other.doc.getMap('photos').size).toBe(0)
    websocketProvider.destroy()
  })

  test('ends our own client before it is sent, with a problem that names the limit', async () => {
    const { roomId } = await openRoom()
    const room = await ada.client.rooms.join(roomId, { doc: large() })
    const problem = await room
      .whenSynced()
      .then(
        () => room.saved(),
        (error: unknown) => error,
      )
      .catch((error: unknown) => error)
    expect(problem).toMatchObject({ slug: 'payload-too-large' })
    expect((problem as Problem).extras.detail).toContain(String(ROOM_FRAME_BYTES_MAX))
    expect(room.status).toBe('closed')
  })

  test('is a problem over REST', async () => {
    const { roomId } = await openRoom()
    const value = 'x'.repeat(1_500_000)
    const patch = ada.client.patchRoomDocument({
      params: { roomId },
      body: { operations: [{ op: 'map.set', name: 'm', key: 'k', value }] },
    })
    await expect(patch).rejects.toMatchObject({ slug: 'payload-too-large' })
  })
})
