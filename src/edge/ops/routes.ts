import { healthEndpoints as api } from '../../contract/health.ts'
import { type EdgeApp, implement } from '../http/implement.ts'
import { type Probes, readiness } from './health.ts'
import { demandScraper, metricsText, type Sources } from './metrics.ts'

/** What the whole program says of itself. */
interface Parts {
  readonly probes: Probes
  readonly sources: Sources
}

/** Mounts health and metrics over the parts of the whole program. */
export function mountOps(app: EdgeApp, { probes, sources }: Parts): void {
  implement(app, api.getLive, async () => ({ status: 'live' as const }))
  implement(app, api.getReady, async ({ scope, reply }) => {
    const answer = await readiness(scope, probes)
    if (answer.status === 'down') reply.status = 503
    return answer
  })
  // Prometheus asks for its own text, at a path and with a credential of its own: no operation of the contract.
  app.get('/metrics', async (c) => {
    c.set('route', '/metrics')
    const scope = c.get('scope')
    await demandScraper(scope, c.req.header('authorization') ?? null)
    return c.body(await metricsText(scope, sources), 200, { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' })
  })
}
