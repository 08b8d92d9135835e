import { sql } from 'drizzle-orm'
import { MAILED_PAGES } from '../../contract/mailed-link.ts'
import type { ForgotPassword, KeptAccess, PasswordReset, ResetId, ResetPassword } from '../../contract/passwords.ts'
import { Problem } from '../../contract/problem.ts'
import { auditIfChanged } from '../audit/service.ts'
import { eventAt } from '../platform/mail/message.ts'
import { mailEventIf } from '../platform/mail/outbox.ts'
import type { Scope } from '../platform/scope.ts'
import { endKeysIf, openKeysOf } from './api-key-store.ts'
import { accountCharge } from './attempt.ts'
import { hasSecond } from './factor-policy.ts'
import { codeCharge } from './factor-proof.ts'
import { enrolmentOf } from './factor-store.ts'
import { forgetDevicesIf } from './known-device-store.ts'
import { checkProof, mailProof, type PublicProof, type RightProof } from './mailed-proof.ts'
import { admitPassword, demandLength } from './new-password.ts'
import { hashPassword } from './password.ts'
import { clearBudgetIf, isAdmissible, isFirstResetSince, type NewHash, resetPasswordIf } from './password-store.ts'
import { pageLink } from './proof.ts'
import { claimProof, deleteOpenProofsIf, hasClaim } from './proof-store.ts'
import { sessionEnd } from './session-end.ts'
import { endSessionsIf } from './session-store.ts'
import { passwordResets } from './tables.ts'
import { deleteTrustsIf } from './trust-store.ts'

const RESET: PublicProof = {
  table: passwordResets,
  purpose: 'password-reset-code',
  prefix: 'rst',
  kind: 'reset-password',
  page: MAILED_PAGES['password-reset'],
  action: 'password.forget',
  refusal: { action: 'password.refuse', cause: 'reset-code' },
}

/** Mails a code and a link to a known address. Work, answer and time are the same for any other. */
export async function forgotPassword(scope: Scope, wish: ForgotPassword): Promise<PasswordReset> {
  const { id, expiresAt } = await mailProof<ResetId>(scope, RESET, wish)
  return { resetId: id, expiresAt }
}

/**
 * Replaces a forgotten password: ends every session, starts none, so a second factor is asked for as ever, and opens password and codes
 * again where too many failures had closed them; codes once a day, or a mailbox would be a place to guess them at.
 * Passkeys, the authenticator app and, unless told so, API keys stay: they are named, so that nobody is let in by what they never made.
 * The proof is tried before the password is looked at, so a refused password costs no try and a wrong code learns nothing.
 *
 * @throws Problem `code-invalid` when it is wrong, used up, used or expired; `invalid-request` when the policy refuses the password
 */
export async function resetPassword(
  scope: Scope,
  { resetId: id, code, token, newPassword, endApiKeys }: ResetPassword,
): Promise<KeptAccess> {
  const right = await checkProof(scope, RESET, { id, code, token })
  const { user } = right
  const wish = { password: newPassword, email: user.email, pointer: '#/body/newPassword', subject: user.id } as const
  const [[enrolment], keys] = await scope.db.batch([enrolmentOf(scope.db, user.id), openKeysOf(scope.db, user.id, scope.now())])
  const isShort = demandLength(wish, enrolment !== undefined && hasSecond(enrolment))
  const unchecked = await admitPassword(scope, wish)
  const hash = await hashPassword(scope.config.keyring, newPassword)
  const kept = { apiKeys: endApiKeys ? 0 : keys.length, passkeys: enrolment?.passkeys ?? 0, hasTotp: (enrolment?.hasTotp ?? 0) > 0 }
  await put(scope, { right, wanted: { hash, isShort }, unchecked, endApiKeys, kept })
  return kept
}

const DAY_MS = 86_400_000

interface Reset {
  readonly right: RightProof
  readonly wanted: NewHash
  readonly unchecked: Awaited<ReturnType<typeof admitPassword>>
  readonly endApiKeys: boolean
  readonly kept: KeptAccess
}

/** One statement lets one call win the proof; all that follows holds only for the winner. */
async function put(scope: Scope, { right, wanted, unchecked, endApiKeys, kept }: Reset): Promise<void> {
  const { db } = scope
  const { id, given, user } = right
  const { id: userId, email, locale } = user
  const now = scope.now()
  const claim = scope.newId('clm')
  const isWon = hasClaim(passwordResets, id, claim)
  const [account, codes] = await Promise.all([accountCharge(scope, email), codeCharge(scope, userId, 'anywhere')])
  const link = pageLink('/app/account', locale, 'factors-title')
  const notice = await mailEventIf(scope, { to: email, locale, kind: 'password-reset', event: eventAt(now), link, kept }, isWon)
  const end = await sessionEnd(scope, { userId, now })
  const [won, , , ended, , keys] = await db.batch([
    claimProof(db, passwordResets, { given: { ...given, now }, claim, condition: isAdmissible(userId, wanted) }),
    auditIfChanged(scope, { action: 'password.reset', subject: userId, actorId: userId }),
    resetPasswordIf(db, userId, { ...wanted, condition: isWon }),
    endSessionsIf(db, { userId, now, cause: 'password-reset' }, isWon),
    auditIfChanged(scope, { action: 'session.end-all', subject: userId, cause: 'password-reset', actorId: userId }),
    endKeysIf(db, { userId, now }, endApiKeys ? isWon : sql`false`),
    auditIfChanged(scope, { action: 'api-key.end-all', subject: userId, cause: 'password-reset', actorId: userId }),
    ...deleteOpenProofsIf(db, userId, isWon),
    deleteTrustsIf(db, userId, isWon),
    forgetDevicesIf(db, { userId }, isWon),
    clearBudgetIf(db, account.key, isWon),
    clearBudgetIf(db, codes.key, sql`${isWon} AND ${isFirstResetSince(userId, now - DAY_MS)}`),
    notice.statement,
    end.statement,
    ...unchecked,
  ])
  if (won.meta.changes === 0) throw new Problem('code-invalid')
  end.tell([...ended, ...keys])
  scope.deliver([notice.id])
}
