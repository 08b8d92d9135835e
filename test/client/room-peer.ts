import { createDecoder, readVarUint, readVarUint8Array } from 'lib0/decoding'
import { createEncoder, encode, toUint8Array, writeVarString, writeVarUint, writeVarUint8Array } from 'lib0/encoding'
import { type WebSocket, WebSocketServer } from 'ws'
import { Awareness, applyAwarenessUpdate, encodeAwarenessUpdate, removeAwarenessStates } from 'y-protocols/awareness'
import { readSyncMessage, writeSyncStep1, writeUpdate } from 'y-protocols/sync'
import * as Y from 'yjs'
import type { UserId } from '../../src/contract/identity.ts'
import type { LiveClientFrame, LiveServerFrame } from '../../src/contract/room-live.ts'
import { type Service, USER_ID } from './service.ts'

/** One frame a client sent: its message type and size. */
export interface Heard {
  readonly type: number
  readonly bytes: number
}

/** A tiny room on the service: one document in y-websocket framing built with y-protocols, awareness, echoes, streams that are empty, and doors to shut. */
export function startRoom(service: Service) {
  const doc = new Y.Doc()
  const awareness = new Awareness(doc)
  awareness.setLocalState(null)
  const server = new WebSocketServer({ noServer: true, handleProtocols: (offered) => (offered.has('parvis') ? 'parvis' : false) })
  const sockets = new Set<WebSocket>()
  const heard: Heard[] = []
  const offers: string[][] = []
  const state = {
    isReader: false,
    /** Refuses upgrades with this status. */
    refuse: undefined as number | undefined,
    /** Upgrades stay unanswered. */
    isDeaf: false,
    /** Frames are read and forgotten, as by a peer that is gone. */
    isDead: false,
    holdsEchoes: false,
    /** How long tokens last, as `ready` says. */
    tokenMs: 900_000,
    /** Where the stream of messages stands; its events are for tests to send. */
    stream: { epoch: '0'.repeat(16), seq: 0, firstSeq: 1 } as Partial<Extract<LiveServerFrame, { type: 'subscribed' }>>,
  }
  const heldEchoes: (() => void)[] = []
  /** Text that clients sent. */
  const said: string[] = []

  const framed = (type: number, write: (encoder: ReturnType<typeof createEncoder>) => void) =>
    encode((e) => {
      writeVarUint(e, type)
      write(e)
    })
  const denial = framed(2, (e) => {
    writeVarUint(e, 0)
    writeVarString(e, 'forbidden')
  })
  const toAll = (frame: Uint8Array) => {
    for (const socket of sockets) socket.send(frame)
  }
  doc.on('update', (update: Uint8Array) => toAll(framed(0, (e) => writeUpdate(e, update))))
  awareness.on('update', ({ added, updated, removed }: Record<'added' | 'updated' | 'removed', number[]>) => {
    const ids = [...added, ...updated, ...removed]
    toAll(framed(1, (e) => writeVarUint8Array(e, encodeAwarenessUpdate(awareness, ids))))
  })

  function take(socket: WebSocket, owned: Set<number>, frame: Uint8Array): void {
    const decoder = createDecoder(frame)
    const type = readVarUint(decoder)
    heard.push({ type, bytes: frame.byteLength })
    if (state.isDead) return
    if (type === 0) return takeSync(socket, frame)
    if (type === 1) {
      const update = readVarUint8Array(decoder)
      const entries = createDecoder(update)
      for (let left = readVarUint(entries); left > 0; left--) {
        owned.add(readVarUint(entries))
        readVarUint(entries)
        readVarUint8Array(entries)
      }
      return applyAwarenessUpdate(awareness, update, socket)
    }
    if (type === 102) {
      const echo = () => socket.send(frame)
      if (state.holdsEchoes) heldEchoes.push(echo)
      else echo()
    }
  }

  function hear(socket: WebSocket, text: string): void {
    said.push(text)
    if (state.isDead) return
    if (text === 'ping') return socket.send('pong')
    const frame = JSON.parse(text) as LiveClientFrame
    if (frame.type === 'refresh') return tell(socket, ready())
    if (frame.type !== 'subscribe') return
    const { stream } = frame
    tell(socket, { type: 'subscribed', stream, ...(stream === 'messages' && state.stream) })
    if (stream === 'document') greet(socket)
  }

  const tell = (socket: WebSocket, frame: LiveServerFrame) => socket.send(JSON.stringify(frame))
  const ready = (): LiveServerFrame => ({ type: 'ready', userId: USER_ID as UserId, role: 'editor', expiresAt: Date.now() + state.tokenMs })

  function greet(socket: WebSocket): void {
    socket.send(framed(0, (e) => writeSyncStep1(e, doc)))
    const ids = [...awareness.getStates().keys()]
    if (ids.length > 0) socket.send(framed(1, (e) => writeVarUint8Array(e, encodeAwarenessUpdate(awareness, ids))))
  }

  function takeSync(socket: WebSocket, frame: Uint8Array): void {
    const decoder = createDecoder(frame.subarray(1))
    const isStep1 = frame[1] === 0
    if (state.isReader && !isStep1) {
      const isNews = frame.byteLength > 5
      if (isNews) socket.send(denial)
      return
    }
    const reply = createEncoder()
    writeVarUint(reply, 0)
    readSyncMessage(decoder, reply, doc, socket)
    const bytes = toUint8Array(reply)
    if (bytes.byteLength > 1) socket.send(bytes)
  }

  service.onUpgrade((request, raw, head) => {
    const offered = (request.headers['sec-websocket-protocol'] ?? '').split(',').map((p) => p.trim())
    offers.push(offered)
    if (state.isDeaf) return
    const refuse = (status: number) => raw.end(`HTTP/1.1 ${status} No\r\ncontent-length: 0\r\n\r\n`)
    try {
      service.admit(offered)
    } catch {
      return void refuse(401)
    }
    if (state.refuse !== undefined || !service.state.seats) return void refuse(state.refuse ?? 404)
    server.handleUpgrade(request, raw, head, (socket) => {
      const owned = new Set<number>()
      sockets.add(socket)
      socket.binaryType = 'arraybuffer'
      socket.on('message', (data, isBinary) => {
        if (isBinary) take(socket, owned, new Uint8Array(data as ArrayBuffer))
        else hear(socket, new TextDecoder().decode(data as ArrayBuffer))
      })
      socket.on('close', () => {
        sockets.delete(socket)
        removeAwarenessStates(awareness, [...owned], 'left')
      })
      tell(socket, ready())
    })
  })

  return {
    doc,
    awareness,
    sockets,
    heard,
    said,
    offers,
    state,
    releaseEchoes() {
      state.holdsEchoes = false
      for (const echo of heldEchoes.splice(0)) echo()
    },
    /** Cuts every connection without a word. */
    cut: () => [...sockets].map((socket) => socket.terminate()),
    /** Closes every connection with a code and a reason. */
    close: (code: number, reason = '') => [...sockets].map((socket) => socket.close(code, reason)),
    /** Lets a reader write: asks for what was refused. */
    promote() {
      state.isReader = false
      toAll(framed(0, (e) => writeSyncStep1(e, doc)))
    },
    sendRaw: (frame: Uint8Array | string) => [...sockets].map((socket) => socket.send(frame)),
    stop() {
      awareness.destroy()
      for (const socket of sockets) socket.terminate()
    },
  }
}

/** A running {@link startRoom}. */
export type RoomPeer = ReturnType<typeof startRoom>
