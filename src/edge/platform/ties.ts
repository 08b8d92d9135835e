import type { UserId } from '../../contract/identity.ts'
import type { ProblemSlug } from '../../contract/problem.ts'
import type { Env } from '../env.ts'
import type { HolderKind, SocketTie } from './live-sockets.ts'
import { describeError, type Log } from './log.ts'

const TAG = 'i:'

/** A tag that names a socket for as long as it lives. */
export const newSocketTag = (): string => `${TAG}${crypto.randomUUID()}`

/** A socket that the object holds, or one that is held for it under a name. */
type Tied = WebSocket | { readonly id: string }

/** The name of a socket, if it was given one. */
export const nameOf = (ctx: Pick<DurableObjectState, 'getTags'>, socket: Tied): string | undefined =>
  socket instanceof WebSocket
    ? ctx
        .getTags(socket)
        .find((tag) => tag.startsWith(TAG))
        ?.slice(TAG.length)
    : socket.id

/** An object's word to the inboxes of those whose sockets it holds. */
export interface Ties {
  /**
   * Ties an accepted socket to its session. The answer is why it must close: it may have been let in while its session was being
   * ended, and a socket that nobody could find again must not stay.
   */
  readonly tie: (
    socket: Tied,
    owner: { readonly userId: UserId } & Pick<SocketTie, 'sessionId' | 'expiresAt' | 'isIncognito'>,
  ) => Promise<ProblemSlug | null>
  /** The socket is gone. */
  readonly untie: (socket: Tied, userId: UserId) => void
}

/** The ties of an object of a kind. */
export function tiesOf(
  ctx: DurableObjectState,
  env: Pick<Env, 'INBOXES'>,
  { kind, log }: { readonly kind: HolderKind; readonly log: Log },
): Ties {
  const holder = ctx.id.name ?? ctx.id.toString()
  return {
    async tie(socket, { userId, sessionId, expiresAt, isIncognito }) {
      const socketId = nameOf(ctx, socket)
      if (socketId === undefined) throw new Error('a socket without a name')
      try {
        return await env.INBOXES.getByName(userId).tieSocket({ socketId, kind, holder, sessionId, expiresAt, isIncognito })
      } catch (error) {
        log('socket.tie-failed', describeError(error))
        return 'unavailable'
      }
    },
    untie(socket, userId) {
      const socketId = nameOf(ctx, socket)
      if (socketId === undefined) return
      ctx.waitUntil(
        env.INBOXES.getByName(userId)
          .untieSocket(socketId)
          .catch((error: unknown) => log('socket.untie-failed', describeError(error))),
      )
    },
  }
}
