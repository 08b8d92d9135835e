import type { Notification, NotificationContent, NotificationId, Unread } from '../../contract/inbox.ts'
import type { ProblemSlug } from '../../contract/problem.ts'
import type { SessionIds, SocketTie } from '../platform/live-sockets.ts'
import type { Sealed } from '../platform/rpc.ts'
import type { Word } from './company.ts'
import type { PushSubscription } from './subscriptions.ts'

/** What to push: nothing when it was heard, read or deleted, or when every device has it. */
export interface ToPush {
  readonly notification: Notification | undefined
  readonly targets: readonly PushSubscription[]
}

/** What the rest of the edge may ask a user's inbox, besides a WebSocket upgrade through `fetch`. */
export interface InboxRpc extends Rpc.DurableObjectBranded {
  /** Ties a socket that another object holds to its session; the answer is why it must close. Tying again renews. */
  tieSocket(tie: SocketTie): Promise<ProblemSlug | null>
  /** The socket is gone. */
  untieSocket(socketId: string): Promise<void>
  /** Closes every socket of sessions that have ended, wherever it is, and lets none of them in any more. */
  endSessions(ids: SessionIds): Promise<void>
  /** Keeps and tells a notification, once however often it comes. */
  notify(of: { readonly id: NotificationId; readonly content: NotificationContent }): Promise<ToPush>
  /** Pushes to this device from now on, unless its session has ended. */
  subscribe(subscription: PushSubscription): Promise<void>
  isSubscribed(sessionId: string): Promise<boolean>
  /** Pushes no more to a device; with an endpoint only if it is still that one. */
  unsubscribe(sessionId: string, endpoint?: string): Promise<void>
  notePushed(push: { readonly notificationId: NotificationId; readonly sessionId: string }): Promise<void>
  /** The newest notifications, or those before one, and how many are unread. */
  list(page: { readonly before: string | undefined; readonly limit: number }): Promise<{ items: Notification[]; unread: number }>
  unread(): Promise<number>
  /** Marks one as read, or it and all older ones. */
  markRead(id: NotificationId, hasOlder: boolean): Promise<Sealed<Unread>>
  remove(id: NotificationId): Promise<Sealed<void>>
  /** Hears where somebody stands with whom this user shares a room; the answer is where this user stands. */
  meet(word: Word): Promise<Word>
  /** The user's seats have changed: who they share a room with is looked at anew. */
  seatsChanged(): Promise<void>
  exportAll(): Promise<Notification[]>
  /** Forgets everything but which sessions have ended. */
  erase(): Promise<void>
}
