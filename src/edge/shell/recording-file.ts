import { Problem } from '../../contract/problem.ts'
import { CreateRecordingFile, RECORDING_FILE_PATH, type RecordingFile, type RecordingFormat } from '../../contract/recordings.ts'
import { ShellId } from '../../contract/shell.ts'
import { auditOnce } from '../audit/service.ts'
import { demandLiveAccess } from '../identity/service.ts'
import type { Actor, Scope } from '../platform/scope.ts'
import { checkTicket, ticketedPath } from '../platform/ticket.ts'
import { outputDecoder } from './capture.ts'
import { createLineScreen } from './line-screen.ts'
import { textOfLine } from './recording-chunk.ts'
import { type Moment, momentsOf, readChunks, type StoredChunk } from './recording-reader.ts'
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
  const [chunk] = wanted.fromMs === 0 ? [] : await chunkAt(scope.db, shellId, wanted.fromMs)
  const { type, ending } = MEDIA[wanted.format]
  const disposition = wanted.purpose === 'view' ? 'inline' : `attachment; filename="${shellId}.${ending}"`
  const headers = {
    'content-type': type,
    'content-disposition': disposition,
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
  }
  return new Response(streamOf(scope, recording, { format: wanted.format, after: (chunk?.seq ?? 0) - 1 }), { headers })
}

/** A failure cuts the stream, so no file looks whole that is not. */
function streamOf(
  scope: Scope,
  recording: RecordingRow,
  from: { readonly format: RecordingFormat; readonly after: number },
): ReadableStream<Uint8Array> {
  const utf8 = new TextEncoder()
  const writer = WRITERS[from.format](recording)
  const chunks = readChunks(scope, recording, from.after)
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

const WRITERS: Readonly<Record<RecordingFormat, (recording: RecordingRow) => Writer>> = { asciicast, text: plainText, raw }

const damage = ({ row, fault }: StoredChunk): string =>
  `chunk ${row.seq} is ${fault === 'chunk-missing' ? 'gone' : 'not what was recorded'}`

const seconds = (atMs: number): number => atMs / 1000
const event = (atMs: number, code: string, data: string): string => `${JSON.stringify([seconds(atMs), code, data])}\n`

/** asciicast v2: a header, then one event per line. Characters that are cut by two chunks come whole, those that never end are marked. */
function asciicast({ columns, rows, startedAt, durationMs, id, kind: of }: RecordingRow): Writer {
  const decoders = { o: outputDecoder(), e: outputDecoder() }
  let lastMs = 0
  // Without a terminal on the other side nobody turned line feeds into new lines.
  const shown = (text: string): string => (text === '' ? '' : event(lastMs, 'o', of === 'exec' ? text.replaceAll('\n', '\r\n') : text))
  /** What a character began with before something that is not its rest. */
  const cut = (): string => shown(decoders.o.decode()) + shown(decoders.e.decode())
  const line = (moment: Moment): string => {
    const { kind, atMs, data = '', bytes } = moment
    if (kind === 'm') return event(atMs, kind, textOfLine(data))
    if (kind === 'r' || kind === 'i') return event(atMs, kind, data)
    if (kind === 'g') return cut() + event(atMs, 'm', `${data} bytes are lost here`)
    lastMs = atMs
    return shown(decoders[kind].decode(bytes, { stream: true }))
  }
  const header = {
    version: 2,
    width: columns,
    height: rows,
    timestamp: Math.floor(startedAt / 1000),
    duration: seconds(durationMs),
    title: id,
  }
  return {
    begin: () => `${JSON.stringify(header)}\n`,
    chunk: (stored) => (stored.chunk ? momentsOf(stored.chunk).map(line).join('') : cut() + event(stored.row.atMs, 'm', damage(stored))),
    end: cut,
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
