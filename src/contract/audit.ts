import * as z from 'zod'
import { endpoint } from './endpoint.ts'
import { Moment, PageQuery, pageOf } from './id.ts'
import { SessionId } from './identity.ts'
import { OrgId } from './orgs.ts'

/** Links that one `verify` call checks; a longer chain is walked by its cursor. */
export const VERIFY_LINKS_MAX = 1000
/** Entries that one export takes; a longer record is exported by time range. */
export const EXPORT_ENTRIES_MAX = 100_000
/** The chain of everything that belongs to no organisation. */
export const PLATFORM_CHAIN = 'platform'

/** What the first link of every chain hangs on: the zero hash. */
export const AUDIT_GENESIS = '0'.repeat(64)

const Hash = z.string().meta({ id: 'AuditHash', description: 'SHA-256 in hexadecimal, 64 characters.' })
const Seq = z.int().min(1).meta({ description: 'Place in the chain: 1, 2, 3 …' })

/** The facts that one link seals, as they are stored. */
export interface LinkFacts {
  /** Organisation id, or {@link PLATFORM_CHAIN}. */
  readonly chain: string
  readonly seq: number
  /** Hash of the link before, or {@link AUDIT_GENESIS}. */
  readonly prevHash: string
  readonly id: number
  /** Unix milliseconds. */
  readonly at: number
  readonly orgId: string | null
  readonly actorId: string
  readonly action: string
  readonly subject: string
  readonly cause: string | null
  readonly traceId: string
  readonly sessionId: string | null
  readonly country: string | null
}

/** The text whose SHA-256 is a link's hash. Whoever holds a JSON Lines export can recompute the chain by it. */
export const auditLinkText = (f: LinkFacts): string =>
  JSON.stringify([
    'parvis-audit/1',
    f.chain,
    f.seq,
    f.prevHash,
    f.id,
    f.at,
    f.orgId,
    f.actorId,
    f.action,
    f.subject,
    f.cause,
    f.traceId,
    f.sessionId,
    f.country,
  ])

/** ISO 3166-1 alpha-2, or `T1` for Tor, as the edge saw it; never an address. */
const Country = z.string().nullable().meta({ description: 'ISO 3166-1 alpha-2 (`T1` for Tor), or null where unknown.' })

/** One thing that happened, as the owners of its organisation see it. */
export const AuditEntry = z
  .object({
    id: z.int(),
    at: Moment,
    actorId: z.string().meta({ description: 'User id, `system`, or `anonymous`.' }),
    action: z.string().meta({ example: 'org.member-role' }),
    subject: z.string().meta({ description: 'Id of the thing acted on.' }),
    cause: z.string().nullable(),
    traceId: z.string(),
    sessionId: z.string().nullable().meta({ description: 'The signed-in device it was done from.' }),
    country: Country,
    seq: z.int().nullable().meta({ description: 'Place in the chain; null until the entry is sealed, about a second after it was made.' }),
    hash: z.string().nullable(),
  })
  .meta({ id: 'AuditEntry' })
/** One thing that happened. */
export type AuditEntry = z.infer<typeof AuditEntry>

/** Who did something to an account: its user, a person who had not signed in, a process of ours, or anybody else. */
export const ActivityBy = z.enum(['you', 'anonymous', 'system', 'other']).meta({ id: 'ActivityBy' })
/** Who did something to an account. */
export type ActivityBy = z.infer<typeof ActivityBy>

/** One thing that a user did or that was done to their account. Of what others did, only the fact is told. */
export const Activity = z
  .object({
    at: Moment,
    action: z.string().meta({ example: 'session.start' }),
    by: ActivityBy,
    subject: z.string(),
    cause: z.string().nullable(),
    country: Country,
    sessionId: SessionId.nullable(),
    traceId: z.string(),
  })
  .meta({ id: 'Activity' })
/** One thing that a user did or that was done to their account. */
export type Activity = z.infer<typeof Activity>

const times = {
  action: z
    .string()
    .regex(/^[a-z][a-z0-9.-]{0,63}$/)
    .optional()
    .meta({ description: 'Start of the action: `session.` takes every session event.' }),
  from: Moment.optional().meta({ description: 'At or after.' }),
  to: Moment.optional().meta({ description: 'Before.' }),
}
const filters = {
  ...times,
  actor: z
    .string()
    .regex(/^[a-z0-9_]{1,64}$/)
    .optional()
    .meta({ description: 'User id, `system` or `anonymous`.' }),
  subject: z.string().min(1).max(200).optional(),
}

