import { toMoment } from '../../contract/id.ts'
import type { SessionId } from '../../contract/identity.ts'
import { Problem } from '../../contract/problem.ts'
import { type RevokedSessions, SESSIONS_PER_USER_MAX, type Session, type SessionList } from '../../contract/sessions.ts'
import { auditIfChanged } from '../audit/service.ts'
import type { Actor, Scope } from '../platform/scope.ts'
import { forgetSession } from './access-token.ts'
import { forgetDeviceOfSession, forgetDevicesIf } from './known-device-store.ts'
import { sessionEnd } from './session-end.ts'
import {
  type Acting,
  endOtherSessions,
  endOwnSession,
  isActing,
  liveSession,
  liveSessionsOf,
  ownSession,
  renameOwnSession,
} from './session-store.ts'
import type { sessions } from './tables.ts'
import { deleteOtherTrusts, deleteTrustOfSession } from './trust-store.ts'

type Row = typeof sessions.$inferSelect

/** The session that acts, now. */
export const actingOf = (scope: Scope, { userId, sessionId }: Actor): Acting => ({ userId, sessionId, now: scope.now() })

/** What the API tells of anybody's session: never a token, never an address. */
export const toDevice = (row: Row): Omit<Session, 'isCurrent'> => ({
  id: row.id,
  name: row.name,
  browser: row.browser,
  system: row.system,
  place: row.country === null ? null : { country: row.country, city: row.city },
  createdAt: toMoment(row.createdAt),
  lastSeenAt: toMoment(row.refreshedAt),
  idleExpiresAt: toMoment(row.idleExpiresAt),
  expiresAt: toMoment(row.expiresAt),
})

const toSession = (row: Row, currentId: Actor['sessionId']): Session => ({ ...toDevice(row), isCurrent: row.id === currentId })

/** The user's signed-in devices. @throws Problem `session-ended` at once, whatever this isolate remembers */
export async function listSessions(scope: Scope, actor: Actor): Promise<SessionList> {
  const rows = await liveSessionsOf(scope.db, actingOf(scope, actor), SESSIONS_PER_USER_MAX)
  if (!rows.some((row) => row.id === actor.sessionId)) throw ended(actor)
  return { items: rows.map((row) => toSession(row, actor.sessionId)) }
}

function ended({ sessionId }: Actor): Problem {
  forgetSession(sessionId)
  return new Problem('session-ended')
}

/** Names one of the user's devices. @throws Problem `session-ended`, or `not-found` for a foreign, unknown or ended one */
export async function renameSession(
  scope: Scope,
  actor: Actor,
  to: { readonly id: SessionId; readonly name: string | null },
): Promise<Session> {
  const acting = actingOf(scope, actor)
  const [alive, [renamed]] = await scope.db.batch([
    liveSession(scope.db, actor.sessionId, acting.now),
    renameOwnSession(scope.db, acting, to),
    auditIfChanged(scope, { action: 'session.rename', subject: to.id }),
  ])
  if (alive.length === 0) throw ended(actor)
  if (!renamed) throw new Problem('not-found')
  return toSession(renamed, actor.sessionId)
}

/** Ends one of the user's sessions, its own too. @throws Problem `session-ended`, or `not-found` for a foreign or unknown one */
export async function revokeSession(scope: Scope, actor: Actor, id: SessionId): Promise<void> {
  const acting = actingOf(scope, actor)
  const end = await sessionEnd(scope, acting)
  const [alive, own, revoked] = await scope.db.batch([
    liveSession(scope.db, actor.sessionId, acting.now),
    ownSession(scope.db, actor.userId, id),
    endOwnSession(scope.db, acting, { id, cause: 'revoked' }),
    auditIfChanged(scope, { action: 'session.end', subject: id, cause: 'revoked' }),
    deleteTrustOfSession(scope.db, acting, id),
    forgetDeviceOfSession(scope.db, acting, id),
    end.statement,
  ])
  if (alive.length === 0) throw ended(actor)
  if (own.length === 0) throw new Problem('not-found')
  end.tell(revoked)
}

/** Ends all of the user's sessions but the one that asks. @throws Problem `session-ended` */
export async function revokeOtherSessions(scope: Scope, actor: Actor): Promise<RevokedSessions> {
  const acting = actingOf(scope, actor)
  const end = await sessionEnd(scope, acting)
  const [alive, others] = await scope.db.batch([
    liveSession(scope.db, actor.sessionId, acting.now),
    endOtherSessions(scope.db, acting, 'revoked'),
    auditIfChanged(scope, { action: 'session.end-others', subject: actor.userId, cause: 'revoked' }),
    deleteOtherTrusts(scope.db, acting),
    forgetDevicesIf(scope.db, { userId: actor.userId, except: acting.sessionId }, isActing(acting)),
    end.statement,
  ])
  if (alive.length === 0) throw ended(actor)
  end.tell(others)
  return { ended: others.length }
}
