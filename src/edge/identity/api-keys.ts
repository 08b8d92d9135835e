import type { ApiKey, ApiKeyId, ApiKeyList, CreateApiKey, NewApiKey } from '../../contract/api-keys.ts'
import { toMoment } from '../../contract/id.ts'
import { Problem } from '../../contract/problem.ts'
import { auditIfChanged } from '../audit/service.ts'
import { eventAt } from '../platform/mail/message.ts'
import { mailEventIf } from '../platform/mail/outbox.ts'
import type { Actor, Scope } from '../platform/scope.ts'
import { drawApiKey } from './api-key.ts'
import { endOwnKey, insertKey, isKeyMade, openKeysOf, ownKey, renameOwnKey } from './api-key-store.ts'
import { sessionEnd } from './session-end.ts'
import { liveSession } from './session-store.ts'
import { actingOf } from './sessions.ts'
import { userById } from './store.ts'
import type { apiKeys } from './tables.ts'

const DAY_MS = 86_400_000

type Shown = Omit<typeof apiKeys.$inferSelect, 'userId' | 'tokenHash' | 'endedAt'>

const toApiKey = ({ id, name, hint, scopes, createdAt, expiresAt, lastUsedAt }: Shown): ApiKey => ({
  id,
  name,
  hint,
  scopes: [...scopes],
  createdAt: toMoment(createdAt),
  expiresAt: toMoment(expiresAt),
  lastUsedAt: lastUsedAt === null ? null : toMoment(lastUsedAt),
})

/** Makes a key and tells its owner by mail. @throws Problem `session-ended` or `limit-reached` */
export async function createApiKey(scope: Scope, actor: Actor, wanted: CreateApiKey): Promise<NewApiKey> {
  const { db } = scope
  const acting = actingOf(scope, actor)
  const { now, userId } = acting
  const [user] = await userById(db, userId)
  if (!user) throw new Problem('session-ended')
  const { token, ...drawn } = await drawApiKey()
  const { name, scopes, expiresInDays } = wanted
  const id = scope.newId('key') as ApiKeyId
  const row = { id, userId, ...drawn, name, scopes, createdAt: now, expiresAt: now + expiresInDays * DAY_MS }
  const mail = { to: user.email, locale: user.locale, kind: 'api-key-made', event: eventAt(now) } as const
  const notice = await mailEventIf(scope, mail, isKeyMade(id))
  const [alive, made] = await db.batch([
    liveSession(db, actor.sessionId, now),
    insertKey(db, row, acting),
    auditIfChanged(scope, { action: 'api-key.create', subject: id, cause: scopes.join(' ') }),
    notice.statement,
  ])
  if (alive.length === 0) throw new Problem('session-ended')
  if (made.meta.changes === 0) throw new Problem('limit-reached')
  scope.deliver([notice.id])
  return { apiKey: toApiKey({ ...row, lastUsedAt: null }), token }
}

/** The user's keys. */
export async function listApiKeys(scope: Scope, actor: Actor): Promise<ApiKeyList> {
  const rows = await openKeysOf(scope.db, actor.userId, scope.now())
  return { items: rows.map(toApiKey) }
}

/** Calls a key something else. @throws Problem `not-found` for a foreign, unknown or ended one */
export async function renameApiKey(scope: Scope, actor: Actor, to: { readonly id: ApiKeyId; readonly name: string }): Promise<ApiKey> {
  const [[renamed]] = await scope.db.batch([
    renameOwnKey(scope.db, actingOf(scope, actor), to),
    auditIfChanged(scope, { action: 'api-key.rename', subject: to.id }),
  ])
  if (!renamed) throw new Problem('not-found')
  return toApiKey(renamed)
}

/** Ends a key of the user and closes its sockets. @throws Problem `session-ended`, or `not-found` for a foreign or unknown one */
export async function revokeApiKey(scope: Scope, actor: Actor, id: ApiKeyId): Promise<void> {
  const { db } = scope
  const acting = actingOf(scope, actor)
  const end = await sessionEnd(scope, acting)
  const [alive, own, ended] = await db.batch([
    liveSession(db, actor.sessionId, acting.now),
    ownKey(db, actor.userId, id),
    endOwnKey(db, acting, id),
    auditIfChanged(scope, { action: 'api-key.end', subject: id, cause: 'revoked' }),
    end.statement,
  ])
  if (alive.length === 0) throw new Problem('session-ended')
  if (own.length === 0) throw new Problem('not-found')
  end.tell(ended)
}
