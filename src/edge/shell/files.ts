import { FILE_BYTES_MAX, FILE_SECONDS_MAX, type FileList, type WrittenFile } from '../../contract/files.ts'
import type { HostId } from '../../contract/hosts.ts'
import { Problem } from '../../contract/problem.ts'
import { ShellId } from '../../contract/shell.ts'
import { auditIfChanged } from '../audit/service.ts'
import type { StreamAnswer } from '../http/implement.ts'
import { commit } from '../platform/outbox/outbox.ts'
import { open } from '../platform/rpc.ts'
import type { Actor, Scope } from '../platform/scope.ts'
import { traceparentOf } from '../platform/trace.ts'
import { askHooks, hooksNow } from './hook-ask.ts'
import { hostFor, requireSsh, targetOf } from './hosts.ts'
import { oversightIn } from './oversight.ts'
import { mayOperate } from './policy.ts'
import { requireUse } from './reach-policy.ts'
import type { FileOrder } from './rpc.ts'
import { startRefused } from './starting.ts'
import { insertCommand } from './store.ts'

const NOBODY_WATCHES = 'The organisation asks for a watcher, and nobody can watch a transfer.'

interface Wanted {
  readonly hostId: HostId
  readonly op: FileOrder['op']
  readonly path: string
  readonly overwrite?: boolean
}

/** Puts a transfer on record before it begins. @throws Problem `not-found`, `forbidden`, `step-up-required`, `access-required`, `limit-reached` or `host-refused` */
async function beginTransfer(scope: Scope, actor: Actor, { hostId, op, path, overwrite = false }: Wanted): Promise<FileOrder> {
  const { host, role } = await hostFor(scope, actor, hostId)
  if (!mayOperate(role)) throw new Problem('forbidden')
  requireSsh(host)
  const { fileRoots } = await requireUse(scope, { orgId: host.orgId, use: 'files', actor })
  const [{ needsWatcher }, hooks] = await Promise.all([oversightIn(scope, host.orgId), hooksNow(scope, host.orgId)])
  if (needsWatcher) throw new Problem('forbidden', { detail: NOBODY_WATCHES })
  if (host.login === 'keyboard-interactive') throw new Problem('host-refused', { detail: 'This host asks its questions live.' })
  const target = await targetOf(scope, host)
  const shellId = ShellId.parse(scope.newId('shl'))
  const { userId } = actor
  const hooked = await askHooks(scope, hooks, { shellId, userId, use: 'files', host, what: { file: { op, path } } })
  const command = `sftp ${op} ${path}`
  const quotas = scope.config.shellQuotas
  const results = (await commit(scope, [
    insertCommand(scope.db, { id: shellId, hostId, userId, command, timeoutSeconds: FILE_SECONDS_MAX, now: scope.now(), quotas }),
    auditIfChanged(scope, { action: `file.${op}`, subject: shellId, orgId: host.orgId, cause: `${hostId} ${path}` }),
  ])) as readonly D1Result[]
  if (results[0]?.meta.changes !== 1) throw await startRefused(scope, { userId, hostId })
  const traceparent = traceparentOf(scope.trace)
  return {
    shellId,
    orgId: host.orgId,
    userId,
    traceparent,
    target,
    op,
    path,
    roots: fileRoots ?? ['/'],
    bytesMax: FILE_BYTES_MAX,
    overwrite,
    ...hooked,
  }
}

const objectOf = ({ env }: Scope, { shellId }: FileOrder) => env.SHELLS.getByName(shellId)

/** What lies in a folder of a host. @throws Problem of {@link beginTransfer}, of the relay, or `file-…` */
export async function listFiles(scope: Scope, actor: Actor, at: { readonly hostId: HostId; readonly path: string }): Promise<FileList> {
  const order = await beginTransfer(scope, actor, { ...at, op: 'list' })
  return open(objectOf(scope, order).listFiles(order))
}

/** A file of a host, as bytes. What breaks after the first byte breaks the answer. @throws Problem as {@link listFiles} */
export async function readFile(scope: Scope, actor: Actor, at: { readonly hostId: HostId; readonly path: string }): Promise<StreamAnswer> {
  const order = await beginTransfer(scope, actor, { ...at, op: 'read' })
  const { bytes, body } = await open(objectOf(scope, order).readFile(order))
  const name = encodeURIComponent(at.path.slice(at.path.lastIndexOf('/') + 1))
  return {
    body: body.pipeThrough(new FixedLengthStream(bytes)),
    headers: { 'content-disposition': `attachment; filename*=UTF-8''${name}` },
  }
}

/** Writes a file on a host: it appears whole or not at all. @throws Problem as {@link listFiles}, or `payload-too-large` */
export async function writeFile(
  scope: Scope,
  actor: Actor,
  at: { readonly hostId: HostId; readonly path: string; readonly overwrite: boolean; readonly body: ReadableStream<Uint8Array> },
): Promise<WrittenFile> {
  const { body, ...wanted } = at
  const order = await beginTransfer(scope, actor, { ...wanted, op: 'write' })
  return open(objectOf(scope, order).writeFile(order, body))
}
