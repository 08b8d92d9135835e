import { RECORDING_BYTES_MAX, RECORDING_STATEMENT_TYP, type RecordingClaims } from '../../contract/recordings.ts'
import { signEvidence } from '../audit/service.ts'
import { describeError } from '../platform/log.ts'
import type { Scope } from '../platform/scope.ts'
import { within } from '../platform/within.ts'
import { type DetectedLine, insertDetected } from './command-store.ts'
import type { Recorder, StoredMark } from './recorder.ts'
import { type ChunkHead, encodeChunk, hashOfChunk, keyOfChunk, keyOfStatement, type Mark, sealLink, textOfLine } from './recording-chunk.ts'
import { deleteRecording, endRecording, keepChunkRow } from './recording-store.ts'
import type { Tape } from './tape.ts'

/** A chunk is written when so much waits, and holds no more: each costs a write in two places, whatever is in it. */
const CHUNK_BYTES = 1024 * 1024
/** Output that waits for storage; the remote program stands still beyond it, or output is lost when storage fails. */
const PENDING_BYTES_MAX = 4 * 1024 * 1024
/** What is shown is in storage this soon; a strict organisation learns of a failure within five seconds. */
const LATE_MS = 10_000
const LATE_STRICT_MS = 1_500
/** A strict recording that fails for so long ends what is recorded. */
const FAILING_MS_MAX = 2_000
const RETRY_MS = 1_000
const RETRY_MS_MAX = 30_000

/** Brings a recording from its object into storage. */
export interface Keeper {
  readonly recorder: Recorder
  /** Proves that storage takes the recording, where that is asked for, before anything is opened. @throws what storage throws */
  begin(): Promise<void>
  /** Output was appended to the tape. */
  took(offset: number, isStderr?: boolean): void
  /** Up to here the remote program may go on. */
  roomOffset(): number
  /** When there is something to do, Unix milliseconds. */
  dueAt(): number | undefined
  /** Does what is due. Never rejects. */
  keep(): Promise<void>
  /** The end: what is left is due at once. */
  end(): void
  /** Whether all is in storage and signed, or nothing was to be kept. */
  isDone(): boolean
}

/** What a keeper needs. */
export interface KeeperParts {
  readonly recorder: Recorder
  readonly tape: Tape
  readonly scope: () => Scope
  /** There may be room again. */
  readonly onRoom: () => void
  /** A strict recording cannot go on. */
  readonly onFailed: (reason: string) => void
}

interface State extends KeeperParts {
  running: Promise<void> | undefined
  /** The chunk on its way: tried again as it is, for a try that was given up may still arrive. */
  made: Made | undefined
  failingSince: number | undefined
  attempts: number
  retryAt: number
}

/** What people read when their shell ended for want of a recording. */
export const NOT_RECORDED = 'Its recording could not be kept, and the organisation asks for one.'
const TOO_LONG = 'Its recording is as long as one may be, and the organisation asks for all of it.'

/** Starts or goes on with a recording. */
export function createKeeper(parts: KeeperParts): Keeper {
  const s: State = { ...parts, running: undefined, made: undefined, failingSince: undefined, attempts: 0, retryAt: 0 }
  const { recorder } = parts
  return {
    recorder,
    async begin() {
      if (recorder.state().isStrict) await keepChunk(s)
    },
    took: (offset, isStderr = false) => take(s, offset, isStderr),
    roomOffset: () => (isLossy(s) && !s.running ? Number.POSITIVE_INFINITY : recorder.state().keptOffset + PENDING_BYTES_MAX),
    dueAt: () => dueAt(s),
    keep() {
      s.running ??= run(s).finally(() => {
        s.running = undefined
        if (isLossy(s) && pendingBytes(s) > PENDING_BYTES_MAX) loseWaiting(s)
        s.onRoom()
      })
      return s.running
    },
    end() {
      if (recorder.state().endedMs === null) recorder.change({ endedMs: recorder.elapsedMs() })
    },
    isDone: () => recorder.state().isDone,
  }
}

const pendingBytes = ({ tape, recorder }: State): number => tape.nextOffset() - recorder.state().keptOffset
const isFull = ({ recorder }: State): boolean => recorder.state().bytes >= RECORDING_BYTES_MAX
/** Whether output is given up rather than waited for: storage fails or the recording is full, and nobody insists. */
const isLossy = (s: State): boolean => !s.recorder.state().isStrict && (s.failingSince !== undefined || isFull(s))

function take(s: State, offset: number, isStderr: boolean): void {
  s.recorder.mark(isStderr ? 'e' : 'o', offset)
  // What is on its way to storage may still arrive there.
  if (isLossy(s) && !s.running && pendingBytes(s) > (isFull(s) ? 0 : PENDING_BYTES_MAX)) loseWaiting(s)
}

