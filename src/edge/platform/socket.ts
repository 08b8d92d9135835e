import { closeCodeOf, type ProblemSlug } from '../../contract/problem.ts'

/** Answers the close of a peer. Codes that only say how a socket ended cannot be sent (RFC 6455 §7.4.1). */
export function closeBack(socket: Pick<WebSocket, 'close'>, code: number): void {
  try {
    socket.close(code === 1000 || code >= 3000 ? code : 1000)
  } catch {
    // The runtime has closed it already.
  }
}

/** Closes with the problem's slug as the reason, and 4000 + its HTTP status unless the client's protocol needs another code. */
export function closeWith(socket: Pick<WebSocket, 'close'>, slug: ProblemSlug, code = closeCodeOf(slug)): void {
  try {
    socket.close(code, slug)
  } catch {
    // The peer is already gone.
  }
}
