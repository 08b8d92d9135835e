import { sql } from 'drizzle-orm'
import type { AuthMethod, UserId } from '../../contract/identity.ts'
import { Problem } from '../../contract/problem.ts'
import type { FactorProof } from '../../contract/proof.ts'
import { auditEntry, auditIfChanged } from '../audit/service.ts'
import { chargeFor, spendInD1, tooMany } from '../platform/limiter/limiter.ts'
import { eventAt } from '../platform/mail/message.ts'
import { mailEventIf } from '../platform/mail/outbox.ts'
import { commit } from '../platform/outbox/outbox.ts'
import type { Scope } from '../platform/scope.ts'
import { type Purpose, provePasskey } from './ceremony.ts'
import { takeRecoveryCode, takeTotpStep, totpOf } from './factor-store.ts'
import { clearBudgetIf } from './password-store.ts'
import { recoveryMacs } from './recovery.ts'
import type { users } from './tables.ts'
import { stepOfCode } from './totp.ts'

type User = typeof users.$inferSelect

/** What seals the secrets of authenticator apps. */
export const TOTP_PURPOSE = 'totp-secret'

/**
 * Proves a user's second factor, used up as it is proven: of calls that race with one code, one wins.
 *
 * @throws Problem `code-invalid`, `passkey-invalid`, or `rate-limited` after too many wrong codes in a row
 */
export async function proveFactor(
  scope: Scope,
  user: User,
  { proof, purpose, door }: { readonly proof: FactorProof; readonly purpose: Purpose; readonly door: CodeDoor },
) {
  const proven =
    proof.method === 'passkey' ? await provePasskeyOf(scope, user, { proof, purpose }) : await proveCode(scope, user, { proof, door })
  return [...proven, 'mfa'] as const satisfies readonly AuthMethod[]
}

async function provePasskeyOf(
  scope: Scope,
  user: User,
  { proof, purpose }: { readonly proof: Extract<FactorProof, { method: 'passkey' }>; readonly purpose: Purpose },
): Promise<readonly AuthMethod[]> {
  const proven = await provePasskey(scope, proof.assertion, purpose)
  if (proven.user.id !== user.id) throw new Problem('passkey-invalid')
  return proven.methods
}

type CodeProof = Exclude<FactorProof, { method: 'passkey' }>

async function proveCode(
  scope: Scope,
  user: User,
  { proof: { method, code }, door }: { readonly proof: CodeProof; readonly door: CodeDoor },
): Promise<readonly AuthMethod[]> {
  const use = method === 'totp' ? useTotp : useRecoveryCode
  await tryCode(scope, user, { cause: method, door, use: async (budget) => (await use(scope, user, { code, budget })) || undefined })
  return ['otp']
}

/**
 * Where a code is tried. Each door has a budget of its own, so that whoever has the password and guesses closes neither the places
 * where the account signs in nor what its sessions prove.
 */
export type CodeDoor = 'anywhere' | 'session' | { readonly knownPlace: string }

/** The budget of codes of an account at a door. */
export const codeCharge = (scope: Scope, userId: UserId, door: CodeDoor) =>
  chargeFor(scope, 'factor', {
    subject: [userId, ...(door === 'anywhere' ? [] : door === 'session' ? ['session'] : ['place', door.knownPlace])],
  })

/** A code as it was given. */
interface Given {
  readonly code: string
  /** Key of the budget that a right code clears. */
  readonly budget: string
}

/**
 * Tries a user's code with what uses it up, which answers nothing for a wrong one and clears the budget for a right one. Every code counts
 * as wrong until then: a stolen password or session must not become a place to guess codes at.
 *
 * @throws Problem `code-invalid`, or `rate-limited` after too many wrong ones in a row
 */
export async function tryCode<T>(
  scope: Scope,
  user: Pick<User, 'id'>,
  { cause, door, use }: { readonly cause: string; readonly door: CodeDoor; readonly use: (budget: string) => Promise<T | undefined> },
): Promise<T> {
  const charge = await codeCharge(scope, user.id, door)
  const receipt = await spendInD1(scope, [charge])
  if (!receipt.isAdmitted) throw tooMany(scope, receipt)
  const used = await use(charge.key).catch((error: unknown) => {
    receipt.giveBack()
    throw error
  })
  if (used !== undefined) return used
  await commit(scope, [
    auditEntry(scope, { action: 'factor.refuse', subject: user.id, cause, actorId: scope.actor?.userId ?? 'anonymous' }),
  ])
  throw new Problem('code-invalid')
}

const hasChanged = sql`changes() > 0`

async function useTotp(scope: Scope, user: User, { code, budget }: Given): Promise<boolean> {
  const [factor] = await totpOf(scope.db, user.id)
  if (!factor || factor.confirmedAt === null) return false
  const secret = await scope.config.keyring.open(TOTP_PURPOSE, user.id, factor.secret)
  const step = await stepOfCode(secret, code, scope.now())
  if (step === undefined) return false
  const [taken] = await scope.db.batch([
    takeTotpStep(scope.db, user.id, { secret: factor.secret, step }),
    clearBudgetIf(scope.db, budget, hasChanged),
  ])
  return taken.meta.changes > 0
}

async function useRecoveryCode(scope: Scope, user: User, { code, budget }: Given): Promise<boolean> {
  const { db, config } = scope
  const macs = await recoveryMacs(config.keyring, { userId: user.id, code })
  const mail = { to: user.email, locale: user.locale, kind: 'recovery-code-used', event: eventAt(scope.now()) } as const
  const notice = await mailEventIf(scope, mail, hasChanged)
  const [taken] = await db.batch([
    takeRecoveryCode(db, user.id, macs),
    auditIfChanged(scope, { action: 'recovery-code.use', subject: user.id, actorId: user.id }),
    notice.statement,
    clearBudgetIf(db, budget, hasChanged),
  ])
  if (taken.meta.changes > 0) scope.deliver([notice.id])
  return taken.meta.changes > 0
}
