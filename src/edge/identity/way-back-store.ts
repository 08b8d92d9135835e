import { and, eq, gt, gte, isNotNull, isNull, lt, type SQL, sql } from 'drizzle-orm'
import type { UserId } from '../../contract/identity.ts'
import type { Db } from '../platform/db.ts'
import { emailChanges, factorWaysBack, users } from './tables.ts'

/** A way back as it was given. */
export interface GivenWayBack {
  readonly restoreHash: string
  readonly now: number
}

const isChangeOpen = ({ restoreHash, now }: GivenWayBack) =>
  and(eq(emailChanges.restoreHash, restoreHash), gt(emailChanges.restoreExpiresAt, now), isNull(emailChanges.restoredAt))

const isAdditionOpen = ({ restoreHash, now }: GivenWayBack) =>
  and(eq(factorWaysBack.restoreHash, restoreHash), gt(factorWaysBack.expiresAt, now), isNull(factorWaysBack.restoredAt))

/** What a way back undoes, whose it is, and the address that it leads to: a change of address, or a first factor. */
export const undoneBy = (db: Db, given: GivenWayBack) =>
  [
    db
      // D1 answers the rows of a batch as objects, so columns of one name would be one.
      .select({
        ownEmail: sql<string>`${emailChanges.oldEmail}`.as('own_email'),
        at: sql<number>`${emailChanges.changedAt}`.as('at'),
        user: users,
      })
      .from(emailChanges)
      .innerJoin(users, eq(users.id, emailChanges.userId))
      .where(and(isChangeOpen(given), isNotNull(emailChanges.oldEmail), isNull(users.disabledAt))),
    db
      .select({
        ownEmail: sql<string>`${factorWaysBack.email}`.as('own_email'),
        at: sql<number>`${factorWaysBack.addedAt}`.as('at'),
        user: users,
      })
      .from(factorWaysBack)
      .innerJoin(users, eq(users.id, factorWaysBack.userId))
      .where(and(isAdditionOpen(given), isNull(users.disabledAt))),
  ] as const

/** Nobody is given back an address that another account has by now. */
const isNobodyElses = (email: SQL, userId: SQL): SQL =>
  sql`NOT EXISTS (SELECT 1 FROM users AS holder WHERE holder.email = ${email} AND holder.id <> ${userId})`

/** The way back is used once; the claim takes the place of its hash. */
export const claimWayBack = (db: Db, given: GivenWayBack, claim: string) =>
  [
    db
      .update(emailChanges)
      .set({ restoredAt: given.now, restoreHash: claim })
      .where(and(isChangeOpen(given), isNobodyElses(sql`${emailChanges.oldEmail}`, sql`${emailChanges.userId}`))),
    db
      .update(factorWaysBack)
      .set({ restoredAt: given.now, restoreHash: claim })
      .where(and(isAdditionOpen(given), isNobodyElses(sql`${factorWaysBack.email}`, sql`${factorWaysBack.userId}`))),
  ] as const

/** Whether this very call used the way back. */
export const hasRestored = (claim: string): SQL =>
  sql`(EXISTS (SELECT 1 FROM email_changes AS undone WHERE undone.restore_hash = ${claim})
    OR EXISTS (SELECT 1 FROM factor_ways_back AS undone WHERE undone.restore_hash = ${claim}))`

/** Puts an address back under a password that nobody knows. */
export const restoreAccountIf = (
  db: Db,
  userId: UserId,
  to: { readonly email: string; readonly passwordHash: string; readonly condition: SQL },
) =>
  db
    .update(users)
    .set({ email: to.email, passwordHash: to.passwordHash, passwordVersion: sql`${users.passwordVersion} + 1`, passwordIsShort: 0 })
    .where(and(eq(users.id, userId), to.condition))

/** Closes the ways back of what was done from a moment on: they lead to whoever did it. */
export const closeWaysBackIf = (db: Db, { userId, since }: { readonly userId: UserId; readonly since: number }, condition: SQL) =>
  [
    db
      .update(emailChanges)
      .set({ restoreHash: null })
      .where(and(eq(emailChanges.userId, userId), gte(emailChanges.changedAt, since), isNull(emailChanges.restoredAt), condition)),
    db
      .delete(factorWaysBack)
      .where(and(eq(factorWaysBack.userId, userId), gte(factorWaysBack.addedAt, since), isNull(factorWaysBack.restoredAt), condition)),
  ] as const

/** Keeps the way back of a first factor. */
export const insertFactorWayBackIf = (db: Db, row: Omit<typeof factorWaysBack.$inferSelect, 'restoredAt'>, condition: SQL) =>
  db.insert(factorWaysBack).select(
    sql`SELECT ${row.restoreHash} AS restore_hash, ${row.userId} AS user_id, ${row.email} AS email, ${row.addedAt} AS added_at,
      ${row.expiresAt} AS expires_at, NULL AS restored_at WHERE ${condition}`,
  )

export const factorWaysBackOf = (db: Db, userId: UserId) => db.select().from(factorWaysBack).where(eq(factorWaysBack.userId, userId))

export const deleteFactorWaysBack = (db: Db, before: number) => db.delete(factorWaysBack).where(lt(factorWaysBack.expiresAt, before))

export const eraseFactorWaysBack = (db: Db, userId: UserId) => db.delete(factorWaysBack).where(eq(factorWaysBack.userId, userId))
