import { and, desc, eq, gt, gte, isNull, lt, not, or, type SQL, sql } from 'drizzle-orm'
import { API_KEY_USE_SECONDS, API_KEYS_MAX, type ApiKeyId } from '../../contract/api-keys.ts'
import type { UserId } from '../../contract/identity.ts'
import type { Db } from '../platform/db.ts'
import { type Acting, isActing, isBarred } from './session-store.ts'
import { apiKeys } from './tables.ts'

/** A key that nobody has revoked or barred and that has not expired. */
const isOpen = (now: number) =>
  and(isNull(apiKeys.endedAt), gt(apiKeys.expiresAt, now), not(isBarred(sql`api_keys.user_id`, sql`api_keys.created_at`)))

const isUserActive = sql`EXISTS (SELECT 1 FROM users WHERE users.id = api_keys.user_id AND users.disabled_at IS NULL)`

/** The key of a hash, when it may act now. */
export const liveKey = (db: Db, tokenHash: string, now: number) =>
  db
    .select()
    .from(apiKeys)
    .where(and(eq(apiKeys.tokenHash, tokenHash), isOpen(now), isUserActive))
    .limit(1)

/** Notes that a key is in use, unless that was noted lately. */
export const noteKeyUse = (db: Db, id: ApiKeyId, now: number) =>
  db
    .update(apiKeys)
    .set({ lastUsedAt: now })
    .where(and(eq(apiKeys.id, id), or(isNull(apiKeys.lastUsedAt), lt(apiKeys.lastUsedAt, now - API_KEY_USE_SECONDS * 1000))))

/** Puts a key in, while the session that asks lives and the user has room: of calls that race for the last place one gets it. */
export const insertKey = (db: Db, row: Omit<typeof apiKeys.$inferSelect, 'lastUsedAt' | 'endedAt'>, acting: Acting) =>
  db.insert(apiKeys).select(
    sql`SELECT ${row.id} AS id, ${row.userId} AS user_id, ${row.tokenHash} AS token_hash, ${row.hint} AS hint, ${row.name} AS name,
      ${JSON.stringify(row.scopes)} AS scopes, ${row.createdAt} AS created_at, ${row.expiresAt} AS expires_at, NULL AS last_used_at,
      NULL AS ended_at WHERE ${isActing(acting)} AND (SELECT count(*) FROM api_keys WHERE ${and(eq(apiKeys.userId, row.userId), isOpen(acting.now))}) < ${API_KEYS_MAX}`,
  )

export const isKeyMade = (id: ApiKeyId): SQL => sql`EXISTS (SELECT 1 FROM api_keys AS made WHERE made.id = ${id})`

/** The keys of a user that may act, the newest first. */
export const openKeysOf = (db: Db, userId: UserId, now: number) =>
  db
    .select()
    .from(apiKeys)
    .where(and(eq(apiKeys.userId, userId), isOpen(now)))
    .orderBy(desc(apiKeys.id))
    .limit(API_KEYS_MAX)

export const renameOwnKey = (db: Db, acting: Acting, to: { readonly id: ApiKeyId; readonly name: string }) =>
  db
    .update(apiKeys)
    .set({ name: to.name })
    .where(and(eq(apiKeys.id, to.id), eq(apiKeys.userId, acting.userId), isOpen(acting.now), isActing(acting)))
    .returning()

/** One row when the key is the user's, live or not. */
export const ownKey = (db: Db, userId: UserId, id: ApiKeyId) =>
  db
    .select({ id: apiKeys.id })
    .from(apiKeys)
    .where(and(eq(apiKeys.id, id), eq(apiKeys.userId, userId)))
    .limit(1)

export const endOwnKey = (db: Db, acting: Acting, id: ApiKeyId) =>
  db
    .update(apiKeys)
    .set({ endedAt: acting.now })
    .where(and(eq(apiKeys.id, id), eq(apiKeys.userId, acting.userId), isNull(apiKeys.endedAt), isActing(acting)))
    .returning({ id: apiKeys.id })

/** Ends the keys of a user where the condition holds: all, or those made since a moment. */
export const endKeysIf = (
  db: Db,
  { userId, now, since = 0 }: { readonly userId: UserId; readonly now: number; readonly since?: number },
  condition: SQL,
) =>
  db
    .update(apiKeys)
    .set({ endedAt: now })
    .where(and(eq(apiKeys.userId, userId), gte(apiKeys.createdAt, since), isNull(apiKeys.endedAt), condition))
    .returning({ id: apiKeys.id })

/** Every key of a user, ended ones too. */
export const keysOf = (db: Db, userId: UserId) => db.select().from(apiKeys).where(eq(apiKeys.userId, userId)).orderBy(desc(apiKeys.id))

export const deleteKeys = (db: Db, before: number) =>
  db.delete(apiKeys).where(or(lt(apiKeys.endedAt, before), lt(apiKeys.expiresAt, before)))
