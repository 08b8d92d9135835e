/** A client's socket that a leaf holds, as its room speaks to it. */
export interface FarPeer extends Pick<WebSocket, 'send' | 'close' | 'readyState' | 'serializeAttachment' | 'deserializeAttachment'> {
  readonly id: string
}

/** A client's socket as its room speaks to it: one that is held here, or one that a leaf holds. */
export type Peer = WebSocket | FarPeer
