import { WebSocket } from 'ws'
import { WebsocketProvider } from 'y-websocket'
import * as Y from 'yjs'
import type { RoomId, RoomRole } from '../../src/contract/rooms.ts'
import type { Edge } from '../harness.ts'
import { post, read, signInRaw } from '../identity/raw.ts'

/** A socket as browsers have it: one that is closed while it connects, as providers do on a slow day, brings nobody down. */
export class QuietSocket extends WebSocket {
  constructor(url: string | URL, protocols?: string | string[]) {
    super(url, protocols)
    this.on('error', () => undefined)
  }
}

/** Somebody with a bare access token, as an editor without our client has it. */
export type Person = Awaited<ReturnType<typeof meet>>

/** Signs somebody up. */
export async function meet(edge: Edge, name: string) {
  const tokens = await signInRaw(edge, name)
  const authorization = `Bearer ${tokens.accessToken}`
  const send = async (method: string, path: string, body?: unknown) =>
    read(
      await edge.request(path, {
        method,
        headers: { authorization, ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      }),
    )
  return {
    ...tokens,
    send,
    async openRoom(): Promise<RoomId> {
      const { body } = await post(edge, '/v1/rooms', { name: 'room' }, { authorization })
      return body['id'] as RoomId
    },
    seat: (roomId: RoomId, other: { readonly userId: string }, role: RoomRole) =>
      send('PUT', `/v1/rooms/${roomId}/members/${other.userId}`, { role }),
    unseat: (roomId: RoomId, other: { readonly userId: string }) => send('DELETE', `/v1/rooms/${roomId}/members/${other.userId}`),
    ticketTo: async (roomId: RoomId) => String((await send('POST', `/v1/rooms/${roomId}/tickets`)).body['ticket']),
  }
}

/** What became of an upgrade: a socket, or the problem that refused it. */
export interface Knock {
  readonly socket: WebSocket | undefined
  readonly status: number
  readonly slug: string | undefined
}

/** Asks for a socket and reads the answer, whichever it is. */
export function knock(
  edge: Edge,
  path: string,
  { protocols = [], headers = {} }: { readonly protocols?: string[]; readonly headers?: Record<string, string> } = {},
): Promise<Knock> {
  const socket = new WebSocket(new URL(path, edge.origin.replace('http', 'ws')), protocols, { headers })
  socket.binaryType = 'arraybuffer'
  return new Promise((resolve, reject) => {
    socket.on('open', () => resolve({ socket, status: 101, slug: undefined }))
    socket.on('error', reject)
    socket.on('unexpected-response', (_, answer) => {
      const parts: Buffer[] = []
      answer.on('data', (part: Buffer) => parts.push(part))
      answer.on('end', () => {
        const body = JSON.parse(Buffer.concat(parts).toString() || '{}') as { type?: string }
        resolve({ socket: undefined, status: answer.statusCode ?? 0, slug: body.type?.split('/').at(-1) })
      })
    })
  })
}

export const bearer = (person: Pick<Person, 'accessToken'>) => ['parvis', `bearer.${person.accessToken}`]

/** An unmodified y-websocket provider with a document of its own. */
export function editorOf(edge: Edge, roomId: RoomId, { protocols = [] as string[], params = {} as Record<string, string> }) {
  const doc = new Y.Doc()
  const provider = new WebsocketProvider(`${edge.origin.replace('http', 'ws')}/v1/rooms/${roomId}`, 'y', doc, {
    protocols,
    params,
    disableBc: true,
    WebSocketPolyfill: QuietSocket as unknown as typeof globalThis.WebSocket,
  })
  const closed = new Promise<{ code: number; reason: string }>((resolve) =>
    provider.on('closed', ({ code, reason }) => resolve({ code, reason })),
  )
  return { doc, provider, closed, text: doc.getText('t'), stop: () => provider.destroy() }
}

export type Editor = ReturnType<typeof editorOf>

/** Resolves when the condition holds, looking again at every change an editor sees. */
export function until(editor: Editor, holds: () => boolean): Promise<void> {
  const { doc, provider } = editor
  return new Promise((resolve) => {
    const look = () => {
      if (!holds()) return
      doc.off('update', look)
      provider.off('sync', look)
      provider.awareness.off('update', look)
      resolve()
    }
    doc.on('update', look)
    provider.on('sync', look)
    provider.awareness.on('update', look)
    look()
  })
}

/** Resolves with the first frame of a socket that is accepted. */
export function frameOf(socket: WebSocket, accepts: (frame: Uint8Array) => boolean): Promise<Uint8Array> {
  return new Promise((resolve) => {
    const look = (data: ArrayBuffer) => {
      const frame = new Uint8Array(data)
      if (!accepts(frame)) return
      socket.off('message', look)
      resolve(frame)
    }
    socket.on('message', look)
  })
}

/** How a socket is closed by the other side. */
export const closeOf = (socket: WebSocket): Promise<{ code: number; reason: string }> =>
  new Promise((resolve) => socket.on('close', (code, reason) => resolve({ code, reason: reason.toString() })))
