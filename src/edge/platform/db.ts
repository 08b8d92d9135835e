import { type DrizzleD1Database, drizzle } from 'drizzle-orm/d1'

/** A Drizzle client for one request. */
export type Db = DrizzleD1Database

/** What D1 hands out as a position in its history. */
const BOOKMARK = /^[0-9a-f]{8}-[0-9a-f]{8}-[0-9a-f]{8}-[0-9a-f]{32}$/

/** Whether a header value can be a bookmark at all. */
export const isBookmark = (value: string): boolean => BOOKMARK.test(value)

/** A session over D1: reads see at least the writes up to the bookmark, so a writer reads its own writes from any replica. */
export function openDb(d1: D1Database, bookmark: string | undefined): { readonly db: Db; readonly bookmark: () => string | undefined } {
  const session = d1.withSession(bookmark ?? 'first-primary')
  // Drizzle asks for a whole D1Database and uses `prepare` and `batch`, which a session has.
  return { db: drizzle(session as unknown as D1Database), bookmark: () => session.getBookmark() ?? undefined }
}

/** Texts of D1's transient failures (Cloudflare's "Debug D1" page), and of a Durable Object that is moving. */
const OUTAGES = [
  'Network connection lost',
  'storage caused object to be reset',
  'reset because its code was updated',
  'Cannot resolve D1 DB',
  'D1 DB is overloaded',
  'D1 DB exceeded',
  'storage operation exceeded timeout',
  'Durable Object is overloaded',
  'Internal error in D1',
]

/** Whether an error says that storage is out for now, rather than that we are wrong. */
export function isOutage(error: unknown): boolean {
  for (let e = error; e instanceof Error; e = e.cause) {
    const { message } = e
    if (
      OUTAGES.some((text) => message.includes(text)) ||
      ('retryable' in e && e.retryable === true) ||
      ('overloaded' in e && e.overloaded === true)
    )
      return true
  }
  return false
}
