import type { SessionId, TokenMode, Tokens, UserId } from '../../contract/identity.ts'
import { isProblem, Problem } from '../../contract/problem.ts'
import { auditIfChanged } from '../audit/service.ts'
import type { Scope } from '../platform/scope.ts'
import { authenticate } from './access-token.ts'
import type { Device } from './device.ts'
import { decideRefresh } from './policy.ts'
import { type RefreshClaim, readRefreshToken } from './refresh-token.ts'
import { sessionEnd } from './session-end.ts'
import { advanceSession, endSession, sessionById } from './session-store.ts'
import { tokensFor } from './tokens.ts'

/** A refresh token as it arrived. */
export interface PresentedRefresh {
  readonly token: string
  readonly mode: TokenMode
}

async function claimOf(scope: Scope, token: string): Promise<RefreshClaim> {
  const claim = await readRefreshToken(scope.config.keyring, token)
  if (!claim) throw new Problem('unauthenticated')
  return claim
}

/**
 * The next pair. Calls that race, or repeat because an answer was lost, all get the same current token.
 *
 * @throws Problem `unauthenticated` for a token we never made, `session-ended`, or `refresh-reused` which also ends the session
 */
export async function refresh(scope: Scope, { token, mode }: PresentedRefresh, device: Device): Promise<Tokens> {
  const claim = await claimOf(scope, token)
  const now = scope.now()
  const at = { now, idleExpiresAt: now + scope.config.sessionIdleSeconds * 1000, device }
  const [advanced] = await advanceSession(scope.db, { id: claim.sessionId, counter: claim.counter, mode }, at)
  return advanced ? tokensFor(scope, advanced, 'rotated') : converge(scope, claim, mode)
}

async function converge(scope: Scope, claim: RefreshClaim, mode: TokenMode): Promise<Tokens> {
  const [found] = await sessionById(scope.db, claim.sessionId)
  if (!found || found.session.mode !== mode) throw new Problem('unauthenticated')
  const { session, disabledAt, isBarred } = found
  const now = scope.now()
  const isLive = session.endedAt === null && disabledAt === null && isBarred === 0 && session.expiresAt > now && session.idleExpiresAt > now
  const decision = decideRefresh(claim.counter, { ...session, isLive }, { now, raceSeconds: scope.config.refreshRaceSeconds })
  if ('converge' in decision) return tokensFor(scope, session, decision.converge)
  if (decision.refuse === 'refresh-reused') await finish(scope, session, 'refresh-reused')
  throw new Problem(decision.refuse)
}

async function finish(scope: Scope, session: { readonly id: SessionId; readonly userId: UserId }, cause: string): Promise<void> {
  const now = scope.now()
  const end = await sessionEnd(scope, { userId: session.userId, now })
  const [ended] = await scope.db.batch([
    endSession(scope.db, session.id, { now, cause }),
    auditIfChanged(scope, { action: 'session.end', subject: session.id, cause, actorId: session.userId }),
    end.statement,
  ])
  end.tell(ended)
}

/** Ends the session of a refresh token, current or old. @throws Problem `unauthenticated` for a token we never made */
export async function logout(scope: Scope, token: string): Promise<void> {
  await leave(scope, (await claimOf(scope, token)).sessionId)
}

/** Ends the session that the cookies of a browser name, by whichever of them is left and good; there need not be any. */
export async function logoutBrowser(
  scope: Scope,
  cookies: { readonly refreshToken: string | undefined; readonly accessToken: string | undefined },
): Promise<void> {
  const claim = await readRefreshToken(scope.config.keyring, cookies.refreshToken ?? '')
  const sessionId = claim?.sessionId ?? (await sessionNamed(scope, cookies.accessToken))
  if (sessionId) await leave(scope, sessionId)
}

async function leave(scope: Scope, id: SessionId): Promise<void> {
  const [found] = await sessionById(scope.db, id)
  if (found) await finish(scope, found.session, 'logout')
}

/** The session of an access token, if it is one that still opens something. */
async function sessionNamed(scope: Scope, accessToken: string | undefined): Promise<SessionId | undefined> {
  if (accessToken === undefined) return undefined
  try {
    return (await authenticate(scope, accessToken)).sessionId as SessionId
  } catch (error) {
    if (isProblem(error)) return undefined
    throw error
  }
}
