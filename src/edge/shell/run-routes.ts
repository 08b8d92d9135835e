import { runEndpoints as api } from '../../contract/runs.ts'
import { type EdgeApp, implement } from '../http/implement.ts'
import { cancelRun, followRun, getRun, listRunHosts, listRuns, startRun } from './runs.ts'

/** Mounts commands on many hosts. */
export function mountRuns(app: EdgeApp): void {
  implement(app, api.startRun, ({ scope, actor, params, body }) => startRun(scope, actor, { orgId: params.orgId, input: body }))
  implement(app, api.listRuns, ({ scope, actor, params, query }) => listRuns(scope, actor, { orgId: params.orgId, query }))
  implement(app, api.getRun, ({ scope, actor, params }) => getRun(scope, actor, params.runId))
  implement(app, api.listRunHosts, ({ scope, actor, params, query }) => listRunHosts(scope, actor, { runId: params.runId, query }))
  implement(app, api.followRun, ({ scope, actor, params, request }) =>
    followRun(scope, actor, { runId: params.runId, lastEventId: request.headers.get('last-event-id') }),
  )
  implement(app, api.cancelRun, ({ scope, actor, params }) => cancelRun(scope, actor, params.runId))
}
