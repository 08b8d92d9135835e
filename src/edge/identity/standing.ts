import type { Factors } from '../../contract/factors.ts'
import { toMoment } from '../../contract/id.ts'
import { Problem } from '../../contract/problem.ts'
import type { Actor, Scope } from '../platform/scope.ts'
import { factorMethodsOf, type Standing, steppedUpUntil, stepUpMethodsOf } from './factor-policy.ts'
import { standingOf } from './factor-store.ts'

/** What the session that acts has proven, read anew. @throws Problem `session-ended` */
export async function standing(scope: Scope, { sessionId }: Pick<Actor, 'sessionId'>) {
  const [found] = await standingOf(scope.db, sessionId, scope.now())
  if (!found) throw new Problem('session-ended')
  return found
}

/** @throws Problem `step-up-required` that says what it takes */
export function demandStepUp(scope: Scope, at: Standing): void {
  if (steppedUpUntil(at, scope.now()) === undefined) throw new Problem('step-up-required', { methods: stepUpMethodsOf(at.enrolment) })
}

/** How the account can be signed in to, and what proves that it is its user. @throws Problem `session-ended` */
export async function factorsOf(scope: Scope, actor: Actor): Promise<Factors> {
  const at = await standing(scope, actor)
  const { enrolment } = at
  const until = steppedUpUntil(at, scope.now())
  return {
    hasPassword: enrolment.hasPassword > 0,
    hasTotp: enrolment.hasTotp > 0,
    passkeys: enrolment.passkeys,
    recoveryCodesLeft: enrolment.recoveryCodes,
    methods: factorMethodsOf(enrolment),
    stepUp: { methods: stepUpMethodsOf(enrolment), validUntil: until === undefined ? null : toMoment(until) },
  }
}
