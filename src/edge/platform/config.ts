import * as z from 'zod'
import { lineOf } from '../../contract/id.ts'
import { ACCESS_TTL_SECONDS_MAX, SigningAlg } from '../../contract/keys.ts'
import { ORG_INVITATIONS_MAX, ORG_MEMBERS_MAX, ORGS_PER_OWNER_MAX } from '../../contract/orgs.ts'
import { SESSIONS_PER_USER_MAX } from '../../contract/sessions.ts'
import { SHELLS_PER_HOST_MAX, SHELLS_PER_ORG_MAX } from '../../contract/shell-usage.ts'
import { fromBase64Url } from './base64.ts'
import { type Keyring, keyringOf, type RootSecret } from './keyring.ts'
import { type Limits, parseLimits } from './limiter/limits.ts'
import { MAIL_VARS, type MailWay, mailWaysOf, missingMailKeys, weakMailKeys } from './mail/settings.ts'
import { isServiceName } from './push-services.ts'
import { DialerKey, json, missingRelayKeys, type RelayConfig, Relays, relaysOf, SealKeys, VerifyKeys } from './relays.ts'

/** 256 bits: the key size of everything derived from a root secret. */
const ROOT_BYTES_MIN = 32

const origins = z
  .string()
  .default('')
  .transform((s) =>
    s
      .split(',')
      .map((o) => o.trim())
      .filter(Boolean),
  )
  .refine((list) => list.every((o) => URL.canParse(o) && new URL(o).origin === o), 'exact origins only')

const rootSecret = z.string().transform((s, ctx): RootSecret => {
  const [, version, encoded] = /^([1-9]\d{0,5}):([A-Za-z0-9_-]+)$/.exec(s.trim()) ?? []
  const bytes = fromBase64Url(encoded ?? '')
  if (version && bytes && bytes.length >= ROOT_BYTES_MIN) return { version: Number(version), bytes }
  ctx.addIssue({ code: 'custom', message: 'versioned base64url secrets of 32 bytes or more' })
  return z.NEVER
})

const rootSecrets = z
  .string()
  .transform((s) => s.split(','))
  .pipe(z.tuple([rootSecret], rootSecret))
  .refine((list) => new Set(list.map((r) => r.version)).size === list.length, 'versions are unique')

const limits = z
  .string()
  .default('')
  .transform((s, ctx) => {
    const parsed = parseLimits(s)
    if (parsed) return parsed
    ctx.addIssue({ code: 'custom', message: 'name=count/seconds, apart by spaces' })
    return z.NEVER
  })

/** 0 bounds nothing. */
const monthly = z.coerce.number().int().min(0).max(1_000_000_000).default(0)

