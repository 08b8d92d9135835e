/**
 * KRP/1 messages: what the dialer (one `ShellObject`) and the relay say to each other inside the frames of `krp-frame.ts`.
 *
 *     dialer  HELLO{nonce}                relay  CHALLENGE{nonce, sealingKey}
 *     dialer  AUTH{token}                 relay  READY{proof}            proof: `relayProofInput` in `seal.ts`
 *     dialer  OPEN{grant, credential}     relay  OPENED | HOSTKEY? OPEN_FAIL, and PROMPT before it, which the dialer answers with ANSWER
 *     dialer  DATA ACK CREDIT RESIZE SIGNAL EOF CLOSE    relay  DATA EXTDATA ACK CREDIT EXIT CLOSE
 *     new link, higher epoch: dialer  ATTACH             relay  GAP? ATTACHED, then DATA under the new credit
 *
 * Offsets. Input has one offset space. Output has one too, shared by DATA (stdout) and EXTDATA (stderr), so their order survives.
 * ACK is cumulative and means "kept for good": the relay forgets acknowledged output, the dialer acknowledged input.
 * Between OPEN or ATTACH and its answer the dialer sends at most RESIZE, ANSWER and CLOSE.
 * CREDIT adds to what the other side may send beyond everything it was granted before. Replay after ATTACH also needs credit.
 * A shell whose output nobody acknowledges stands still (its channel is paused); output is never dropped while the shell lives.
 *
 * End. Each side ends a stream with one CLOSE and sends nothing on it afterwards; OPEN_FAIL stands for the relay's CLOSE. So the dialer answers
 * CLOSE and OPEN_FAIL with CLOSE, after which the relay forgets the shell. Without that answer an ended shell waits for ATTACH like a live one.
 * A scan ends with one HOSTKEY per key type and CLOSE. A lost link ends no shell: it detaches them all, each for its detach time, or for a minute where
 * the dialer has said nothing since OPENED and so may never have heard it. A grant without pins: HOSTKEY and OPEN_FAIL.
 */
import * as z from 'zod'
import { CONTROL_BYTES_MAX, encodeFrame, type FrameName, KrpError, LINK_ERRORS, type LinkErrorCode } from './krp-frame.ts'
import { OPEN_PROBLEMS, type OpenProblem } from './krp-problem.ts'
import { base64url, Identifier, SealedCredential, SealingPublicJwk } from './krp-secret.ts'

/** The version that HELLO and CHALLENGE name. */
export const KRP_VERSION = 1
/** Longest life of a token: it is made for one handshake or one OPEN, seconds after which it is waste. */
export const TOKEN_TTL_SECONDS_MAX = 30
/** Difference of clocks that the relay forgives. */
export const CLOCK_LEEWAY_SECONDS = 10
/** `typ` header of the token in AUTH, so that a grant can never pass for it. */
export const LINK_TOKEN_TYP = 'krp-link+jwt'
/** `typ` header of the token in OPEN. */
export const GRANT_TOKEN_TYP = 'krp-grant+jwt'

/** First credit of an interactive shell: 10 MB/s over a round trip of 50 ms, yet Ctrl-C is felt at once. */
export const CREDIT_INTERACTIVE_BYTES = 512 * 1024
/** First credit of exec, where throughput counts. */
export const CREDIT_EXEC_BYTES = 1024 * 1024
/** Most credit that may be outstanding; more could never be used, since the ring keeps `RING_BYTES_MAX` unacknowledged bytes. */
export const CREDIT_BYTES_MAX = 4 * 1024 * 1024
/** Unacknowledged output that the relay keeps per shell for a resume; then the channel is paused. */
export const RING_BYTES_MAX = 1024 * 1024
/** How long a shell outlives its link by default: a deploy, a closed laptop lid, a train tunnel. */
export const DETACH_SECONDS_DEFAULT = 600
/** Longest time a shell may wait for its dialer. */
export const DETACH_SECONDS_MAX = 24 * 3600
/** Longest command, UTF-16 units: even as three-byte UTF-8 far below the 256 KiB packet that OpenSSH accepts. */
export const REMOTE_COMMAND_CHARS_MAX = 32_768
/** Longest run of exec. */
export const EXEC_SECONDS_MAX = 24 * 3600
/** Hosts through which one target may be reached. */
export const JUMPS_MAX = 3
/** Seconds between keepalives when a grant says nothing: a dead target is found within a minute and a half. */
export const KEEPALIVE_SECONDS_DEFAULT = 30
/** Questions that a target may ask at once, and how often it may ask: an OTP after a password, and air. */
export const PROMPTS_MAX = 8
/** Longest answer to a question, UTF-16 units. */
export const ANSWER_CHARS_MAX = 1_024
/** How long a person may think about a question; sshd waits two minutes for a whole login. */
export const PROMPT_SECONDS_MAX = 100
/** Host keys that one host may have pinned: one per type and room for a rotation. */
export const PINS_MAX = 16
/** Streams of one link; sshd's MaxSessions and MaxStartups make more pointless per host, a bulk run needs some tens. */
export const STREAMS_MAX = 256
/** Largest terminal side: bounds what a hostile RESIZE makes the remote draw. */
export const PTY_SIDE_MAX = 1_000
/** Environment variables of one exec or shell. */
export const ENV_VARIABLES_MAX = 16

