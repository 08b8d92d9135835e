import { PROBLEMS, Problem, type ProblemSlug } from '../../contract/problem.ts'
import type { ShellId } from '../../contract/shell.ts'
import type { Upgrade } from '../http/implement.ts'
import { callerOf, type SocketCaller } from '../http/upgrade.ts'
import { refusalOf, upgradeFor } from '../platform/admission.ts'
import { openDb } from '../platform/db.ts'
import type { Scope } from '../platform/scope.ts'
import { traceparentOf } from '../platform/trace.ts'
import type { ViewerAdmission } from './admission.ts'
import { shellAtDoor } from './store.ts'

/**
 * Opens a socket to a shell. Who may not look is answered here, before any object is touched.
 *
 * @throws Problem `unauthenticated`, `session-ended`, `ticket-invalid`, `origin-untrusted`, `not-found` or `limit-reached`
 */
export async function viewShell(upgrade: Pick<Upgrade<never>, 'scope' | 'request' | 'authenticate'>, shellId: ShellId): Promise<Response> {
  return admitViewer(upgrade.scope, await callerOf(upgrade, shellId), shellId)
}

/** Lets a caller in who may look. @throws Problem `unauthenticated`, `session-ended`, `ticket-invalid`, `not-found` or `limit-reached` */
export async function admitViewer(scope: Scope, { actor, ticket, subprotocol }: SocketCaller, shellId: ShellId): Promise<Response> {
  if (actor.expiresAt <= scope.now()) throw new Problem('unauthenticated')
  // At the primary: a client names its own bookmark, and an old replica would let a removed member in.
  const { db } = openDb(scope.env.DB, undefined)
  const [row] = await shellAtDoor(db, { id: shellId, callerId: actor.userId, sessionId: actor.sessionId, now: scope.now() })
  if (!row?.role) throw new Problem('not-found')
  if (!row.isSessionLive) throw new Problem('session-ended')
  const { userId, sessionId, expiresAt } = actor
  const admission: ViewerAdmission = {
    userId,
    sessionId,
    role: row.role,
    expiresAt,
    ticket: ticket ?? null,
    subprotocol: subprotocol ?? null,
  }
  const response = await scope.env.SHELLS.getByName(shellId).fetch(upgradeFor(admission, traceparentOf(scope.trace)))
  const slug = refusalOf(response)
  if (slug !== null) throw new Problem(slug in PROBLEMS ? (slug as ProblemSlug) : 'internal')
  return response
}
