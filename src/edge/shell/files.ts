import { FILE_BYTES_MAX, FILE_SECONDS_MAX, type FileList, type WrittenFile } from '../../contract/files.ts'
import type { HostId } from '../../contract/hosts.ts'
import type { StreamAnswer } from '../http/implement.ts'
import { open } from '../platform/rpc.ts'
import type { Actor, Scope } from '../platform/scope.ts'
import { beginOnHost } from './beginning.ts'
import { groundFor } from './ground.ts'
import type { FileOrder } from './rpc.ts'

const NOBODY_WATCHES = 'The organisation asks for a watcher, and nobody can watch a transfer.'
const ASKS_LIVE = 'This host asks its questions live.'

interface Wanted {
  readonly hostId: HostId
  readonly op: FileOrder['op']
  readonly path: string
  readonly overwrite?: boolean
}

/** Puts a transfer on record before it begins. @throws Problem `not-found`, `forbidden`, `step-up-required`, `access-required`, `limit-reached` or `host-refused` */
async function beginTransfer(scope: Scope, actor: Actor, { hostId, op, path, overwrite = false }: Wanted): Promise<FileOrder> {
  const { userId, sessionId } = actor
  const ground = await groundFor(scope, { hostId, userId, sessionId, actor, use: 'files' })
  const order = await beginOnHost(scope, ground, {
    userId,
    sessionId,
    asked: { file: { op, path } },
    command: `sftp ${op} ${path}`,
    timeoutSeconds: FILE_SECONDS_MAX,
    act: { action: `file.${op}`, cause: `${hostId} ${path}` },
    refusals: { asksLive: ASKS_LIVE, nobodyWatches: NOBODY_WATCHES },
  })
  return { ...order, op, path, roots: ground.policy.fileRoots ?? ['/'], bytesMax: FILE_BYTES_MAX, overwrite }
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
