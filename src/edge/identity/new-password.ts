import { ACCOUNT_FAULTS } from '../../contract/account-faults.ts'
import { PASSWORD_CHARS_MIN } from '../../contract/identity.ts'
import { Problem } from '../../contract/problem.ts'
import { auditEntry } from '../audit/service.ts'
import type { Scope } from '../platform/scope.ts'
import { pastOf } from './breach.ts'
import { COMMON_PASSWORDS } from './common-passwords.ts'
import { refusalOf } from './password-policy.ts'

const RETRY_SECONDS = 5

/** A password somebody wants to have. */
export interface Wish {
  readonly password: string
  readonly email: string
  /** Where it stands in the request, e.g. `#/body/password`. */
  readonly pointer: `#/body/${string}`
  /** What the record names when the look-up among leaked passwords had to be left out. */
  readonly subject: string
}

const refuse = ({ pointer }: Pick<Wish, 'pointer'>, detail: string): never => {
  throw new Problem('invalid-request', { errors: [{ detail, pointer }] })
}

/**
 * Holds a new password to the policy; answers what of it must go on record with the change.
 *
 * @throws Problem `invalid-request` with the reason, or `unavailable` when leaked passwords cannot be looked up and must be
 */
export async function admitPassword(scope: Scope, wish: Wish): Promise<ReturnType<typeof auditEntry>[]> {
  const { productName, breach } = scope.config
  const refusal = refusalOf(wish.password, { productName, email: wish.email, common: COMMON_PASSWORDS })
  if (refusal !== undefined) refuse(wish, refusal)
  const past = breach.check === 'off' ? 'clean' : await pastOf(scope, wish.password)
  if (past === 'breached') refuse(wish, ACCOUNT_FAULTS.passwordBreached)
  if (past !== 'unknown') return []
  if (breach.check === 'closed') throw new Problem('unavailable', { retryAfterSeconds: RETRY_SECONDS })
  return [auditEntry(scope, { action: 'password.unchecked', subject: wish.subject, actorId: scope.actor?.userId ?? 'anonymous' })]
}

/** Refuses a new password that is too short for the account; answers whether it leans on a second factor. @throws Problem `invalid-request` */
export function demandLength(wish: Pick<Wish, 'password' | 'pointer'>, hasSecondFactor: boolean): boolean {
  const isShort = [...wish.password].length < PASSWORD_CHARS_MIN
  if (isShort && !hasSecondFactor) refuse(wish, ACCOUNT_FAULTS.passwordShort)
  return isShort
}

/** Refuses a new password that is the one in use. @throws Problem `invalid-request` */
export function demandAnother(wish: Pick<Wish, 'password' | 'pointer'>, current: string): void {
  if (wish.password === current) refuse(wish, ACCOUNT_FAULTS.passwordSame)
}
