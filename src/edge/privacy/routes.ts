import { accountEndpoints as api } from '../../contract/account.ts'
import type { Feature } from '../http/feature.ts'
import { type EdgeApp, implement } from '../http/implement.ts'
import { forgetCookies } from '../identity/service.ts'
import { deleteAccount, exportAccount } from './service.ts'

/** Mounts the export of everything and the deletion of the account, over the features that keep something of a user. */
export function mountPrivacy(app: EdgeApp, features: readonly Feature[]): void {
  implement(app, api.exportMe, ({ scope, actor }) => exportAccount(scope, features, actor))
  implement(app, api.deleteMe, async ({ scope, actor, reply }) => {
    await deleteAccount(scope, actor)
    forgetCookies(reply.headers)
    return undefined
  })
}
