import type { EventEmitter } from 'node:events'
import type { WebSocket } from 'ws'

/** The frame that closes a socket, when it arrives: the connection under it may linger after both sides have said goodbye. */
export const closeFrameOf = (socket: WebSocket): Promise<{ code: number; reason: string }> =>
  new Promise((resolve) => {
    const { _receiver: receiver } = socket as unknown as { readonly _receiver: EventEmitter }
    receiver.once('conclude', (code: number, reason: Buffer) => resolve({ code, reason: reason.toString() }))
  })
