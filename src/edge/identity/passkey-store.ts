import { and, asc, eq, gt, lt, type SQL, sql } from 'drizzle-orm'
import type { UserId } from '../../contract/identity.ts'
import { PASSKEYS_MAX, type PasskeyId } from '../../contract/passkeys.ts'
import type { Db } from '../platform/db.ts'
import { hasPassword, hasTotp, isPasswordLong } from './factor-store.ts'
import { type Acting, isActing } from './session-store.ts'
import { type Ceremony, passkeyChallenges, passkeys, users } from './tables.ts'

export const insertChallenge = (db: Db, row: typeof passkeyChallenges.$inferInsert) => db.insert(passkeyChallenges).values(row)

/** Reads a challenge and deletes it, whatever comes of it. */
export const takeChallenge = (
  db: Db,
  of: { readonly challenge: string; readonly ceremony: Ceremony; readonly binding: string; readonly now: number },
) =>
  db
    .delete(passkeyChallenges)
    .where(
      and(
        eq(passkeyChallenges.challenge, of.challenge),
        eq(passkeyChallenges.ceremony, of.ceremony),
        eq(passkeyChallenges.binding, of.binding),
        gt(passkeyChallenges.expiresAt, of.now),
      ),
    )
    .returning({ challenge: passkeyChallenges.challenge })

export const deleteStaleChallenges = (db: Db, now: number) => db.delete(passkeyChallenges).where(lt(passkeyChallenges.expiresAt, now))

/** A row of a new passkey. */
export type NewPasskey = Omit<typeof passkeys.$inferSelect, 'lastUsedAt'>

/** Adds a passkey where the user has room for one and nobody has it yet. */
export const insertPasskey = (db: Db, acting: Acting, p: NewPasskey) =>
  db
    .insert(passkeys)
    .select(
      sql`SELECT ${p.id} AS id, ${p.userId} AS user_id, ${p.credentialId} AS credential_id, ${p.publicKey} AS public_key,
        ${p.counter} AS counter, ${p.transports} AS transports, ${p.isBackupEligible} AS is_backup_eligible, ${p.name} AS name,
        ${p.createdAt} AS created_at, NULL AS last_used_at
        WHERE (SELECT count(*) FROM passkeys WHERE user_id = ${p.userId}) < ${PASSKEYS_MAX} AND ${isActing(acting)}`,
    )
    .onConflictDoNothing()

export const isPasskey = (id: PasskeyId): SQL => sql`EXISTS (SELECT 1 FROM passkeys AS pk WHERE pk.id = ${id})`

export const passkeysOf = (db: Db, userId: UserId) =>
  db.select().from(passkeys).where(eq(passkeys.userId, userId)).orderBy(asc(passkeys.id)).limit(PASSKEYS_MAX)

/** A passkey by what its authenticator calls it, with its user. */
export const passkeyByCredential = (db: Db, credentialId: string) =>
  db
    .select({ passkey: passkeys, user: users })
    .from(passkeys)
    .innerJoin(users, eq(users.id, passkeys.userId))
    .where(eq(passkeys.credentialId, credentialId))
    .limit(1)

/** Notes a use; no row when the counter did not grow as an authenticator that counts makes it. */
export const advancePasskey = (db: Db, id: PasskeyId, use: { readonly counter: number; readonly now: number }) =>
  db
    .update(passkeys)
    .set({ counter: use.counter, lastUsedAt: use.now })
    .where(and(eq(passkeys.id, id), sql`(${passkeys.counter} < ${use.counter} OR (${passkeys.counter} = 0 AND ${use.counter} = 0))`))

export const touchPasskey = (db: Db, id: PasskeyId, now: number) => db.update(passkeys).set({ lastUsedAt: now }).where(eq(passkeys.id, id))

export const renameOwnPasskey = (db: Db, acting: Acting, to: { readonly id: PasskeyId; readonly name: string }) =>
  db
    .update(passkeys)
    .set({ name: to.name })
    .where(and(eq(passkeys.id, to.id), eq(passkeys.userId, acting.userId), isActing(acting)))
    .returning()

/** Removes a passkey that is not the last way to sign in, nor what a short password leans on. */
export function deleteOwnPasskey(db: Db, acting: Acting, id: PasskeyId) {
  const { userId } = acting
  const hasOther = sql`EXISTS (SELECT 1 FROM passkeys AS other WHERE other.user_id = ${userId} AND other.id <> ${id})`
  return db
    .delete(passkeys)
    .where(
      and(
        eq(passkeys.id, id),
        eq(passkeys.userId, userId),
        sql`(${hasOther} OR (${hasPassword(userId)} AND (${hasTotp(userId)} OR ${isPasswordLong(userId)})))`,
        isActing(acting),
      ),
    )
}

/** Takes the password from an account that has a passkey. */
export const removePasswordHash = (db: Db, acting: Acting) =>
  db
    .update(users)
    .set({ passwordHash: '', passwordIsShort: 0, passwordVersion: sql`${users.passwordVersion} + 1` })
    .where(
      and(
        eq(users.id, acting.userId),
        sql`${users.passwordHash} <> ''`,
        sql`EXISTS (SELECT 1 FROM passkeys AS pk WHERE pk.user_id = ${acting.userId})`,
        isActing(acting),
      ),
    )

export const erasePasskeys = (db: Db, userId: UserId) => db.delete(passkeys).where(eq(passkeys.userId, userId))
