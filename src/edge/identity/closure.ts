import { and, eq, type SQL } from 'drizzle-orm'
import type { UserId } from '../../contract/identity.ts'
import { Problem } from '../../contract/problem.ts'
import { eventAt } from '../platform/mail/message.ts'
import { mailEventIf } from '../platform/mail/outbox.ts'
import type { Scope } from '../platform/scope.ts'
import { endKeysIf } from './api-key-store.ts'
import { sessionEnd } from './session-end.ts'
import { endSessionsIf } from './session-store.ts'
import { userById } from './store.ts'
import { users } from './tables.ts'

/**
 * The end of an account where the condition holds, as statements for one batch: its sessions and keys end, nobody signs in any more, and
 * its address is told. The first two statements answer the keys and the sessions; `tell` takes them once the batch is in.
 *
 * @throws Problem `session-ended` when the account is gone
 */
export async function closureOf(scope: Scope, { userId, now }: { readonly userId: UserId; readonly now: number }, condition: SQL) {
  const { db } = scope
  const [user] = await userById(db, userId)
  if (!user) throw new Problem('session-ended')
  const mail = { to: user.email, locale: user.locale, kind: 'account-deleted', event: eventAt(now) } as const
  const [end, notice] = await Promise.all([sessionEnd(scope, { userId, now }), mailEventIf(scope, mail, condition)])
  return {
    statements: [
      endKeysIf(db, { userId, now }, condition),
      endSessionsIf(db, { userId, now, cause: 'account-deleted' }, condition),
      db
        .update(users)
        .set({ disabledAt: now })
        .where(and(eq(users.id, userId), condition)),
      end.statement,
      notice.statement,
    ] as const,
    tell(ended: Parameters<typeof end.tell>[0]) {
      end.tell(ended)
      scope.deliver([notice.id])
    },
  }
}