const controlless = (chars: number) =>
  z
    .string()
    .min(1)
    .max(chars)
    // biome-ignore lint/suspicious/noControlCharactersInRegex: refusing control characters is the point.
    .regex(/^[^\u0000-\u001f\u007f]*$/)
    .refine((text) => !/\p{Surrogate}/u.test(text), 'has a lone surrogate')
const Nonce = base64url(43, 43)
const Offset = z.int().min(0).max(Number.MAX_SAFE_INTEGER)
const CompactToken = z
  .string()
  .max(CONTROL_BYTES_MAX)
  .regex(/^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$/)

/** W3C Trace Context `traceparent`, version 00; it goes into every log line of the link or stream. */
export const Traceparent = z.string().regex(/^00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/)

/** A DNS name or IP literal without brackets, zone id or trailing dot. Whether it may be dialled is the relay's egress policy. */
export const TargetHost = z
  .string()
  .max(253)
  .regex(/^[A-Za-z0-9_:]([A-Za-z0-9._:-]*[A-Za-z0-9:])?$/)
/** A TCP port. */
export const TargetPort = z.int().min(1).max(65_535)

/** Key types of host keys that may be pinned (the type in the key blob; RSA keys sign with SHA-2 only). */
export const HostKeyType = z.enum(['ssh-ed25519', 'ecdsa-sha2-nistp256', 'ecdsa-sha2-nistp384', 'ecdsa-sha2-nistp521', 'ssh-rsa'])
/** A key type of a host key. */
export type HostKeyType = z.infer<typeof HostKeyType>

/** A pinned host key: its type and its fingerprint as OpenSSH prints it (`SHA256:` and unpadded base64). */
export const HostKeyPin = z.strictObject({ type: HostKeyType, fingerprint: z.string().regex(/^SHA256:[A-Za-z0-9+/]{43}$/) })
/** A pinned host key. */
export type HostKeyPin = z.infer<typeof HostKeyPin>

/** Terminal type and size in characters. */
export const Pty = z.strictObject({
  term: z.string().regex(/^[A-Za-z0-9.+_-]{1,64}$/),
  cols: z.int().min(1).max(PTY_SIDE_MAX),
  rows: z.int().min(1).max(PTY_SIDE_MAX),
})
/** Terminal type and size. */
export type Pty = z.infer<typeof Pty>

/** Variables that cannot change what a program loads or runs: locale, time zone, and our own prefix. */
export const RemoteEnv = z
  .record(z.string().regex(/^(LANG|LC_[A-Z]{1,20}|TZ|COLORTERM|PARVIS_[A-Z0-9_]{1,40})$/), controlless(1_024))
  .refine((env) => Object.keys(env).length <= ENV_VARIABLES_MAX, `at most ${ENV_VARIABLES_MAX} variables`)

/** A command line for the remote login shell. It travels as data in the SSH `exec` request and never meets a local shell. */
export const RemoteCommand = z
  .string()
  .min(1)
  .max(REMOTE_COMMAND_CHARS_MAX)
  .refine((text) => !text.includes('\0') && !/\p{Surrogate}/u.test(text), 'has NUL or a lone surrogate')

