import { createPrivateKey, createPublicKey, type JsonWebKey, type KeyObject } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { isIP } from 'node:net'
import ipaddr from 'ipaddr.js'
import * as z from 'zod'
import { TargetPort } from '../contract/krp.ts'
import { SealingPublicJwk } from '../contract/krp-secret.ts'
import type { SealingPrivateJwk } from '../contract/seal.ts'
import type { EgressPolicy } from './egress.ts'

/** Keys whose value may instead be the content of the file that `<KEY>_FILE` names, as container secrets are. */
const FILE_KEYS = ['RELAY_SIGNING_KEY', 'RELAY_SEALING_KEY', 'RELAY_DIALER_KEYS', 'RELAY_TLS_CERT', 'RELAY_TLS_KEY'] as const

/** What the relay needs from its environment, checked once. Units are in the names. */
export interface RelayConfig {
  readonly id: string
  readonly listen: { readonly host: string; readonly port: number }
  readonly health: { readonly host: string; readonly port: number }
  readonly tls: { readonly cert: string; readonly key: string } | undefined
  readonly signing: { readonly kid: string; readonly key: KeyObject }
  readonly sealing: SealingPrivateJwk
  readonly dialers: { readonly issuer: string; readonly keys: ReadonlyMap<string, KeyObject> }
  readonly egress: EgressPolicy
  readonly dnsServers: readonly string[]
  readonly limits: RelayLimits
}

/** How much and how long. */
export interface RelayLimits {
  readonly linksMax: number
  readonly unauthenticatedPerAddressMax: number
  readonly shellsMax: number
  readonly shellsPerTenantMax: number
  readonly loginFailuresPerMinuteMax: number
  readonly handshakeSeconds: number
  readonly heartbeatSeconds: number
  readonly connectSeconds: number
  readonly drainSeconds: number
  /** Upper bound over what a grant asks; operators lower it where memory is scarce. */
  readonly detachSecondsMax: number
  /** How long a connection waits for the next command of whom it was made for; 0: not at all. */
  readonly keptSeconds: number
  readonly keptMax: number
  readonly keptPerTenantMax: number
}

const count = (fallback: number, max: number) => z.coerce.number().int().min(1).max(max).default(fallback)
const port = (fallback: number) => z.coerce.number().int().min(0).max(65_535).default(fallback)
const list = z.string().transform((text) =>
  text
    .split(',')
    .map((part) => part.trim())
    .filter(Boolean),
)
const json = z.string().transform((text, context): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    context.addIssue({ code: 'custom', message: 'not JSON' })
    return z.NEVER
  }
})
const cidrs = list.pipe(z.array(z.string().refine((text) => ipaddr.isValidCIDR(text), 'not a CIDR')))
const target = z.string().transform((text, ctx) => {
  const [, six, four, port] = /^(?:\[([0-9a-fA-F:.]+)\]|([0-9.]+)):(\d{1,5})$/.exec(text) ?? []
  const address = six ?? four ?? ''
  const number = TargetPort.safeParse(Number(port))
  if (isIP(address) !== 0 && number.success) return { address, port: number.data }
  ctx.addIssue({ code: 'custom', message: 'not an address with a port' })
  return z.NEVER
})
const targets = list.pipe(z.array(target))
const ed25519 = z.looseObject({
  kty: z.literal('OKP'),
  crv: z.literal('Ed25519'),
  x: z.string().length(43),
  kid: z.string().min(1).max(128),
})

const Environment = z.object({
  RELAY_ID: z
    .string()
    .regex(/^[A-Za-z0-9_.:-]{1,128}$/)
    .default('relay'),
  RELAY_HOST: z.string().min(1).default('127.0.0.1'),
  RELAY_PORT: port(7022),
  RELAY_HEALTH_HOST: z.string().min(1).optional(),
  RELAY_HEALTH_PORT: port(7023),
  RELAY_SIGNING_KEY: json.pipe(ed25519.extend({ d: z.string().length(43) })),
  RELAY_SEALING_KEY: json.pipe(SealingPublicJwk.extend({ d: z.string().length(43) })),
  RELAY_DIALER_KEYS: json.pipe(z.array(ed25519).min(1).max(16)),
  RELAY_DIALER_ISSUER: z.string().min(1).default('parvis'),
  RELAY_TLS_CERT: z.string().optional(),
  RELAY_TLS_KEY: z.string().optional(),
  RELAY_TRUST_NETWORK: z.enum(['0', '1']).default('0'),
  RELAY_ALLOW_TARGETS: targets.default([]),
  RELAY_ALLOW_CIDRS: cidrs.default([]),
  RELAY_DENY_CIDRS: cidrs.default([]),
  RELAY_ALLOW_PORTS: list
    .pipe(
      z
        .array(
          z
            .string()
            .regex(/^\d{1,5}$/)
            .transform(Number)
            .pipe(TargetPort),
        )
        .min(1),
    )
    .default([22]),
  RELAY_DNS_SERVERS: list.default([]),
  RELAY_LINKS_MAX: count(1_000, 100_000),
  /** All Durable Objects may share one address, so this is above a burst of them, yet a flood from one place stops here. */
  RELAY_UNAUTHENTICATED_PER_ADDRESS_MAX: count(64, 10_000),
  RELAY_SHELLS_MAX: count(500, 100_000),
  RELAY_SHELLS_PER_TENANT_MAX: count(100, 100_000),
  /** OpenSSH 9.8 counts 5 s of penalty per failure and closes its door to the relay's address, for every tenant, from 15 s on. */
  RELAY_LOGIN_FAILURES_PER_MINUTE_MAX: count(3, 1_000),
  RELAY_HANDSHAKE_SECONDS: count(4, 60),
  RELAY_HEARTBEAT_SECONDS: count(15, 300),
  RELAY_CONNECT_SECONDS: count(10, 120),
  RELAY_DRAIN_SECONDS: count(30, 3_600),
  RELAY_DETACH_SECONDS_MAX: count(86_400, 86_400),
  RELAY_KEPT_SECONDS: z.coerce.number().int().min(0).max(300).default(60),
  /** A connection at rest holds some 90 kB here, and 6 MB at its host. */
  RELAY_KEPT_MAX: count(200, 10_000),
  RELAY_KEPT_PER_TENANT_MAX: count(32, 10_000),
})
type Environment = z.infer<typeof Environment>

