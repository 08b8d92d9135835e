import type { Login, SessionId, Tokens } from '../../contract/identity.ts'
import { Problem } from '../../contract/problem.ts'
import { auditEntry } from '../audit/service.ts'
import { commit } from '../platform/outbox/outbox.ts'
import type { Scope } from '../platform/scope.ts'
import { hashPassword, verifyPassword } from './password.ts'
import { insertSession, setPasswordHash, userByEmail } from './store.ts'
import { tokensFor } from './tokens.ts'

/** Starts a session. @throws Problem `credentials-invalid`, in the same time whether or not the address is known. */
export async function login(scope: Scope, input: Login): Promise<Tokens> {
  const [user] = await userByEmail(scope.db, input.email)
  const { keyring } = scope.config
  const verdict = await verifyPassword(keyring, input.password, user?.passwordHash)
  if (!user || verdict === 'wrong' || user.disabledAt !== null) {
    await commit(scope, [auditEntry(scope, { action: 'session.refuse', subject: user?.id ?? 'unknown', actorId: 'anonymous' })])
    throw new Problem('credentials-invalid')
  }
  const now = scope.now()
  const session = {
    id: scope.newId('ses') as SessionId,
    userId: user.id,
    mode: input.mode,
    counter: 0,
    createdAt: now,
    refreshedAt: now,
    idleExpiresAt: now + scope.config.sessionIdleSeconds * 1000,
    expiresAt: now + scope.config.sessionMaxSeconds * 1000,
  }
  const rehash =
    verdict === 'stale'
      ? [setPasswordHash(scope.db, user.id, { from: user.passwordHash, to: await hashPassword(keyring, input.password) })]
      : []
  const entry = auditEntry(scope, { action: 'session.start', subject: session.id, actorId: user.id })
  await commit(scope, [insertSession(scope.db, session), entry, ...rehash])
  return tokensFor(scope, session)
}
