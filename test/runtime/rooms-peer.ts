import { runInDurableObject } from 'cloudflare:test'
import { env } from 'cloudflare:workers'
import { WebsocketProvider } from 'y-websocket'
import * as previous from 'y-websocket-v2'
import * as Y from 'yjs'
import type { SessionId, UserId } from '../../src/contract/identity.ts'
import type { RoomId, RoomRole } from '../../src/contract/rooms.ts'
import { refusalOf, upgradeFor } from '../../src/edge/platform/admission.ts'
import { leafName } from '../../src/edge/rooms/leaves.ts'
import type { Admission } from '../../src/edge/rooms/place.ts'

const TRACEPARENT = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'

let rooms = 0

/** A room nobody has used. */
export const newRoom = () => env.ROOMS.getByName(`rm_test${++rooms}` as RoomId)

export type Room = ReturnType<typeof newRoom>

/** Where sockets are taken: a room, or one of its leaves. */
export type Door = Pick<Room, 'fetch'>

/** A stub to the same object; one over which a call died stays dead. */
export const sameAs = (room: Room): Room => env.ROOMS.getByName(room.name ?? '')

/** Ends an object without warning, as a crash does: its sockets die with it. */
export const kill = (object: Room | ReturnType<typeof leafOf>) =>
  runInDurableObject(object as Room, (_, state) => state.abort('killed by the test')).catch(() => undefined)

/** Looks until it holds; for states that announce themselves to nobody. The test's own time limit bounds it. */
export async function eventually(holds: () => Promise<boolean>): Promise<void> {
  while (!(await holds())) await new Promise((resolve) => setTimeout(resolve, 20))
}

/** How often a room has counted something since it last told. */
export async function talliedIn(room: Room, measure: string, label = ''): Promise<number> {
  // Writes what memory has counted.
  await room.stats()
  return runInDurableObject(room, (_, { storage }) => {
    const rows = storage.sql.exec<{ n: number }>('SELECT counted AS n FROM room_tally WHERE measure = ? AND label = ?', measure, label)
    return rows.toArray()[0]?.n ?? 0
  })
}

/** A leaf of a room. */
export const leafOf = (room: Room, leaf: number) => env.LEAVES.getByName(leafName(room.name ?? '', leaf))

export const userId = (name: string) => `usr_${name}` as UserId

/** A seat as the Worker would seal it. */
export const seatOf = (name: string, role: RoomRole = 'editor', more: Partial<Admission> = {}): Admission => ({
  userId: userId(name),
  sessionId: `ses_${name}` as SessionId,
  role,
  version: 1,
  expiresAt: Date.now() + 900_000,
  isIncognito: false,
  isBroadcast: false,
  framing: 'y',
  ticket: null,
  subprotocol: null,
  ...more,
})

/** A client's end of a socket of the room, accepted. */
export async function enter(room: Door, seat: Admission): Promise<WebSocket> {
  const response = await room.fetch(upgradeFor(seat, TRACEPARENT))
  const socket = response.webSocket
  if (!socket) throw new Error(`declined: ${refusalOf(response)}`)
  socket.binaryType = 'arraybuffer'
  socket.accept()
  return socket
}

/** What `WebsocketProvider` builds its sockets with, over an upgrade of the object instead of the network. */
function socketClass(room: Door, seat: () => Admission) {
  return class {
    static readonly CONNECTING = 0
    static readonly OPEN = 1
    static readonly CLOSING = 2
    static readonly CLOSED = 3
    readonly OPEN = 1
    binaryType = 'arraybuffer'
    readyState = 0
    onopen: (() => void) | null = null
    onmessage: ((event: { data: ArrayBuffer }) => void) | null = null
    onclose: ((event: { code: number; reason: string }) => void) | null = null
    onerror: ((event: unknown) => void) | null = null
    socket: WebSocket | undefined

    constructor() {
      enter(room, seat()).then(
        (socket) => this.take(socket),
        (error: unknown) => {
          this.readyState = 3
          this.onerror?.(error)
          this.onclose?.({ code: 1006, reason: '' })
        },
      )
    }

    take(socket: WebSocket): void {
      this.socket = socket
      this.readyState = 1
      socket.addEventListener('message', ({ data }) => this.onmessage?.({ data: data as ArrayBuffer }))
      socket.addEventListener('close', ({ code, reason }) => {
        this.readyState = 3
        this.onclose?.({ code, reason })
      })
      this.onopen?.()
    }

    send(data: Uint8Array): void {
      this.socket?.send(data)
    }

    close(): void {
      this.readyState = 2
      this.socket?.close(1000)
    }
  }
}

