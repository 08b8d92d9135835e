import { and, eq, gt, gte, isNotNull, isNull, lt, type SQL, sql } from 'drizzle-orm'
import { TOTP_ENROLMENT_SECONDS } from '../../contract/factors.ts'
import type { AuthMethod, SessionId, UserId } from '../../contract/identity.ts'
import type { Db } from '../platform/db.ts'
import { type Acting, isActing, isLive } from './session-store.ts'
import { passkeys, recoveryCodes, sessions, totpFactors, users } from './tables.ts'

export const hasPasskey = (userId: UserId): SQL => sql`EXISTS (SELECT 1 FROM passkeys AS pk WHERE pk.user_id = ${userId})`

export const hasTotp = (userId: UserId): SQL =>
  sql`EXISTS (SELECT 1 FROM totp_factors AS tf WHERE tf.user_id = ${userId} AND tf.confirmed_at IS NOT NULL)`

/** Whether a password alone signs in no more. */
export const hasSecondFactor = (userId: UserId): SQL => sql`(${hasTotp(userId)} OR ${hasPasskey(userId)})`

/** Whether there is one second factor, and so none that was there before it. */
export const hasOneFactor = (userId: UserId): SQL =>
  sql`((SELECT count(*) FROM passkeys AS pk WHERE pk.user_id = ${userId}) + ${hasTotp(userId)}) = 1`

/** Whether the password may stand without a second factor. */
export const isPasswordLong = (userId: UserId): SQL =>
  sql`EXISTS (SELECT 1 FROM users AS holder WHERE holder.id = ${userId} AND holder.password_is_short = 0)`

export const hasPassword = (userId: UserId): SQL =>
  sql`EXISTS (SELECT 1 FROM users AS holder WHERE holder.id = ${userId} AND holder.password_hash <> '')`

/** Drizzle leaves the table out where only one is selected from, and then a subquery's own column of that name would be meant. */
const USER = sql.raw('users.id')

const enrolment = {
  hasPassword: sql<number>`${users.passwordHash} <> ''`.as('has_password'),
  hasTotp: sql<number>`EXISTS (SELECT 1 FROM totp_factors AS tf WHERE tf.user_id = ${USER} AND tf.confirmed_at IS NOT NULL)`.as('has_totp'),
  passkeys: sql<number>`(SELECT count(*) FROM passkeys AS pk WHERE pk.user_id = ${USER})`.as('passkey_count'),
  recoveryCodes: sql<number>`(SELECT count(*) FROM recovery_codes AS rc WHERE rc.user_id = ${USER})`.as('recovery_code_count'),
}

/** What a user can prove themselves with. */
export const enrolmentOf = (db: Db, userId: UserId) => db.select(enrolment).from(users).where(eq(users.id, userId)).limit(1)

/** What a live session has proven and when, and what its user could prove. */
export const standingOf = (db: Db, id: SessionId, now: number) =>
  db
    .select({ user: users, amr: sessions.amr, authenticatedAt: sessions.authenticatedAt, enrolment })
    .from(sessions)
    .innerJoin(users, eq(users.id, sessions.userId))
    .where(and(eq(sessions.id, id), isLive(now), isNull(users.disabledAt)))
    .limit(1)

/** The methods of a session with these added. */
const withMethods = (methods: readonly AuthMethod[]): SQL<string> =>
  sql.join(
    [
      sql`${sessions.amr}`,
      ...methods.map((method) => sql`iif(instr(' ' || ${sessions.amr} || ' ', ${` ${method} `}) > 0, '', ${` ${method}`})`),
    ],
    sql` || `,
  ) as SQL<string>

/** Notes that a live session has just proven more. */
export const raiseSession = (db: Db, acting: Acting, by: { readonly methods: readonly AuthMethod[]; readonly condition: SQL }) =>
  db
    .update(sessions)
    .set({ amr: withMethods(by.methods), authenticatedAt: acting.now })
    .where(and(eq(sessions.id, acting.sessionId), by.condition, isActing(acting)))

/** Holds for sessions that have not proven a second factor. */
export const isSingleFactor = sql`instr(' ' || ${sessions.amr} || ' ', ' mfa ') = 0`

/** Begins an enrolment; a confirmed factor stays, an older enrolment goes. */
export const startTotpFactor = (db: Db, acting: Acting, secret: string) =>
  db
    .insert(totpFactors)
    .select(
      sql`SELECT ${acting.userId} AS user_id, ${secret} AS secret, ${acting.sessionId} AS session_id, 0 AS last_step, NULL AS claim,
        ${acting.now} AS created_at, NULL AS confirmed_at WHERE ${isActing(acting)}`,
    )
    .onConflictDoUpdate({
      target: totpFactors.userId,
      set: { secret: sql`excluded.secret`, sessionId: sql`excluded.session_id`, createdAt: sql`excluded.created_at` },
      setWhere: isNull(totpFactors.confirmedAt),
    })