/** An absolute path. */
export const RemotePath = z
  .string()
  .max(4_096)
  .regex(/^\//, 'is not absolute')
  .refine((text) => !text.includes('\0') && !/\p{Surrogate}/u.test(text), 'has NUL or a lone surrogate')

/** `modern` is the allow-list of today; `legacy` adds CBC, SHA-1 and small groups for gear that knows nothing else. */
export const AlgorithmChoice = z.enum(['modern', 'legacy'])
/** Which algorithms may be negotiated. */
export type AlgorithmChoice = z.infer<typeof AlgorithmChoice>

/** What a terminal without SSH speaks. */
export const ConsoleProtocol = z.enum(['telnet'])

const Target = {
  host: TargetHost,
  port: TargetPort,
  /** Absent: modern. */
  algorithms: AlgorithmChoice.optional(),
  /** Pause between keepalives; 0 sends none. Absent: `KEEPALIVE_SECONDS_DEFAULT`. */
  keepaliveSeconds: z.int().min(0).max(3_600).optional(),
}

/** A host on the way to the target, with pins and a credential of its own. */
export const Jump = z.strictObject({ ...Target, username: controlless(128), pins: z.array(HostKeyPin).min(1).max(PINS_MAX) })
/** A host on the way to the target. */
export type Jump = z.infer<typeof Jump>

/** From the first, which the relay dials, to the last, which reaches the target. */
const jumps = z.array(Jump).max(JUMPS_MAX).optional()
const Login = { ...Target, jumps, username: controlless(128), pins: z.array(HostKeyPin).max(PINS_MAX), env: RemoteEnv.default({}) }
/** On whose behalf: their connection may wait for their next command there, and serves nobody else. Absent: it is closed. */
const keptFor = Identifier.optional()
const seconds = z
  .int()
  .min(1)
  .max(366 * 86_400)
const detachSeconds = z.int().min(0).max(DETACH_SECONDS_MAX).default(DETACH_SECONDS_DEFAULT)

/** What one OPEN may do. All of it is signed: what the grant does not say does not happen. Empty `pins` make the relay report the key and refuse. */
export const GrantRequest = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('shell'),
    ...Login,
    pty: Pty,
    detachSeconds,
    /** Without input for so long the shell is ended. */
    idleSeconds: seconds.optional(),
    /** After so long the shell is ended in any case. */
    lifeSeconds: seconds.optional(),
  }),
  z.strictObject({
    kind: z.literal('console'),
    /** Telnet, or a bare line: without a login of ours, host keys or encryption behind the last jump host. */
    protocol: ConsoleProtocol,
    host: TargetHost,
    port: TargetPort,
    keepaliveSeconds: Target.keepaliveSeconds,
    jumps,
    pty: Pty,
    detachSeconds,
    idleSeconds: seconds.optional(),
    lifeSeconds: seconds.optional(),
  }),
  z.strictObject({
    kind: z.literal('exec'),
    ...Login,
    keptFor,
    command: RemoteCommand,
    pty: Pty.optional(),
    timeoutSeconds: z.int().min(1).max(EXEC_SECONDS_MAX),
    /** Output beyond this ends the command. */
    outputBytesMax: z.int().min(1).optional(),
    detachSeconds,
  }),
  z.strictObject({
    kind: z.literal('file'),
    ...Login,
    keptFor,
    /** Read: output is the file. Write: input is, until its EOF. List: output is `FileList` as JSON. */
    op: z.enum(['list', 'read', 'write']),
    path: RemotePath,
    /** The real path must lie under one of these. */
    roots: z.array(RemotePath).min(1).max(32),
    bytesMax: z.int().min(0),
    /** Of a write: whether a file that is there is replaced. */
    overwrite: z.boolean().optional(),
    /** A transfer that is cut off is given up. */
    detachSeconds: z.literal(0),
    timeoutSeconds: z.int().min(1).max(EXEC_SECONDS_MAX),
  }),
  z.strictObject({ kind: z.literal('scan'), ...Target, jumps }),
])
/** What one OPEN may do. */
export type GrantRequest = z.infer<typeof GrantRequest>