type Polyfill = NonNullable<NonNullable<ConstructorParameters<typeof WebsocketProvider>[3]>['WebSocketPolyfill']>

/** The provider of this major version and of the one before. */
export const MAJORS = [WebsocketProvider, previous.WebsocketProvider as unknown as typeof WebsocketProvider] as const

/** The unmodified provider with a document of its own. */
export function editorIn(room: Door, name: string, role: RoomRole = 'editor', { doc = new Y.Doc(), Provider = MAJORS[0] } = {}) {
  const polyfill = socketClass(room, () => seatOf(name, role)) as unknown as Polyfill
  const provider = new Provider('wss://room', 'y', doc, { WebSocketPolyfill: polyfill, disableBc: true })
  return { doc, provider, text: doc.getText('t'), stop: () => provider.destroy() }
}

export type Editor = ReturnType<typeof editorIn>

/** Resolves when the condition holds, looking again whenever one of the documents or presences changes. */
export function until(editors: readonly Editor[], holds: () => boolean): Promise<void> {
  return new Promise((resolve) => {
    const look = () => {
      if (!holds()) return
      for (const { doc, provider } of editors) {
        doc.off('update', look)
        provider.off('sync', look)
        provider.awareness.off('update', look)
      }
      resolve()
    }
    for (const { doc, provider } of editors) {
      doc.on('update', look)
      provider.on('sync', look)
      provider.awareness.on('update', look)
    }
    look()
  })
}

/** A socket used by hand: every frame it got, and how it was closed. */
export interface RawPeer {
  readonly frames: Uint8Array[]
  readonly send: (...bytes: readonly (number | Uint8Array)[]) => void
  readonly sendText: (text: string) => void
  /** The first frame, past or future, that the test accepts. */
  readonly frame: (accepts: (frame: Uint8Array) => boolean) => Promise<Uint8Array>
  /** Resolves when all that was sent before has been taken in and stored. */
  readonly settled: () => Promise<void>
  readonly closed: Promise<{ readonly code: number; readonly reason: string }>
  readonly close: () => void
}

/** Opens a socket to be used by hand. */
export async function rawIn(room: Door, seat: Admission): Promise<RawPeer> {
  const socket = await enter(room, seat)
  const frames: Uint8Array[] = []
  const waiting = new Set<() => void>()
  let echoes = 0
  socket.addEventListener('message', ({ data }) => {
    const frame = new Uint8Array(data as ArrayBuffer)
    frames.push(frame)
    // Asked what it knows, a client answers; this one has nothing to add.
    if (frame[0] === 0 && frame[1] === 0 && socket.readyState === WebSocket.OPEN) socket.send(Uint8Array.from([0, 1, 2, 0, 0]))
    for (const look of waiting) look()
  })
  const closed = new Promise<{ code: number; reason: string }>((resolve) => {
    socket.addEventListener('close', ({ code, reason }) => resolve({ code, reason }))
  })
  const send = (...bytes: readonly (number | Uint8Array)[]) =>
    socket.send(Uint8Array.from(bytes.flatMap((b) => (typeof b === 'number' ? [b] : [...b]))))
  const frame = (accepts: (frame: Uint8Array) => boolean) =>
    new Promise<Uint8Array>((resolve) => {
      const look = () => {
        const found = frames.find(accepts)
        if (!found) return
        waiting.delete(look)
        resolve(found)
      }
      waiting.add(look)
      look()
    })
  return {
    frames,
    send,
    sendText: (text) => socket.send(text),
    frame,
    async settled() {
      const mark = ++echoes
      send(102, 2, mark >> 8, mark & 255)
      await frame(([type, , high = 0, low = 0]) => type === 102 && high * 256 + low === mark)
    },
    closed,
    close: () => socket.close(1000),
  }
}
