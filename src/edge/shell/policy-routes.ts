import { shellPolicyEndpoints as api } from '../../contract/shell-policy.ts'
import { shellUsageEndpoints as usage } from '../../contract/shell-usage.ts'
import { type EdgeApp, implement } from '../http/implement.ts'
import { decideAccess, endAccess, listAccessRequests, requestAccess } from './access.ts'
import { getShellPolicy, putShellPolicy } from './reach-policy.ts'
import { getShellUsage } from './usage.ts'

/** Mounts who may do what on hosts. */
export function mountShellPolicy(app: EdgeApp): void {
  implement(app, api.getShellPolicy, ({ scope, actor, params }) => getShellPolicy(scope, actor, params.orgId))
  implement(app, api.putShellPolicy, ({ scope, actor, params, body, ifMatch }) =>
    putShellPolicy(scope, actor, { orgId: params.orgId, policy: body, ifMatch }),
  )
  implement(app, usage.getShellUsage, ({ scope, actor, params }) => getShellUsage(scope, actor, params.orgId))
  implement(app, api.requestAccess, ({ scope, actor, params, body }) => requestAccess(scope, actor, { ...params, ...body }))
  implement(app, api.listAccessRequests, ({ scope, actor, params, query }) => listAccessRequests(scope, actor, { ...params, query }))
  implement(app, api.decideAccess, ({ scope, actor, params, body }) => decideAccess(scope, actor, { ...params, ...body }))
  implement(app, api.endAccess, ({ scope, actor, params }) => endAccess(scope, actor, params.requestId).then(() => undefined))
}
