import type { UpdateMe } from '../../contract/account.ts'
import { toMoment } from '../../contract/id.ts'
import type { Me } from '../../contract/identity.ts'
import { Problem } from '../../contract/problem.ts'
import { auditIfChanged } from '../audit/service.ts'
import { type EntityTags, etagOf, isNamed } from '../http/condition.ts'
import type { Actor, Scope } from '../platform/scope.ts'
import { liveSession } from './session-store.ts'
import { updateProfile, userById } from './store.ts'
import type { users } from './tables.ts'

async function toMe(user: typeof users.$inferSelect, { roles }: Actor): Promise<Me> {
  const { id, email, displayName, locale, createdAt } = user
  const shown = { id, email, displayName, locale, createdAt: toMoment(createdAt) }
  return { ...shown, roles: [...roles], etag: await etagOf(shown) }
}

/** The signed-in user. @throws Problem `session-ended` when the account is gone */
export async function me(scope: Scope, actor: Actor): Promise<Me> {
  const [user] = await userById(scope.db, actor.userId)
  if (!user) throw new Problem('session-ended')
  return toMe(user, actor)
}

/** Changes what the user says of themselves. @throws Problem `session-ended`, or `precondition-failed` when it is not what they have seen */
export async function updateMe(
  scope: Scope,
  actor: Actor,
  { ifMatch, changes }: { readonly ifMatch: EntityTags; readonly changes: UpdateMe },
): Promise<Me> {
  const { db } = scope
  const [seen] = await userById(db, actor.userId)
  if (!seen) throw new Problem('session-ended')
  if (!isNamed(ifMatch, (await toMe(seen, actor)).etag)) throw new Problem('precondition-failed')
  const acting = { ...actor, now: scope.now() }
  const [alive, [updated]] = await db.batch([
    liveSession(db, actor.sessionId, acting.now),
    updateProfile(db, acting, { changes, seen: ifMatch === '*' ? undefined : seen }),
    auditIfChanged(scope, { action: 'profile.update', subject: actor.userId, cause: Object.keys(changes).sort().join(' ') }),
  ])
  if (alive.length === 0) throw new Problem('session-ended')
  if (!updated) throw new Problem('precondition-failed')
  return toMe(updated, actor)
}
