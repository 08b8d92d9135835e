import { toMoment } from '../../contract/id.ts'
import type { RefreshCause, Tokens } from '../../contract/identity.ts'
import type { Scope } from '../platform/scope.ts'
import { mintAccessToken } from './access-token.ts'
import { mintRefreshToken } from './refresh-token.ts'
import type { TokenSubject } from './session-store.ts'

/** The pair for a session's current generation; the refresh token comes out the same each time. */
export async function tokensFor(scope: Scope, session: TokenSubject, cause?: RefreshCause): Promise<Tokens> {
  const [{ accessToken, expiresAt }, refreshToken] = await Promise.all([
    mintAccessToken(scope, session),
    mintRefreshToken(scope.config.keyring, { sessionId: session.id, counter: session.counter }),
  ])
  return {
    sessionId: session.id,
    userId: session.userId,
    tokenType: 'Bearer',
    accessToken,
    refreshToken,
    expiresAt: toMoment(expiresAt),
    sessionExpiresAt: toMoment(session.expiresAt),
    ...(cause ? { cause } : {}),
  }
}
