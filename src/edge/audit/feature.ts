import type { Feature } from '../http/feature.ts'
import { sweepCheckpoints } from './checkpoint.ts'
import { exportActivity } from './listing.ts'
import { auditProbe } from './probe.ts'
import { mountAudit } from './routes.ts'
import { sealPending } from './seal.ts'

export const audit: Feature = {
  name: 'audit',
  mount: mountAudit,
  personalData: {
    export: exportActivity,
    // Entries stay, or the record would prove nothing. They hold ids, a country and no address; once the user is forgotten, the id names nobody.
    erase: async () => undefined,
  },
  sweeps: { 'audit-seal': (scope) => sealPending(scope), 'audit-checkpoints': sweepCheckpoints },
  probes: { audit: auditProbe },
}
