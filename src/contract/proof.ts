import * as z from 'zod'
import { PasskeyAssertion } from './webauthn.ts'

/** Wrong tries of one sign-in before it must be started again. */
export const FACTOR_TRIES_MAX = 5
/** How long a sign-in waits for its second factor. */
export const PENDING_TTL_SECONDS = 600
/** How long a proven factor opens sensitive operations. */
export const STEP_UP_SECONDS = 300
/** Digits of a code of an authenticator app (RFC 6238). */
export const TOTP_DIGITS = 6
/** How many recovery codes a set has. */
export const RECOVERY_CODES = 10
/** Characters of a recovery code: 50 bits in base32. */
export const RECOVERY_CODE_CHARS = 10

/** The ways to prove a second factor. */
export const FactorMethod = z.enum(['passkey', 'totp', 'recovery-code']).meta({ id: 'FactorMethod' })
/** The ways to prove a second factor. */
export type FactorMethod = z.infer<typeof FactorMethod>

/** The ways to prove oneself again while signed in. */
export const StepUpMethod = z.enum(['password', ...FactorMethod.options]).meta({ id: 'StepUpMethod' })
/** The ways to prove oneself again while signed in. */
export type StepUpMethod = z.infer<typeof StepUpMethod>

/** A code of an authenticator app; a space in the middle is how many of them show it. */
export const TotpCode = z
  .string()
  .max(20)
  .transform((s) => s.replace(/\s/g, ''))
  .pipe(z.string().regex(new RegExp(`^\\d{${TOTP_DIGITS}}$`)))

/** A recovery code as it was shown; letter case, spaces and dashes do not matter, and o, i and l are read as the digits they look like. */
export const RecoveryCode = z
  .string()
  .max(40)
  .transform((s) => s.toLowerCase().replace(/[\s-]/g, '').replaceAll('o', '0').replace(/[il]/g, '1'))
  .pipe(z.string().regex(new RegExp(`^[0-9a-hjkmnp-tv-z]{${RECOVERY_CODE_CHARS}}$`)))

const TotpProof = z.strictObject({ method: z.literal('totp'), code: TotpCode })
const RecoveryProof = z.strictObject({ method: z.literal('recovery-code'), code: RecoveryCode })
const PasskeyProof = z.strictObject({ method: z.literal('passkey'), assertion: PasskeyAssertion })

/** A second factor, proven. */
export const FactorProof = z.discriminatedUnion('method', [TotpProof, RecoveryProof, PasskeyProof]).meta({ id: 'FactorProof' })
/** A second factor, proven. */
export type FactorProof = z.output<typeof FactorProof>
