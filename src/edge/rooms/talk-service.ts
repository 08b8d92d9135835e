import type { UserId } from '../../contract/identity.ts'
import type { LiveCursor } from '../../contract/room-live.ts'
import type { MessageEvent, MessagePage, MessageReceipt, MessageRetention } from '../../contract/room-messages.ts'
import { eventsAfter, eventsBy, expire, firstServedSeq, forgetReads, rewrite, setTtl } from './messages.ts'
import { expiryCheckAt } from './policy.ts'
import type { MessagesOrder } from './rpc.ts'
import { type Author, endTalkWindow, gather, type Publication, type Talk, watchMessages } from './talk.ts'

/** Publishes for a caller without a socket, and has it on disk. @throws Problem `forbidden` or `not-found` */
export function publishFor(talk: Talk, author: Author, publication: Publication): MessageReceipt {
  const { seq, at } = gather(talk, author, publication)
  endTalkWindow(talk)
  return { epoch: talk.log.state.epoch, seq, at }
}

/** Events after a cursor, the last before one, or the newest; whether some are missing is said. */
export function readMessages(talk: Talk, { since, before, limit }: MessagesOrder): MessagePage {
  endTalkWindow(talk)
  const { log } = talk
  const now = Date.now()
  const { epoch } = log.state
  const seq = log.nextSeq - 1
  const firstSeq = firstServedSeq(log, now)
  if (before) return readBefore(talk, before, { limit, now, firstSeq })
  const recovered = !since || (since.epoch === epoch && since.seq <= seq && since.seq >= firstSeq - 1)
  const from = since && recovered ? since.seq : Math.max(firstSeq - 1, seq - limit)
  const items = eventsAfter(log, from, { limit, now })
  return { epoch, seq, firstSeq, recovered, items, nextCursor: `${epoch}.${items.at(-1)?.seq ?? from}` }
}

function readBefore(
  { log }: Talk,
  before: LiveCursor,
  { limit, now, firstSeq }: { readonly limit: number; readonly now: number; readonly firstSeq: number },
): MessagePage {
  const { epoch } = log.state
  const seq = log.nextSeq - 1
  const recovered = before.epoch === epoch && before.seq <= seq + 1
  const from = Math.max(firstSeq, before.seq - limit) - 1
  const items = recovered ? eventsAfter(log, from, { limit, now }).filter((event) => event.seq < before.seq) : []
  return { epoch, seq, firstSeq, recovered, items, nextCursor: `${epoch}.${items.at(-1)?.seq ?? from}` }
}

/** How long messages are kept. */
export const retention = (talk: Talk): MessageRetention => ({ ttlSeconds: talk.log.state.ttlSeconds })

/** Keeps messages this long from now on. */
export function retain(talk: Talk, ttlSeconds: number | null): MessageRetention {
  endTalkWindow(talk)
  setTtl(talk.log, ttlSeconds)
  expire(talk.log, Date.now())
  watchMessages(talk)
  return retention(talk)
}

/** Deletes expired messages; answers when to look again, by this on the grid or by another reason. */
export function nextLookAt(talk: Talk, other: number | undefined, now: number): number | undefined {
  const mine = expire(talk.log, now)
  talk.watchedUntil = mine
  const mineAt = mine === undefined ? undefined : expiryCheckAt(mine)
  return other === undefined ? mineAt : Math.min(other, mineAt ?? other)
}

/** What a user has written. */
export function exportAuthor(talk: Talk, userId: UserId): MessageEvent[] {
  endTalkWindow(talk)
  return eventsBy(talk.log, userId, Date.now())
}

/** Takes out what a user has written; that somebody wrote stays. */
export function eraseAuthor(talk: Talk, userId: UserId): void {
  endTalkWindow(talk)
  rewrite(talk.log, { fromSeq: 0, mark: userId, matches: (event) => event.userId === userId, text: '' })
  forgetReads(talk.log, userId)
}
