import { closeCodeOf, type ProblemSlug } from '../../contract/problem.ts'

/** Closes with 4000 + the problem's HTTP status and its slug as the reason. */
export function closeWith(socket: Pick<WebSocket, 'close'>, slug: ProblemSlug): void {
  try {
    socket.close(closeCodeOf(slug), slug)
  } catch {
    // The peer is already gone.
  }
}
