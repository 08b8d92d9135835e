import type { Login, SessionId, Tokens } from '../../contract/identity.ts'
import { isProblem, Problem } from '../../contract/problem.ts'
import { auditEntry, auditIfChanged } from '../audit/service.ts'
import type { Place } from '../platform/limiter/place.ts'
import { mailEventIf } from '../platform/mail/outbox.ts'
import { commit } from '../platform/outbox/outbox.ts'
import type { Scope } from '../platform/scope.ts'
import { forgetSession } from './access-token.ts'
import { type Attempt, admitAttempt, placeHash } from './attempt.ts'
import type { Device } from './device.ts'
import { hashPassword, verifyPassword } from './password.ts'
import { setPasswordHash } from './password-store.ts'
import { noteSignIn, resetFailures, userAtDoor } from './place-store.ts'
import { endExcessSessions, insertSession, isUnfamiliar, type NewSession } from './session-store.ts'
import type { users } from './tables.ts'
import { tokensFor } from './tokens.ts'

type User = typeof users.$inferSelect

interface Door {
  readonly user: User | undefined
  readonly attempt: Attempt
  /** Keyed hash of where they stand; nothing when nobody knows. */
  readonly here: string | null
  readonly device: Device
}

/**
 * Starts a session.
 *
 * @throws Problem `credentials-invalid`, in the same time whether or not the address is known; `rate-limited`
 */
export async function login(
  scope: Scope,
  input: Login,
  { place, device }: { readonly place: Place; readonly device: Device },
): Promise<Tokens> {
  const here = await placeHash(scope, place)
  const [known] = await userAtDoor(scope.db, input.email, here)
  const attempt = await admitAttempt(scope, { email: input.email, place, lastSignInAt: known?.lastSignInAt ?? null })
  try {
    return await enter(scope, input, { user: known?.user, attempt, here, device })
  } catch (error) {
    if (!isProblem(error) || error.slug !== 'credentials-invalid') attempt.giveBack()
    throw error
  }
}

async function enter(scope: Scope, input: Login, { user, attempt, here, device }: Door): Promise<Tokens> {
  const { keyring } = scope.config
  const verdict = await verifyPassword(keyring, input.password, user?.passwordHash)
  if (!user || verdict === 'wrong' || user.disabledAt !== null || attempt.isClosed) throw await refuse(scope, user, attempt)
  const session = newSession(scope, user, { ...device, mode: input.mode, name: input.deviceName ?? null })
  const rehash =
    verdict === 'stale'
      ? [setPasswordHash(scope.db, user.id, { from: user.passwordHash, to: await hashPassword(keyring, input.password) })]
      : []
  const learn = [
    resetFailures(scope.db, attempt.accountKey, session.id),
    ...(here === null ? [] : [noteSignIn(scope.db, session.id, here)]),
  ]
  const isStarted = await startSession(scope, user, { session, along: [...rehash, ...learn] })
  if (!isStarted) throw await refuse(scope, user, attempt)
  return tokensFor(scope, session)
}

async function refuse(scope: Scope, user: User | undefined, { isClosing, limits }: Attempt): Promise<Problem> {
  const subject = user?.id ?? 'unknown'
  const closing = isClosing ? [auditEntry(scope, { action: 'password.close', subject, cause: 'failures', actorId: 'anonymous' })] : []
  await commit(scope, [auditEntry(scope, { action: 'session.refuse', subject, actorId: 'anonymous' }), ...closing])
  return new Problem('credentials-invalid', { limits })
}

function newSession(scope: Scope, user: User, as: Pick<NewSession, 'mode' | 'name'> & Device): NewSession {
  const now = scope.now()
  return {
    ...as,
    id: scope.newId('ses') as SessionId,
    userId: user.id,
    counter: 0,
    createdAt: now,
    refreshedAt: now,
    idleExpiresAt: now + scope.config.sessionIdleSeconds * 1000,
    expiresAt: now + scope.config.sessionMaxSeconds * 1000,
  }
}

interface Start {
  readonly session: NewSession
  readonly along: Parameters<typeof commit>[1]
}

/** Puts the session in, makes room for it and tells its owner when it looks foreign; `false` when the password was replaced meanwhile. */
async function startSession(scope: Scope, user: User, { session, along }: Start): Promise<boolean> {
  const { db, config } = scope
  const { id, createdAt: now, browser, system, country, city } = session
  const mail = { to: user.email, locale: user.locale, kind: 'new-device', event: { at: now, browser, system, country, city } } as const
  const notice = await mailEventIf(scope, mail, isUnfamiliar(session))
  const [started, , excess, , noticed] = await db.batch([
    insertSession(db, session, user.passwordVersion),
    auditIfChanged(scope, { action: 'session.start', subject: id, actorId: user.id }),
    endExcessSessions(db, session, { now, max: config.sessionsPerUserMax }),
    auditIfChanged(scope, { action: 'session.end-others', subject: user.id, cause: 'limit', actorId: user.id }),
    notice.statement,
    ...along,
  ])
  for (const ended of excess) forgetSession(ended.id)
  if ((noticed as D1Result).meta.changes > 0) scope.deliver([notice.id])
  return started.length > 0
}