const Vars = z.object({
  ENVIRONMENT: z.enum(['dev', 'production']).default('production'),
  PUBLIC_ORIGIN: z.string().refine((o) => URL.canParse(o) && new URL(o).origin === o, 'an origin, without a path'),
  CORS_ORIGINS: origins,
  /** The app that ways back are mailed to lead to. Not for a caller to say: whoever took an account would lead its owner astray. */
  RESTORE_APP: z.url().optional(),
  /** What passkeys are bound to: the host of PUBLIC_ORIGIN, or a domain it is under. */
  PASSKEY_RP_ID: z.hostname().optional(),
  SECRET_KEYS: rootSecrets,
  ACCESS_TTL_SECONDS: z.coerce.number().int().min(60).max(ACCESS_TTL_SECONDS_MAX).default(900),
  SIGNING_ALG: SigningAlg.default('EdDSA'),
  SIGNING_KEY_DAYS: z.coerce.number().int().min(1).max(365).default(30),
  SESSION_IDLE_SECONDS: z.coerce.number().int().min(3600).default(604_800),
  SESSION_MAX_SECONDS: z.coerce.number().int().min(3600).default(2_592_000),
  REFRESH_RACE_SECONDS: z.coerce.number().int().min(0).max(60).default(30),
  SESSIONS_PER_USER: z.coerce.number().int().min(1).max(SESSIONS_PER_USER_MAX).default(25),
  ORGS_PER_OWNER: z.coerce.number().int().min(1).max(1_000).default(ORGS_PER_OWNER_MAX),
  ORG_MEMBERS: z.coerce.number().int().min(1).max(10_000).default(ORG_MEMBERS_MAX),
  ORG_INVITATIONS: z.coerce.number().int().min(1).max(10_000).default(ORG_INVITATIONS_MAX),
  /** Sockets of a room from which on newcomers go to leaves of it, and how many a leaf is meant to hold. */
  ROOM_LEAVES_ABOVE: z.coerce.number().int().min(2).max(10_000).default(1_000),
  ROOM_LEAF_SOCKETS: z.coerce.number().int().min(1).max(10_000).default(1_000),
  /** Shells, commands and transfers of one organisation at a time, and what it may use of them in a month; 0 bounds nothing. */
  SHELLS_PER_HOST: z.coerce.number().int().min(1).max(10_000).default(SHELLS_PER_HOST_MAX),
  SHELLS_PER_ORG: z.coerce.number().int().min(1).max(10_000).default(SHELLS_PER_ORG_MAX),
  SHELL_MINUTES_PER_MONTH: monthly,
  SHELL_MEGABYTES_PER_MONTH: monthly,
  BREACH_CHECK: z.enum(['off', 'open', 'closed']).optional(),
  BREACH_RANGE_URL: z
    .url()
    .refine((u) => u.endsWith('/'), 'ends where the prefix of a hash goes')
    .default('https://api.pwnedpasswords.com/range/'),
  LIMITS: limits,
  /** Who may be pushed through, by DNS name; `*.` stands for any name under one. */
  PUSH_SERVICES: z
    .string()
    .default('fcm.googleapis.com updates.push.services.mozilla.com *.push.apple.com *.notify.windows.com')
    .transform((s) => s.split(/\s+/).filter(Boolean))
    .refine((names) => names.every(isServiceName), 'DNS names, apart by spaces'),
  /** DNS over HTTPS, by which the names of webhooks are looked up before they are called; blank in dev asks nobody. */
  WEBHOOK_DNS_URL: z.url().optional(),
  /** What whoever reads `/metrics` shows; blank shuts it. */
  METRICS_TOKEN: z
    .string()
    .regex(/^[\x21-\x7e]{32,200}$/)
    .optional(),
  PRODUCT_NAME: lineOf(60).default('Parvis'),
  ...MAIL_VARS,
  RELAY_TRANSPORT: z.enum(['tcp', 'container']).default('tcp'),
  RELAY_ID: z.string().min(1).max(64).default('relay-1'),
  RELAY_HOST: z.string().min(1).optional(),
  RELAY_PORT: z.coerce.number().int().min(1).max(65_535).default(443),
  RELAY_VERIFY_KEY: json.pipe(VerifyKeys).optional(),
  RELAY_SEAL_KEY: json.pipe(SealKeys).optional(),
  RELAY_DIALER_KEY: json.pipe(DialerKey).optional(),
  RELAY_CONTAINER_ENV: json.pipe(z.record(z.string().regex(/^[A-Z_]+$/), z.string())).optional(),
  RELAY_EGRESS: z.string().default(''),
  RELAYS: json.pipe(Relays).optional(),
})

/** Every `[vars]` key and secret the Worker reads. */
export const CONFIG_KEYS: readonly string[] = Object.keys(Vars.shape)

type Parsed = z.output<typeof Vars>

/** How much one may have of organisations. */
export interface Quotas {
  readonly ownedMax: number
  readonly membersMax: number
  readonly invitationsMax: number
}

/** What the Worker needs from its environment, checked once. Units are in the names. */
export interface Config {
  readonly isDev: boolean
  readonly publicOrigin: string
  readonly corsOrigins: readonly string[]
  /** Where the links lead that give an account back, if not to us. */
  readonly restoreApp: string | undefined
  readonly passkeyRpId: string
  readonly keyring: Keyring
  readonly productName: string
  /** What opens `/metrics`; absent where nobody reads them. */
  readonly metricsToken: string | undefined
  readonly accessTtlSeconds: number
  readonly signingAlg: SigningAlg
  /** Age at which a signing key is followed by the next. */
  readonly signingKeyDays: number
  readonly sessionIdleSeconds: number
  readonly sessionMaxSeconds: number
  readonly refreshRaceSeconds: number
  readonly sessionsPerUserMax: number
  readonly quotas: Quotas
  /** From how many sockets on a room spreads over leaves, and how many each is meant to hold. */
  readonly roomLeaves: { readonly above: number; readonly socketsMax: number }
  /** How much of shells one organisation may have at a time and in a month; undefined bounds nothing. */
  readonly shellQuotas: {
    readonly liveMax: number
    readonly hostLiveMax: number
    readonly minutesMax: number | undefined
    readonly bytesMax: number | undefined
  }
  /** Whether new passwords are looked up among the leaked ones, and whether one passes when the look-up fails. */
  readonly breach: { readonly check: 'off' | 'open' | 'closed'; readonly rangeUrl: string }
  readonly limits: Limits
  /** Who may be pushed through; everybody else is never called. */
  readonly pushServices: readonly string[]
  /** Who is asked for the addresses of webhooks; blank asks nobody. */
  readonly webhookDnsUrl: string
  readonly mail: { readonly from: string; readonly fromName: string; readonly ways: readonly MailWay[] }
  /** Empty when no relay is configured: shells then answer `unavailable`. */
  readonly relays: readonly RelayConfig[]
}

/** The environment is unusable; the message names keys, never values. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
}

/** A secret nobody drew at random: repeated, counting or spelled-out bytes. */
function isWeak({ bytes }: RootSecret): boolean {
  const distinct = new Set(bytes).size
  const isPrintable = bytes.every((b) => b >= 0x20 && b < 0x7f)
  const steps = new Set(bytes.map((b, i) => (b - (bytes[i - 1] ?? b) + 256) % 256))
  return distinct < 16 || isPrintable || steps.size <= 3
}

