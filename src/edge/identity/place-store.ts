import { and, eq, lt, sql } from 'drizzle-orm'
import type { SessionId, UserId } from '../../contract/identity.ts'
import type { Db } from '../platform/db.ts'
import { limits } from '../platform/limiter/tables.ts'
import { knownHash } from './known-device-store.ts'
import { signInPlaces, users } from './tables.ts'

/** Who stands at the door: from where, on what, when, and under which key their account's failures are counted. */
interface AtDoor {
  readonly place: string | null
  readonly deviceHashes: readonly string[]
  readonly now: number
  readonly accountKey: string
}

/**
 * A user, when they last signed in from a place (`null` when they never did, or when nobody knows the place), the hash by
 * which they know the device, and whether failures of their account are counted.
 */
export const userAtDoor = (db: Db, email: string, { place, deviceHashes, now, accountKey }: AtDoor) =>
  db
    .select({
      user: users,
      lastSignInAt: signInPlaces.signedInAt,
      knownHash: knownHash(sql`users.id`, deviceHashes, now),
      hasFailures: sql`EXISTS (SELECT 1 FROM limits WHERE key = ${accountKey})`.mapWith(Boolean),
    })
    .from(users)
    .leftJoin(signInPlaces, and(eq(signInPlaces.userId, users.id), eq(signInPlaces.place, place ?? '')))
    .where(eq(users.email, email))
    .limit(1)

/** The place, where its user has signed in there. */
export const knownPlace = (db: Db, { userId, place }: { readonly userId: UserId; readonly place: string | null }) =>
  db
    .select({ place: signInPlaces.place })
    .from(signInPlaces)
    .where(and(eq(signInPlaces.userId, userId), eq(signInPlaces.place, place ?? '')))
    .limit(1)

/** Makes the place of a session that this very batch has started known to its user. */
export const noteSignIn = (db: Db, sessionId: SessionId, place: string) =>
  db
    .insert(signInPlaces)
    .select(sql`SELECT user_id, ${place} AS place, created_at AS signed_in_at FROM sessions WHERE id = ${sessionId}`)
    .onConflictDoUpdate({ target: [signInPlaces.userId, signInPlaces.place], set: { signedInAt: sql`excluded.signed_in_at` } })

/** Ends an account's count of failures, when this very batch has started a session of it. */
export const resetFailures = (db: Db, accountKey: string, sessionId: SessionId) =>
  db.delete(limits).where(and(eq(limits.key, accountKey), sql`EXISTS (SELECT 1 FROM sessions WHERE id = ${sessionId})`))

/** Ends an account's count of failures, for whoever has proven to own it by other means. */
export const reopenPassword = (db: Db, accountKey: string) => db.delete(limits).where(eq(limits.key, accountKey))

export const deletePlaces = (db: Db, before: number) => db.delete(signInPlaces).where(lt(signInPlaces.signedInAt, before))

export const erasePlaces = (db: Db, userId: UserId) => db.delete(signInPlaces).where(eq(signInPlaces.userId, userId))
