import { and, eq, gt, isNull, lt, not, type SQL, sql } from 'drizzle-orm'
import type { PendingId, SessionId, UserId } from '../../contract/identity.ts'
import { FACTOR_TRIES_MAX } from '../../contract/proof.ts'
import type { Db } from '../platform/db.ts'
import { isBarred } from './session-store.ts'
import { pendingSignIns } from './tables.ts'

export const insertPending = (db: Db, row: typeof pendingSignIns.$inferInsert) => db.insert(pendingSignIns).values(row)

const isOpen = (id: PendingId, now: number) =>
  and(
    eq(pendingSignIns.id, id),
    isNull(pendingSignIns.sessionId),
    gt(pendingSignIns.expiresAt, now),
    not(isBarred(sql`pending_sign_ins.user_id`, sql`pending_sign_ins.created_at`)),
  )

/** Takes one of a sign-in's tries, before anything is compared: parallel guesses count too. */
export const takeTry = (db: Db, id: PendingId, now: number) =>
  db
    .update(pendingSignIns)
    .set({ tries: sql`${pendingSignIns.tries} + 1` })
    .where(and(isOpen(id, now), lt(pendingSignIns.tries, FACTOR_TRIES_MAX)))
    .returning()

export const openPending = (db: Db, id: PendingId, now: number) =>
  db
    .select({ userId: pendingSignIns.userId })
    .from(pendingSignIns)
    .where(and(isOpen(id, now), lt(pendingSignIns.tries, FACTOR_TRIES_MAX)))
    .limit(1)

/** Whether a sign-in is still to be finished. */
export const isPending = (id: PendingId, now: number): SQL =>
  sql`EXISTS (SELECT 1 FROM pending_sign_ins AS p WHERE p.id = ${id} AND p.session_id IS NULL AND p.expires_at > ${now}
    AND NOT ${isBarred(sql`p.user_id`, sql`p.created_at`)})`

/** Closes a sign-in by the session that this very batch has started: of calls that race, the next finds it closed. */
export const closePending = (db: Db, id: PendingId, sessionId: SessionId) =>
  db
    .update(pendingSignIns)
    .set({ sessionId })
    .where(and(eq(pendingSignIns.id, id), sql`EXISTS (SELECT 1 FROM sessions WHERE id = ${sessionId})`))

export const deleteStalePendings = (db: Db, before: number) => db.delete(pendingSignIns).where(lt(pendingSignIns.expiresAt, before))

/** Ends what a user has begun to sign in with and not finished. */
export const deletePendingsIf = (db: Db, userId: UserId, condition: SQL) =>
  db.delete(pendingSignIns).where(and(eq(pendingSignIns.userId, userId), condition))

export const erasePendings = (db: Db, userId: UserId) => db.delete(pendingSignIns).where(eq(pendingSignIns.userId, userId))
