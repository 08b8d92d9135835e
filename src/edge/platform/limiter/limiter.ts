import { Problem } from '../../../contract/problem.ts'
import { toBase64Url } from '../base64.ts'
import { describeError } from '../log.ts'
import type { Scope } from '../scope.ts'
import { within } from '../within.ts'
import { bindingsOf, CHARGE, type Charge, GIVE_BACK, type LimitRow, PEEK, type Standing, standingOf, stateOf } from './charge.ts'
import { type BudgetName, NETWORK_FACTOR, type Rule } from './limits.ts'
import type { Place } from './place.ts'

/** An object that has not answered by then is as good as gone for somebody who waits to sign in. */
const OBJECT_BUDGET_MS = 1_000
const PURPOSE = 'limit'

/** Keyed hash, so neither an object nor a row tells whose budget it is. */
export async function hashOf(scope: Scope, parts: readonly string[]): Promise<string> {
  const mac = await scope.config.keyring.mac(PURPOSE, new TextEncoder().encode(parts.join('|')))
  if (!mac) throw new Error('the newest secret has no version')
  return toBase64Url(mac)
}

/** A unit of a budget of somebody or something. */
export async function chargeFor(
  scope: Scope,
  budget: BudgetName,
  of: { readonly subject: readonly string[]; readonly clearedAt?: number },
): Promise<Charge> {
  const { clearedAt } = of
  const key = await hashOf(scope, [budget, ...of.subject])
  return { budget, key, rule: scope.config.limits[budget], ...(clearedAt === undefined ? {} : { clearedAt }) }
}

const timesFactor = ({ steps: [first] }: Rule): Rule => ({ steps: [{ ...first, count: first.count * NETWORK_FACTOR }] })

/** Units of a place's own budget, and of its network's where that is wider: who holds a /48 would walk through its /64s. */
export async function chargesForPlace(scope: Scope, budget: BudgetName, { prefix, network }: Place): Promise<readonly Charge[]> {
  const own = await chargeFor(scope, budget, { subject: [prefix] })
  if (network === prefix) return [own]
  const wide = await chargeFor(scope, budget, { subject: [network] })
  return [own, { ...wide, rule: timesFactor(wide.rule) }]
}

/** Where the counters of a place, a user, an organisation or a fuse live. An object is made near its first caller, so a place's is near that place. */
export type Shard = { readonly place: Place } | { readonly userId: string } | { readonly orgId: string } | { readonly fuse: BudgetName }

async function nameOf(scope: Scope, shard: Shard): Promise<string> {
  if ('fuse' in shard) return `fuse:${shard.fuse}`
  if ('orgId' in shard) return `org:${shard.orgId}`
  return 'place' in shard ? `place:${await hashOf(scope, ['shard', shard.place.network])}` : `user:${shard.userId}`
}

/** Units taken, or a refusal in which nothing was taken. */
export interface Receipt {
  readonly charges: readonly Charge[]
  readonly standings: readonly Standing[]
  readonly isAdmitted: boolean
  /** Gives the units back, after the answer: what they were for did not happen. */
  readonly giveBack: () => void
}

const receiptOf = (
  scope: Scope,
  taken: Pick<Receipt, 'charges' | 'standings'>,
  giveBack: (keys: readonly string[]) => Promise<unknown>,
): Receipt => ({
  ...taken,
  isAdmitted: taken.standings.every((s) => s.isAdmitted),
  giveBack: () =>
    scope.waitUntil(giveBack(taken.charges.map((c) => c.key)).catch((error: unknown) => scope.log('limit.kept', describeError(error)))),
})

/** Takes units in D1, in one transaction: what object-less budgets use always, and every other one while its object is out of reach. */
export async function spendInD1(scope: Scope, charges: readonly Charge[]): Promise<Receipt> {
  const { DB } = scope.env
  const now = scope.now()
  const statements = charges.flatMap((charge) => [DB.prepare(CHARGE).bind(...bindingsOf(charge, now)), DB.prepare(PEEK).bind(charge.key)])
  const results = await DB.batch<LimitRow>(statements)
  const rowAt = (i: number) => results[i]?.results[0]
  const standings = charges.map((_, i) => standingOf({ charged: rowAt(2 * i), blocking: rowAt(2 * i + 1) }, now))
  const giveBack = (keys: readonly string[]) => DB.batch(keys.map((key) => DB.prepare(GIVE_BACK).bind(key)))
  const taken = charges.filter((_, i) => standings[i]?.isAdmitted)
  if (0 < taken.length && taken.length < charges.length) await giveBack(taken.map((c) => c.key))
  return receiptOf(scope, { charges, standings }, giveBack)
}

/**
 * Takes a unit of each budget, or of none. One object call; when the object fails or is late, D1 counts from nothing, so an outage
 * of the one grants a quota more and never an open door. When both are out the call fails.
 */
export async function spend(scope: Scope, shard: Shard, charges: readonly Charge[]): Promise<Receipt> {
  const { LIMITERS } = scope.env
  const name = await nameOf(scope, shard)
  try {
    const standings = await within(LIMITERS.getByName(name).charge(charges), OBJECT_BUDGET_MS)
    return receiptOf(scope, { charges, standings }, (keys) => LIMITERS.getByName(name).giveBack(keys))
  } catch (error) {
    scope.log('limit.fallback', describeError(error))
    return spendInD1(scope, charges)
  }
}

/** The refusal that names every budget in the way, and the longest wait among them. */
export function tooMany(scope: Scope, { charges, standings }: Receipt): Problem {
  const limits = charges.flatMap((charge, i) => {
    const standing = standings[i]
    return standing && !standing.isAdmitted ? [stateOf(charge, standing)] : []
  })
  scope.log('limit.refused', { policy: limits.map((l) => l.policy).join(' ') })
  return new Problem('rate-limited', { retryAfterSeconds: Math.max(1, ...limits.map((l) => l.resetSeconds ?? 0)), limits })
}
