import * as z from 'zod'
import { endpoint } from './endpoint.ts'
import { EntityTag, lineOf, Moment, prefixedId } from './id.ts'
import { MailedApp } from './mailed-link.ts'
import { PlatformRole } from './permission.ts'
import { FactorMethod } from './proof.ts'

/** NIST SP 800-63B-4 minimum for a password that is the only factor. */
export const PASSWORD_CHARS_MIN = 15
/** NIST SP 800-63B-4 minimum for a password beside a second factor. */
export const PASSWORD_CHARS_MIN_WITH_FACTOR = 8
/** Longest password; checked before hashing so length cannot be an attack. NIST asks for at least 64. */
export const PASSWORD_CHARS_MAX = 1024
/** RFC 5321 §4.5.3.1.3 path limit less the angle brackets. */
export const EMAIL_CHARS_MAX = 254
/** Digits of a mailed code. */
export const CODE_DIGITS = 6
/** Wrong tries before a code is burnt. */
export const CODE_TRIES_MAX = 5
/** Life of a mailed code; NIST allows 10 minutes at most. */
export const CODE_TTL_SECONDS = 600
/** Longest name of a device. */
export const DEVICE_NAME_CHARS_MAX = 60
/** How long a device is known on which nobody signs in; browsers keep a cookie for 400 days at most. */
export const DEVICE_DAYS = 365
/** Life of a ticket that opens one WebSocket. */
export const TICKET_TTL_SECONDS = 30

/** Id of a user. */
export const UserId = prefixedId('usr', 'UserId')
/** Id of a user. */
export type UserId = z.infer<typeof UserId>
/** Id of a session: one signed-in device. */
export const SessionId = prefixedId('ses', 'SessionId')
/** Id of a session. */
export type SessionId = z.infer<typeof SessionId>
/** Id of a pending registration; only the client that registered holds it. */
export const RegistrationId = prefixedId('reg', 'RegistrationId')
/** Id of a pending registration. */
export type RegistrationId = z.infer<typeof RegistrationId>

/** Id of a sign-in that waits for its second factor; only the client that signs in holds it. */
export const PendingId = prefixedId('pnd', 'PendingId')
/** Id of a sign-in that waits for its second factor. */
export type PendingId = z.infer<typeof PendingId>

/** An address, folded to lower case: one mailbox is one identity. */
export const Email = z
  .string()
  .trim()
  .max(EMAIL_CHARS_MAX)
  .transform((s) => s.toLowerCase())
  .pipe(z.email())
  .meta({ id: 'Email', description: 'ASCII mail address; letter case does not matter.', example: 'ada@example.org' })

/** Languages of mails. */
export const Locale = z.enum(['en', 'fr']).meta({ id: 'Locale' })
/** Languages of mails. */
export type Locale = z.infer<typeof Locale>

const codePoints = (s: string) => [...s].length

/** A new password: any Unicode, no composition rules, 15 code points at least. */
export const NewPassword = z
  .string()
  .refine((s) => codePoints(s) >= PASSWORD_CHARS_MIN, `needs ${PASSWORD_CHARS_MIN} characters or more`)
  .refine((s) => s.length <= PASSWORD_CHARS_MAX, `takes ${PASSWORD_CHARS_MAX} characters at most`)
  .meta({
    id: 'NewPassword',
    description: `At least ${PASSWORD_CHARS_MIN} characters; any characters, spaces included. Common, leaked and telling ones are refused with the reason.`,
    example: 'correct horse battery staple',
  })

/** As {@link NewPassword}, for somebody who has an account: shorter ones pass where a second factor is enrolled. */
export const NextPassword = z
  .string()
  .refine((s) => codePoints(s) >= PASSWORD_CHARS_MIN_WITH_FACTOR, `needs ${PASSWORD_CHARS_MIN} characters or more`)
  .refine((s) => s.length <= PASSWORD_CHARS_MAX, `takes ${PASSWORD_CHARS_MAX} characters at most`)
  .meta({
    id: 'NextPassword',
    description: `As NewPassword; with a second factor ${PASSWORD_CHARS_MIN_WITH_FACTOR} characters are enough.`,
    example: 'correct horse battery staple',
  })

/** How the tokens travel: in the answer's body, or in `__Host-` cookies that scripts cannot read. */
export const TokenMode = z.enum(['bearer', 'cookie']).meta({ id: 'TokenMode' })
/** How the tokens travel. */
export type TokenMode = z.infer<typeof TokenMode>

/** What `register` takes. */
export const Register = z
  .strictObject({ email: Email, password: NewPassword, locale: Locale.default('en'), app: MailedApp })
  .meta({ id: 'Register' })
/** What `register` takes. */
export type Register = z.output<typeof Register>

/** What `register` answers, the same whether or not the address is taken. */
export const Registration = z.object({ registrationId: RegistrationId, expiresAt: Moment }).meta({ id: 'Registration' })
/** What `register` answers. */
export type Registration = z.infer<typeof Registration>

/** A code as it was mailed; leading zeros count. */
export const MailedCode = z.string().regex(new RegExp(`^\\d{${CODE_DIGITS}}$`))