const claims = {
  iss: Identifier,
  /** Relay id. */
  aud: Identifier,
  /** Id of the Durable Object that dials. */
  sub: Identifier,
  /** Organisation id. */
  tenant: Identifier,
  jti: base64url(16, 64),
  /** The relay's nonce of this very link, so a token is worthless on any other. */
  nonce: Nonce,
  /** Grows with every dial of the same object; a later epoch fences earlier links. */
  epoch: z.int().min(1).max(Number.MAX_SAFE_INTEGER),
  iat: z.int(),
  exp: z.int(),
}

/** Claims of the token in AUTH. `caps` bound every OPEN of the link, whatever its grant says. */
export const LinkClaims = z.strictObject({
  ...claims,
  caps: z.strictObject({
    hosts: z.array(TargetHost).min(1).max(STREAMS_MAX),
    ports: z.array(TargetPort).min(1).max(16),
    streamsMax: z.int().min(1).max(STREAMS_MAX),
  }),
})
/** Claims of the token in AUTH. */
export type LinkClaims = z.infer<typeof LinkClaims>

/** Claims of the token in OPEN; `shell` names the new shell for ATTACH and is unique within `sub`. */
export const GrantClaims = z.strictObject({ ...claims, shell: Identifier, request: GrantRequest })
/** Claims of the token in OPEN. */
export type GrantClaims = z.infer<typeof GrantClaims>

/** Signals of RFC 4254 §6.10 that may be sent. */
export const SIGNALS = ['HUP', 'INT', 'QUIT', 'TERM', 'KILL', 'USR1', 'USR2'] as const

/** Why a stream ended. `done`: it ran to its end; `gone`: the target's connection broke; the others name who ended it. */
export const CLOSE_REASONS = ['done', 'gone', 'dialer', 'detached-too-long', 'idle', 'expired', 'draining', 'internal'] as const

/** The index of one of a grant's jumps. */
const jumpIndex = z
  .int()
  .min(0)
  .max(JUMPS_MAX - 1)
const credit = z.int().min(1).max(CREDIT_BYTES_MAX)
const spoken = z.string().max(1_024)

/** Questions of a target: what is asked, and whether the answer may be seen. */
export const Prompts = z.strictObject({
  name: spoken,
  instruction: spoken,
  prompts: z.array(z.strictObject({ text: spoken, isEchoed: z.boolean() })).max(PROMPTS_MAX),
})
/** Questions of a target. */
export type Prompts = z.infer<typeof Prompts>

