import { FileList, type WrittenFile } from '../../contract/files.ts'
import { DATA_BYTES_MAX } from '../../contract/krp-frame.ts'
import { isProblem, Problem } from '../../contract/problem.ts'
import type { Scope } from '../platform/scope.ts'
import { watchAccess } from './access-watch.ts'
import { type Carried, createFileDigest, type FileDigest } from './file-digest.ts'
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

/** A transfer that ends with the access it was asked for with: then `denied` rejects with what that says. */
interface WatchedTransfer extends Transfer {
  readonly denied: Promise<never>
}

async function begin(scope: Scope, ctx: DurableObjectState, order: FileOrder): Promise<WatchedTransfer> {
  try {
    const transfer = await openTransfer(order, { ctx, config: scope.config, secretsFor: (relay) => openSecrets(scope, order, relay) })
    noteConnected(scope, ctx, order)
    const { promise: denied, reject } = Promise.withResolvers<never>()
    denied.catch(() => undefined)
    const unwatch = watchAccess(scope, { order, use: 'files' }, (problem) => {
      reject(problem)
      transfer.leave()
    })
    return {
      ...transfer,
      denied,
      leave() {
        unwatch()
        transfer.leave()
      },
    }
  } catch (error) {
    await noteRefusedKey(scope, order, error)
    throw await fail(scope, order, { error })
  }
}

/** The log has its end before anybody hears of it. */
async function fail(
  scope: Scope,
  order: FileOrder,
  { error, digest }: { readonly error: unknown; readonly digest?: FileDigest },
): Promise<unknown> {
  const problem = asProblem(error)
  const slug = isProblem(problem) ? problem.slug : 'internal'
  await writeEnd(scope, order, { state: 'failed', problem: slug, ...(await digest?.end()), endedAt: scope.now() })
  return problem
}

const done = (scope: Scope, order: FileOrder, end: Partial<Carried> & { readonly stdoutBytes?: number }) =>
  writeEnd(scope, order, { state: 'done', exitCode: 0, ...end, endedAt: scope.now() })

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
    await done(scope, order, { stdoutBytes: text.length })
    return FileList.parse(JSON.parse(text))
  } catch (error) {
    throw await fail(scope, order, { error })
  } finally {
    transfer.leave()
  }
}

/** Reads a file: bytes are asked of the host as they are taken, and a reader that goes away ends it. @throws Problem before the first byte */
export async function readFile(scope: Scope, ctx: DurableObjectState, order: FileOrder): Promise<ReadFile> {
  const transfer = await begin(scope, ctx, order)
  const bytes = transfer.fileBytes ?? 0
  const digest = createFileDigest()
  let given = 0
  const body = new ReadableStream({
    type: 'bytes',
    async pull(controller: ReadableByteStreamController) {
      try {
        const chunk = await Promise.race([transfer.denied, transfer.next()])
        if (chunk) {
          given += chunk.length
          // Who takes the chunk takes its memory.
          await digest.take(chunk)
          return controller.enqueue(chunk)
        }
        if (given !== bytes) throw new Problem('file-failed', { detail: 'The file changed while it was read.' })
        await done(scope, order, { stdoutBytes: given, ...(await digest.end()) })
        transfer.leave()
        controller.close()
        // A pending BYOB request must be answered for the close to show.
        controller.byobRequest?.respond(0)
      } catch (error) {
        transfer.leave()
        controller.error(await fail(scope, order, { error, digest }))
      }
    },
    async cancel() {
      transfer.leave()
      await writeEnd(scope, order, { state: 'unknown', stdoutBytes: given, ...(await digest.end()), endedAt: scope.now() })
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
  const digest = createFileDigest()
  let bytes = 0
  try {
    const pieces = coalesced(parts.body)
    // Whoever sends nothing more is not waited for once they may not.
    for (;;) {
      const { value: chunk, done: isAll } = await Promise.race([transfer.denied, pieces.next()])
      if (isAll) break
      bytes += chunk.length
      if (bytes > order.bytesMax) throw new Problem('payload-too-large')
      await Promise.race([transfer.denied, transfer.send(chunk)])
      await digest.take(chunk)
    }
    await transfer.finish()
    await done(scope, order, await digest.end())
    return { bytes }
  } catch (error) {
    throw await fail(scope, order, { error, digest })
  } finally {
    transfer.leave()
  }
}
