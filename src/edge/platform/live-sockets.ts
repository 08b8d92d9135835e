import * as z from 'zod'
import { UserId } from '../../contract/identity.ts'

/** Topic of the events that say that sessions of a user, or keys that act for them, have ended. */
export const SESSION_ENDED = 'session.ended'

/** Which ones: these, those whose row says so since a moment, or all that the user ever had. */
export const SessionsEnded = z.union([
  z.strictObject({ userId: UserId, ids: z.array(z.string()) }),
  z.strictObject({ userId: UserId, since: z.int() }),
  z.strictObject({ userId: UserId, isAll: z.literal(true) }),
])
/** Which sessions have ended. */
export type SessionsEnded = z.input<typeof SessionsEnded>

/** Topic of the events that say that all that anybody began until a moment is over. */
export const EVERYTHING_ENDED = 'session.everything-ended'

/** Since when, and after which user it is still to be told. */
export const EverythingEnded = z.strictObject({ at: z.int(), after: UserId.optional() })
/** Since when, and after which user it is still to be told. */
export type EverythingEnded = z.output<typeof EverythingEnded>

/** Ids of sessions, or every one of a user's. */
export type SessionIds = readonly string[] | 'all'

/** Whether a session is among them. */
export const isAmong = (ids: SessionIds, sessionId: string): boolean => ids === 'all' || ids.includes(sessionId)

/** What kinds of objects hold sockets for users. */
export type HolderKind = 'room' | 'shell'

/** A socket as its user's inbox knows it. */
export interface SocketTie {
  readonly socketId: string
  readonly kind: HolderKind
  /** Name of the object that holds it. */
  readonly holder: string
  readonly sessionId: string
  /** When the token behind it expires: the tie ends then by itself, so a lost farewell does no harm. */
  readonly expiresAt: number
  /** Whether others are not to see that it is there. */
  readonly isIncognito?: boolean | undefined
}

/** An object that holds sockets. */
export interface SocketHolder {
  /** Closes the sockets of a user's ended sessions; asking twice is fine. */
  endSessions(userId: UserId, ids: SessionIds): Promise<void>
}
