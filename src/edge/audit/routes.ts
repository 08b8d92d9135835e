import { auditEndpoints as api } from '../../contract/audit.ts'
import { Problem } from '../../contract/problem.ts'
import { type EdgeApp, implement } from '../http/implement.ts'
import { rememberRequest } from './country.ts'
import { activityPage } from './listing.ts'
import { publicKeyOf } from './signing.ts'

/** Mounts what needs no organisation; the rest of the record is mounted where its owners are known. */
export function mountAudit(app: EdgeApp): void {
  app.use((c, next) => {
    rememberRequest(c.get('scope').trace, c.req.raw)
    return next()
  })
  implement(app, api.listMyActivity, ({ scope, actor, query }) => activityPage(scope, actor.userId, query))
  implement(app, api.getAuditKey, async ({ scope, params }) => {
    const key = await publicKeyOf(scope.config.keyring, params.kid)
    if (!key) throw new Problem('not-found')
    return key
  })
}
