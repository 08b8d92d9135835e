import * as z from 'zod'
import { endpoint } from './endpoint.ts'
import { HostId } from './hosts.ts'
import { Moment, PageQuery, pageOf } from './id.ts'
import { UserId } from './identity.ts'
import { OrgId } from './orgs.ts'
import { ShellId } from './shell.ts'

/** Most output of one recording, in bytes; beyond it a strict organisation's shell ends, and another's is recorded no further. */
export const RECORDING_BYTES_MAX = 1024 * 1024 * 1024
/** Chunks that one call of `verifyRecording` reads. */
export const VERIFY_CHUNKS_MAX = 32
/** Chunks that one call of `searchRecordings` reads, over all recordings. */
export const SEARCH_CHUNKS_MAX = 32
/** Shortest and longest text to search for, in UTF-16 units. */
export const SEARCH_CHARS_MIN = 2
/** Longest text to search for, in UTF-16 units. */
export const SEARCH_CHARS_MAX = 200
/** `prevHash` of the first chunk. */
export const RECORDING_GENESIS = '0'.repeat(64)
/** `typ` of the signed statement about a whole recording. */
export const RECORDING_STATEMENT_TYP = 'recording+jwt'

const Hash = z.string().regex(/^[0-9a-f]{64}$/)
const Count = z.int().min(0)
const AtMs = Count.meta({ description: 'Milliseconds since the recording began.' })

/** What was recorded: a terminal, or a command with standard output and error. */
export const RecordingKind = z.enum(['pty', 'exec']).meta({ id: 'RecordingKind' })
/** What was recorded. */
export type RecordingKind = z.infer<typeof RecordingKind>

/** The recording of a shell or a command, under its id. */
export const Recording = z
  .object({
    shellId: ShellId,
    orgId: OrgId,
    hostId: HostId,
    userId: UserId.nullable().meta({ description: 'Null once they are erased.' }),
    kind: RecordingKind,
    columns: Count,
    rows: Count,
    bytes: Count.meta({ description: 'Output kept so far.' }),
    chunks: Count,
    gaps: Count.meta({ description: 'Places where output could not be kept.' }),
    durationMs: Count,
    startedAt: Moment,
    endedAt: Moment.optional().meta({ description: 'Absent while it goes on.' }),
    hash: Hash.optional().meta({ description: 'SHA-256 of the last chunk, which names the one before it, and so on.' }),
    signed: z.string().optional().meta({
      description:
        'JWS (RFC 7515), EdDSA, `typ` recording+jwt, by the key at `/v1/audit/keys/:kid`; payload `RecordingClaims`. Kept elsewhere, it proves a later change.',
    }),
  })
  .meta({ id: 'Recording' })
/** The recording of a shell or a command. */
export type Recording = z.infer<typeof Recording>

/** Payload of the signed statement about a recording. */
export const RecordingClaims = z.object({
  iss: z.string(),
  iat: z.int(),
  shellId: ShellId,
  orgId: OrgId,
  hostId: HostId,
  chunks: Count,
  bytes: Count,
  gaps: Count,
  hash: Hash,
})
/** Payload of the signed statement about a recording. */
export type RecordingClaims = z.infer<typeof RecordingClaims>

/** One chunk: the time index and the chain. */
export const RecordingChunk = z
  .object({ seq: Count, atMs: AtMs, firstOffset: Count, bytes: Count, prevHash: Hash, hash: Hash })
  .meta({ id: 'RecordingChunk' })
/** One chunk. */
export type RecordingChunk = z.infer<typeof RecordingChunk>

const RecordingFilter = z.strictObject({
  hostId: HostId.optional(),
  userId: UserId.optional(),
  kind: RecordingKind.optional(),
  from: Moment.optional().meta({ description: 'Begun at this moment or later.' }),
  to: Moment.optional().meta({ description: 'Begun before this moment.' }),
})

/** Query of the list of recordings. */
export const RecordingsQuery = PageQuery.extend(RecordingFilter.shape)
/** Query of the list of recordings. */
export type RecordingsQuery = z.output<typeof RecordingsQuery>

/** Query of a search in what was shown. */
export const RecordingSearchQuery = RecordingFilter.extend({
  text: z.string().min(SEARCH_CHARS_MIN).max(SEARCH_CHARS_MAX).meta({ description: 'Any case; within one line.' }),
  shellId: ShellId.optional(),
  cursor: z.string().min(1).max(200).optional(),
})
/** Query of a search in what was shown. */
export type RecordingSearchQuery = z.output<typeof RecordingSearchQuery>

/** A line in which the text stands. */
export const RecordingMatch = z
  .object({
    shellId: ShellId,
    hostId: HostId,
    atMs: AtMs,
    line: z.string().meta({ description: 'Without control sequences, cut to 500.' }),
  })
  .meta({ id: 'RecordingMatch' })
/** A line in which the text stands. */
export type RecordingMatch = z.infer<typeof RecordingMatch>

/** What can be wrong with a recording. */
export const RecordingBreakReason = z
  .enum([
    'chunk-missing',
    'chunk-changed',
    'link-missing',
    'link-changed',
    'link-forged',
    'truncated',
    'statement-forged',
    'statement-mismatch',
  ])
  .meta({
    id: 'RecordingBreakReason',
    description: [
      '`chunk-missing`: the stored object is gone.',
      '`chunk-changed`: the stored object is not what was written.',
      '`link-missing`: a chunk was taken out of the index.',
      '`link-changed`: the index was edited, or chunks change places.',
      '`link-forged`: a line of the index was not written by this deployment.',
      '`truncated`: chunks are gone from the end.',
      '`statement-forged`: the statement was not signed by this deployment, or is gone.',
      '`statement-mismatch`: the statement speaks of another end.',
    ].join(' '),
  })