function weakKeys(v: Parsed): string[] {
  if (v.ENVIRONMENT === 'dev') return []
  return [
    ...(v.SECRET_KEYS.some(isWeak) ? ['SECRET_KEYS'] : []),
    ...(v.PUBLIC_ORIGIN.startsWith('https://') ? [] : ['PUBLIC_ORIGIN']),
    ...(v.CORS_ORIGINS.every((o) => o.startsWith('https://')) ? [] : ['CORS_ORIGINS']),
    ...(v.METRICS_TOKEN !== undefined && new Set(v.METRICS_TOKEN).size < 12 ? ['METRICS_TOKEN'] : []),
    ...weakMailKeys(v),
    ...(v.BREACH_RANGE_URL.startsWith('https://') ? [] : ['BREACH_RANGE_URL']),
    ...(v.WEBHOOK_DNS_URL?.startsWith('https://') === false ? ['WEBHOOK_DNS_URL'] : []),
  ]
}

/** Browsers let a page use the passkeys of its own host and of domains above it. */
const isOver = (rpId: string | undefined, host: string): boolean => rpId === undefined || host === rpId || host.endsWith(`.${rpId}`)

function missingKeys(v: Parsed): string[] {
  return [
    ...missingMailKeys(v),
    ...(isOver(v.PASSKEY_RP_ID, new URL(v.PUBLIC_ORIGIN).hostname) ? [] : ['PASSKEY_RP_ID']),
    ...(v.RESTORE_APP === undefined || v.CORS_ORIGINS.includes(v.RESTORE_APP) ? [] : ['RESTORE_APP']),
    ...missingRelayKeys(v),
  ]
}

/** @throws ConfigError naming the bad keys. */
export function parseConfig(env: object): Config {
  // A blank is how an environment says that it has no value.
  const parsed = Vars.safeParse(Object.fromEntries(Object.entries(env).filter(([, value]) => value !== '')))
  const bad = parsed.success ? [...weakKeys(parsed.data), ...missingKeys(parsed.data)] : parsed.error.issues.map((i) => String(i.path[0]))
  if (!parsed.success || bad.length > 0) throw new ConfigError(`refused configuration: ${[...new Set(bad)].join(', ')}`)
  const v = parsed.data
  return {
    isDev: v.ENVIRONMENT === 'dev',
    publicOrigin: v.PUBLIC_ORIGIN,
    corsOrigins: v.CORS_ORIGINS,
    restoreApp: v.RESTORE_APP,
    passkeyRpId: v.PASSKEY_RP_ID ?? new URL(v.PUBLIC_ORIGIN).hostname,
    keyring: keyringOf(v.SECRET_KEYS),
    productName: v.PRODUCT_NAME,
    metricsToken: v.METRICS_TOKEN,
    accessTtlSeconds: v.ACCESS_TTL_SECONDS,
    signingAlg: v.SIGNING_ALG,
    signingKeyDays: v.SIGNING_KEY_DAYS,
    sessionIdleSeconds: v.SESSION_IDLE_SECONDS,
    sessionMaxSeconds: v.SESSION_MAX_SECONDS,
    refreshRaceSeconds: v.REFRESH_RACE_SECONDS,
    sessionsPerUserMax: v.SESSIONS_PER_USER,
    quotas: { ownedMax: v.ORGS_PER_OWNER, membersMax: v.ORG_MEMBERS, invitationsMax: v.ORG_INVITATIONS },
    roomLeaves: { above: v.ROOM_LEAVES_ABOVE, socketsMax: v.ROOM_LEAF_SOCKETS },
    shellQuotas: {
      liveMax: v.SHELLS_PER_ORG,
      hostLiveMax: v.SHELLS_PER_HOST,
      minutesMax: v.SHELL_MINUTES_PER_MONTH || undefined,
      bytesMax: v.SHELL_MEGABYTES_PER_MONTH * 1_000_000 || undefined,
    },
    breach: { check: v.BREACH_CHECK ?? (v.ENVIRONMENT === 'dev' ? 'off' : 'open'), rangeUrl: v.BREACH_RANGE_URL },
    limits: v.LIMITS,
    pushServices: v.PUSH_SERVICES,
    webhookDnsUrl: v.WEBHOOK_DNS_URL ?? (v.ENVIRONMENT === 'dev' ? '' : 'https://cloudflare-dns.com/dns-query'),
    mail: { from: v.MAIL_FROM, fromName: v.PRODUCT_NAME, ways: mailWaysOf(v) },
    relays: relaysOf(v),
  }
}

const parsedOnce = new WeakMap<object, Config>()

/** The configuration of this isolate, parsed on first use. @throws ConfigError */
export function readConfig(env: object): Config {
  const config = parsedOnce.get(env) ?? parseConfig(env)
  parsedOnce.set(env, config)
  return config
}