/** The token of a mailed link: what stands behind the `#` of its URL, 256 bits in base64url. */
export const LinkToken = z
  .string()
  .regex(/^[A-Za-z0-9_-]{43}$/)
  .meta({ id: 'LinkToken', description: 'What stands behind the `#` of a mailed link.' })

/** Whether exactly one proof is given: an id with the code that was mailed for it, or the token of the mailed link alone. */
export const isOneProof = ({ id, code, token }: { id?: string | undefined; code?: string | undefined; token?: string | undefined }) =>
  token === undefined ? id !== undefined && code !== undefined : id === undefined && code === undefined

/** What is wrong when it is not one proof. */
export const ONE_PROOF = { error: 'needs the id and the mailed code, or the token of the mailed link alone', path: ['code'] }

/**
 * What `verifyEmail` takes. The client that registered gives `registrationId` with the mailed `code`, or with the `token` of the mailed
 * link. Any other gives the `token` with a `password` of its own: whoever reads the mail need not be who chose the first one.
 */
export const VerifyEmail = z
  .strictObject({
    registrationId: RegistrationId.optional(),
    code: MailedCode.optional(),
    token: LinkToken.optional(),
    password: NewPassword.optional(),
  })
  .refine(
    ({ registrationId, code, token, password }) =>
      (code === undefined) !== (token === undefined) && (registrationId === undefined) !== (password === undefined) && !(code && password),
    { error: 'needs registrationId with code or token, or token with password', path: ['code'] },
  )
  .meta({ id: 'VerifyEmail' })
/** What `verifyEmail` takes. */
export type VerifyEmail = z.output<typeof VerifyEmail>

/** What `resendVerification` takes. */
export const ResendVerification = z.strictObject({ registrationId: RegistrationId }).meta({ id: 'ResendVerification' })
/** What `resendVerification` takes. */
export type ResendVerification = z.output<typeof ResendVerification>

/** A name for a signed-in device, as its list of sessions shows it. */
export const DeviceName = lineOf(DEVICE_NAME_CHARS_MAX).meta({ id: 'DeviceName', example: 'Kitchen tablet' })

/** What `finishLogin` gave a device that is trusted. */
export const TrustToken = z
  .string()
  .min(1)
  .max(100)
  .meta({ description: 'What `finishLogin` gave this device; in cookie mode the cookie serves.' })

/** What a sign-in gave the device to tell it from others by. It opens nothing, with or without a password. */
export const DeviceToken = z.string().min(1).max(300).meta({
  description: 'What the last sign-in on this device answered; the account is told of a sign-in without it. A cookie in cookie mode.',
})

/** What `login` takes. */
export const Login = z
  .strictObject({
    email: Email,
    password: z.string().min(1).max(PASSWORD_CHARS_MAX),
    mode: TokenMode.default('bearer'),
    deviceName: DeviceName.optional(),
    trustToken: TrustToken.optional(),
    deviceToken: DeviceToken.optional(),
  })
  .meta({ id: 'Login' })
/** What `login` takes. */
export type Login = z.output<typeof Login>

/**
 * One way in which a user was authenticated: the values of RFC 8176, and `email` for a code or link that was mailed.
 * `mfa` stands beside the others where more than one factor was proven.
 */
export const AuthMethod = z.enum(['pwd', 'email', 'otp', 'hwk', 'swk', 'user', 'mfa']).meta({ id: 'AuthMethod' })
/** One way in which a user was authenticated. */
export type AuthMethod = z.infer<typeof AuthMethod>

/** Why a refresh answered as it did: rotated, or one of the two benign races that converge on the current token. */
export const RefreshCause = z.enum(['rotated', 'concurrent-refresh', 'fail-to-save']).meta({ id: 'RefreshCause' })
/** Why a refresh answered as it did. */
export type RefreshCause = z.infer<typeof RefreshCause>

/** A signed-in device's tokens. In cookie mode the two tokens are absent from the body. */
export const Tokens = z
  .object({
    sessionId: SessionId,
    userId: UserId,
    tokenType: z.literal('Bearer'),
    accessToken: z.string().optional().meta({ description: 'JWT signed with EdDSA or ES256, `typ` at+jwt (RFC 9068).' }),
    refreshToken: z.string().optional(),
    expiresAt: Moment.meta({ description: 'When the access token expires.' }),
    sessionExpiresAt: Moment.meta({ description: 'When the session ends whatever happens.' }),
    cause: RefreshCause.optional(),
    deviceToken: z
      .string()
      .optional()
      .meta({
        description: `At a sign-in: keep it on this device for ${DEVICE_DAYS} days, over signing out too, and give it at the next.`,
      }),
  })
  .meta({ id: 'Tokens' })
/** A signed-in device's tokens. */
export type Tokens = z.infer<typeof Tokens>

/** A first factor is proven and the account has a second one: no token of any kind is given before it is proven too. */
export const FactorRequired = z
  .object({
    factorRequired: z.object({
      pendingId: PendingId,
      methods: z.array(FactorMethod).meta({ description: 'What `finishLogin` takes for this account.' }),
      expiresAt: Moment,
    }),
  })
  .meta({ id: 'FactorRequired' })
