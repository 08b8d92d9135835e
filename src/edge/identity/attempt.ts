import type { LimitState } from '../../contract/problem.ts'
import { type Charge, isEndless, stateOf } from '../platform/limiter/charge.ts'
import { chargeFor, chargesForPlace, hashOf, type Receipt, spend, spendInD1, tooMany } from '../platform/limiter/limiter.ts'
import type { Place } from '../platform/limiter/place.ts'
import type { Scope } from '../platform/scope.ts'

/** Who tries to sign in, and from where. */
export interface Knock {
  readonly email: string
  readonly place: Place
  /** The account's budget over all places. */
  readonly account: Charge
  /** When this account last signed in from this place, Unix milliseconds; `null` when it never did. */
  readonly lastSignInAt: number | null
}

/** A sign-in that may be tried, counted as failed until it succeeds. */
export interface Attempt {
  /** The account has failed too often for places it does not know: even the right password is refused, in the same words. */
  readonly isClosed: boolean
  /** This attempt is the one that closes it. */
  readonly isClosing: boolean
  /** What the caller may know: how often they may still try from here. */
  readonly limits: readonly LimitState[]
  /** Uncounts it, when it failed for a reason of ours. */
  readonly giveBack: () => void
}

/** A place as the database knows it. */
export const placeHash = (scope: Scope, place: Place) => (place.isUnknown ? null : hashOf(scope, ['sign-in-place', place.prefix]))

/** The budget of an account over all places where it never signed in. */
export const accountCharge = (scope: Scope, email: string) => chargeFor(scope, 'login-account', { subject: [email] })

/**
 * Takes what a sign-in costs before the password is looked at, so that parallel guesses count too.
 *
 * - Per account and place: a ladder in the place's object. A success from there clears it, by its time alone, so it costs no second call.
 * - Per place, when the account never signed in there: password spraying. A success does not clear it, or a guesser would use their own.
 * - Per account over all such places, in D1: it slows, and at 100 consecutive failures it closes the password to places that are new
 *   to the account (NIST SP 800-63B-4 §3.2.2), until a success from a known one or a recovery. Known places are not held to it and never
 *   closed, nor do sessions end: an outsider can lock nobody out of where they are. A lock of the whole account would be a weapon
 *   (ASVS 6.1.1); none at all would leave a botnet one guess per address.
 *
 * Unknown addresses are counted like known ones, by a hash, so nothing here tells them apart. There is no fuse: it would be anybody's to blow.
 *
 * @throws Problem `rate-limited`
 */
export async function admitAttempt(scope: Scope, { email, place, account, lastSignInAt }: Knock): Promise<Attempt> {
  const isKnown = lastSignInAt !== null
  const own = await chargeFor(scope, 'login', { subject: [email, place.prefix], clearedAt: lastSignInAt ?? 0 })
  const here = await spend(scope, { place }, [own, ...(isKnown ? [] : await chargesForPlace(scope, 'login-place', place))])
  if (!here.isAdmitted) throw tooMany(scope, here)
  const everywhere = isKnown ? undefined : await spendEverywhere(scope, account, here)
  const [standingHere] = here.standings
  const [standing] = everywhere?.standings ?? []
  const isClosed = standing !== undefined && !standing.isAdmitted && isEndless(standing)
  if (everywhere && !everywhere.isAdmitted && !isClosed) {
    here.giveBack()
    throw tooMany(scope, everywhere)
  }
  return {
    isClosed,
    isClosing: standing?.isAdmitted === true && isEndless(standing),
    limits: standingHere ? [stateOf(own, standingHere)] : [],
    giveBack() {
      here.giveBack()
      if (everywhere?.isAdmitted) everywhere.giveBack()
    },
  }
}

/** An outage between the two must not cost the caller one of five tries. */
async function spendEverywhere(scope: Scope, account: Charge, here: Receipt): Promise<Receipt> {
  try {
    return await spendInD1(scope, [account])
  } catch (error) {
    here.giveBack()
    throw error
  }
}
