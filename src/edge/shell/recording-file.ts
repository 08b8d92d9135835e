import { Problem } from '../../contract/problem.ts'
import {
  CreateRecordingFile,
  RECORDING_FILE_PATH,
  RECORDING_FROM_HEADER,
  type RecordingFile,
  type RecordingFormat,
} from '../../contract/recordings.ts'
import { ShellId } from '../../contract/shell.ts'
import { auditOnce } from '../audit/service.ts'
import { demandLiveAccess } from '../identity/service.ts'
import type { Actor, Scope } from '../platform/scope.ts'
import { checkTicket, ticketedPath } from '../platform/ticket.ts'
import { createLineScreen } from './line-screen.ts'
import { type CastEvent, castHeader, castLines, createCastReader } from './recording-cast.ts'
import { damage, readChunks, type StoredChunk } from './recording-reader.ts'
import { type Beginning, seek, wantKeyframes } from './recording-seek.ts'
import { chunkAt, type RecordingRow } from './recording-store.ts'
import { watchable } from './recordings.ts'

const MEDIA: Readonly<Record<RecordingFormat, { readonly type: string; readonly ending: string }>> = {
  asciicast: { type: 'application/x-asciicast', ending: 'cast' },
  text: { type: 'text/plain; charset=utf-8', ending: 'txt' },
  raw: { type: 'application/octet-stream', ending: 'raw' },
}

/** Turns chunks into a file, piece by piece. */
interface Writer {
  readonly begin: () => string
  readonly chunk: (stored: StoredChunk) => string | Uint8Array
  readonly end: () => string
}

/** The path without its ticket: what the ticket is bound to, so it opens no other file. */
const pathOf = (shellId: ShellId, { format, purpose, fromMs }: CreateRecordingFile): string =>
  `${RECORDING_FILE_PATH.replace(':shellId', shellId)}?${new URLSearchParams({ format, purpose, fromMs: String(fromMs) })}`

/** A path that streams the recording once, within half a minute. @throws Problem `not-found` or `forbidden` */
export async function createRecordingFile(
  scope: Scope,
  actor: Actor,
  of: { readonly shellId: ShellId; readonly wanted: CreateRecordingFile },
): Promise<RecordingFile> {
  await watchable(scope, actor, of.shellId)
  return ticketedPath(scope, actor, pathOf(of.shellId, of.wanted))
}

/** The file behind such a path. The entry that records the look is also what uses the ticket up. @throws Problem `ticket-invalid`, `session-ended`, `not-found` or `forbidden` */
export async function openRecordingFile(scope: Scope, at: { readonly shellId: string; readonly url: string }): Promise<Response> {
  const { ticket = '', fromMs, ...rest } = Object.fromEntries(new URL(at.url).searchParams)
  const shellId = ShellId.safeParse(at.shellId).data
  const wanted = CreateRecordingFile.safeParse({ ...rest, fromMs: Number(fromMs ?? 0) }).data
  if (!shellId || !wanted) throw new Problem('ticket-invalid')
  const { actor, jti } = await checkTicket(scope, ticket, pathOf(shellId, wanted))
  await demandLiveAccess(scope, actor)
  const recording = await watchable(scope, actor, shellId)
  const act = { action: `recording.${wanted.purpose}`, subject: shellId, orgId: recording.orgId, cause: `${wanted.format} ${jti}` } as const
  if ((await auditOnce({ ...scope, actor }, act)).meta.changes !== 1) throw new Problem('ticket-invalid')
  const { type, ending } = MEDIA[wanted.format]
  const disposition = wanted.purpose === 'view' ? 'inline' : `attachment; filename="${shellId}.${ending}"`
  const { beginning, after } = await placeIn(scope, recording, wanted)
  const headers = {
    'content-type': type,
    'content-disposition': disposition,
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    [RECORDING_FROM_HEADER]: String(beginning?.atMs ?? 0),
  }
  return new Response(streamOf(readChunks(scope, recording, after), WRITERS[wanted.format](recording, beginning)), { headers })
}

/** Where a file begins: an asciicast at the moment, as far as one call finds it, others with its chunk. */
async function placeIn(scope: Scope, recording: RecordingRow, { format, fromMs }: CreateRecordingFile) {
  if (format === 'asciicast') {
    const beginning = await seek(scope, recording, { ms: fromMs })
    if (beginning && !beginning.isReached) await wantKeyframes(scope, recording, { ms: fromMs, after: beginning.seq })
    return { beginning, after: beginning?.seq ?? -1 }
  }
  const [chunk] = fromMs === 0 ? [] : await chunkAt(scope.db, recording.id, fromMs)
  return { beginning: undefined, after: (chunk?.seq ?? 0) - 1 }
}

/** A failure cuts the stream, so no file looks whole that is not. */
function streamOf(chunks: AsyncGenerator<StoredChunk>, writer: Writer): ReadableStream<Uint8Array> {
  const utf8 = new TextEncoder()
  const encode = (piece: string | Uint8Array) => (typeof piece === 'string' ? utf8.encode(piece) : piece)
  return new ReadableStream<Uint8Array>({
    start: (controller) => controller.enqueue(encode(writer.begin())),
    async pull(controller) {
      const { value, done } = await chunks.next()
      controller.enqueue(encode(done ? writer.end() : writer.chunk(value)))
      if (done) controller.close()
    },
    cancel: () => void chunks.return(undefined),
  })
}

const WRITERS: Readonly<Record<RecordingFormat, (recording: RecordingRow, from?: Beginning) => Writer>> = {
  asciicast,
  text: plainText,
  raw,
}

/** asciicast v2: a header, then one event per line. Where it begins later, the first paints what stood there. */
function asciicast(recording: RecordingRow, from?: Beginning): Writer {
  const { columns, rows: height } = recording
  const at = from ? { columns: from.screen.columns, height: from.screen.height, atMs: from.atMs } : { columns, height, atMs: 0 }
  const cast = from?.cast ?? createCastReader(recording.kind)
  const lines = (events: readonly CastEvent[]) => castLines(events, at.atMs)
  return {
    begin: () => castHeader(recording, at) + (from ? lines([{ atMs: at.atMs, code: 'o', data: from.paint }, ...from.events]) : ''),
    chunk: (stored) => lines(cast.take(stored)),
    end: () => lines(cast.end()),
  }
}

/** What was shown, line by line, as it stood when the next line began. */
function plainText({ columns }: RecordingRow): Writer {
  let lines: string[] = []
  const screen = createLineScreen(columns, (line) => lines.push(`${line.trimEnd()}\n`))
  const taken = () => {
    const text = lines.join('')
    lines = []
    return text
  }
  return {
    begin: () => '',
    chunk(stored) {
      if (stored.chunk) screen.feed(stored.chunk.bytes)
      else lines.push(`[${damage(stored)}]\n`)
      return taken()
    },
    end: () => screen.line().trimEnd(),
  }
}

/** The very bytes; there is no honest way to go on after a chunk that is not what was recorded. */
function raw(): Writer {
  return {
    begin: () => '',
    chunk(stored) {
      if (!stored.chunk) throw new Error(damage(stored))
      return stored.chunk.bytes
    },
    end: () => '',
  }
}