/** @throws Error of one sentence that names the bad keys, never their values. */
export function parseConfig(env: Readonly<Record<string, string | undefined>>): RelayConfig {
  const parsed = Environment.safeParse(readFiles(env))
  if (!parsed.success)
    throw new Error(`Bad configuration: set ${[...new Set(parsed.error.issues.map((issue) => String(issue.path[0])))].join(', ')}.`)
  const vars = parsed.data
  return {
    id: vars.RELAY_ID,
    listen: { host: vars.RELAY_HOST, port: vars.RELAY_PORT },
    health: { host: vars.RELAY_HEALTH_HOST ?? vars.RELAY_HOST, port: vars.RELAY_HEALTH_PORT },
    tls: readTls(vars),
    signing: {
      kid: vars.RELAY_SIGNING_KEY.kid,
      key: readKey('RELAY_SIGNING_KEY', () => createPrivateKey({ key: vars.RELAY_SIGNING_KEY, format: 'jwk' })),
    },
    sealing: vars.RELAY_SEALING_KEY,
    dialers: { issuer: vars.RELAY_DIALER_ISSUER, keys: readDialerKeys(vars.RELAY_DIALER_KEYS) },
    egress: {
      allowTargets: vars.RELAY_ALLOW_TARGETS,
      allowCidrs: vars.RELAY_ALLOW_CIDRS,
      denyCidrs: vars.RELAY_DENY_CIDRS,
      allowPorts: vars.RELAY_ALLOW_PORTS,
    },
    dnsServers: vars.RELAY_DNS_SERVERS,
    limits: readLimits(vars),
  }
}

/** Whether only this machine can reach a listener bound to `host`. */
export function isLoopback(host: string): boolean {
  if (host === 'localhost') return true
  return ipaddr.isValid(host) && ipaddr.process(host).range() === 'loopback'
}

function readFiles(env: Readonly<Record<string, string | undefined>>): Record<string, string | undefined> {
  const values: Record<string, string | undefined> = {}
  for (const key of Object.keys(Environment.shape)) values[key] = env[key] === '' ? undefined : env[key]
  for (const key of FILE_KEYS) {
    const path = env[`${key}_FILE`]
    if (path === undefined || path === '') continue
    if (values[key] !== undefined) throw new Error(`Bad configuration: set only one of ${key} and ${key}_FILE.`)
    values[key] = readKey(`${key}_FILE`, () => readFileSync(path, 'utf8').trim())
  }
  return values
}

function readTls(vars: Environment): RelayConfig['tls'] {
  const { RELAY_TLS_CERT: cert, RELAY_TLS_KEY: key } = vars
  if ((cert === undefined) !== (key === undefined))
    throw new Error('Bad configuration: set both RELAY_TLS_CERT and RELAY_TLS_KEY, or none.')
  if (cert !== undefined && key !== undefined) return { cert, key }
  if (!isLoopback(vars.RELAY_HOST) && vars.RELAY_TRUST_NETWORK === '0') {
    throw new Error(
      'Bad configuration: RELAY_HOST is not loopback, so set RELAY_TLS_CERT and RELAY_TLS_KEY, or RELAY_TRUST_NETWORK=1 on a private network.',
    )
  }
  return undefined
}

function readDialerKeys(keys: Environment['RELAY_DIALER_KEYS']): ReadonlyMap<string, KeyObject> {
  // Only x is passed on: a private key given by mistake must not live here.
  const publicKey = (x: string) =>
    readKey('RELAY_DIALER_KEYS', () => createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x } satisfies JsonWebKey, format: 'jwk' }))
  return new Map(keys.map((key) => [key.kid, publicKey(key.x)]))
}

function readKey<T>(name: string, read: () => T): T {
  try {
    return read()
  } catch {
    throw new Error(`Bad configuration: ${name} cannot be read.`)
  }
}

function readLimits(vars: Environment): RelayLimits {
  return {
    linksMax: vars.RELAY_LINKS_MAX,
    unauthenticatedPerAddressMax: vars.RELAY_UNAUTHENTICATED_PER_ADDRESS_MAX,
    shellsMax: vars.RELAY_SHELLS_MAX,
    shellsPerTenantMax: vars.RELAY_SHELLS_PER_TENANT_MAX,
    loginFailuresPerMinuteMax: vars.RELAY_LOGIN_FAILURES_PER_MINUTE_MAX,
    handshakeSeconds: vars.RELAY_HANDSHAKE_SECONDS,
    heartbeatSeconds: vars.RELAY_HEARTBEAT_SECONDS,
    connectSeconds: vars.RELAY_CONNECT_SECONDS,
    drainSeconds: vars.RELAY_DRAIN_SECONDS,
    detachSecondsMax: vars.RELAY_DETACH_SECONDS_MAX,
    keptSeconds: vars.RELAY_KEPT_SECONDS,
    keptMax: vars.RELAY_KEPT_MAX,
    keptPerTenantMax: vars.RELAY_KEPT_PER_TENANT_MAX,
  }
}
