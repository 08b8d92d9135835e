import * as z from 'zod'

/** Every problem a caller can meet. `type` on the wire is `/problems/<slug>` (RFC 9457 §3.1.1). */
export const PROBLEMS = {
  'invalid-request': { status: 400, title: 'The request does not match its contract.' },
  'code-invalid': { status: 400, title: 'This code is wrong, used or expired.' },
  'passkey-invalid': { status: 400, title: 'This passkey was not accepted.' },
  unauthenticated: { status: 401, title: 'Sign in to continue.' },
  'credentials-invalid': { status: 401, title: 'The address or the password is wrong.' },
  'session-ended': { status: 401, title: 'This session has ended; sign in again.' },
  'refresh-reused': { status: 401, title: 'An old refresh token came back, so the session was ended.' },
  'sign-in-ended': { status: 401, title: 'This sign-in took too long or too many tries; start again.' },
  'ticket-invalid': { status: 401, title: 'This ticket is wrong, used or expired.' },
  forbidden: { status: 403, title: 'Your role does not allow this.' },
  'scope-missing': { status: 403, title: 'This API key is not allowed to do this.' },
  'origin-untrusted': { status: 403, title: 'This origin may not act with cookies.' },
  'step-up-required': { status: 403, title: 'Prove again that it is you.' },
  'access-required': { status: 403, title: 'Ask an owner for access to this host.' },
  'command-forbidden': { status: 403, title: 'The organisation does not let this command run.' },
  'hook-refused': { status: 403, title: 'The organisation’s own check refused this.' },
  'target-forbidden': { status: 403, title: 'The relay may not reach this target.' },
  'file-denied': { status: 403, title: 'The host, or the organisation, does not allow this with this file.' },
  'file-not-found': { status: 404, title: 'The host has nothing under this path.' },
  'not-found': { status: 404, title: 'Nothing is here for you.' },
  'method-not-allowed': { status: 405, title: 'This path does not answer that method.' },
  conflict: { status: 409, title: 'This clashes with what is already there.' },
  'last-admin': { status: 409, title: 'Somebody else must be an admin first.' },
  'file-exists': { status: 409, title: 'Something of this name is there already.' },
  'limit-reached': { status: 409, title: 'A limit is reached; remove something first.' },
  'quota-reached': { status: 409, title: 'The organisation has used up what it may use this month.' },
  'host-unsuited': { status: 409, title: 'This kind of host cannot do this; open a shell on it.' },
  'host-key-unknown': { status: 409, title: 'The host presents a key that nobody has accepted.' },
  'host-key-mismatch': { status: 409, title: 'The host presents another key than the one accepted.' },
  gone: { status: 410, title: 'This was deleted.' },
  'precondition-failed': { status: 412, title: 'This has changed since you read it; read it again.' },
  'payload-too-large': { status: 413, title: 'The body is larger than this operation accepts.' },
  'media-type-unsupported': { status: 415, title: 'Send plain, unencoded application/json.' },
  'upgrade-required': { status: 426, title: 'This path speaks WebSocket only.' },
  'precondition-required': { status: 428, title: 'Say with If-Match which version you change.' },
  'rate-limited': { status: 429, title: 'Too many attempts; wait before retrying.' },
  internal: { status: 500, title: 'Something failed on our side.' },
  'host-unreachable': { status: 502, title: 'The host did not answer as an SSH server.' },
  'host-refused': { status: 502, title: 'The host refused the credential or the request.' },
  'hook-failed': { status: 502, title: 'The organisation’s own check did not decide, so nothing was begun.' },
  'file-failed': { status: 502, title: 'The host could not do this with the file: its disk may be full, or it is no file of this kind.' },
  unavailable: { status: 503, title: 'A part this needs is down; retry shortly.' },
} as const

/** The name of one problem. */
export type ProblemSlug = keyof typeof PROBLEMS

/** One fault of a request, by JSON pointer (RFC 6901) into `#/body`, `#/query`, `#/path` or `#/header`. */
export const Fault = z.object({ detail: z.string(), pointer: z.string() }).meta({ id: 'Fault' })
/** One fault of a request. */
export type Fault = z.infer<typeof Fault>

/** The body of every non-2xx answer, sent as `application/problem+json` (RFC 9457). */
export const ProblemBody = z
  .object({
    type: z.string().meta({ description: 'Relative URI that names the problem.', example: '/problems/not-found' }),
    title: z.string(),
    status: z.int(),
    detail: z.string().optional(),
    traceId: z.string().meta({ description: 'W3C trace id; quote it when you report this.' }),
    errors: z.array(Fault).optional(),
    methods: z.array(z.string()).optional().meta({ description: 'With `step-up-required`: what to prove oneself with (`stepUp`).' }),
  })
  .meta({ id: 'Problem' })
/** The body of every non-2xx answer. */
export type ProblemBody = z.infer<typeof ProblemBody>

/** How a budget stands, for the fields `RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers-11). */
export interface LimitState {
  /** Name of the budget. */
  readonly policy: string
  /** Units it grants. */
  readonly quota: number
  /** For how long, in seconds. */
  readonly windowSeconds: number
  /** Units left. */
  readonly remaining: number
  /** Whole seconds for which no more than those are left; absent when no clock brings more. */
  readonly resetSeconds?: number | undefined
}

/** What a problem may tell beyond its title. */
export interface ProblemExtras {
  readonly detail?: string | undefined
  readonly errors?: readonly Fault[] | undefined
  /** Whole seconds a caller must wait. */
  readonly retryAfterSeconds?: number | undefined
  /** Budgets that the call drew on or that refused it. */
  readonly limits?: readonly LimitState[] | undefined
  /** With `step-up-required`: what the user may prove themselves with. */
  readonly methods?: readonly string[] | undefined
  /** The trace the failure belongs to, when it came over the wire. */
  readonly traceId?: string | undefined
}

/** An expected failure. Anything else thrown is a bug and answers 500 with no detail. */
export class Problem extends Error {
  override readonly name = 'Problem'
  readonly slug: ProblemSlug
  readonly extras: ProblemExtras
  constructor(slug: ProblemSlug, extras: ProblemExtras = {}, options?: ErrorOptions) {
    super(extras.detail ?? PROBLEMS[slug].title, options)
    this.slug = slug
    this.extras = extras
  }
}

/** Tells an expected failure from a bug, by structure: an Error loses its prototype across Durable Object RPC. */
export const isProblem = (e: unknown): e is Problem =>
  e instanceof Error && e.name === 'Problem' && 'slug' in e && String(e.slug) in PROBLEMS

/** Private WebSocket close code of a problem: 4000 + its HTTP status, so one table serves both transports. */
export const closeCodeOf = (slug: ProblemSlug): number => 4000 + PROBLEMS[slug].status
