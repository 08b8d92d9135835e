import { and, eq, gt, isNull, lt, type SQL, sql } from 'drizzle-orm'
import { CODE_TRIES_MAX, type UserId } from '../../contract/identity.ts'
import type { ResetId } from '../../contract/passwords.ts'
import type { Db } from '../platform/db.ts'
import { limits } from '../platform/limiter/tables.ts'
import { type Acting, isActing } from './session-store.ts'
import { passwordResets, users } from './tables.ts'

export const setPasswordHash = (db: Db, id: UserId, hash: { readonly from: string; readonly to: string }) =>
  db
    .update(users)
    .set({ passwordHash: hash.to })
    .where(and(eq(users.id, id), eq(users.passwordHash, hash.from)))

/** Replaces a password by a session that acts, if it is still the one that was checked. */
export const replacePassword = (db: Db, acting: Acting, to: { readonly hash: string; readonly fromVersion: number }) =>
  db
    .update(users)
    .set({ passwordHash: to.hash, passwordVersion: to.fromVersion + 1 })
    .where(and(eq(users.id, acting.userId), eq(users.passwordVersion, to.fromVersion), isNull(users.disabledAt), isActing(acting)))

/** Whether this very hash is the user's: a salted hash is unique, so it tells whether this call replaced the password. */
export const hasHash = (userId: UserId, hash: string): SQL =>
  sql`EXISTS (SELECT 1 FROM users AS holder WHERE holder.id = ${userId} AND holder.password_hash = ${hash})`

export const insertReset = (db: Db, row: typeof passwordResets.$inferInsert) => db.insert(passwordResets).values(row)

/** Takes the code from a reset that is one too many, counted where nothing can race: only codes that were mailed count, and open. */
export const burnExcessReset = (db: Db, id: ResetId, limit: { readonly email: string; readonly since: number; readonly max: number }) =>
  db
    .update(passwordResets)
    .set({ codeMac: null })
    .where(
      and(
        eq(passwordResets.id, id),
        sql`(SELECT count(*) FROM password_resets AS r WHERE r.email = ${limit.email} AND r.created_at > ${limit.since} AND r.code_mac IS NOT NULL) > ${limit.max}`,
      ),
    )

/** Whether a reset is somebody's and within the limit, so that its code goes out. */
export const isMailable = (id: ResetId): SQL =>
  sql`EXISTS (SELECT 1 FROM password_resets WHERE id = ${id} AND user_id IS NOT NULL AND code_mac IS NOT NULL)`

/** A code given for a reset. */
export interface ResetProof {
  readonly id: ResetId
  readonly codeMac: string
  readonly now: number
}

const isResetOpen = (p: ResetProof) =>
  and(
    eq(passwordResets.id, p.id),
    gt(passwordResets.expiresAt, p.now),
    lt(passwordResets.tries, CODE_TRIES_MAX),
    isNull(passwordResets.claim),
  )

export const countWrongResetTry = (db: Db, p: ResetProof) =>
  db
    .update(passwordResets)
    .set({ tries: sql`${passwordResets.tries} + 1` })
    .where(and(isResetOpen(p), sql`${passwordResets.codeMac} IS NOT ${p.codeMac}`))

/** Whose password the code may replace. */
export const provenReset = (db: Db, p: ResetProof) =>
  db
    .select({ userId: users.id, email: users.email, locale: users.locale })
    .from(passwordResets)
    .innerJoin(users, eq(users.id, passwordResets.userId))
    .where(and(isResetOpen(p), eq(passwordResets.codeMac, p.codeMac), isNull(users.disabledAt)))

/** The right code wins the reset once. */
export const claimReset = (db: Db, p: ResetProof, claim: string) =>
  db
    .update(passwordResets)
    .set({ claim })
    .where(
      and(
        isResetOpen(p),
        eq(passwordResets.codeMac, p.codeMac),
        sql`EXISTS (SELECT 1 FROM users WHERE users.id = ${passwordResets.userId} AND users.disabled_at IS NULL)`,
      ),
    )

/** Whether this very call won the reset. */
export const hasClaim = (id: ResetId, claim: string): SQL =>
  sql`EXISTS (SELECT 1 FROM password_resets AS won WHERE won.id = ${id} AND won.claim = ${claim})`

export const resetPasswordIf = (db: Db, userId: UserId, to: { readonly hash: string; readonly condition: SQL }) =>
  db
    .update(users)
    .set({ passwordHash: to.hash, passwordVersion: sql`${users.passwordVersion} + 1` })
    .where(and(eq(users.id, userId), to.condition))

/** No code that was mailed before a password changed opens anything after. */
export const deleteOpenResetsIf = (db: Db, userId: UserId, condition: SQL) =>
  db.delete(passwordResets).where(and(eq(passwordResets.userId, userId), isNull(passwordResets.claim), condition))

/** Ends an account's count of failed sign-ins: whoever reads its mail has proven to own it. */
export const reopenPasswordIf = (db: Db, accountKey: string, condition: SQL) =>
  db.delete(limits).where(and(eq(limits.key, accountKey), condition))

export const deleteResets = (db: Db, before: number) => db.delete(passwordResets).where(lt(passwordResets.expiresAt, before))

export const resetsOf = (db: Db, userId: UserId) => db.select().from(passwordResets).where(eq(passwordResets.userId, userId))
