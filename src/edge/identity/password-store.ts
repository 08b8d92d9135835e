import { and, eq, isNull, type SQL, sql } from 'drizzle-orm'
import type { UserId } from '../../contract/identity.ts'
import type { Db } from '../platform/db.ts'
import { limits } from '../platform/limiter/tables.ts'
import { hasSecondFactor } from './factor-store.ts'
import { type Acting, isActing } from './session-store.ts'
import { users } from './tables.ts'

export const setPasswordHash = (db: Db, id: UserId, hash: { readonly from: string; readonly to: string }) =>
  db
    .update(users)
    .set({ passwordHash: hash.to })
    .where(and(eq(users.id, id), eq(users.passwordHash, hash.from)))

/** A password that is about to be the user's. */
export interface NewHash {
  readonly hash: string
  /** It is long enough only beside a second factor, which must still be there. */
  readonly isShort: boolean
}

/** Whether the user may have such a password. */
export const isAdmissible = (userId: UserId, { isShort }: NewHash): SQL => (isShort ? hasSecondFactor(userId) : sql`true`)

/** Replaces a password by a session that acts, if it is still the one that was checked. */
export const replacePassword = (db: Db, acting: Acting, to: NewHash & { readonly fromVersion: number }) =>
  db
    .update(users)
    .set({ passwordHash: to.hash, passwordVersion: to.fromVersion + 1, passwordIsShort: Number(to.isShort) })
    .where(
      and(
        eq(users.id, acting.userId),
        eq(users.passwordVersion, to.fromVersion),
        isNull(users.disabledAt),
        isAdmissible(acting.userId, to),
        isActing(acting),
      ),
    )

/** Whether this very hash is the user's: a salted hash is unique, so it tells whether this call replaced the password. */
export const hasHash = (userId: UserId, hash: string): SQL =>
  sql`EXISTS (SELECT 1 FROM users AS holder WHERE holder.id = ${userId} AND holder.password_hash = ${hash})`

export const resetPasswordIf = (db: Db, userId: UserId, to: NewHash & { readonly condition: SQL }) =>
  db
    .update(users)
    .set({ passwordHash: to.hash, passwordVersion: sql`${users.passwordVersion} + 1`, passwordIsShort: Number(to.isShort) })
    .where(and(eq(users.id, userId), to.condition))

/** Whether only one reset of the password has been proven since a moment: this very one. */
export const isFirstResetSince = (userId: UserId, since: number): SQL =>
  sql`(SELECT count(*) FROM password_resets AS r WHERE r.user_id = ${userId} AND r.claim IS NOT NULL AND r.created_at > ${since}) = 1`

/** Ends an account's count of failures, for whoever has proven otherwise to own it. */
export const clearBudgetIf = (db: Db, key: string, condition: SQL) => db.delete(limits).where(and(eq(limits.key, key), condition))
