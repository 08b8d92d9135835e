import { sql } from 'drizzle-orm'
import type { SteppedUp, StepUp } from '../../contract/factors.ts'
import { toMoment } from '../../contract/id.ts'
import { Problem } from '../../contract/problem.ts'
import { STEP_UP_SECONDS } from '../../contract/proof.ts'
import type { PasskeyRequestOptions } from '../../contract/webauthn.ts'
import { auditIfChanged } from '../audit/service.ts'
import type { Actor, Scope } from '../platform/scope.ts'
import { forgetSession } from './access-token.ts'
import { drawChallenge, requestOptions } from './ceremony.ts'
import { provePassword } from './current-password.ts'
import { stepUpMethodsOf } from './factor-policy.ts'
import { proveFactor } from './factor-proof.ts'
import { raiseSession } from './factor-store.ts'
import { passkeysOf } from './passkey-store.ts'
import { standing } from './standing.ts'

const purposeOf = ({ sessionId }: Actor) => ({ ceremony: 'step-up', binding: sessionId }) as const

/** What a passkey must sign to prove again whose session this is. */
export async function startStepUpPasskey(scope: Scope, actor: Actor): Promise<PasskeyRequestOptions> {
  const challenge = await drawChallenge(scope, purposeOf(actor))
  return requestOptions(scope, challenge, await passkeysOf(scope.db, actor.userId))
}

/**
 * Proves again that it is the user, with as much as they could prove at sign-in.
 *
 * @throws Problem `step-up-required` when the method proves too little, `credentials-invalid`, `code-invalid`, `passkey-invalid`,
 * `rate-limited` after too many wrong tries, `session-ended`
 */
export async function stepUp(scope: Scope, actor: Actor, proof: StepUp): Promise<SteppedUp> {
  const { user, enrolment } = await standing(scope, actor)
  const allowed = stepUpMethodsOf(enrolment)
  if (!allowed.includes(proof.method)) throw new Problem('step-up-required', { methods: allowed })
  const methods =
    proof.method === 'password'
      ? await provePassword(scope, user, proof.password).then(() => ['pwd'] as const)
      : await proveFactor(scope, user, { proof, purpose: purposeOf(actor), door: 'session' })
  const now = scope.now()
  const [raised] = await scope.db.batch([
    raiseSession(scope.db, { ...actor, now }, { methods, condition: sql`true` }),
    auditIfChanged(scope, { action: 'session.step-up', subject: actor.sessionId, cause: proof.method }),
  ])
  if (raised.meta.changes === 0) {
    forgetSession(actor.sessionId)
    throw new Problem('session-ended')
  }
  return { validUntil: toMoment(now + STEP_UP_SECONDS * 1000) }
}
