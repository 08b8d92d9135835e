import { and, eq, gt, isNull, lt, type SQL, sql } from 'drizzle-orm'
import { CODE_TRIES_MAX, type UserId } from '../../contract/identity.ts'
import type { Db } from '../platform/db.ts'
import { isExcess, type ProofTable, type Recipient } from './mail-share.ts'
import { emailChanges, magicLinks, passwordResets, users } from './tables.ts'

/** A proof as it was given: the code of a request, or the link of one. */
export type Given =
  | { readonly id: string; readonly codeMac: string; readonly now: number }
  | { readonly tokenHash: string; readonly now: number }

/** The shared columns of any of the tables. */
const known = (table: ProofTable) => table as typeof passwordResets

const isOpen = (table: ProofTable, now: number) => {
  const t = known(table)
  return and(gt(t.expiresAt, now), isNull(t.claim))
}

const hasTries = (table: ProofTable) => lt(known(table).tries, CODE_TRIES_MAX)

/** Wrong codes end the code alone: whoever asked could else spoil the link, which has too many bits to be guessed. */
const isProven = (table: ProofTable, given: Given) => {
  const t = known(table)
  const isMatch =
    'tokenHash' in given ? eq(t.tokenHash, given.tokenHash) : and(eq(t.id, given.id), eq(t.codeMac, given.codeMac), hasTries(table))
  return and(isMatch, isOpen(table, given.now))
}

/** Takes code and link from a request that is one too many, counted where nothing can race. */
export const burnExcess = (db: Db, table: ProofTable, { id, ...to }: Recipient & { readonly id: string }) =>
  db
    .update(known(table))
    .set({ codeMac: null, tokenHash: null })
    .where(
      and(
        eq(known(table).id, id),
        isExcess(
          table,
          to,
          sql`EXISTS (SELECT 1 FROM ${table} AS r WHERE r.email = ${to.email} AND r.id <> ${id} AND r.user_id = ${known(table).userId}
            AND r.token_hash IS NOT NULL AND r.claim IS NULL AND r.expires_at > ${to.now})`,
        ),
      ),
    )

/** Whether a request is somebody's and within the limit, so that its mail goes out. */
export const isMailable = (table: ProofTable, id: string): SQL =>
  sql`EXISTS (SELECT 1 FROM ${table} WHERE id = ${id} AND user_id IS NOT NULL AND code_mac IS NOT NULL)`

/** Whose a request is: nobody's for an address that has no account. */
export const askerOf = (db: Db, table: ProofTable, id: string) =>
  db
    .select({ userId: known(table).userId })
    .from(known(table))
    .where(eq(known(table).id, id))
    .limit(1)

/** A wrong code costs a try; a link has too many bits to be guessed. */
export const countWrongTry = (db: Db, table: ProofTable, given: Given) => {
  const t = known(table)
  const isWrong =
    'tokenHash' in given
      ? sql`0`
      : and(eq(t.id, given.id), isOpen(table, given.now), hasTries(table), sql`${t.codeMac} IS NOT ${given.codeMac}`)
  return db
    .update(t)
    .set({ tries: sql`${t.tries} + 1` })
    .where(isWrong)
}

/** The request and its active user, when the proof is right. */
export const provenOwner = (db: Db, table: ProofTable, given: Given) => {
  const t = known(table)
  return (
    db
      // D1 answers the rows of a batch as objects, so columns of one name would be one.
      .select({ id: sql<string>`${t.id}`.as('proof_id'), email: sql<string>`${t.email}`.as('proof_email'), user: users })
      .from(t)
      .innerJoin(users, eq(users.id, t.userId))
      .where(and(isProven(table, given), isNull(users.disabledAt)))
  )
}

/** The right proof wins its request once, where a further condition of its use holds. */
export const claimProof = (
  db: Db,
  table: ProofTable,
  { given, claim, condition }: { readonly given: Given; readonly claim: string; readonly condition?: SQL },
) =>
  db
    .update(known(table))
    .set({ claim })
    .where(
      and(
        isProven(table, given),
        sql`EXISTS (SELECT 1 FROM users WHERE users.id = ${known(table).userId} AND users.disabled_at IS NULL)`,
        condition,
      ),
    )

/** Whether this very call won the request. */
export const hasClaim = (table: ProofTable, id: string, claim: string): SQL =>
  sql`EXISTS (SELECT 1 FROM ${table} AS won WHERE won.id = ${id} AND won.claim = ${claim})`

/** No proof that was mailed before a password or an address changed opens anything after. */
export const deleteOpenProofsIf = (db: Db, userId: UserId, condition: SQL) =>
  [
    db.delete(passwordResets).where(and(eq(passwordResets.userId, userId), isNull(passwordResets.claim), condition)),
    db.delete(magicLinks).where(and(eq(magicLinks.userId, userId), isNull(magicLinks.claim), condition)),
    db.delete(emailChanges).where(and(eq(emailChanges.userId, userId), isNull(emailChanges.claim), condition)),
  ] as const

/** Requests that expired, but for changes of address that can still be taken back. */
export const deleteProofs = (db: Db, before: number) =>
  [
    db.delete(passwordResets).where(lt(passwordResets.expiresAt, before)),
    db.delete(magicLinks).where(lt(magicLinks.expiresAt, before)),
    db.delete(emailChanges).where(and(lt(emailChanges.expiresAt, before), sql`ifnull(${emailChanges.restoreExpiresAt}, 0) < ${before}`)),
  ] as const

export const proofsOf = (db: Db, userId: UserId) =>
  [
    db.select().from(passwordResets).where(eq(passwordResets.userId, userId)),
    db.select().from(magicLinks).where(eq(magicLinks.userId, userId)),
    db.select().from(emailChanges).where(eq(emailChanges.userId, userId)),
  ] as const
