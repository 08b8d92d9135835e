import { Problem } from '../../contract/problem.ts'
import { runEndpoints as api, RunId } from '../../contract/runs.ts'
import { type EdgeApp, implement } from '../http/implement.ts'
import { accessTokenOf } from '../http/session.ts'
import { cancelRun, followRun, getRun, listRunHosts, listRuns, startRun } from './runs.ts'

const EVENTS_PATH = '/v1/runs/:runId/events'

/** Mounts commands on many hosts. */
export function mountRuns(app: EdgeApp): void {
  implement(app, api.startRun, ({ scope, actor, params, body }) => startRun(scope, actor, { orgId: params.orgId, input: body }))
  implement(app, api.listRuns, ({ scope, actor, params, query }) => listRuns(scope, actor, { orgId: params.orgId, query }))
  implement(app, api.getRun, ({ scope, actor, params }) => getRun(scope, actor, params.runId))
  implement(app, api.listRunHosts, ({ scope, actor, params, query }) => listRunHosts(scope, actor, { runId: params.runId, query }))
  implement(app, api.cancelRun, ({ scope, actor, params }) => cancelRun(scope, actor, params.runId))
  // A stream, not JSON: it goes on past the contract's answer.
  app.get(EVENTS_PATH, async (c) => {
    c.set('route', EVENTS_PATH)
    const scope = c.get('scope')
    const actor = await c.get('authenticate')(scope, accessTokenOf(c.req.raw, scope.config), { scope: 'shells:read' })
    const runId = RunId.safeParse(c.req.param('runId'))
    if (!runId.success) throw new Problem('not-found')
    return followRun(scope, actor, { runId: runId.data, lastEventId: c.req.header('last-event-id') ?? null })
  })
}
