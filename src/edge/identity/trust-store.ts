import { and, desc, eq, gt, lt, ne, not, type SQL, sql } from 'drizzle-orm'
import type { TrustedDeviceId } from '../../contract/factors.ts'
import type { SessionId, UserId } from '../../contract/identity.ts'
import type { Db } from '../platform/db.ts'
import { type Acting, isActing, isBarred, type NewSession } from './session-store.ts'
import { trustedDevices } from './tables.ts'

/** Trusts the device of a session that this very batch has started. */
export const insertTrust = (
  db: Db,
  s: NewSession,
  trust: { readonly id: TrustedDeviceId; readonly tokenHash: string; readonly expiresAt: number },
) =>
  db.insert(trustedDevices).select(
    sql`SELECT ${trust.id} AS id, user_id, ${trust.tokenHash} AS token_hash, id AS session_id, browser, system, country, city, created_at,
      created_at AS last_used_at, ${trust.expiresAt} AS expires_at FROM sessions WHERE id = ${s.id}`,
  )

/** Whether a device is trusted by this very user. */
export const isTrusted = (userId: UserId, tokenHash: string, now: number): SQL =>
  sql`EXISTS (SELECT 1 FROM trusted_devices AS td WHERE td.token_hash = ${tokenHash} AND td.user_id = ${userId} AND td.expires_at > ${now}
    AND NOT ${isBarred(sql`td.user_id`, sql`td.created_at`)})`

/** Ties the trust to the session that it has just started, so that they end together. */
export const useTrust = (db: Db, s: NewSession, tokenHash: string) =>
  db
    .update(trustedDevices)
    .set({ sessionId: s.id, lastUsedAt: s.createdAt })
    .where(
      and(
        eq(trustedDevices.tokenHash, tokenHash),
        eq(trustedDevices.userId, s.userId),
        sql`EXISTS (SELECT 1 FROM sessions WHERE id = ${s.id})`,
      ),
    )

export const trustsOf = (db: Db, userId: UserId) => db.select().from(trustedDevices).where(eq(trustedDevices.userId, userId))

/** The devices that a user's second factor is left out on, the last used first. */
export const liveTrustsOf = (db: Db, userId: UserId, now: number) =>
  db
    .select()
    .from(trustedDevices)
    .where(
      and(
        eq(trustedDevices.userId, userId),
        gt(trustedDevices.expiresAt, now),
        not(isBarred(sql`trusted_devices.user_id`, sql`trusted_devices.created_at`)),
      ),
    )
    .orderBy(desc(trustedDevices.lastUsedAt))
    .limit(100)

export const deleteTrust = (db: Db, acting: Acting, id: TrustedDeviceId) =>
  db.delete(trustedDevices).where(and(eq(trustedDevices.id, id), eq(trustedDevices.userId, acting.userId), isActing(acting)))

/** Ends the trust in the device of a session. */
export const deleteTrustOfSession = (db: Db, acting: Acting, sessionId: SessionId) =>
  db.delete(trustedDevices).where(and(eq(trustedDevices.sessionId, sessionId), eq(trustedDevices.userId, acting.userId), isActing(acting)))

/** Ends the trust in every device but the one that acts. */
export const deleteOtherTrusts = (db: Db, acting: Acting) =>
  db
    .delete(trustedDevices)
    .where(and(eq(trustedDevices.userId, acting.userId), ne(trustedDevices.sessionId, acting.sessionId), isActing(acting)))

/** Ends the trust in every device of a user, after something changed on which it rested. */
export const deleteTrustsIf = (db: Db, userId: UserId, condition: SQL) =>
  db.delete(trustedDevices).where(and(eq(trustedDevices.userId, userId), condition))

export const deleteStaleTrusts = (db: Db, now: number) => db.delete(trustedDevices).where(lt(trustedDevices.expiresAt, now))
