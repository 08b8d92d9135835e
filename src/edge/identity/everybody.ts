import { and, eq, inArray, isNull, lte, type SQL, sql } from 'drizzle-orm'
import type { UserId } from '../../contract/identity.ts'
import { openDb } from '../platform/db.ts'
import type { EverythingEnded } from '../platform/live-sockets.ts'
import type { Scope } from '../platform/scope.ts'
import { apiKeys, sessions } from './tables.ts'

/** Inboxes that are told at the same time. */
const USERS_PER_STEP = 100

/** Users, what of theirs has ended, and after whom to go on. */
export interface EndedUsers {
  readonly users: readonly { readonly userId: UserId; readonly ids: readonly string[] }[]
  readonly next: UserId | undefined
}

/** The next users who had begun something by then; those whose rows say already that it is over are found again. */
const nextUsers = ({ at, after = '' as UserId }: EverythingEnded): SQL =>
  sql`(SELECT user_id FROM sessions WHERE user_id > ${after} AND created_at <= ${at} AND coalesce(ended_at, ${at}) = ${at}
    UNION SELECT user_id FROM api_keys WHERE user_id > ${after} AND created_at <= ${at} AND coalesce(ended_at, ${at}) = ${at}
    ORDER BY user_id LIMIT ${USERS_PER_STEP})`

/** Writes into the rows of the next users what the rule for everybody says, at the primary; a step that is repeated answers the same. */
export async function endNextUsers(scope: Scope, from: EverythingEnded): Promise<EndedUsers> {
  const { db } = openDb(scope.env.DB, undefined)
  const { at } = from
  const [, , rows] = await db.batch([
    db
      .update(sessions)
      .set({ endedAt: at, endCause: 'admin' })
      .where(and(inArray(sessions.userId, nextUsers(from)), isNull(sessions.endedAt), lte(sessions.createdAt, at))),
    db
      .update(apiKeys)
      .set({ endedAt: at })
      .where(and(inArray(apiKeys.userId, nextUsers(from)), isNull(apiKeys.endedAt), lte(apiKeys.createdAt, at))),
    db
      .select({ userId: sessions.userId, id: sql<string>`${sessions.id}` })
      .from(sessions)
      .where(and(inArray(sessions.userId, nextUsers(from)), eq(sessions.endedAt, at)))
      .unionAll(
        db
          .select({ userId: apiKeys.userId, id: sql<string>`${apiKeys.id}` })
          .from(apiKeys)
          .where(and(inArray(apiKeys.userId, nextUsers(from)), eq(apiKeys.endedAt, at))),
      ),
  ])
  const byUser = Map.groupBy(rows, ({ userId }) => userId)
  const users = [...byUser].map(([userId, ended]) => ({ userId, ids: ended.map(({ id }) => id) }))
  const last = users
    .map(({ userId }) => userId)
    .sort()
    .at(-1)
  return { users, next: users.length < USERS_PER_STEP ? undefined : last }
}
