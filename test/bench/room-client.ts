import { createDecoder, readVarString, readVarUint } from 'lib0/decoding'
import { encode, writeVarString, writeVarUint, writeVarUint8Array } from 'lib0/encoding'
import { WebSocket } from 'ws'
import type { Address } from './room-peers.ts'

/** A client that speaks the framing and keeps no document: a hundred of them must not be what is measured. */
export interface RoomClient {
  readonly socket: WebSocket
  /** Sends a change. */
  readonly send: (update: Uint8Array) => void
  /** Says that it is there and reads, as every provider does. */
  readonly stir: () => void
  readonly closed: Promise<number>
}

const SYNC = 0
const AUTH = 2
const AWARENESS = 1
const QUERY_AWARENESS = 3

const framed = (address: Address, ...write: ((e: Parameters<typeof writeVarUint>[0]) => void)[]): Uint8Array =>
  encode((e) => {
    if (address.name !== undefined) writeVarString(e, address.name)
    for (const part of write) part(e)
  })

const sync = (address: Address, kind: number, block: Uint8Array): Uint8Array =>
  framed(address, (e) => {
    writeVarUint(e, SYNC)
    writeVarUint(e, kind)
    writeVarUint8Array(e, block)
  })

/** Whether a frame answers what the document holds. */
function isAnswer(address: Address, frame: Uint8Array): boolean {
  const decoder = createDecoder(frame)
  if (address.name !== undefined) readVarString(decoder)
  const type = readVarUint(decoder)
  return (type === SYNC || type === 4) && readVarUint(decoder) === 1
}

/** Whether a frame asks who is known, which every provider answers. */
function isQuestion(address: Address, frame: Uint8Array): boolean {
  const decoder = createDecoder(frame)
  if (address.name !== undefined) readVarString(decoder)
  return readVarUint(decoder) === QUERY_AWARENESS
}

/** How socket.io says that a binary message follows (socket.io protocol 5, engine.io protocol 4). */
const PLACED = '451-["m",{"_placeholder":true,"num":0}]'

/** Joins a room of socket.io, which relays bytes and keeps none. */
function joinRelay(address: Address, onFrame: (frame: Uint8Array) => void): Promise<RoomClient> {
  const socket = new WebSocket(address.url, { perMessageDeflate: false })
  const closed = new Promise<number>((resolve) => socket.on('close', resolve))
  const client: RoomClient = {
    socket,
    closed,
    send(update) {
      socket.send(PLACED)
      socket.send(update)
    },
    // Its client speaks only when it is asked.
    stir: () => undefined,
  }
  return new Promise((resolve, reject) => {
    socket.on('error', reject)
    socket.on('message', (data: Buffer, isBinary) => {
      if (isBinary) return onFrame(data)
      const text = String(data)
      if (text.startsWith('0')) socket.send('40')
      else if (text === '2') socket.send('3')
      else if (text.startsWith('40')) resolve(client)
    })
  })
}

/** Opens a socket and resolves when it has the document. */
export function joinAs(address: Address, onFrame: (frame: Uint8Array) => void = () => undefined): Promise<RoomClient> {
  if (address.isRelay) return joinRelay(address, onFrame)
  const socket = new WebSocket(address.url, [...address.protocols], { perMessageDeflate: false })
  socket.binaryType = 'nodebuffer'
  const closed = new Promise<number>((resolve) => socket.on('close', resolve))
  const client: RoomClient = {
    socket,
    closed,
    send: (update) => socket.send(sync(address, 2, update)),
    stir: () =>
      socket.send(
        framed(address, (e) => {
          writeVarUint(e, AWARENESS)
          writeVarUint8Array(e, Uint8Array.of(0))
        }),
      ),
  }
  return new Promise((resolve, reject) => {
    socket.on('error', reject)
    socket.on('open', () => {
      if (address.name !== undefined)
        socket.send(
          framed(address, (e) => {
            writeVarUint(e, AUTH)
            writeVarUint(e, 0)
            writeVarString(e, address.token ?? '')
            writeVarString(e, '4.8.0')
          }),
        )
      socket.send(sync(address, 0, Uint8Array.of(0)))
    })
    let isIn = false
    socket.on('message', (data: Buffer) => {
      if (!isIn && isAnswer(address, data)) {
        isIn = true
        resolve(client)
      }
      if (isQuestion(address, data)) return client.stir()
      onFrame(data)
    })
  })
}
