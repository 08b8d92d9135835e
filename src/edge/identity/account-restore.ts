import { ACCOUNT_RESTORE_SECONDS, type RestoreAccount } from '../../contract/account.ts'
import { Problem } from '../../contract/problem.ts'
import { auditIfChanged } from '../audit/service.ts'
import { eventAt } from '../platform/mail/message.ts'
import { mailEventIf } from '../platform/mail/outbox.ts'
import type { Scope } from '../platform/scope.ts'
import { endKeysIf } from './api-key-store.ts'
import { deleteFactorsSinceIf } from './factor-store.ts'
import { forgetDevicesIf } from './known-device-store.ts'
import { hashPassword } from './password.ts'
import { drawToken, tokenHash } from './proof.ts'
import { deleteOpenProofsIf } from './proof-store.ts'
import { sessionEnd } from './session-end.ts'
import { endSessionsIf } from './session-store.ts'
import { deleteTrustsIf } from './trust-store.ts'
import { claimWayBack, closeWaysBackIf, type GivenWayBack, hasRestored, restoreAccountIf, undoneBy } from './way-back-store.ts'

const CAUSE = 'account-restored'

/**
 * Gives an account back to the address that a change, or a first factor, took it from. The address holds again and every session ends;
 * factors and keys go that were added since, or in the time before in which a thief prepares it: they would else come back through them.
 * The password becomes one that nobody knows, so the next step is to choose a new one by mail.
 *
 * @throws Problem `code-invalid` when the link is wrong, used or too old, or `conflict` when another account has the address now
 */
export async function restoreAccount(scope: Scope, { token }: RestoreAccount): Promise<void> {
  const { db, config } = scope
  const now = scope.now()
  const given = { restoreHash: await tokenHash(token), now }
  const undone = await readUndone(scope, given)
  if (!undone) throw new Problem('code-invalid')
  const { user, ownEmail, at } = undone
  const since = at - ACCOUNT_RESTORE_SECONDS * 1000
  const claim = scope.newId('clm')
  const isDone = hasRestored(claim)
  const passwordHash = await hashPassword(config.keyring, drawToken())
  const notices = await Promise.all(
    [...new Set([ownEmail, user.email])].map((to) =>
      mailEventIf(scope, { to, locale: user.locale, kind: 'account-restored', event: eventAt(now) }, isDone),
    ),
  )
  const end = await sessionEnd(scope, { userId: user.id, now })
  const [, , restored, , ended, , keys] = await db.batch([
    ...claimWayBack(db, given, claim),
    restoreAccountIf(db, user.id, { email: ownEmail, passwordHash, condition: isDone }),
    auditIfChanged(scope, { action: 'account.restore', subject: user.id, actorId: user.id }),
    endSessionsIf(db, { userId: user.id, now, cause: CAUSE }, isDone),
    auditIfChanged(scope, { action: 'session.end-all', subject: user.id, cause: CAUSE, actorId: user.id }),
    endKeysIf(db, { userId: user.id, now, since }, isDone),
    ...deleteOpenProofsIf(db, user.id, isDone),
    ...deleteFactorsSinceIf(db, user.id, { since, condition: isDone }),
    deleteTrustsIf(db, user.id, isDone),
    forgetDevicesIf(db, { userId: user.id }, isDone),
    ...closeWaysBackIf(db, { userId: user.id, since: at }, isDone),
    ...notices.map(({ statement }) => statement),
    end.statement,
  ])
  if (restored.meta.changes === 0) throw await refusal(scope, given)
  end.tell([...ended, ...keys])
  scope.deliver(notices.map(({ id }) => id))
}

async function readUndone({ db }: Scope, given: GivenWayBack) {
  const [[change], [addition]] = await db.batch(undoneBy(db, given))
  return change ?? addition
}

/** The link is still good when only the address is not free: its holder has proven to read that mailbox, so they may know. */
async function refusal(scope: Scope, given: GivenWayBack): Promise<Problem> {
  return new Problem((await readUndone(scope, given)) ? 'conflict' : 'code-invalid')
}
