import { COMMAND_FILE_PATH, commandEndpoints as log } from '../../contract/commands.ts'
import { hostEndpoints as hosts } from '../../contract/hosts.ts'
import { oversightEndpoints as watch } from '../../contract/oversight.ts'
import { RECORDING_FILE_PATH, recordingEndpoints as record } from '../../contract/recordings.ts'
import { shellEndpoints as api, shellSockets } from '../../contract/shell.ts'
import { sshCaEndpoints as ca } from '../../contract/ssh-ca.ts'
import { type EdgeApp, implement, implementSocket } from '../http/implement.ts'
import { createCommandExport, listCommands, openCommandFile } from './command-log.ts'
import { execCommand, stopCommand, streamCommand } from './exec.ts'
import { mountFiles } from './file-routes.ts'
import { mountHooks } from './hook-routes.ts'
import { createHost, deleteHost, getHost, listHosts, scanHost, updateHost } from './hosts.ts'
import { viewShell } from './join.ts'
import { liveShells } from './live-door.ts'
import { getOversight, putOversight } from './oversight.ts'
import { mountShellPolicy } from './policy-routes.ts'
import { createRecordingFile, openRecordingFile } from './recording-file.ts'
import { searchRecordings } from './recording-search.ts'
import { verifyRecording } from './recording-verify.ts'
import { getRecording, listChunks, listRecordings } from './recordings.ts'
import { mountRuns } from './run-routes.ts'
import { closeShell, createShellTicket, getShell, listOrgShells, listShells, openShell } from './service.ts'
import { createSshCaKey, deleteSshCaKey, getSshCa } from './ssh-ca.ts'

/** Mounts the host and shell operations. */
export function mountShell(app: EdgeApp): void {
  mountRuns(app)
  mountShellPolicy(app)
  mountFiles(app)
  mountHooks(app)
  implement(app, hosts.scanHost, ({ scope, actor, params, body }) => scanHost(scope, actor, { orgId: params.orgId, ...body }))
  implement(app, hosts.createHost, ({ scope, actor, params, body }) => createHost(scope, actor, { orgId: params.orgId, input: body }))
  implement(app, hosts.listHosts, ({ scope, actor, params, query }) => listHosts(scope, actor, { orgId: params.orgId, query }))
  implement(app, hosts.getHost, ({ scope, actor, params }) => getHost(scope, actor, params.hostId))
  implement(app, hosts.updateHost, ({ scope, actor, params, body }) => updateHost(scope, actor, { hostId: params.hostId, change: body }))
  implement(app, hosts.deleteHost, ({ scope, actor, params }) => deleteHost(scope, actor, params.hostId).then(() => undefined))
  implement(app, ca.getSshCa, ({ scope, actor, params }) => getSshCa(scope, actor, params.orgId))
  implement(app, ca.createSshCaKey, ({ scope, actor, params }) => createSshCaKey(scope, actor, params.orgId))
  implement(app, ca.deleteSshCaKey, ({ scope, actor, params }) => deleteSshCaKey(scope, actor, params).then(() => undefined))
  implement(app, api.execCommand, ({ scope, actor, params, body }) => execCommand(scope, actor, { hostId: params.hostId, ...body }))
  implement(app, api.streamCommand, ({ scope, actor, params, body }) => streamCommand(scope, actor, { hostId: params.hostId, ...body }))
  implement(app, api.stopCommand, ({ scope, actor, params }) => stopCommand(scope, actor, params.shellId))
  implement(app, api.openShell, ({ scope, actor, body }) => openShell(scope, actor, body))
  implement(app, api.listShells, ({ scope, actor, query }) => listShells(scope, actor, query))
  implement(app, api.listOrgShells, ({ scope, actor, params, query }) => listOrgShells(scope, actor, { orgId: params.orgId, query }))
  implement(app, api.getShell, ({ scope, actor, params }) => getShell(scope, actor, params.shellId))
  implement(app, api.closeShell, ({ scope, actor, params }) => closeShell(scope, actor, params.shellId).then(() => undefined))
  implement(app, api.createShellTicket, ({ scope, actor, params }) => createShellTicket(scope, actor, params.shellId))
  implementSocket(app, shellSockets.liveShells, liveShells)
  implementSocket(app, shellSockets.viewShell, (upgrade) => viewShell(upgrade, upgrade.params.shellId))
  mountRecordings(app)
}

function mountRecordings(app: EdgeApp): void {
  implement(app, watch.getOversight, ({ scope, actor, params }) => getOversight(scope, actor, params.orgId))
  implement(app, watch.putOversight, ({ scope, actor, params, body }) => putOversight(scope, actor, { ...params, wanted: body }))
  implement(app, record.listRecordings, ({ scope, actor, params, query }) => listRecordings(scope, actor, { ...params, query }))
  implement(app, record.searchRecordings, ({ scope, actor, params, query }) => searchRecordings(scope, actor, { ...params, query }))
  implement(app, record.getRecording, ({ scope, actor, params }) => getRecording(scope, actor, params.shellId))
  implement(app, record.listRecordingChunks, ({ scope, actor, params, query }) => listChunks(scope, actor, { ...params, query }))
  implement(app, record.verifyRecording, ({ scope, actor, params, query }) =>
    verifyRecording(scope, actor, { ...params, cursor: query.cursor }),
  )
  implement(app, record.createRecordingFile, ({ scope, actor, params, body }) =>
    createRecordingFile(scope, actor, { ...params, wanted: body }),
  )
  implement(app, log.listCommands, ({ scope, actor, params, query }) => listCommands(scope, actor, { ...params, query }))
  implement(app, log.createCommandExport, ({ scope, actor, params, body }) =>
    createCommandExport(scope, actor, { ...params, wanted: body }),
  )
  // Files, not JSON: they stream past the contract's answer.
  app.get(COMMAND_FILE_PATH, (c) => {
    c.set('route', COMMAND_FILE_PATH)
    return openCommandFile(c.get('scope'), { orgId: c.req.param('orgId'), url: c.req.url })
  })
  app.get(RECORDING_FILE_PATH, (c) => {
    c.set('route', RECORDING_FILE_PATH)
    return openRecordingFile(c.get('scope'), { shellId: c.req.param('shellId'), url: c.req.url })
  })
}
