import type { LiveClientFrame, LiveServerFrame } from '../../src/contract/room-live.ts'
import type { MessageAction, MessageEvent } from '../../src/contract/room-messages.ts'
import type { RoomRole } from '../../src/contract/rooms.ts'
import type { Admission } from '../../src/edge/rooms/place.ts'
import { type Door, enter, seatOf } from './rooms-peer.ts'

type Frame<T extends LiveServerFrame['type']> = Extract<LiveServerFrame, { type: T }>

/** A client of our own protocol, used by hand. */
export type LivePeer = Awaited<ReturnType<typeof liveIn>>

let cids = 0
export const newCid = () => `cid-${String(++cids).padStart(8, '0')}`

/** Opens a socket of our own protocol. */
export async function liveIn(room: Door, name: string, role: RoomRole = 'editor', more: Partial<Admission> = {}) {
  const socket = await enter(room, seatOf(name, role, { framing: 'live', ...more }))
  const frames: LiveServerFrame[] = []
  const binary: ArrayBuffer[] = []
  const texts: string[] = []
  const waiting = new Set<() => void>()
  socket.addEventListener('message', ({ data }) => {
    if (typeof data !== 'string') binary.push(data as ArrayBuffer)
    else {
      texts.push(data)
      if (data.startsWith('{')) frames.push(JSON.parse(data) as LiveServerFrame)
    }
    for (const look of waiting) look()
  })
  const closed = new Promise<{ code: number; reason: string }>((resolve) => {
    socket.addEventListener('close', ({ code, reason }) => resolve({ code, reason }))
  })
  /** The first frame, past or future, that holds. */
  const frame = <T extends LiveServerFrame['type']>(type: T, holds: (frame: Frame<T>) => boolean = () => true) =>
    new Promise<Frame<T>>((resolve) => {
      const look = () => {
        const found = frames.find((f): f is Frame<T> => f.type === type && holds(f as Frame<T>))
        if (!found) return
        waiting.delete(look)
        resolve(found)
      }
      waiting.add(look)
      look()
    })
  const send = (sent: LiveClientFrame | (Omit<Extract<LiveClientFrame, { type: 'subscribe' }>, 'last'> & { last?: number })) =>
    socket.send(JSON.stringify(sent))
  const publish = (action: MessageAction, cid = newCid()) => {
    send({ type: 'publish', cid, action })
    return frame('ack', (f) => f.cid === cid)
  }
  return {
    socket,
    frames,
    binary,
    texts,
    closed,
    frame,
    send,
    publish,
    post: (text: string, cid?: string) => publish({ kind: 'post', text }, cid),
    async subscribe(
      stream: 'messages' | 'presence' | 'signals' | 'document',
      rest: { since?: { epoch: string; seq: number }; last?: number } = {},
    ) {
      const before = frames.length
      send({ type: 'subscribe', stream, ...rest })
      return frame('subscribed', (f) => f.stream === stream && frames.indexOf(f) >= before)
    },
    /** Everything of the messages it was told. */
    events: (): MessageEvent[] => frames.flatMap((f) => (f.type === 'messages' ? f.events : [])),
    close: () => socket.close(1000),
  }
}