/** The JSON payload of every frame but DATA and EXTDATA. */
export const CONTROL = {
  HELLO: z.strictObject({ version: z.literal(KRP_VERSION), nonce: Nonce, traceparent: Traceparent.optional() }),
  /** Everything the relay says of itself stands here, because the proof in READY covers it. */
  CHALLENGE: z.strictObject({
    version: z.literal(KRP_VERSION),
    relay: Identifier,
    nonce: Nonce,
    sealingKey: SealingPublicJwk,
    heartbeatSeconds: z.int().min(1).max(300),
    /** How full the relay is, 0 to 1, and whether it takes new shells: a dialer with a choice goes elsewhere. */
    load: z.number().min(0).max(1),
    isDraining: z.boolean(),
  }),
  AUTH: z.strictObject({ token: CompactToken }),
  /** `kid` names the relay's Ed25519 key that the dialer has pinned; `proof` is its signature over `relayProofInput`. */
  READY: z.strictObject({ kid: Identifier, proof: base64url(86, 86) }),
  ERR: z.strictObject({ code: z.enum(Object.keys(LINK_ERRORS) as [LinkErrorCode, ...LinkErrorCode[]]) }),
  PING: z.strictObject({ id: z.int().min(0) }),
  PONG: z.strictObject({ id: z.int().min(0) }),
  /** No OPEN is taken from now on; what still lives when the seconds have passed is closed. */
  GOAWAY: z.strictObject({ drainSeconds: z.int().min(0) }),
  /** `creditBytes` is how much output the dialer takes before its first CREDIT. */
  OPEN: z.strictObject({
    grant: CompactToken,
    credential: SealedCredential.optional(),
    /** One for each of the grant's jumps, in their order. */
    jumpCredentials: z.array(SealedCredential).max(JUMPS_MAX).optional(),
    creditBytes: credit,
    traceparent: Traceparent.optional(),
  }),
  /** `creditBytes` is how much input the relay takes before its first CREDIT; `hostKey` is the pin that matched, absent of a console. */
  OPENED: z.strictObject({
    creditBytes: credit,
    hostKey: HostKeyPin.optional(),
    /** Of a file that is read. */
    fileBytes: z.int().min(0).optional(),
  }),
  /** `jump` says at which of the grant's jumps it went wrong; absent: at the target itself. */
  OPEN_FAIL: z.strictObject({
    code: z.enum(Object.keys(OPEN_PROBLEMS) as [OpenProblem, ...OpenProblem[]]),
    jump: jumpIndex.optional(),
  }),
  /** What a host asks a person (RFC 4256 §3.2), before OPENED: one of the grant's jumps, or the target. Its words, cleaned of control characters. */
  PROMPT: z.strictObject({ id: z.int().min(1), jump: jumpIndex.optional(), ...Prompts.shape }),
  /** From the dialer: the answers as a JSON array, sealed as the credential of the host that asks was, with `<grant id> prompt <id>` for a grant id. */
  ANSWER: z.strictObject({ id: z.int().min(1), answers: SealedCredential }),
  ACK: z.strictObject({ offset: Offset }),
  CREDIT: z.strictObject({ bytes: credit }),
  RESIZE: Pty.omit({ term: true }),
  SIGNAL: z.strictObject({ signal: z.enum(SIGNALS) }),
  /** From the dialer: input ends at `offset`. */
  EOF: z.strictObject({ offset: Offset }),
  /** How the remote program ended. `killed` says whether its end was seen after the relay stopped it, and `cause` why it did. */
  EXIT: z.strictObject({
    code: z.int().nullable(),
    signal: z.string().max(32).nullable(),
    killed: z.enum(['confirmed', 'unconfirmed']).optional(),
    cause: z.enum(['timeout', 'output-limit', 'dialer', 'draining', 'detached-too-long', 'idle', 'expired']).optional(),
    offset: Offset,
  }),
  /** Ends the stream. Each side sends it once; nothing follows it from that side. From the dialer it ends the shell itself. */
  CLOSE: z.strictObject({ reason: z.enum(CLOSE_REASONS) }),
  /** Takes over a shell of the same `sub` and `tenant`; the dialer has kept all output before `fromOffset`. */
  ATTACH: z.strictObject({ shell: Identifier, fromOffset: Offset, creditBytes: credit, traceparent: Traceparent.optional() }),
  /** Kept output is [firstOffset, nextOffset); the dialer sends input again from `inOffset`, within `creditBytes`. */
  ATTACHED: z.strictObject({ firstOffset: Offset, nextOffset: Offset, inOffset: Offset, creditBytes: credit }),
  /** Output in [from, to) is gone; it goes on at `to`. */
  GAP: z.strictObject({ from: Offset, to: Offset }),
  /** The key that the target presented. In answer to a scan, or before OPEN_FAIL host-key-unknown or host-key-mismatch. */
  HOSTKEY: z.strictObject({
    ...HostKeyPin.shape,
    publicKey: z
      .string()
      .max(4_096)
      .regex(/^[A-Za-z0-9+/]+={0,2}$/),
  }),
} as const

/** Frames whose payload is JSON. */
export type ControlName = keyof typeof CONTROL
/** The payload of a control frame. */
export type ControlBody<N extends ControlName> = z.infer<(typeof CONTROL)[N]>

const utf8Encoder = new TextEncoder()
const utf8Decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** Whether a frame's payload is JSON. */
export const isControl = (name: FrameName): name is ControlName => name in CONTROL

/** Reads a control payload. Throws `KrpError` frame-payload when it is too long, not UTF-8, not JSON or not to its schema. */
export function decodeControl<N extends ControlName>(name: N, payload: Uint8Array): ControlBody<N> {
  if (payload.length > CONTROL_BYTES_MAX) throw new KrpError('frame-payload')
  try {
    return CONTROL[name].parse(JSON.parse(utf8Decoder.decode(payload))) as ControlBody<N>
  } catch (cause) {
    throw new KrpError('frame-payload', { cause })
  }
}

/** The bytes of a control frame. Link frames take stream 0. */
export function encodeControl<N extends ControlName>(name: N, stream: number, body: ControlBody<N>): Uint8Array {
  return encodeFrame(name, stream, utf8Encoder.encode(JSON.stringify(body)))
}