/** A first factor is proven and the account has a second one. */
export type FactorRequired = z.infer<typeof FactorRequired>

/** What a first factor answers: the tokens, or that a second factor is needed. */
export const LoginAnswer = z.union([Tokens, FactorRequired])
/** What a first factor answers. */
export type LoginAnswer = z.infer<typeof LoginAnswer>

/** What `refresh` and `logout` take; nothing in cookie mode. */
export const RefreshRequest = z.strictObject({ refreshToken: z.string().min(1).max(200).optional() }).meta({ id: 'RefreshRequest' })
/** What `refresh` and `logout` take. */
export type RefreshRequest = z.output<typeof RefreshRequest>

/** Who the presented token speaks for, from the token alone. */
export const SessionInfo = z.object({ userId: UserId, sessionId: SessionId, expiresAt: Moment }).meta({ id: 'SessionInfo' })
/** Who the presented token speaks for. */
export type SessionInfo = z.infer<typeof SessionInfo>

/** The signed-in user. */
export const Me = z
  .object({
    id: UserId,
    email: z.string(),
    displayName: z.string().nullable().meta({ description: 'What the user wants to be called; null while they have not said.' }),
    locale: Locale,
    createdAt: Moment,
    roles: z.array(PlatformRole).meta({ description: 'Roles on the platform.' }),
    etag: EntityTag,
  })
  .meta({ id: 'Me' })
/** The signed-in user. */
export type Me = z.infer<typeof Me>

/** A single-use pass that opens one WebSocket within {@link TICKET_TTL_SECONDS}. */
export const Ticket = z.object({ ticket: z.string(), expiresAt: Moment }).meta({ id: 'Ticket' })
/** A single-use pass that opens one WebSocket. */
export type Ticket = z.infer<typeof Ticket>

/** The identity operations. */
export const identityEndpoints = {
  register: endpoint({
    id: 'register',
    method: 'POST',
    path: '/v1/auth/register',
    tag: 'identity',
    access: 'public',
    summary: 'Ask for an account; a 6-digit code and a link go to the address. The answer never tells whether the address is taken.',
    body: Register,
    success: 202,
    response: Registration,
    limit: 'register',
    problems: [],
  }),
  verifyEmail: endpoint({
    id: 'verifyEmail',
    method: 'POST',
    path: '/v1/auth/verify',
    tag: 'identity',
    access: 'public',
    summary: 'Prove the address with the mailed code or link; the account exists from here on.',
    body: VerifyEmail,
    success: 204,
    response: z.undefined(),
    limit: 'code',
    problems: ['code-invalid'],
  }),
  resendVerification: endpoint({
    id: 'resendVerification',
    method: 'POST',
    path: '/v1/auth/verify/resend',
    tag: 'identity',
    access: 'public',
    summary: 'Have the mail of a registration sent again, with the same code. The answer is the same whatever comes of it.',
    body: ResendVerification,
    success: 204,
    response: z.undefined(),
    limit: 'register',
    problems: [],
  }),
  login: endpoint({
    id: 'login',
    method: 'POST',
    path: '/v1/auth/login',
    tag: 'identity',
    access: 'public',
    summary: 'Sign in on a device and start its session, or learn which second factor is needed first.',
    body: Login,
    success: 200,
    response: LoginAnswer,
    limit: 'login',
    problems: ['credentials-invalid', 'origin-untrusted'],
  }),
  refresh: endpoint({
    id: 'refresh',
    method: 'POST',
    path: '/v1/auth/refresh',
    tag: 'identity',
    access: 'public',
    summary: 'Trade the refresh token for the next pair. Racing and retried calls converge on the same pair.',
    body: RefreshRequest,
    success: 200,
    response: Tokens,
    limit: 'refresh',
    problems: ['unauthenticated', 'session-ended', 'refresh-reused', 'origin-untrusted'],
  }),
  logout: endpoint({
    id: 'logout',
    method: 'POST',
    path: '/v1/auth/logout',
    tag: 'identity',
    access: 'public',
    summary: 'End the session of the presented refresh token, or of whatever cookie is left. Ending an ended session succeeds.',
    body: RefreshRequest,
    success: 204,
    response: z.undefined(),
    limit: 'refresh',
    problems: ['unauthenticated', 'origin-untrusted'],
  }),
  getSession: endpoint({
    id: 'getSession',
    method: 'GET',
    path: '/v1/auth/session',
    tag: 'identity',
    access: 'user',
    summary: 'Who the presented token speaks for, from the token alone.',
    success: 200,
    response: SessionInfo,
    problems: [],
  }),
  getMe: endpoint({
    id: 'getMe',
    method: 'GET',
    path: '/v1/me',
    tag: 'identity',
    access: 'user',
    scope: 'account:read',
    summary: 'The signed-in user.',
    success: 200,
    response: Me,
    hasEtag: true,
    problems: [],
  }),
}
