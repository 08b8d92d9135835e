import type { SessionId, UserId } from '../../contract/identity.ts'
import type { OrgRole } from '../../contract/orgs.ts'
import type { ShellFrame } from '../../contract/viewer.ts'

/** All that is known of a viewer's socket. Kept in its attachment, so hibernation forgets none of it. */
export interface Viewer {
  readonly userId: UserId
  readonly sessionId: SessionId
  readonly role: OrgRole
  readonly expiresAt: number
  readonly joinedAt: number
  /** The name of its input; empty until it has attached. */
  readonly client: string
  /** Output before this was sent, and before that acknowledged. */
  readonly sentOffset: number
  readonly ackedOffset: number
  /** Whether it was told that it only watches. */
  readonly isRefusalTold: boolean
  /** Whether it was told that the shell is over. */
  readonly isEndTold: boolean
}

/** The sockets of a shell. */
export interface Hub {
  readonly add: (socket: WebSocket, viewer: Viewer) => void
  readonly viewerOf: (socket: WebSocket) => Viewer
  readonly change: (socket: WebSocket, change: Partial<Viewer>) => Viewer
  /** Every open socket, attached or not. */
  readonly sockets: () => readonly WebSocket[]
  /** Those that have attached. */
  readonly attached: () => readonly WebSocket[]
  /** When the viewer last gave a sign of life, a ping answered by the runtime included. */
  readonly heardAt: (socket: WebSocket) => number
  readonly hear: (socket: WebSocket) => void
  /** As `heardAt`, but a memory that begins takes nobody's word for granted. */
  readonly seenAt: (socket: WebSocket) => number
}

/** Opens the hub over the sockets that outlived the object's memory. */
export function openHub(ctx: DurableObjectState): Hub {
  const viewers = new WeakMap<WebSocket, Viewer>()
  const heard = new WeakMap<WebSocket, number>()
  const wokeAt = Date.now()

  function viewerOf(socket: WebSocket): Viewer {
    const known = viewers.get(socket) ?? (socket.deserializeAttachment() as Viewer)
    viewers.set(socket, known)
    return known
  }

  function keep(socket: WebSocket, viewer: Viewer): Viewer {
    viewers.set(socket, viewer)
    try {
      socket.serializeAttachment(viewer)
    } catch {
      // A socket that is already closed keeps no attachment and needs none.
    }
    return viewer
  }

  const pingedAt = (socket: WebSocket) => ctx.getWebSocketAutoResponseTimestamp(socket)?.getTime() ?? 0
  const sockets = () => ctx.getWebSockets().filter((socket) => socket.readyState === WebSocket.OPEN)

  return {
    add(socket, viewer) {
      heard.set(socket, Date.now())
      keep(socket, viewer)
    },
    viewerOf,
    change: (socket, change) => keep(socket, { ...viewerOf(socket), ...change }),
    sockets,
    attached: () => sockets().filter((socket) => viewerOf(socket).client !== ''),
    heardAt: (socket) => Math.max(heard.get(socket) ?? wokeAt, pingedAt(socket)),
    seenAt: (socket) => Math.max(heard.get(socket) ?? viewerOf(socket).joinedAt, pingedAt(socket)),
    hear: (socket) => void heard.set(socket, Date.now()),
  }
}

/** Sends a frame unless the peer is gone. */
export const tell = (socket: WebSocket, frame: ShellFrame): void => sendTo(socket, JSON.stringify(frame))

/** Sends unless the peer is gone. */
export function sendTo(socket: WebSocket, message: string | Uint8Array): void {
  try {
    socket.send(message)
  } catch {
    // Its close event does the rest.
  }
}

/** Closes in the ordinary way. */
export function closeNormally(socket: WebSocket, reason: string): void {
  try {
    socket.close(1000, reason)
  } catch {
    // The peer is already gone.
  }
}