/** What can be wrong with a recording. */
export type RecordingBreakReason = z.infer<typeof RecordingBreakReason>

/** What a walk over part of a recording found. */
export const RecordingVerification = z
  .object({
    status: z.enum(['intact', 'broken']).meta({ description: 'Intact as a whole when the call without `nextCursor` says so.' }),
    chunks: Count.meta({ description: 'How many chunks hold, from the first.' }),
    isSigned: z.boolean().meta({ description: 'Whether a statement vouches for the end; a recording that goes on has none yet.' }),
    broken: z.object({ seq: Count, reason: RecordingBreakReason }).optional(),
    nextCursor: z.string().optional(),
  })
  .meta({ id: 'RecordingVerification' })
/** What a walk over part of a recording found. */
export type RecordingVerification = z.infer<typeof RecordingVerification>

/** `asciicast`: version 2, for asciinema's player. `text`: what was shown, without control sequences. `raw`: the very bytes. */
export const RecordingFormat = z.enum(['asciicast', 'text', 'raw']).meta({ id: 'RecordingFormat' })
/** Form of a recording's file. */
export type RecordingFormat = z.infer<typeof RecordingFormat>

/** What a file of a recording is to be. */
export const CreateRecordingFile = z
  .strictObject({
    format: RecordingFormat.default('asciicast'),
    purpose: z.enum(['view', 'export']).default('export').meta({ description: 'How the audit names it.' }),
    fromMs: z.int().min(0).default(0).meta({
      description:
        'Begin at this moment. An asciicast then has the size of then, paints the screen as it stood with its first event, and counts time from there; where that screen is more than one call finds, it begins earlier, and `recording-from-ms` of the answer says where. Other formats begin with the chunk.',
    }),
  })
  .meta({ id: 'CreateRecordingFile' })
/** What a file of a recording is to be. */
export type CreateRecordingFile = z.output<typeof CreateRecordingFile>

/** Where to fetch the file: once, and soon. */
export const RecordingFile = z
  .object({ path: z.string().meta({ description: 'GET it at this origin; needs no other credential.' }), expiresAt: Moment })
  .meta({ id: 'RecordingFile' })
/** Where to fetch the file. */
export type RecordingFile = z.infer<typeof RecordingFile>

/** Header of the file that says at which moment of the recording it begins, in milliseconds. */
export const RECORDING_FROM_HEADER = 'recording-from-ms'

/** Path template of the file itself. */
export const RECORDING_FILE_PATH = '/v1/shells/:shellId/recording/file'

const OrgPath = z.strictObject({ orgId: OrgId })
const ShellPath = z.strictObject({ shellId: ShellId })

/** The recording operations. */
export const recordingEndpoints = {
  listRecordings: endpoint({
    id: 'listRecordings',
    method: 'GET',
    path: '/v1/orgs/:orgId/recordings',
    tag: 'recordings',
    access: 'user',
    scope: 'shells:read',
    summary: 'Recordings that you may watch, newest first: your own, and all of them for owners and where the organisation is open.',
    params: OrgPath,
    query: RecordingsQuery,
    success: 200,
    response: pageOf(Recording, 'RecordingPage'),
    problems: ['not-found'],
  }),
  searchRecordings: endpoint({
    id: 'searchRecordings',
    method: 'GET',
    path: '/v1/orgs/:orgId/recordings/search',
    tag: 'recordings',
    access: 'user',
    scope: 'shells:read',
    summary:
      'Lines with a text in recordings that you may watch, a part of them per call; go on with `nextCursor`, also after an empty page.',
    params: OrgPath,
    query: RecordingSearchQuery,
    success: 200,
    response: pageOf(RecordingMatch, 'RecordingMatchPage'),
    problems: ['not-found'],
  }),
  getRecording: endpoint({
    id: 'getRecording',
    method: 'GET',
    path: '/v1/shells/:shellId/recording',
    tag: 'recordings',
    access: 'user',
    scope: 'shells:read',
    summary: 'The recording of a shell or a command.',
    params: ShellPath,
    success: 200,
    response: Recording,
    problems: ['not-found', 'forbidden'],
  }),
  listRecordingChunks: endpoint({
    id: 'listRecordingChunks',
    method: 'GET',
    path: '/v1/shells/:shellId/recording/chunks',
    tag: 'recordings',
    access: 'user',
    scope: 'shells:read',
    summary: 'The time index of a recording, from its beginning.',
    params: ShellPath,
    query: PageQuery,
    success: 200,
    response: pageOf(RecordingChunk, 'RecordingChunkPage'),
    problems: ['not-found', 'forbidden'],
  }),
  verifyRecording: endpoint({
    id: 'verifyRecording',
    method: 'GET',
    path: '/v1/shells/:shellId/recording/verify',
    tag: 'recordings',
    access: 'user',
    scope: 'shells:read',
    summary: 'Read the stored chunks and name the first that is not what was recorded.',
    params: ShellPath,
    query: z.strictObject({ cursor: z.string().min(1).max(200).optional() }),
    success: 200,
    response: RecordingVerification,
    problems: ['not-found', 'forbidden'],
  }),
  createRecordingFile: endpoint({
    id: 'createRecordingFile',
    method: 'POST',
    path: '/v1/shells/:shellId/recording/files',
    tag: 'recordings',
    access: 'user',
    scope: 'shells:read',
    summary: 'Get a path that streams the recording once, within 30 seconds; the look is on record.',
    params: ShellPath,
    body: CreateRecordingFile,
    success: 201,
    response: RecordingFile,
    problems: ['not-found', 'forbidden'],
  }),
}
