import { Problem } from '../../contract/problem.ts'
import { auditEntry } from '../audit/service.ts'
import { chargeFor, spend, tooMany } from '../platform/limiter/limiter.ts'
import { commit } from '../platform/outbox/outbox.ts'
import type { Scope } from '../platform/scope.ts'
import { verifyPassword } from './password.ts'
import type { users } from './tables.ts'

/**
 * Proves a signed-in user's password. It counts as failed until it succeeds, by the ladder of sign-ins: a stolen session must not become
 * a place to guess the password at.
 *
 * @throws Problem `credentials-invalid`, `rate-limited`
 */
export async function provePassword(scope: Scope, user: typeof users.$inferSelect, password: string): Promise<void> {
  const charge = await chargeFor(scope, 'login', { subject: ['current-password', user.id] })
  const receipt = await spend(scope, { userId: user.id }, [charge])
  if (!receipt.isAdmitted) throw tooMany(scope, receipt)
  const verdict = await verifyPassword(scope.config.keyring, password, user.passwordHash).catch((error: unknown) => {
    receipt.giveBack()
    throw error
  })
  if (verdict !== 'wrong') return receipt.giveBack()
  await commit(scope, [auditEntry(scope, { action: 'password.refuse', subject: user.id, cause: 'current-password' })])
  throw new Problem('credentials-invalid')
}
