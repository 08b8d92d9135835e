import type { BatchItem } from 'drizzle-orm/batch'
import type { AuthMethod, SessionId, TokenMode, Tokens } from '../../contract/identity.ts'
import { auditIfChanged } from '../audit/service.ts'
import type { Place } from '../platform/limiter/place.ts'
import { mailEventIf } from '../platform/mail/outbox.ts'
import type { Scope } from '../platform/scope.ts'
import { forgetSession } from './access-token.ts'
import { accountCharge, placeHash } from './attempt.ts'
import type { Device } from './device.ts'
import { noteSignIn, resetFailures } from './place-store.ts'
import { endExcessSessions, insertSession, isUnfamiliar, type NewSession } from './session-store.ts'
import type { users } from './tables.ts'
import { tokensFor } from './tokens.ts'

type User = typeof users.$inferSelect

/** How a user whose first factor is proven comes in. */
export interface SignIn {
  readonly methods: readonly AuthMethod[]
  readonly mode: TokenMode
  readonly place: Place
  readonly device: Device
  readonly deviceName: string | undefined
  /** What is committed with the session, or with the wait for a second factor. */
  readonly along?: readonly BatchItem<'sqlite'>[]
}

/**
 * The one end of every way in: starts a session for a user as they were when their factor was checked.
 * Nothing when the password was replaced or the account disabled meanwhile: the caller refuses in its own words.
 */
export async function signIn(scope: Scope, user: User, how: SignIn): Promise<Tokens | undefined> {
  const session = newSession(scope, user, how)
  const isStarted = await startSession(scope, user, { session, how })
  return isStarted ? tokensFor(scope, session) : undefined
}

function newSession(scope: Scope, user: User, { device, mode, deviceName, methods }: SignIn): NewSession {
  const now = scope.now()
  return {
    ...device,
    id: scope.newId('ses') as SessionId,
    userId: user.id,
    mode,
    name: deviceName ?? null,
    counter: 0,
    createdAt: now,
    refreshedAt: now,
    idleExpiresAt: now + scope.config.sessionIdleSeconds * 1000,
    expiresAt: now + scope.config.sessionMaxSeconds * 1000,
    amr: methods.join(' '),
    authenticatedAt: now,
  }
}

interface Start {
  readonly session: NewSession
  readonly how: SignIn
}

/** Puts the session in, makes room for it, learns its place and tells its owner when it looks foreign. */
async function startSession(scope: Scope, user: User, { session, how }: Start): Promise<boolean> {
  const { db, config } = scope
  const { id, createdAt: now, browser, system, country, city } = session
  const mail = { to: user.email, locale: user.locale, kind: 'new-device', event: { at: now, browser, system, country, city } } as const
  const notice = await mailEventIf(scope, mail, isUnfamiliar(session))
  const here = await placeHash(scope, how.place)
  const account = await accountCharge(scope, user.email)
  const [started, , excess, , noticed] = await db.batch([
    insertSession(db, session, user.passwordVersion),
    auditIfChanged(scope, { action: 'session.start', subject: id, actorId: user.id }),
    endExcessSessions(db, session, { now, max: config.sessionsPerUserMax }),
    auditIfChanged(scope, { action: 'session.end-others', subject: user.id, cause: 'limit', actorId: user.id }),
    notice.statement,
    resetFailures(db, account.key, id),
    ...(here === null ? [] : [noteSignIn(db, id, here)]),
    ...(how.along ?? []),
  ])
  for (const ended of excess) forgetSession(ended.id)
  if ((noticed as D1Result).meta.changes > 0) scope.deliver([notice.id])
  return started.length > 0
}
