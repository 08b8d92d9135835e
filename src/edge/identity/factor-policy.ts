import { type FactorMethod, STEP_UP_SECONDS, type StepUpMethod } from '../../contract/proof.ts'

/** What a user can prove themselves with, as SQLite counts it. */
export interface Enrolment {
  readonly hasPassword: number
  readonly hasTotp: number
  readonly passkeys: number
  readonly recoveryCodes: number
}

/** Whether a first factor that is not a passkey signs in no more by itself. */
export const hasSecond = ({ hasTotp, passkeys }: Enrolment): boolean => hasTotp > 0 || passkeys > 0

/** The second factors that an account can prove; none when it has none. Recovery codes stand in for one, they are none. */
export function factorMethodsOf(e: Enrolment): FactorMethod[] {
  if (!hasSecond(e)) return []
  return [
    ...(e.passkeys > 0 ? (['passkey'] as const) : []),
    ...(e.hasTotp > 0 ? (['totp'] as const) : []),
    ...(e.recoveryCodes > 0 ? (['recovery-code'] as const) : []),
  ]
}

/** What proves again that it is the user: the password only where it is the only factor. */
export function stepUpMethodsOf(e: Enrolment): StepUpMethod[] {
  if (hasSecond(e)) return factorMethodsOf(e)
  return e.hasPassword > 0 ? ['password'] : []
}

/** What a session has proven. */
export interface Standing {
  /** RFC 8176 values, apart by spaces. */
  readonly amr: string
  readonly authenticatedAt: number
  readonly enrolment: Enrolment
}

/** Until when a session may do what is sensitive: as much as its user could prove, proven lately. Nothing when it may not. */
export function steppedUpUntil({ amr, authenticatedAt, enrolment }: Standing, now: number): number | undefined {
  const until = authenticatedAt + STEP_UP_SECONDS * 1000
  const isWhole = !hasSecond(enrolment) || amr.split(' ').includes('mfa')
  return isWhole && until > now ? until : undefined
}
