import { and, desc, eq, gt, isNull, lt, ne, not, or, type SQL, sql } from 'drizzle-orm'
import type { SessionId, TokenMode, UserId } from '../../contract/identity.ts'
import type { Db } from '../platform/db.ts'
import type { Actor } from '../platform/scope.ts'
import type { Device } from './device.ts'
import { rolesOf } from './role-store.ts'
import { sessions, users } from './tables.ts'

/** A row of a new session. */
export type NewSession = Omit<typeof sessions.$inferSelect, 'endedAt' | 'endCause'>

/**
 * Starts a session where the condition holds, unless the password has been replaced since it was checked: a reset must outlive a slow
 * sign-in. Its row comes back with how many others of the user are open.
 */
export const insertSession = (db: Db, s: NewSession, given: { readonly passwordVersion: number; readonly condition: SQL }) =>
  db
    .insert(sessions)
    .select(
      sql`SELECT ${s.id} AS id, ${s.userId} AS user_id, ${s.mode} AS mode, ${s.counter} AS counter, ${s.createdAt} AS created_at,
        ${s.refreshedAt} AS refreshed_at, ${s.idleExpiresAt} AS idle_expires_at, ${s.expiresAt} AS expires_at, NULL AS ended_at,
        NULL AS end_cause, ${s.name} AS name, ${s.browser} AS browser, ${s.system} AS system, ${s.country} AS country, ${s.city} AS city,
        ${s.amr} AS amr, ${s.authenticatedAt} AS authenticated_at
        FROM users WHERE id = ${s.userId} AND password_version = ${given.passwordVersion} AND disabled_at IS NULL AND ${given.condition}`,
    )
    .returning({
      others: sql<number>`(SELECT count(*) FROM sessions AS other WHERE other.user_id = ${s.userId} AND other.id <> ${s.id}
        AND other.ended_at IS NULL AND min(other.expires_at, other.idle_expires_at) > ${s.createdAt})`,
    })

/** Whether the session has started and is not the very first of its user, which is news to nobody. */
export const isFurther = (s: Pick<NewSession, 'id' | 'userId'>): SQL =>
  sql`EXISTS (SELECT 1 FROM sessions WHERE id = ${s.id}) AND EXISTS (SELECT 1 FROM sessions WHERE user_id = ${s.userId} AND id <> ${s.id})`

/** Whether what a user began then is over by a rule for that user or for everybody. Both hold, whichever is later. */
export const isBarred = (userId: SQL, beganAt: SQL): SQL =>
  sql`EXISTS (SELECT 1 FROM not_befores AS rule WHERE rule.user_id IN (${userId}, '') AND rule.at >= ${beganAt})`

/** Whether all that a user, or (where empty) anybody, began until this very moment is over. */
export const isBarredAt = (userId: UserId | '', at: number): SQL =>
  sql`EXISTS (SELECT 1 FROM not_befores AS rule WHERE rule.user_id = ${userId} AND rule.at = ${at})`

const isSessionBarred = isBarred(sql`sessions.user_id`, sql`sessions.created_at`)

/** Whether a session is neither ended, nor expired, nor barred. */
export const isLive = (now: number) =>
  and(isNull(sessions.endedAt), gt(sessions.expiresAt, now), gt(sessions.idleExpiresAt, now), not(isSessionBarred))

const isUserActive = sql`EXISTS (SELECT 1 FROM users WHERE users.id = ${sessions.userId} AND users.disabled_at IS NULL)`

/** A session that acts, at a time: whoever has just been signed out changes nothing any more, however fast they are. */
export interface Acting {
  readonly sessionId: SessionId
  readonly userId: UserId
  readonly now: number
}

/** Whether the session that acts is still alive. */
export const isActing = ({ sessionId, now }: Acting): SQL =>
  sql`EXISTS (SELECT 1 FROM sessions AS acting WHERE acting.id = ${sessionId} AND acting.ended_at IS NULL
    AND acting.expires_at > ${now} AND acting.idle_expires_at > ${now}
    AND NOT ${isBarred(sql`acting.user_id`, sql`acting.created_at`)})`

/** Ends what is over the limit after a session has started, the longest unseen first; never the new one. */
export const endExcessSessions = (db: Db, s: Pick<NewSession, 'id' | 'userId'>, at: { readonly now: number; readonly max: number }) =>
  db
    .update(sessions)
    .set({ endedAt: at.now, endCause: 'limit' })
    .where(
      sql`${sessions.id} IN (SELECT id FROM sessions WHERE user_id = ${s.userId} AND id <> ${s.id} AND ended_at IS NULL
        AND expires_at > ${at.now} AND idle_expires_at > ${at.now} AND EXISTS (SELECT 1 FROM sessions WHERE id = ${s.id})
        ORDER BY refreshed_at DESC, id DESC LIMIT -1 OFFSET ${at.max - 1})`,
    )
    .returning({ id: sessions.id })

/** The user's live sessions, the last seen first. */
export const liveSessionsOf = (db: Db, { userId, now }: Acting, limit: number) =>
  db
    .select()
    .from(sessions)
    .where(and(eq(sessions.userId, userId), isLive(now)))
    .orderBy(desc(sessions.refreshedAt), desc(sessions.id))
    .limit(limit)

export const renameOwnSession = (db: Db, acting: Acting, to: { readonly id: SessionId; readonly name: string | null }) =>
  db
    .update(sessions)
    .set({ name: to.name })
    .where(and(eq(sessions.id, to.id), eq(sessions.userId, acting.userId), isLive(acting.now), isActing(acting)))
    .returning()

