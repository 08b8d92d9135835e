import {
  RECORDING_GENESIS,
  RECORDING_STATEMENT_TYP,
  type RecordingBreakReason,
  RecordingClaims,
  type RecordingVerification,
  VERIFY_CHUNKS_MAX,
} from '../../contract/recordings.ts'
import type { ShellId } from '../../contract/shell.ts'
import { readEvidence } from '../audit/service.ts'
import type { Actor, Scope } from '../platform/scope.ts'
import { keyOfStatement, sealOfLink } from './recording-chunk.ts'
import { readChunk, type StoredChunk } from './recording-reader.ts'
import { type ChunkRow, chunksOf, endOf, type RecordingRow } from './recording-store.ts'
import { placeOf, readPlace, watchable } from './recordings.ts'

/** What has ended is signed by then, unless storage is out all the while. */
const SIGNED_WITHIN_MS = 15 * 60_000

/** The next part of a recording, from the cursor or the start. @throws Problem `not-found`, `forbidden` or `invalid-request` */
export async function verifyRecording(
  scope: Scope,
  actor: Actor,
  at: { readonly shellId: ShellId; readonly cursor: string | undefined },
): Promise<RecordingVerification> {
  const recording = await watchable(scope, actor, at.shellId)
  const [from = 0] = readPlace(at.cursor, 1)
  const claims = await claimsOf(scope, recording)
  // The chunk before is read again: what hangs on it must hang on it still.
  const rows = await chunksOf(scope.db, recording.id, { after: from - 2, limit: VERIFY_CHUNKS_MAX + 1 })
  const isSigned = claims !== undefined
  const broken = await firstBreak(scope, recording, { rows, from, isVouched: isSigned })
  if (broken) return { status: 'broken', chunks: broken.seq, isSigned, broken }
  const chunks = (rows.at(-1)?.seq ?? from - 1) + 1
  if (rows.length === VERIFY_CHUNKS_MAX + 1) return { status: 'intact', chunks, isSigned, nextCursor: placeOf(chunks) }
  const reason =
    (await breakOfSilence(scope, recording)) ?? breakOfEnd(recording, claims, { chunks, hash: rows.at(-1)?.hash ?? RECORDING_GENESIS })
  return reason ? { status: 'broken', chunks, isSigned, broken: { seq: chunks, reason } } : { status: 'intact', chunks, isSigned }
}

interface Stretch {
  readonly rows: readonly ChunkRow[]
  readonly from: number
  readonly isVouched: boolean
}

async function firstBreak(scope: Scope, recording: RecordingRow, { rows, from, isVouched }: Stretch) {
  let before: ChunkRow | undefined = from === 0 ? undefined : rows.find(({ seq }) => seq === from - 1)
  if (from > 0 && !before) return { seq: from - 1, reason: 'link-missing' as const }
  for (const row of rows.filter(({ seq }) => seq >= from)) {
    const expected = { seq: before ? before.seq + 1 : 0, prevHash: before?.hash ?? RECORDING_GENESIS }
    if (row.seq !== expected.seq) return { seq: expected.seq, reason: 'link-missing' as const }
    const reason = await breakOf(scope, await readChunk(scope, recording, row), { prevHash: expected.prevHash, isVouched })
    if (reason) return { seq: row.seq, reason }
    before = row
  }
  return undefined
}

/** What is wrong with a chunk that should follow `prevHash`, if anything. A statement vouches for links whose secret is gone. */
async function breakOf(
  scope: Scope,
  { row, fault, chunk }: StoredChunk,
  at: { readonly prevHash: string; readonly isVouched: boolean },
): Promise<RecordingBreakReason | undefined> {
  const seal = await sealOfLink(scope.config.keyring, row)
  // Who edits an index that they cannot seal has most likely edited the object too; the object is the graver finding.
  if (fault) return fault
  if (seal === 'forged' || (seal === 'unknown' && !at.isVouched)) return 'link-forged'
  const { head, bytes } = chunk ?? {}
  const isItself = head?.seq === row.seq && head.shellId === row.recordingId && head.prevHash === row.prevHash
  const isInPlace = row.prevHash === at.prevHash && head?.firstOffset === row.firstOffset && bytes?.length === row.bytes
  return isItself && isInPlace ? undefined : 'link-changed'
}

async function claimsOf(scope: Scope, { signed }: RecordingRow): Promise<RecordingClaims | undefined> {
  if (signed === null) return undefined
  return RecordingClaims.safeParse(await readEvidence(scope.config, { typ: RECORDING_STATEMENT_TYP, signed })).data
}

/**
 * A recording that says nothing of its end goes on. It has lost its statement when one lies in storage, or when what it shows has ended, each
 * longer ago than a signature takes: an index can be cut short by whoever writes to the database alone.
 */
async function breakOfSilence(scope: Scope, { id, orgId, endedAt, signed }: RecordingRow): Promise<RecordingBreakReason | undefined> {
  if (endedAt !== null || signed !== null) return undefined
  const before = scope.now() - SIGNED_WITHIN_MS
  const [statement, [over]] = await Promise.all([scope.env.RECORDINGS.head(keyOfStatement(orgId, id)), endOf(scope.db, id)])
  const isStated = statement !== null && statement.uploaded.getTime() < before
  return isStated || (over?.endedAt ?? Number.POSITIVE_INFINITY) < before ? 'statement-forged' : undefined
}

/** What the statement says against the end that was walked to. */
function breakOfEnd(
  recording: RecordingRow,
  claims: RecordingClaims | undefined,
  end: { readonly chunks: number; readonly hash: string },
): RecordingBreakReason | undefined {
  if (recording.endedAt === null && recording.signed === null) return end.chunks < recording.chunks ? 'truncated' : undefined
  if (!claims) return 'statement-forged'
  if (end.chunks < claims.chunks) return 'truncated'
  const isIts = claims.shellId === recording.id && claims.orgId === recording.orgId
  return isIts && claims.chunks === end.chunks && claims.hash === end.hash ? undefined : 'statement-mismatch'
}
