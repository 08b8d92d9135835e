import { FileList, type WrittenFile } from '../../contract/files.ts'
import { DATA_BYTES_MAX } from '../../contract/krp-frame.ts'
import { isProblem, Problem } from '../../contract/problem.ts'
import type { Scope } from '../platform/scope.ts'
import { watchAccess } from './access-watch.ts'
import { asProblem, noteConnected, noteRefusedKey, writeEnd } from './orders.ts'
import type { FileOrder } from './rpc.ts'
import { openSecrets } from './secrets.ts'
import { openTransfer, type Transfer } from './transfer.ts'

/** A list is never longer. */
const LIST_BYTES_MAX = 4 * 1024 * 1024

/** What is read, as it comes. */
export interface ReadFile {
  readonly bytes: number
  readonly body: ReadableStream<Uint8Array>
}

async function begin(scope: Scope, ctx: DurableObjectState, order: FileOrder): Promise<Transfer> {
  try {
    const transfer = await openTransfer(order, { ctx, config: scope.config, secretsFor: (relay) => openSecrets(scope, order, relay) })
    noteConnected(scope, ctx, order)
    const unwatch = watchAccess(scope, { order, use: 'files' }, transfer.leave)
    return {
      ...transfer,
      leave() {
        unwatch()
        transfer.leave()
      },
    }
  } catch (error) {
    await noteRefusedKey(scope, order, error)
    throw await fail(scope, order, error)
  }
}

/** The log has its end before anybody hears of it. */
async function fail(scope: Scope, order: FileOrder, error: unknown): Promise<unknown> {
  const problem = asProblem(error)
  await writeEnd(scope, order, { state: 'failed', problem: isProblem(problem) ? problem.slug : 'internal', endedAt: scope.now() })
  return problem
}

const done = (scope: Scope, order: FileOrder, bytes: number) =>
  writeEnd(scope, order, { state: 'done', exitCode: 0, ...(order.op === 'write' ? {} : { stdoutBytes: bytes }), endedAt: scope.now() })

/** Lists a folder. @throws Problem */
export async function listFiles(scope: Scope, ctx: DurableObjectState, order: FileOrder): Promise<FileList> {
  const transfer = await begin(scope, ctx, order)
  try {
    let text = ''
    const decoder = new TextDecoder()
    for (let chunk = await transfer.next(); chunk; chunk = await transfer.next()) {
      text += decoder.decode(chunk, { stream: true })
      if (text.length > LIST_BYTES_MAX) throw new Problem('file-failed')
    }
    await done(scope, order, text.length)
    return FileList.parse(JSON.parse(text))
  } catch (error) {
    throw await fail(scope, order, error)
  } finally {
    transfer.leave()
  }
}

/** Reads a file: bytes are asked of the host as they are taken, and a reader that goes away ends it. @throws Problem before the first byte */
export async function readFile(scope: Scope, ctx: DurableObjectState, order: FileOrder): Promise<ReadFile> {
  const transfer = await begin(scope, ctx, order)
  const bytes = transfer.fileBytes ?? 0
  let given = 0
  const body = new ReadableStream({
    type: 'bytes',
    async pull(controller: ReadableByteStreamController) {
      try {
        const chunk = await transfer.next()
        if (chunk) {
          given += chunk.length
          return controller.enqueue(chunk)
        }
        if (given !== bytes) throw new Problem('file-failed', { detail: 'The file changed while it was read.' })
        await done(scope, order, given)
        transfer.leave()
        controller.close()
        // A pending BYOB request must be answered for the close to show.
        controller.byobRequest?.respond(0)
      } catch (error) {
        transfer.leave()
        controller.error(await fail(scope, order, error))
      }
    },
    async cancel() {
      transfer.leave()
      await writeEnd(scope, order, { state: 'unknown', stdoutBytes: given, endedAt: scope.now() })
    },
  })
  return { bytes, body }
}

/** A request's body comes in small pieces; each piece of ours is a packet of the host's. */
async function* coalesced(body: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array> {
  let buffer = new Uint8Array(DATA_BYTES_MAX)
  let filled = 0
  for await (const chunk of body) {
    for (let at = 0; at < chunk.length; ) {
      const part = chunk.subarray(at, at + buffer.length - filled)
      buffer.set(part, filled)
      filled += part.length
      at += part.length
      if (filled < buffer.length) continue
      yield buffer
      buffer = new Uint8Array(DATA_BYTES_MAX)
      filled = 0
    }
  }
  if (filled > 0) yield buffer.subarray(0, filled)
}

/** Writes a file: it appears whole or not at all. @throws Problem */
export async function writeFile(
  scope: Scope,
  parts: { readonly ctx: DurableObjectState; readonly body: ReadableStream<Uint8Array> },
  order: FileOrder,
): Promise<WrittenFile> {
  const transfer = await begin(scope, parts.ctx, order)
  let bytes = 0
  try {
    for await (const chunk of coalesced(parts.body)) {
      bytes += chunk.length
      if (bytes > order.bytesMax) throw new Problem('payload-too-large')
      await transfer.send(chunk)
    }
    await transfer.finish()
    await done(scope, order, bytes)
    return { bytes }
  } catch (error) {
    throw await fail(scope, order, error)
  } finally {
    transfer.leave()
  }
}