export const totpOf = (db: Db, userId: UserId) => db.select().from(totpFactors).where(eq(totpFactors.userId, userId)).limit(1)

/** The one call that confirms an enrolment, by the session that began it and in time. */
export const confirmTotpFactor = (db: Db, acting: Acting, by: { readonly secret: string; readonly step: number; readonly claim: string }) =>
  db
    .update(totpFactors)
    .set({ confirmedAt: acting.now, lastStep: by.step, claim: by.claim })
    .where(
      and(
        eq(totpFactors.userId, acting.userId),
        eq(totpFactors.secret, by.secret),
        eq(totpFactors.sessionId, acting.sessionId),
        isNull(totpFactors.confirmedAt),
        gt(totpFactors.createdAt, acting.now - TOTP_ENROLMENT_SECONDS * 1000),
        isActing(acting),
      ),
    )

export const hasTotpClaim = (userId: UserId, claim: string): SQL =>
  sql`EXISTS (SELECT 1 FROM totp_factors AS tf WHERE tf.user_id = ${userId} AND tf.claim = ${claim})`

/** Takes a code's step of the secret that it was compared with, so that neither it nor an older one works again: of calls that race, one wins. */
export const takeTotpStep = (db: Db, userId: UserId, by: { readonly secret: string; readonly step: number }) =>
  db
    .update(totpFactors)
    .set({ lastStep: by.step })
    .where(
      and(
        eq(totpFactors.userId, userId),
        eq(totpFactors.secret, by.secret),
        isNotNull(totpFactors.confirmedAt),
        lt(totpFactors.lastStep, by.step),
      ),
    )

/** Removes the authenticator app, unless the password is too short to stand alone. */
export const deleteTotpFactor = (db: Db, acting: Acting) =>
  db
    .delete(totpFactors)
    .where(
      and(
        eq(totpFactors.userId, acting.userId),
        isNotNull(totpFactors.confirmedAt),
        sql`(${hasPasskey(acting.userId)} OR ${isPasswordLong(acting.userId)})`,
        isActing(acting),
      ),
    )

export const deleteRecoveryCodesIf = (db: Db, userId: UserId, condition: SQL) =>
  db.delete(recoveryCodes).where(and(eq(recoveryCodes.userId, userId), condition))

/** A set of codes, as one JSON list of their keyed hashes. */
export const insertRecoveryCodesIf = (
  db: Db,
  set: { readonly userId: UserId; readonly macs: readonly string[]; readonly now: number },
  condition: SQL,
) =>
  db
    .insert(recoveryCodes)
    .select(
      sql`SELECT ${set.userId} AS user_id, value AS code_mac, ${set.now} AS created_at FROM json_each(${JSON.stringify(set.macs)}) WHERE ${condition}`,
    )

export const hasRecoveryCodes = (userId: UserId): SQL => sql`EXISTS (SELECT 1 FROM recovery_codes AS rc WHERE rc.user_id = ${userId})`

/** Uses a code up, under whichever secret it was hashed: of calls that race, one wins. */
export const takeRecoveryCode = (db: Db, userId: UserId, macs: readonly string[]) =>
  db
    .delete(recoveryCodes)
    .where(and(eq(recoveryCodes.userId, userId), sql`${recoveryCodes.codeMac} IN (SELECT value FROM json_each(${JSON.stringify(macs)}))`))

export const deleteStaleTotpFactors = (db: Db, before: number) =>
  db.delete(totpFactors).where(and(isNull(totpFactors.confirmedAt), lt(totpFactors.createdAt, before)))

/** Takes back what was added from a moment on: by whoever has since taken the account over. Older factors stay. */
export const deleteFactorsSinceIf = (db: Db, userId: UserId, from: { readonly since: number; readonly condition: SQL }) =>
  [
    db.delete(totpFactors).where(and(eq(totpFactors.userId, userId), gte(totpFactors.createdAt, from.since), from.condition)),
    db.delete(passkeys).where(and(eq(passkeys.userId, userId), gte(passkeys.createdAt, from.since), from.condition)),
    db.delete(recoveryCodes).where(and(eq(recoveryCodes.userId, userId), gte(recoveryCodes.createdAt, from.since), from.condition)),
  ] as const

export const eraseFactors = (db: Db, userId: UserId) =>
  [db.delete(totpFactors).where(eq(totpFactors.userId, userId)), db.delete(recoveryCodes).where(eq(recoveryCodes.userId, userId))] as const