/** One row when the session is the user's, live or not. */
export const ownSession = (db: Db, userId: UserId, id: SessionId) =>
  db
    .select({ id: sessions.id })
    .from(sessions)
    .where(and(eq(sessions.id, id), eq(sessions.userId, userId)))
    .limit(1)

export const endOwnSession = (db: Db, acting: Acting, end: { readonly id: SessionId; readonly cause: string }) =>
  db
    .update(sessions)
    .set({ endedAt: acting.now, endCause: end.cause })
    .where(and(eq(sessions.id, end.id), eq(sessions.userId, acting.userId), isNull(sessions.endedAt), isActing(acting)))
    .returning({ id: sessions.id })

/** Ends all of the user's sessions but the one that acts. */
export const endOtherSessions = (db: Db, acting: Acting, cause: string) =>
  db
    .update(sessions)
    .set({ endedAt: acting.now, endCause: cause })
    .where(and(eq(sessions.userId, acting.userId), ne(sessions.id, acting.sessionId), isLive(acting.now), isActing(acting)))
    .returning({ id: sessions.id })

/** A session as its tokens need it. */
export type TokenSubject = Pick<typeof sessions.$inferSelect, 'id' | 'userId' | 'counter' | 'expiresAt' | 'amr' | 'authenticatedAt'>

/** The one conditional write of a refresh: only the current generation of a live session of an active user moves on. */
export const advanceSession = (
  db: Db,
  presented: { readonly id: SessionId; readonly counter: number; readonly mode: TokenMode },
  at: { readonly now: number; readonly idleExpiresAt: number; readonly device: Device },
) =>
  db.all<TokenSubject>(
    sql`UPDATE sessions SET counter = counter + 1, refreshed_at = ${at.now}, idle_expires_at = min(${at.idleExpiresAt}, expires_at),
        country = coalesce(${at.device.country}, country), city = iif(${at.device.country} IS NULL, city, ${at.device.city})
      WHERE id = ${presented.id} AND counter = ${presented.counter} AND mode = ${presented.mode} AND ended_at IS NULL
        AND min(expires_at, idle_expires_at) > ${at.now} AND NOT ${isSessionBarred} AND ${isUserActive}
      RETURNING id, user_id AS userId, counter, expires_at AS expiresAt, amr, authenticated_at AS authenticatedAt`,
  )

export const sessionById = (db: Db, id: SessionId) =>
  db
    .select({ session: sessions, disabledAt: users.disabledAt, isBarred: sql<number>`${isSessionBarred}` })
    .from(sessions)
    .innerJoin(users, eq(users.id, sessions.userId))
    .where(eq(sessions.id, id))
    .limit(1)

/** One row when the session may act now, with the roles of its user. */
export const liveSession = (db: Db, id: Actor['sessionId'], now: number) =>
  db
    .select({ id: sessions.id, roles: rolesOf(sql`sessions.user_id`) })
    .from(sessions)
    .where(and(sql`${sessions.id} = ${id}`, isLive(now), isUserActive))
    .limit(1)

export const endSession = (db: Db, id: SessionId, end: { readonly now: number; readonly cause: string }) =>
  db
    .update(sessions)
    .set({ endedAt: end.now, endCause: end.cause })
    .where(and(eq(sessions.id, id), isNull(sessions.endedAt)))
    .returning({ id: sessions.id })

/** The newest session of a user stays, so that a sign-in after a long absence is told from a first one. */
export const deleteSessions = (db: Db, before: number) =>
  db
    .delete(sessions)
    .where(
      and(
        or(lt(sessions.endedAt, before), lt(sessions.expiresAt, before)),
        sql`EXISTS (SELECT 1 FROM sessions AS newer WHERE newer.user_id = ${sessions.userId} AND newer.id > ${sessions.id})`,
      ),
    )

/** As {@link endOtherSessions}, only where the condition holds; without an exception it ends all. */
export const endSessionsIf = (
  db: Db,
  end: { readonly userId: UserId; readonly except?: SessionId; readonly now: number; readonly cause: string },
  condition: SQL,
) =>
  db
    .update(sessions)
    .set({ endedAt: end.now, endCause: end.cause })
    .where(
      and(eq(sessions.userId, end.userId), end.except === undefined ? undefined : ne(sessions.id, end.except), isLive(end.now), condition),
    )
    .returning({ id: sessions.id })

/** The user's sessions that have ended since a moment. */
export const endedSince = (db: Db, userId: UserId, since: number) =>
  db.all<{ readonly id: string }>(
    sql`SELECT id FROM sessions WHERE user_id = ${userId} AND ended_at >= ${since}
      UNION ALL SELECT id FROM api_keys WHERE user_id = ${userId} AND ended_at >= ${since}`,
  )

export const sessionsOf = (db: Db, userId: UserId) => db.select().from(sessions).where(eq(sessions.userId, userId))

/** Whether what sockets and tickets are tied to may still act, a session or an API key; ids may come from other columns. */
export const isAccessLive = (of: { readonly id: string | SQL; readonly userId: string | SQL; readonly now: number }): SQL =>
  sql`(EXISTS (SELECT 1 FROM users AS holder WHERE holder.id = ${of.userId} AND holder.disabled_at IS NULL) AND (
    EXISTS (SELECT 1 FROM sessions AS held WHERE held.id = ${of.id} AND held.user_id = ${of.userId} AND held.ended_at IS NULL
      AND min(held.expires_at, held.idle_expires_at) > ${of.now} AND NOT ${isBarred(sql`held.user_id`, sql`held.created_at`)})
    OR EXISTS (SELECT 1 FROM api_keys AS held WHERE held.id = ${of.id} AND held.user_id = ${of.userId} AND held.ended_at IS NULL
      AND held.expires_at > ${of.now} AND NOT ${isBarred(sql`held.user_id`, sql`held.created_at`)})))`
