import { and, eq, gt, isNull, lt, ne, not, or, type SQL, sql } from 'drizzle-orm'
import { CODE_TRIES_MAX, type Locale, type RegistrationId, type UserId } from '../../contract/identity.ts'
import type { Db } from '../platform/db.ts'
import { isExcess, isOverShare, type Recipient } from './mail-share.ts'
import { type Acting, isActing } from './session-store.ts'
import { emailChanges, magicLinks, passwordResets, registrations, sessions, users } from './tables.ts'

export const userByEmail = (db: Db, email: string) => db.select().from(users).where(eq(users.email, email)).limit(1)

export const userById = (db: Db, id: UserId) => db.select().from(users).where(eq(users.id, id)).limit(1)

/** What a user says of themselves. */
export interface ProfileChange {
  readonly changes: { readonly displayName?: string | null | undefined; readonly locale?: Locale | undefined }
  /** Only while this is what is there. */
  readonly seen: Pick<typeof users.$inferSelect, 'email' | 'displayName' | 'locale'> | undefined
}

export const updateProfile = (db: Db, acting: Acting, { changes: { displayName, locale }, seen }: ProfileChange) =>
  db
    .update(users)
    .set({ ...(displayName === undefined ? {} : { displayName }), ...(locale === undefined ? {} : { locale }) })
    .where(
      and(
        eq(users.id, acting.userId),
        isNull(users.disabledAt),
        isActing(acting),
        seen && sql`${users.email} = ${seen.email} AND ${users.displayName} IS ${seen.displayName} AND ${users.locale} = ${seen.locale}`,
      ),
    )
    .returning()

export const insertRegistration = (db: Db, row: typeof registrations.$inferInsert) => db.insert(registrations).values(row)

/** Whether the mail of a registration goes out: one too many is burnt as it is made. */
export const isRegistrationMailed = (id: RegistrationId): SQL => sql`EXISTS (SELECT 1 FROM registrations WHERE id = ${id} AND mails > 0)`

/** Burns a registration that is one too many, counted where nothing can race: unmailed proofs must not be left to guess. */
export const burnExcessRegistration = (db: Db, id: RegistrationId, to: Recipient) =>
  db
    .update(registrations)
    .set({ ...BURNT, mails: 0 })
    .where(
      and(
        eq(registrations.id, id),
        isExcess(
          registrations,
          to,
          sql`EXISTS (SELECT 1 FROM registrations AS r WHERE r.email = ${to.email} AND r.id <> ${id}
            AND r.token_hash IS NOT NULL AND r.user_id IS NULL AND r.expires_at > ${to.now})`,
        ),
      ),
    )

/** Neither the code nor the link opens it any more. */
const BURNT = { tries: CODE_TRIES_MAX, tokenHash: null } as const

export const registrationById = (db: Db, id: RegistrationId) => db.select().from(registrations).where(eq(registrations.id, id)).limit(1)

/** Counts one more copy of a registration's mail, while it is open and the address has room. */
export const countCopy = (db: Db, id: RegistrationId, to: Recipient) =>
  db
    .update(registrations)
    .set({ mails: sql`${registrations.mails} + 1` })
    .where(
      and(
        eq(registrations.id, id),
        gt(registrations.expiresAt, to.now),
        lt(registrations.tries, CODE_TRIES_MAX),
        isNull(registrations.userId),
        not(isOverShare(registrations, to, 1)),
      ),
    )

/** A proof of a registration as it was given: by its client with the code or the link, by whoever reads the mail with the link. */
export interface RegistrationProof {
  readonly id?: RegistrationId | undefined
  readonly codeMac?: string | undefined
  readonly tokenHash?: string | undefined
  readonly now: number
}

const isOpen = (p: RegistrationProof) =>
  and(p.id === undefined ? undefined : eq(registrations.id, p.id), gt(registrations.expiresAt, p.now))

const hasTries = lt(registrations.tries, CODE_TRIES_MAX)

/**
 * Never true without a proof: what is missing must not read as what matches anything. Wrong codes end the code alone: whoever asked could
 * else spoil the link, which has too many bits to be guessed.
 */
const isProven = (p: RegistrationProof) =>
  p.tokenHash === undefined ? and(eq(registrations.codeMac, p.codeMac ?? ''), hasTries) : eq(registrations.tokenHash, p.tokenHash)

/** The right proof wins the registration for the new user once; a taken address is never won. */
export const claimRegistration = (db: Db, p: RegistrationProof, userId: UserId) =>
  db
    .update(registrations)
    .set({ userId })
    .where(
      and(
        isOpen(p),
        isProven(p),
        isNull(registrations.userId),
        sql`NOT EXISTS (SELECT 1 FROM users WHERE users.email = ${registrations.email})`,
      ),
    )

/** The account of a registration that this very batch has won; with the password chosen now, where the first one proves nothing. */
export const insertClaimedUser = (
  db: Db,
  p: RegistrationProof,
  user: { readonly id: UserId; readonly now: number; readonly passwordHash: string | undefined },
) =>
  db
    .insert(users)
    .select(
      sql`SELECT ${user.id} AS id, email, coalesce(${user.passwordHash ?? null}, password_hash) AS password_hash, locale, NULL AS disabled_at,
        ${user.now} AS created_at, 0 AS password_version, 0 AS password_is_short, NULL AS display_name
        FROM registrations WHERE ${and(isProven(p), eq(registrations.userId, user.id))}`,
    )
    .onConflictDoNothing()

/** Burns what else was asked for at an address whose owner has now proven it: nothing begun by another leads anywhere any more. */
export const burnOtherRegistrations = (db: Db, userId: UserId) =>
  db
    .update(registrations)
    .set(BURNT)
    .where(sql`${registrations.email} = (SELECT email FROM users WHERE id = ${userId}) AND ${registrations.userId} IS NOT ${userId}`)

export const countWrongRegistrationTry = (db: Db, p: RegistrationProof) =>
  db
    .update(registrations)
    .set({ tries: sql`${registrations.tries} + 1` })
    .where(p.codeMac === undefined ? sql`0` : and(isOpen(p), hasTries, ne(registrations.codeMac, p.codeMac)))

/** Whom a proof makes or has made: in an earlier call whose answer was lost. */
export const provenRegistration = (db: Db, p: RegistrationProof) =>
  db
    .select({ id: registrations.id, email: registrations.email, userId: registrations.userId })
    .from(registrations)
    .where(and(isOpen(p), isProven(p)))

export const deleteRegistrations = (db: Db, before: number) => db.delete(registrations).where(lt(registrations.expiresAt, before))

export const eraseUser = (db: Db, userId: UserId) =>
  [
    ...[registrations, passwordResets, magicLinks].map((t) =>
      db.delete(t).where(or(eq(t.userId, userId), sql`${t.email} = (SELECT email FROM users WHERE id = ${userId})`)),
    ),
    db.delete(emailChanges).where(eq(emailChanges.userId, userId)),
    db.delete(sessions).where(eq(sessions.userId, userId)),
    db.delete(users).where(eq(users.id, userId)),
  ] as const
