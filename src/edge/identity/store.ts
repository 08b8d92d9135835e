import { and, desc, eq, gt, isNull, lt, or, type SQL, sql } from 'drizzle-orm'
import { CODE_TRIES_MAX, type RegistrationId, type UserId } from '../../contract/identity.ts'
import type { Db } from '../platform/db.ts'
import { passwordResets, registrations, sessions, signingKeys, users } from './tables.ts'

export const userByEmail = (db: Db, email: string) => db.select().from(users).where(eq(users.email, email)).limit(1)

export const userById = (db: Db, id: UserId) => db.select().from(users).where(eq(users.id, id)).limit(1)

export const insertRegistration = (db: Db, row: typeof registrations.$inferInsert) => db.insert(registrations).values(row)

/** Whether a registration may still be proven: one too many is burnt as it is made. */
export const isRegistrationOpen = (id: RegistrationId): SQL =>
  sql`EXISTS (SELECT 1 FROM registrations WHERE id = ${id} AND tries < ${CODE_TRIES_MAX})`

/** Burns a registration that is one too many, counted where nothing can race: unmailed codes must not be left to guess. */
export const burnExcess = (db: Db, id: RegistrationId, limit: { readonly email: string; readonly since: number; readonly max: number }) =>
  db
    .update(registrations)
    .set({ tries: CODE_TRIES_MAX })
    .where(
      and(
        eq(registrations.id, id),
        sql`(SELECT count(*) FROM registrations AS r WHERE r.email = ${limit.email} AND r.created_at > ${limit.since}) > ${limit.max}`,
      ),
    )

export interface Proof {
  readonly id: RegistrationId
  readonly codeMac: string
  readonly now: number
}

const isOpen = (p: Proof) => and(eq(registrations.id, p.id), gt(registrations.expiresAt, p.now), lt(registrations.tries, CODE_TRIES_MAX))

/** The right code wins the registration for the new user once; a taken address is never won. */
export const claimRegistration = (db: Db, p: Proof, userId: UserId) =>
  db
    .update(registrations)
    .set({ userId })
    .where(
      and(
        isOpen(p),
        eq(registrations.codeMac, p.codeMac),
        isNull(registrations.userId),
        sql`NOT EXISTS (SELECT 1 FROM users WHERE users.email = ${registrations.email})`,
      ),
    )

/** The account of a registration that this very batch has won. */
export const insertClaimedUser = (db: Db, id: RegistrationId, user: { readonly id: UserId; readonly now: number }) =>
  db
    .insert(users)
    .select(
      sql`SELECT ${user.id} AS id, email, password_hash, locale, NULL AS disabled_at, ${user.now} AS created_at, 0 AS password_version FROM registrations WHERE id = ${id} AND user_id = ${user.id}`,
    )
    .onConflictDoNothing()

export const countWrongTry = (db: Db, p: Proof) =>
  db
    .update(registrations)
    .set({ tries: sql`${registrations.tries} + 1` })
    .where(and(isOpen(p), sql`${registrations.codeMac} <> ${p.codeMac}`))

/** Answers whom a proof made, now or in an earlier call whose answer was lost. */
export const provenUser = (db: Db, p: Proof) =>
  db
    .select({ userId: registrations.userId })
    .from(registrations)
    .where(and(isOpen(p), eq(registrations.codeMac, p.codeMac)))

export const deleteRegistrations = (db: Db, before: number) => db.delete(registrations).where(lt(registrations.expiresAt, before))

export const allSigningKeys = (db: Db) => db.select().from(signingKeys).orderBy(desc(signingKeys.createdAt)).limit(20)

export const insertSigningKey = (db: Db, row: typeof signingKeys.$inferInsert) => db.insert(signingKeys).values(row).onConflictDoNothing()

export const eraseUser = (db: Db, userId: UserId) =>
  [
    db.delete(registrations).where(sql`${registrations.email} = (SELECT email FROM users WHERE id = ${userId})`),
    db
      .delete(passwordResets)
      .where(or(eq(passwordResets.userId, userId), sql`${passwordResets.email} = (SELECT email FROM users WHERE id = ${userId})`)),
    db.delete(sessions).where(eq(sessions.userId, userId)),
    db.delete(users).where(eq(users.id, userId)),
  ] as const
