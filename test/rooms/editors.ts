import { HocuspocusProvider, HocuspocusProviderWebsocket } from '@hocuspocus/provider'
import * as hocuspocusBefore from '@hocuspocus/provider-v3'
import type { WebSocket } from 'ws'
import { WebsocketProvider } from 'y-websocket'
import * as yBefore from 'y-websocket-v2'
import * as Y from 'yjs'
import { type Client, createClient } from '../../src/client/client.ts'
import type { RoomId } from '../../src/contract/rooms.ts'
import { type Edge, PASSWORD, type TestUser } from '../harness.ts'
import { until } from '../until.ts'
import { QuietSocket } from './person.ts'

/** Somebody who edits, whatever their provider is. */
export interface Typist {
  readonly doc: Y.Doc
  /** Whether it holds what the room does, as far as it knows. */
  readonly isSynced: () => boolean
  /** Whether the room has told that it holds all of it; y-websocket is told nothing. */
  readonly isSaved: () => boolean
  /** Its socket dies; it comes back by itself. */
  readonly kill: () => void
  readonly goOffline: () => void
  readonly comeBack: () => Promise<void>
  readonly stop: () => void
}

/** How editors of one framing are opened; those next to each other are of different majors where there are two. */
export type Opener = (roomId: RoomId, nth: number) => Promise<Typist>

type YProvider = typeof WebsocketProvider
const Y_MAJORS: readonly YProvider[] = [WebsocketProvider, yBefore.WebsocketProvider as unknown as YProvider]

type Hocuspocus = { HocuspocusProvider: typeof HocuspocusProvider; HocuspocusProviderWebsocket: typeof HocuspocusProviderWebsocket }
const HOCUSPOCUS_MAJORS: readonly Hocuspocus[] = [
  { HocuspocusProvider, HocuspocusProviderWebsocket },
  hocuspocusBefore as unknown as Hocuspocus,
]

const doorOf = (edge: Edge, roomId: RoomId) => `${edge.origin.replace('http', 'ws')}/v1/rooms/${roomId}`
const end = (socket: unknown) => (socket as WebSocket | null)?.terminate()

const y =
  (edge: Edge, user: TestUser): Opener =>
  async (roomId, nth) => {
    const Provider = Y_MAJORS[nth % Y_MAJORS.length] as YProvider
    const doc = new Y.Doc()
    const provider = new Provider(doorOf(edge, roomId), 'y', doc, {
      protocols: ['parvis', `bearer.${await user.client.accessToken()}`],
      disableBc: true,
      WebSocketPolyfill: QuietSocket as unknown as typeof globalThis.WebSocket,
    })
    return {
      doc,
      isSynced: () => provider.synced,
      isSaved: () => true,
      kill: () => end(provider.ws),
      goOffline: () => provider.disconnect(),
      comeBack: async () => provider.connect(),
      stop: () => provider.destroy(),
    }
  }

const hocuspocus =
  (edge: Edge, user: TestUser): Opener =>
  async (roomId, nth) => {
    const kind = HOCUSPOCUS_MAJORS[nth % HOCUSPOCUS_MAJORS.length] as Hocuspocus
    const doc = new Y.Doc()
    const websocketProvider = new kind.HocuspocusProviderWebsocket({
      url: `${doorOf(edge, roomId)}/hocuspocus`,
      WebSocketPolyfill: QuietSocket,
      delay: 100,
      minDelay: 50,
      maxDelay: 500,
    })
    const token = async () => (await user.client.accessToken()) ?? ''
    const provider = new kind.HocuspocusProvider({ websocketProvider, name: roomId, document: doc, token })
    provider.attach()
    return {
      doc,
      isSynced: () => provider.synced,
      isSaved: () => !provider.hasUnsyncedChanges,
      kill: () => end(websocketProvider.webSocket),
      goOffline: () => websocketProvider.disconnect(),
      async comeBack() {
        // Asked while its old socket still closes, it would stay away for good; one that was already on its way back came by itself.
        await until(async () => websocketProvider.shouldConnect || websocketProvider.status === 'disconnected')
        if (!websocketProvider.shouldConnect) void websocketProvider.connect()
      },
      stop() {
        provider.destroy()
        websocketProvider.destroy()
      },
    }
  }

/** Our own client. To go offline is to close the page: what comes back is a new page with the copy that the device kept. */
const live =
  (edge: Edge, user: TestUser): Opener =>
  async (roomId) => {
    const sockets: WebSocket[] = []
    class Socket extends QuietSocket {
      constructor(url: string | URL, protocols?: string | string[]) {
        super(url, protocols)
        sockets.push(this)
      }
    }
    const client: Client = createClient({ origin: edge.origin, WebSocket: Socket as never })
    await client.login({ body: { email: user.email, password: PASSWORD } })
    const join = (doc: Y.Doc) => client.rooms.join(roomId, { streams: ['document'], doc })
    let doc = new Y.Doc()
    let room = await join(doc)
    return {
      get doc() {
        return doc
      },
      isSynced: () => room.isSynced,
      isSaved: () => !room.hasUnsaved,
      kill: () => end(sockets.at(-1) ?? null),
      goOffline() {
        room.close()
        const copy = Y.encodeStateAsUpdate(doc)
        doc = new Y.Doc()
        Y.applyUpdate(doc, copy)
      },
      async comeBack() {
        room = await join(doc)
      },
      stop: () => client.close(),
    }
  }

/** The framings of a room, and how editors of each are opened. */
export const FRAMINGS: Readonly<Record<'y' | 'hocuspocus' | 'live', (edge: Edge, user: TestUser) => Opener>> = { y, hocuspocus, live }
