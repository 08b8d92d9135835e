import type { LimitName } from '../../contract/endpoint.ts'
import { type LimitState, Problem } from '../../contract/problem.ts'
import { stateOf } from '../platform/limiter/charge.ts'
import { chargeFor, chargesForPlace, type Receipt, spend, tooMany } from '../platform/limiter/limiter.ts'
import type { BudgetName } from '../platform/limiter/limits.ts'
import { type Place, placeOf } from '../platform/limiter/place.ts'
import { describeError } from '../platform/log.ts'
import type { Actor, Scope } from '../platform/scope.ts'

/** The `[[ratelimits]]` of wrangler.toml, which the binding itself does not tell. */
export const SHED: Pick<LimitState, 'policy' | 'quota' | 'windowSeconds'> = { policy: 'shed', quota: 1_000, windowSeconds: 60 }

/** The fields of draft-ietf-httpapi-ratelimit-headers-11; names and numbers are ours, so nothing needs escaping. */
export function setLimitHeaders(headers: Headers, limits: readonly LimitState[]): void {
  if (limits.length === 0) return
  const policies = limits.map((l) => `"${l.policy}";q=${l.quota};w=${l.windowSeconds}`)
  const states = limits.map((l) => `"${l.policy}";r=${l.remaining}${l.resetSeconds === undefined ? '' : `;t=${l.resetSeconds}`}`)
  headers.set('ratelimit-policy', policies.join(', '))
  headers.set('ratelimit', states.join(', '))
}

/**
 * Turns a flood away before it costs more than a look: what the binding counts is approximate and per location, so it refuses only
 * what every exact budget would refuse too. Refreshes have no other limit: a token that we did not make is refused without storage.
 *
 * @throws Problem `rate-limited`
 */
export async function shed(scope: Scope, limit: LimitName, request: Request): Promise<void> {
  const { SHED: binding } = scope.env
  if (!binding || limit === 'none' || limit === 'write') return
  try {
    const { success } = await binding.limit({ key: placeOf(request.headers).prefix })
    if (success) return
  } catch (error) {
    scope.log('limit.shedless', describeError(error))
    return
  }
  const state: LimitState = { ...SHED, remaining: 0, resetSeconds: SHED.windowSeconds }
  throw new Problem('rate-limited', { retryAfterSeconds: SHED.windowSeconds, limits: [state] })
}

const spendAt = async (scope: Scope, budget: BudgetName, place: Place): Promise<Receipt> =>
  spend(scope, { place }, await chargesForPlace(scope, budget, place))

/** The fuse behind a place's own budget; a call that the place may not make does not touch it. */
async function spendPublic(scope: Scope, limit: 'register' | 'mail' | 'code', place: Place): Promise<Receipt> {
  const own = await spendAt(scope, limit, place)
  if (!own.isAdmitted) return own
  const budget = `${limit}-global` as const
  const fuse = await spend(scope, { fuse: budget }, [await chargeFor(scope, budget, { subject: [] })])
  if (fuse.isAdmitted) return own
  own.giveBack()
  return fuse
}

function spendFor(scope: Scope, limit: LimitName, by: { readonly request: Request; readonly actor: Actor | undefined }) {
  const place = placeOf(by.request.headers)
  if (limit === 'register' || limit === 'mail' || limit === 'code') return spendPublic(scope, limit, place)
  if (limit === 'factor') return spendAt(scope, 'factor-place', place)
  if (limit === 'write' && by.actor) return spendWrite(scope, by.actor)
  return undefined
}

async function spendWrite(scope: Scope, { userId }: Actor): Promise<Receipt> {
  return spend(scope, { userId }, [await chargeFor(scope, 'write', { subject: [userId] })])
}

/** Takes what a call of this limit costs; `login` is charged where the account is known. @throws Problem `rate-limited` */
export async function chargeCall(
  scope: Scope,
  limit: LimitName,
  by: { readonly request: Request; readonly actor: Actor | undefined },
): Promise<readonly LimitState[]> {
  const receipt = await spendFor(scope, limit, by)
  if (!receipt) return []
  if (!receipt.isAdmitted) throw tooMany(scope, receipt)
  const [charge] = receipt.charges
  const [standing] = receipt.standings
  return charge && standing ? [stateOf(charge, standing)] : []
}
