import { and, eq, isNull, type SQL, sql } from 'drizzle-orm'
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
