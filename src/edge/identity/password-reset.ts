import { toMoment } from '../../contract/id.ts'
import { CODE_TTL_SECONDS, type Locale, type UserId } from '../../contract/identity.ts'
import type { ForgotPassword, PasswordReset, ResetId, ResetPassword } from '../../contract/passwords.ts'
import { Problem } from '../../contract/problem.ts'
import { auditEntry, auditIfChanged } from '../audit/service.ts'
import { mailEventIf } from '../platform/mail/outbox.ts'
import { commit } from '../platform/outbox/outbox.ts'
import type { Scope } from '../platform/scope.ts'
import { forgetSession } from './access-token.ts'
import { accountCharge } from './attempt.ts'
import { codeMac, drawCode } from './code.ts'
import { admitPassword } from './new-password.ts'
import { hashPassword } from './password.ts'
import {
  burnExcessReset,
  claimReset,
  countWrongResetTry,
  deleteOpenResetsIf,
  hasClaim,
  insertReset,
  isMailable,
  provenReset,
  type ResetProof,
  reopenPasswordIf,
  resetPasswordIf,
} from './password-store.ts'
import { endSessionsIf } from './session-store.ts'
import { userByEmail } from './store.ts'

/** Codes one address can be made to receive an hour; beyond that the answer stays the same and nothing is sent. */
const MAILS_PER_HOUR_MAX = 5
const HOUR_MS = 3_600_000
const PURPOSE = 'password-reset-code'

/** Mails a code to a known address. Work, answer and time are the same for any other. */
export async function forgotPassword(scope: Scope, { email }: ForgotPassword): Promise<PasswordReset> {
  const now = scope.now()
  const [user] = await userByEmail(scope.db, email)
  const owner = user?.disabledAt === null ? user : undefined
  const id = scope.newId('rst') as ResetId
  const code = drawCode()
  const expiresAt = now + CODE_TTL_SECONDS * 1000
  const row = {
    id,
    email,
    userId: owner?.id ?? null,
    codeMac: await codeMac(scope.config.keyring, PURPOSE, { id, code: owner ? code : crypto.randomUUID() }),
    createdAt: now,
    expiresAt,
  }
  const mail = { to: email, locale: owner?.locale ?? 'en', kind: 'reset-password', code, minutes: CODE_TTL_SECONDS / 60 } as const
  const event = await mailEventIf(scope, mail, isMailable(id))
  const burn = burnExcessReset(scope.db, id, { email, since: now - HOUR_MS, max: MAILS_PER_HOUR_MAX })
  const entry = auditEntry(scope, { action: 'password.forget', subject: owner?.id ?? 'unknown', actorId: 'anonymous' })
  await commit(scope, [insertReset(scope.db, row), burn, entry], [event])
  return { resetId: id, expiresAt: toMoment(expiresAt) }
}

interface Owner {
  readonly userId: UserId
  readonly email: string
  readonly locale: Locale
}

/**
 * Replaces a forgotten password: ends every session, starts none, and opens the password again where too many failures had closed it.
 * The code is tried before the password is looked at, so a refused password costs no try and a wrong code learns nothing.
 *
 * @throws Problem `code-invalid` when it is wrong, used up, used or expired; `invalid-request` when the policy refuses the password
 */
export async function resetPassword(scope: Scope, { resetId: id, code, newPassword }: ResetPassword): Promise<void> {
  const proof = { id, codeMac: await codeMac(scope.config.keyring, PURPOSE, { id, code }), now: scope.now() }
  const [, , [owner]] = await scope.db.batch([
    countWrongResetTry(scope.db, proof),
    auditIfChanged(scope, { action: 'password.refuse', subject: id, cause: 'reset-code', actorId: 'anonymous' }),
    provenReset(scope.db, proof),
  ])
  if (!owner) throw new Problem('code-invalid')
  const wish = { password: newPassword, email: owner.email, pointer: '#/body/newPassword', subject: owner.userId } as const
  const unchecked = await admitPassword(scope, wish)
  const hash = await hashPassword(scope.config.keyring, newPassword)
  await put(scope, { proof: { ...proof, now: scope.now() }, owner, hash, unchecked })
}

interface Reset {
  readonly proof: ResetProof
  readonly owner: Owner
  readonly hash: string
  readonly unchecked: Awaited<ReturnType<typeof admitPassword>>
}

/** One statement lets one call win the code; all that follows holds only for the winner. */
async function put(scope: Scope, { proof, owner, hash, unchecked }: Reset): Promise<void> {
  const { db } = scope
  const { userId, email, locale } = owner
  const { id, now } = proof
  const claim = scope.newId('clm')
  const isWon = hasClaim(id, claim)
  const account = await accountCharge(scope, email)
  const event = { at: now, browser: null, system: null, country: null, city: null }
  const notice = await mailEventIf(scope, { to: email, locale, kind: 'password-reset', event }, isWon)
  const [won, , , ended] = await db.batch([
    claimReset(db, proof, claim),
    auditIfChanged(scope, { action: 'password.reset', subject: userId, actorId: userId }),
    resetPasswordIf(db, userId, { hash, condition: isWon }),
    endSessionsIf(db, { userId, now, cause: 'password-reset' }, isWon),
    auditIfChanged(scope, { action: 'session.end-all', subject: userId, cause: 'password-reset', actorId: userId }),
    deleteOpenResetsIf(db, userId, isWon),
    reopenPasswordIf(db, account.key, isWon),
    notice.statement,
    ...unchecked,
  ])
  if (won.meta.changes === 0) throw new Problem('code-invalid')
  for (const session of ended) forgetSession(session.id)
  scope.deliver([notice.id])
}
