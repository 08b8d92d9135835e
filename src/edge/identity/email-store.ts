import { and, eq, gt, isNotNull, isNull, ne, type SQL, sql } from 'drizzle-orm'
import type { UserId } from '../../contract/identity.ts'
import type { Db } from '../platform/db.ts'
import { emailChanges, users } from './tables.ts'

export const insertEmailChange = (db: Db, row: typeof emailChanges.$inferInsert) => db.insert(emailChanges).values(row)

const isFree = (email: string): SQL => sql`NOT EXISTS (SELECT 1 FROM users AS holder WHERE holder.email = ${email})`

/** Gives a user an address that nobody else has; the one statement decides between those who race for it. */
export const moveEmailIf = (db: Db, userId: UserId, to: { readonly email: string; readonly condition: SQL }) =>
  db
    .update(users)
    .set({ email: to.email })
    .where(and(eq(users.id, userId), isNull(users.disabledAt), to.condition, isFree(to.email)))

/** Whether a user has an address. */
export const hasEmail = (userId: UserId, email: string): SQL =>
  sql`EXISTS (SELECT 1 FROM users AS mover WHERE mover.id = ${userId} AND mover.email = ${email})`

/** The way back of a change that happened. */
export interface WayBack {
  readonly oldEmail: string
  readonly changedAt: number
  readonly restoreHash: string
  readonly restoreExpiresAt: number
}

export const keepWayBackIf = (db: Db, id: string, { back, condition }: { readonly back: WayBack; readonly condition: SQL }) =>
  db
    .update(emailChanges)
    .set(back)
    .where(and(eq(emailChanges.id, id), condition))

const isWayBackOpen = (restoreHash: string, now: number) =>
  and(eq(emailChanges.restoreHash, restoreHash), gt(emailChanges.restoreExpiresAt, now), isNull(emailChanges.restoredAt))

/** The change that a way back undoes, and whose. */
export const changeBehind = (db: Db, restoreHash: string, now: number) =>
  db
    .select({ change: emailChanges, user: users })
    .from(emailChanges)
    .innerJoin(users, eq(users.id, emailChanges.userId))
    .where(and(isWayBackOpen(restoreHash, now), isNotNull(emailChanges.oldEmail), isNull(users.disabledAt)))

/** The way back is used once, and not while somebody else has the address; the claim takes the place of its hash. */
export const claimWayBack = (
  db: Db,
  back: { readonly restoreHash: string; readonly oldEmail: string; readonly now: number; readonly claim: string },
) =>
  db
    .update(emailChanges)
    .set({ restoredAt: back.now, restoreHash: back.claim })
    .where(
      and(
        isWayBackOpen(back.restoreHash, back.now),
        sql`NOT EXISTS (SELECT 1 FROM users AS holder WHERE holder.email = ${back.oldEmail} AND holder.id <> ${emailChanges.userId})`,
      ),
    )

/** Whether this very call used the way back. */
export const hasRestored = (claim: string): SQL => sql`EXISTS (SELECT 1 FROM email_changes AS undone WHERE undone.restore_hash = ${claim})`

/** Puts the old address back under a password that nobody knows. */
export const restoreEmailIf = (
  db: Db,
  userId: UserId,
  to: { readonly email: string; readonly passwordHash: string; readonly condition: SQL },
) =>
  db
    .update(users)
    .set({ email: to.email, passwordHash: to.passwordHash, passwordVersion: sql`${users.passwordVersion} + 1`, passwordIsShort: 0 })
    .where(and(eq(users.id, userId), to.condition))

/** Closes the ways back of what was changed after the change that is undone: they lead to whoever made it. */
export const closeLaterWaysBackIf = (
  db: Db,
  { id, userId, changedAt }: { readonly id: string; readonly userId: UserId; readonly changedAt: number },
  condition: SQL,
) =>
  db
    .update(emailChanges)
    .set({ restoreHash: null })
    .where(
      and(
        eq(emailChanges.userId, userId),
        ne(emailChanges.id, id),
        isNull(emailChanges.restoredAt),
        sql`${emailChanges.changedAt} >= ${changedAt}`,
        condition,
      ),
    )
