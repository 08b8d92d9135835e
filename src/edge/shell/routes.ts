import { shellEndpoints as api, shellSockets } from '../../contract/shell.ts'
import { type EdgeApp, implement, implementSocket } from '../http/implement.ts'
import { execCommand } from './exec.ts'
import { createHost, deleteHost, getHost, listHosts, scanHost } from './hosts.ts'
import { viewShell } from './join.ts'
import { closeShell, createShellTicket, getShell, listShells, openShell } from './service.ts'

/** Mounts the host and shell operations. */
export function mountShell(app: EdgeApp): void {
  implement(app, api.scanHost, ({ scope, actor, params, body }) => scanHost(scope, actor, { orgId: params.orgId, ...body }))
  implement(app, api.createHost, ({ scope, actor, params, body }) => createHost(scope, actor, { orgId: params.orgId, input: body }))
  implement(app, api.listHosts, ({ scope, actor, params, query }) => listHosts(scope, actor, { orgId: params.orgId, query }))
  implement(app, api.getHost, ({ scope, actor, params }) => getHost(scope, actor, params.hostId))
  implement(app, api.deleteHost, ({ scope, actor, params }) => deleteHost(scope, actor, params.hostId).then(() => undefined))
  implement(app, api.execCommand, ({ scope, actor, params, body }) => execCommand(scope, actor, { hostId: params.hostId, ...body }))
  implement(app, api.openShell, ({ scope, actor, body }) => openShell(scope, actor, body))
  implement(app, api.listShells, ({ scope, actor, query }) => listShells(scope, actor, query))
  implement(app, api.getShell, ({ scope, actor, params }) => getShell(scope, actor, params.shellId))
  implement(app, api.closeShell, ({ scope, actor, params }) => closeShell(scope, actor, params.shellId).then(() => undefined))
  implement(app, api.createShellTicket, ({ scope, actor, params }) => createShellTicket(scope, actor, params.shellId))
  implementSocket(app, shellSockets.viewShell, (upgrade) => viewShell(upgrade, upgrade.params.shellId))
}
