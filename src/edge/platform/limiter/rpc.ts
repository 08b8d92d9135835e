import type { Charge, Standing } from './charge.ts'

/** What the rest of the edge may ask a limiter object. */
export interface LimiterRpc extends Rpc.DurableObjectBranded {
  /** Takes one unit of each budget, or of none: one that is blocked leaves the others as they were. */
  charge(charges: readonly Charge[]): Promise<readonly Standing[]>
  /** Gives one unit back to each. */
  giveBack(keys: readonly string[]): Promise<void>
}