/** Which entries of a chain. */
export const AuditFilter = z.strictObject(filters)
/** Which entries of a chain. */
export type AuditFilter = z.output<typeof AuditFilter>

/** Query of the list of entries. */
export const AuditQuery = PageQuery.extend(filters)
/** Query of the list of entries. */
export type AuditQuery = z.output<typeof AuditQuery>

/** Query of the list of one's own activity. */
export const ActivityQuery = PageQuery.extend(times)
/** Query of the list of one's own activity. */
export type ActivityQuery = z.output<typeof ActivityQuery>

/** What can be wrong with a chain; the first break in chain order is named. */
export const AuditBreakReason = z
  .enum([
    'entry-changed',
    'entry-missing',
    'entry-moved',
    'entry-unlinked',
    'link-missing',
    'link-changed',
    'link-forged',
    'truncated',
    'checkpoint-mismatch',
    'checkpoint-forged',
  ])
  .meta({
    id: 'AuditBreakReason',
    description: [
      '`entry-changed`: the entry is not what was sealed.',
      '`entry-missing`: the sealed entry is gone.',
      '`entry-moved`: the entry was given to another organisation.',
      '`entry-unlinked`: an entry was slipped in, or its link taken out.',
      '`link-missing`: a link was taken out.',
      '`link-changed`: a link was edited or its place exchanged.',
      '`link-forged`: a link was not sealed by this deployment.',
      '`truncated`: a signed checkpoint names links that are gone from the end.',
      '`checkpoint-mismatch`: a signed checkpoint names another hash at this place.',
      '`checkpoint-forged`: a stored checkpoint was not signed by this deployment.',
    ].join(' '),
  })
/** What can be wrong with a chain. */
export type AuditBreakReason = z.infer<typeof AuditBreakReason>

/** The first broken link of a chain. */
export const AuditBreak = z
  .object({
    seq: Seq,
    entryId: z.int().nullable().meta({ description: 'The entry there, where one can be named.' }),
    reason: AuditBreakReason,
  })
  .meta({ id: 'AuditBreak' })
/** The first broken link of a chain. */
export type AuditBreak = z.infer<typeof AuditBreak>

/** What a walk over part of a chain found. */
export const AuditVerification = z
  .object({
    status: z
      .enum(['intact', 'broken'])
      .meta({ description: 'Of the links up to `seq`; a chain is intact when the call without `nextCursor` says so.' }),
    seq: z.int().min(0).meta({ description: 'The last link that holds.' }),
    hash: Hash.optional(),
    checkpointSeq: z.int().nullable().meta({ description: 'The newest signed checkpoint the chain was held against.' }),
    pending: z.int().meta({ description: 'Entries not sealed yet, on the last page; they are the newest.' }),
    broken: AuditBreak.optional(),
    nextCursor: z.string().optional(),
  })
  .meta({ id: 'AuditVerification' })
/** What a walk over part of a chain found. */
export type AuditVerification = z.infer<typeof AuditVerification>

/** Longest signed checkpoint, in characters. */
export const CHECKPOINT_CHARS_MAX = 1000

/** Query of `verify`. */
export const VerifyQuery = z.strictObject({
  cursor: z.string().min(1).max(200).optional(),
  checkpoint: z.string().max(CHECKPOINT_CHARS_MAX).optional().meta({
    description:
      'A signed checkpoint you kept: the chain must still contain it, whatever was done to the stored ones. Send it with every part.',
  }),
})
/** Query of `verify`. */
export type VerifyQuery = z.output<typeof VerifyQuery>

/** Payload of a signed checkpoint: what the chain was at a time. */
export const CheckpointClaims = z.object({
  iss: z.string(),
  iat: z.int(),
  chain: z.string(),
  seq: Seq,
  entryId: z.int(),
  hash: Hash,
})
/** Payload of a signed checkpoint. */
export type CheckpointClaims = z.infer<typeof CheckpointClaims>

/** A signed statement of what a chain was; kept elsewhere, it proves a later cut or rewrite. */
export const AuditCheckpoint = z
  .object({
    seq: Seq,
    hash: Hash,
    at: Moment,
    kid: z.string(),
    signed: z.string().meta({
      description: 'JWS (RFC 7515), EdDSA, `typ` audit-checkpoint+jwt; payload `{ iss, iat, chain, seq, entryId, hash }`.',
    }),
  })
  .meta({ id: 'AuditCheckpoint' })
/** A signed statement of what a chain was. */
export type AuditCheckpoint = z.infer<typeof AuditCheckpoint>

