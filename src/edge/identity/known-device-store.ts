import { and, eq, lt, ne, type SQL, sql } from 'drizzle-orm'
import type { SessionId, UserId } from '../../contract/identity.ts'
import type { Db } from '../platform/db.ts'
import { knownUntil } from './known-device.ts'
import { type Acting, isActing, isBarred, type NewSession } from './session-store.ts'
import { knownDevices } from './tables.ts'

/** Devices that one account is known on; beyond them the longest unused is forgotten. */
const DEVICES_MAX = 50
/** New devices of one account that a day has mails for; its inbox is told of all. */
const MAILS_PER_DAY_MAX = 10
const DAY_MS = 86_400_000

/** SQL for the hash by which an account knows one of the devices that are shown; null for none. */
export const knownHash = (userId: SQL, hashes: readonly string[], now: number): SQL<string | null> =>
  sql`(SELECT kd.token_hash FROM known_devices AS kd WHERE kd.user_id = ${userId}
    AND kd.token_hash IN (SELECT value FROM json_each(${JSON.stringify(hashes)}))
    AND kd.expires_at > ${now} AND NOT ${isBarred(sql`kd.user_id`, sql`kd.last_used_at`)} LIMIT 1)`

/** The hash by which an account knows one of the devices that are shown. */
export const knownDevice = (db: Db, userId: UserId, at: { readonly hashes: readonly string[]; readonly now: number }) =>
  db.all<{ readonly hash: string | null }>(sql`SELECT ${knownHash(sql`${userId}`, at.hashes, at.now)} AS hash`)

/** Makes the device of a session that this very batch has started known to its user. */
export const noteDevice = (db: Db, s: Pick<NewSession, 'id' | 'createdAt'>, tokenHash: string) =>
  db
    .insert(knownDevices)
    .select(
      sql`SELECT user_id, ${tokenHash} AS token_hash, id AS session_id, created_at, created_at AS last_used_at,
        ${knownUntil(s.createdAt)} AS expires_at FROM sessions WHERE id = ${s.id}`,
    )
    .onConflictDoUpdate({
      target: [knownDevices.userId, knownDevices.tokenHash],
      set: { sessionId: sql`excluded.session_id`, lastUsedAt: sql`excluded.last_used_at`, expiresAt: sql`excluded.expires_at` },
    })

/** Forgets the longest unused devices, where a new one is one too many. */
export const forgetExcessDevices = (db: Db, userId: UserId) =>
  db.delete(knownDevices).where(
    and(
      eq(knownDevices.userId, userId),
      sql`${knownDevices.tokenHash} IN (SELECT token_hash FROM known_devices WHERE user_id = ${userId}
        ORDER BY last_used_at DESC, token_hash LIMIT -1 OFFSET ${DEVICES_MAX})`,
    ),
  )

/** Whether a new device is mailed about: a day has room for so many. */
export const isMailDue = (userId: UserId, now: number): SQL =>
  sql`(SELECT count(*) FROM known_devices AS new WHERE new.user_id = ${userId} AND new.created_at > ${now - DAY_MS}) < ${MAILS_PER_DAY_MAX}`

export const knownDevicesOf = (db: Db, userId: UserId) => db.select().from(knownDevices).where(eq(knownDevices.userId, userId))

/** Forgets the device of a session that is ended from another. */
export const forgetDeviceOfSession = (db: Db, acting: Acting, sessionId: SessionId) =>
  db.delete(knownDevices).where(and(eq(knownDevices.sessionId, sessionId), eq(knownDevices.userId, acting.userId), isActing(acting)))

/** Forgets the devices of a user, all but that of a session, where the condition holds: who was in the account is told of anew. */
export const forgetDevicesIf = (db: Db, of: { readonly userId: UserId; readonly except?: SessionId | undefined }, condition: SQL) =>
  db
    .delete(knownDevices)
    .where(and(eq(knownDevices.userId, of.userId), of.except === undefined ? undefined : ne(knownDevices.sessionId, of.except), condition))

export const deleteStaleDevices = (db: Db, now: number) => db.delete(knownDevices).where(lt(knownDevices.expiresAt, now))
