import { closeCodeOf, type ProblemSlug } from '../../contract/problem.ts'

/** Answers the close of a peer. Codes that only say how a socket ended cannot be sent (RFC 6455 §7.4.1). */
export function closeBack(socket: Pick<WebSocket, 'close'>, code: number): void {
  try {
    socket.close(code === 1000 || code >= 3000 ? code : 1000)
  } catch {
    // The runtime has closed it already.
  }
}

/** Closes with 4000 + the problem's HTTP status and its slug as the reason. */
export function closeWith(socket: Pick<WebSocket, 'close'>, slug: ProblemSlug): void {
  try {
    socket.close(closeCodeOf(slug), slug)
  } catch {
    // The peer is already gone.
  }
}