/** Form of a file. */
export const AuditFormat = z.enum(['csv', 'jsonl']).meta({
  id: 'AuditFormat',
  description:
    '`jsonl` is exact and can be verified; in `csv`, for spreadsheets, a cell that would be a formula starts with an apostrophe.',
})

/** What an export holds, oldest entry first. */
export const CreateAuditExport = AuditFilter.extend({ format: AuditFormat.default('jsonl') }).meta({ id: 'CreateAuditExport' })
/** What an export holds. */
export type CreateAuditExport = z.output<typeof CreateAuditExport>

/** Where to fetch the file: once, and soon. */
export const AuditExport = z
  .object({ path: z.string().meta({ description: 'GET it at this origin; needs no other credential.' }), expiresAt: Moment })
  .meta({ id: 'AuditExport' })
/** Where to fetch the file. */
export type AuditExport = z.infer<typeof AuditExport>

/** Path template of the file itself. */
export const AUDIT_FILE_PATH = '/v1/orgs/:orgId/audit/file'
/** Path of the file of the platform's record. */
export const PLATFORM_AUDIT_FILE_PATH = '/v1/admin/audit/file'

const AuditKey = z
  .object({
    kty: z.literal('OKP'),
    crv: z.literal('Ed25519'),
    x: z.string(),
    kid: z.string(),
    alg: z.literal('EdDSA'),
    use: z.literal('sig'),
  })
  .meta({ id: 'AuditKey' })

/** A page of somebody's activity. */
export const ActivityPage = pageOf(Activity, 'ActivityPage')

/** A page of a record. */
export const AuditEntryPage = pageOf(AuditEntry, 'AuditEntryPage')

const OrgPath = z.strictObject({ orgId: OrgId })

/** The audit operations. */
export const auditEndpoints = {
  listMyActivity: endpoint({
    id: 'listMyActivity',
    method: 'GET',
    path: '/v1/me/activity',
    tag: 'audit',
    access: 'user',
    scope: 'account:read',
    summary: 'What you did and what was done to your account, newest first.',
    query: ActivityQuery,
    success: 200,
    response: ActivityPage,
    problems: [],
  }),
  listOrgAudit: endpoint({
    id: 'listOrgAudit',
    method: 'GET',
    path: '/v1/orgs/:orgId/audit',
    tag: 'audit',
    access: 'user',
    scope: 'orgs:read',
    summary: 'What happened in the organisation, newest first. Owners only.',
    params: OrgPath,
    query: AuditQuery,
    success: 200,
    response: AuditEntryPage,
    problems: ['not-found', 'forbidden'],
  }),
  verifyOrgAudit: endpoint({
    id: 'verifyOrgAudit',
    method: 'GET',
    path: '/v1/orgs/:orgId/audit/verify',
    tag: 'audit',
    access: 'user',
    scope: 'orgs:read',
    summary: 'Walk the chain of the record and name its first broken link. Owners only.',
    params: OrgPath,
    query: VerifyQuery,
    success: 200,
    response: AuditVerification,
    problems: ['not-found', 'forbidden'],
  }),
  listOrgCheckpoints: endpoint({
    id: 'listOrgCheckpoints',
    method: 'GET',
    path: '/v1/orgs/:orgId/audit/checkpoints',
    tag: 'audit',
    access: 'user',
    scope: 'orgs:read',
    summary: 'The signed checkpoints of the chain, newest first; keep copies where we cannot reach. Owners only.',
    params: OrgPath,
    query: PageQuery,
    success: 200,
    response: pageOf(AuditCheckpoint, 'AuditCheckpointPage'),
    problems: ['not-found', 'forbidden'],
  }),
  createOrgAuditExport: endpoint({
    id: 'createOrgAuditExport',
    method: 'POST',
    path: '/v1/orgs/:orgId/audit/exports',
    tag: 'audit',
    access: 'user',
    isSensitive: true,
    scope: 'orgs:read',
    summary: 'Get a path that streams the record once, within 30 seconds, as CSV or JSON Lines. Owners only; the download is on record.',
    params: OrgPath,
    body: CreateAuditExport,
    success: 201,
    response: AuditExport,
    problems: ['not-found', 'forbidden'],
  }),
  getAuditKey: endpoint({
    id: 'getAuditKey',
    method: 'GET',
    path: '/v1/audit/keys/:kid',
    tag: 'audit',
    access: 'public',
    summary: 'The public key that a signed checkpoint names.',
    params: z.strictObject({ kid: z.string().regex(/^audit-[1-9]\d{0,5}$/) }),
    success: 200,
    response: AuditKey,
    problems: ['not-found'],
    publicSeconds: 300,
  }),
}