/** The oldest is not worth more than the newest: all that waits is given up, and the gap is told once storage is back. */
function loseWaiting(s: State): void {
  const { recorder, tape } = s
  const { lostBytes, gaps } = recorder.state()
  const lost = pendingBytes(s)
  const marks = recorder.marks(Number.MAX_SAFE_INTEGER)
  s.made = undefined
  recorder.drop(marks.at(-1)?.id ?? 0)
  recorder.change({ keptOffset: tape.nextOffset(), lostBytes: lostBytes + lost, gaps: gaps + (lostBytes === 0 ? 1 : 0) })
}

function dueAt(s: State): number | undefined {
  const { recorder } = s
  const { startedAt, isStrict, endedMs, isDone } = recorder.state()
  if (isDone || s.running) return undefined
  const oldest = recorder.oldestMs()
  const isNow = endedMs !== null || pendingBytes(s) >= CHUNK_BYTES
  if (!isNow && oldest === undefined) return undefined
  const wanted = isNow ? 0 : startedAt + (oldest ?? 0) + (isStrict ? LATE_STRICT_MS : LATE_MS)
  return Math.max(wanted, s.retryAt)
}

async function run(s: State): Promise<void> {
  const since = Date.now()
  try {
    while (isWorkDue(s)) await step(s)
    s.failingSince = undefined
    s.attempts = 0
    s.retryAt = 0
  } catch (error) {
    fail(s, error, since)
  }
}

function isWorkDue(s: State): boolean {
  const { endedMs, startedAt, isStrict, isDone } = s.recorder.state()
  if (isDone) return false
  const oldest = s.recorder.oldestMs()
  const isLate = oldest !== undefined && Date.now() >= startedAt + oldest + (isStrict ? LATE_STRICT_MS : LATE_MS)
  return endedMs !== null || isLate || pendingBytes(s) >= CHUNK_BYTES
}

async function step(s: State): Promise<void> {
  const { recorder } = s
  const { endedMs, isOpened, isStrict, lostBytes, seq } = recorder.state()
  if (isFull(s) && endedMs === null) {
    if (isStrict) s.onFailed(TOO_LONG)
    return loseWaiting(s)
  }
  const isMore = pendingBytes(s) > 0 || recorder.oldestMs() !== undefined || lostBytes > 0
  if (endedMs !== null && !isOpened) await discard(s)
  else if (isMore || seq === 0) await keepChunk(s)
  else if (endedMs !== null) await finish(s)
}

function fail(s: State, error: unknown, since: number): void {
  const { shellId, isStrict, endedMs } = s.recorder.state()
  const now = Date.now()
  s.failingSince ??= since
  s.attempts += 1
  s.retryAt = now + Math.min(RETRY_MS_MAX, isStrict && endedMs === null ? RETRY_MS : RETRY_MS * 2 ** Math.min(s.attempts - 1, 5))
  s.scope().log('recording.failed', { shellId, attempts: s.attempts, ...describeError(error) })
  if (isStrict && endedMs === null && now - s.failingSince >= FAILING_MS_MAX) s.onFailed(NOT_RECORDED)
}

/** The next run of output that is there, with what happened in it. A hole ends a chunk. */
function nextRun({ tape, recorder }: State) {
  const { keptOffset } = recorder.state()
  const parts: Uint8Array[] = []
  let first: number | undefined
  let next = keptOffset
  while (next - (first ?? keptOffset) < CHUNK_BYTES) {
    const run = tape.read(next, CHUNK_BYTES - (next - (first ?? keptOffset)))
    if (!run || (first !== undefined && run.offset !== next)) break
    first ??= run.offset
    parts.push(run.bytes)
    next = run.offset + run.bytes.length
  }
  const isAll = first === undefined || next >= tape.nextOffset()
  const marks = recorder.marks(isAll ? Number.MAX_SAFE_INTEGER : next)
  const bytes = parts.reduce((sum, { length }) => sum + length, 0)
  const nextOffset = first === undefined ? tape.nextOffset() : next
  return { isAll, firstOffset: first ?? keptOffset, nextOffset, parts, bytes, marks }
}

/** The marks of a chunk: what was lost before it, and of which stream and moment its first byte is. */
function marksOf({ recorder }: State, run: { readonly firstOffset: number; readonly marks: readonly StoredMark[] }): Mark[] {
  const { lostBytes, lastKind, lastMs } = recorder.state()
  const { firstOffset, marks } = run
  const begins = marks.find(({ kind }) => kind === 'o' || kind === 'e')
  return [
    ...(lostBytes > 0 ? [{ kind: 'g' as const, atMs: marks[0]?.atMs ?? lastMs, offset: firstOffset, data: String(lostBytes) }] : []),
    ...(begins?.offset === firstOffset ? [] : [{ kind: lastKind, atMs: lastMs, offset: firstOffset }]),
    ...marks.map(({ id: _, ...mark }) => mark),
  ]
}

/** A chunk as it goes into storage. */
interface Made {
  readonly run: ReturnType<typeof nextRun>
  readonly head: ChunkHead
  readonly object: ReturnType<typeof encodeChunk>
  readonly hash: string
  /** Nothing comes after it. */
  readonly isLast: boolean
}

