import { healthEndpoints as api } from '../../contract/health.ts'
import { type EdgeApp, implement } from '../http/implement.ts'
import { type Probes, readiness } from './health.ts'

/** Mounts the health operations over the probes of the whole program. */
export function mountOps(app: EdgeApp, probes: Probes): void {
  implement(app, api.getLive, async () => ({ status: 'live' as const }))
  implement(app, api.getReady, async ({ scope, reply }) => {
    const answer = await readiness(scope, probes)
    if (answer.status === 'down') reply.status = 503
    return answer
  })
}
