import type { ProblemSlug } from '../../contract/problem.ts'
import type { SessionIds, SocketTie } from '../platform/live-sockets.ts'

/** What the rest of the edge may ask a user's inbox. */
export interface InboxRpc extends Rpc.DurableObjectBranded {
  /** Ties a socket that another object holds to its session; the answer is why it must close. Tying again renews. */
  tieSocket(tie: SocketTie): Promise<ProblemSlug | null>
  /** The socket is gone. */
  untieSocket(socketId: string): Promise<void>
  /** Closes every socket of sessions that have ended, wherever it is, and lets none of them in any more. */
  endSessions(ids: SessionIds): Promise<void>
}
