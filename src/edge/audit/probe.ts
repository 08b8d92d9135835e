import type { Probe } from '../http/feature.ts'
import { kidOf } from './signing.ts'
import { sealingSummary } from './store.ts'

/** An entry that has waited this long means that neither requests nor the sweep get to sealing. */
const UNSEALED_AGE_MS_MAX = 300_000

/** Entries are sealed in time, and no chain was found broken. An old secret may go once nothing waits for the newest key. */
export const auditProbe: Probe = {
  isHard: false,
  check: async ({ config, db, now }) => {
    const [summary] = await sealingSummary(db, kidOf(config.keyring.version))
    const ageMs = summary?.oldest ? now() - summary.oldest : 0
    const broken = summary?.broken ?? 0
    return {
      ok: ageMs < UNSEALED_AGE_MS_MAX && broken === 0,
      detail: `oldest unsealed entry ${Math.round(ageMs / 1000)} s, ${broken} broken chains, ${summary?.oldKey ?? 0} signed with an old key`,
    }
  },
}
