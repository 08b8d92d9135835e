import type { RestoreEmail } from '../../contract/email.ts'
import { Problem } from '../../contract/problem.ts'
import { auditIfChanged } from '../audit/service.ts'
import { eventAt } from '../platform/mail/message.ts'
import { mailEventIf } from '../platform/mail/outbox.ts'
import type { Scope } from '../platform/scope.ts'
import { endKeysIf } from './api-key-store.ts'
import { changeBehind, claimWayBack, closeLaterWaysBackIf, hasRestored, restoreEmailIf } from './email-store.ts'
import { deleteFactorsSinceIf } from './factor-store.ts'
import { hashPassword } from './password.ts'
import { drawToken, tokenHash } from './proof.ts'
import { deleteOpenProofsIf } from './proof-store.ts'
import { sessionEnd } from './session-end.ts'
import { endSessionsIf } from './session-store.ts'
import { deleteTrustsIf } from './trust-store.ts'

const CAUSE = 'email-restored'

/**
 * Gives an account back to the address that a change took it from: every session ends, factors that were added since the change go, and
 * the password becomes one that nobody knows, so the next step is to choose a new one by mail.
 *
 * @throws Problem `code-invalid` when the link is wrong, used or too old, or `conflict` when another account has the address now
 */
export async function restoreEmail(scope: Scope, { token }: RestoreEmail): Promise<void> {
  const { db, config } = scope
  const now = scope.now()
  const restoreHash = await tokenHash(token)
  const [found] = await changeBehind(db, restoreHash, now)
  if (!found?.change.oldEmail) throw new Problem('code-invalid')
  const { user, change } = found
  const oldEmail = found.change.oldEmail
  const claim = scope.newId('clm')
  const isDone = hasRestored(claim)
  const passwordHash = await hashPassword(config.keyring, drawToken())
  const notices = await Promise.all(
    [oldEmail, user.email].map((to) =>
      mailEventIf(scope, { to, locale: user.locale, kind: 'email-restored', event: eventAt(now) }, isDone),
    ),
  )
  const end = await sessionEnd(scope, { userId: user.id, now })
  const [won, , , ended, , keys] = await db.batch([
    claimWayBack(db, { restoreHash, oldEmail, now, claim }),
    restoreEmailIf(db, user.id, { email: oldEmail, passwordHash, condition: isDone }),
    auditIfChanged(scope, { action: 'email.restore', subject: user.id, actorId: user.id }),
    endSessionsIf(db, { userId: user.id, now, cause: CAUSE }, isDone),
    auditIfChanged(scope, { action: 'session.end-all', subject: user.id, cause: CAUSE, actorId: user.id }),
    endKeysIf(db, { userId: user.id, now, since: change.changedAt ?? now }, isDone),
    ...deleteOpenProofsIf(db, user.id, isDone),
    ...deleteFactorsSinceIf(db, user.id, { since: change.changedAt ?? now, condition: isDone }),
    deleteTrustsIf(db, user.id, isDone),
    closeLaterWaysBackIf(db, { id: change.id, userId: user.id, changedAt: change.changedAt ?? now }, isDone),
    ...notices.map(({ statement }) => statement),
    end.statement,
  ])
  if (won.meta.changes === 0) throw await refusal(scope, restoreHash)
  end.tell([...ended, ...keys])
  scope.deliver(notices.map(({ id }) => id))
}

/** The link is still good when only the address is not free: its holder has proven to read that mailbox, so they may know. */
async function refusal({ db, now }: Scope, restoreHash: string): Promise<Problem> {
  const [open] = await changeBehind(db, restoreHash, now())
  return new Problem(open ? 'conflict' : 'code-invalid')
}