async function make(s: State): Promise<Made> {
  const { shellId, seq, prevHash, endedMs, isOpened } = s.recorder.state()
  const run = nextRun(s)
  const head: ChunkHead = { version: 1, shellId, seq, prevHash, firstOffset: run.firstOffset, marks: marksOf(s, run) }
  const object = encodeChunk(head, run.parts)
  return { run, head, object, hash: await hashOfChunk(object), isLast: endedMs !== null && isOpened && run.isAll }
}

/** One chunk into storage, then into the index, and with the last the statement on the whole. A crash in between writes the same place again. */
async function keepChunk(s: State): Promise<void> {
  const { recorder } = s
  const { env, config, db } = s.scope()
  s.made ??= await make(s)
  const { run, head, object, hash, isLast } = s.made
  const before = recorder.state()
  const { shellId, orgId, seq, prevHash } = before
  const link = { recordingId: shellId, seq, prevHash, hash }
  const bytes = before.bytes + run.bytes
  const ending = isLast ? await stateWhole(s, { chunks: seq + 1, bytes, hash }) : undefined
  await inTime(s, Promise.all([env.RECORDINGS.put(keyOfChunk(orgId, shellId, seq), object), ending?.put()]))
  const row = { ...link, mac: await sealLink(config.keyring, link), firstOffset: run.firstOffset, bytes: run.bytes }
  const lastMs = run.marks.at(-1)?.atMs ?? before.lastMs
  const { gaps } = recorder.state()
  const rows = keepChunkRow(db, { ...row, atMs: head.marks[0]?.atMs ?? lastMs }, { bytes, gaps, durationMs: lastMs })
  const lines = linesIn(head.marks)
  const more = [...(lines.length === 0 ? [] : [insertDetected(db, shellId, lines)]), ...(ending ? [ending.row] : [])]
  const [, kept] = await inTime(s, db.batch([...rows, ...more]))
  s.made = undefined
  if (kept.meta.changes === 0) return forget(s)
  recorder.drop(run.marks.at(-1)?.id ?? 0)
  recorder.change({
    seq: seq + 1,
    prevHash: hash,
    keptOffset: run.nextOffset,
    bytes,
    lastMs,
    lastKind: lastKindOf(run.marks) ?? before.lastKind,
    lostBytes: 0,
    isDone: ending !== undefined,
  })
  s.onRoom()
}

/** While what must be recorded goes on, storage that does not answer has failed. */
function inTime<T>({ recorder }: State, work: Promise<T>): Promise<T> {
  const { isStrict, endedMs } = recorder.state()
  return isStrict && endedMs === null ? within(work, FAILING_MS_MAX) : work
}

function lastKindOf(marks: readonly Mark[]): 'o' | 'e' | undefined {
  const kind = marks.findLast((mark) => mark.kind === 'o' || mark.kind === 'e')?.kind
  return kind === 'o' || kind === 'e' ? kind : undefined
}

/** Nothing can come any more: the whole is stated in writing, beside the chunks and in the index. */
async function stateWhole({ scope, recorder }: State, { chunks, bytes, hash }: Pick<RecordingClaims, 'chunks' | 'bytes' | 'hash'>) {
  const { env, config, db } = scope()
  const { shellId, orgId, hostId, gaps, endedMs, startedAt } = recorder.state()
  const claims: Omit<RecordingClaims, 'iss' | 'iat'> = { shellId, orgId, hostId, chunks, bytes, gaps, hash }
  const { signed } = await signEvidence(config, { typ: RECORDING_STATEMENT_TYP, claims, now: Date.now() })
  return {
    put: () => env.RECORDINGS.put(keyOfStatement(orgId, shellId), signed),
    row: endRecording(db, shellId, { hash, signed, durationMs: endedMs ?? 0, endedAt: startedAt + (endedMs ?? 0) }),
  }
}

/** All that there is was kept before the end was known. */
async function finish(s: State): Promise<void> {
  const { seq: chunks, bytes, prevHash: hash } = s.recorder.state()
  const ending = await stateWhole(s, { chunks, bytes, hash })
  await ending.put()
  await ending.row
  s.recorder.change({ isDone: true })
}

/** Lines that were entered, as marks carry them: an id, so that each is in the log once, and what was shown. */
const linesIn = (marks: readonly Mark[]): DetectedLine[] =>
  marks.flatMap(({ kind, atMs, data = '' }) =>
    kind === 'm' ? [{ id: data.slice(0, data.indexOf(' ')), command: textOfLine(data), atMs }] : [],
  )

/** Its organisation is gone, or its time was over: what was just written goes too. */
async function forget({ recorder, scope }: State): Promise<void> {
  const { orgId, shellId, seq } = recorder.state()
  await scope().env.RECORDINGS.delete([keyOfChunk(orgId, shellId, seq), keyOfStatement(orgId, shellId)])
  recorder.change({ isDone: true })
}

/** What was never opened has no recording. */
async function discard(s: State): Promise<void> {
  const { env, db } = s.scope()
  const { orgId, shellId } = s.recorder.state()
  await env.RECORDINGS.delete(keyOfChunk(orgId, shellId, 0))
  await db.batch(deleteRecording(db, shellId))
  s.recorder.change({ isDone: true })
}
