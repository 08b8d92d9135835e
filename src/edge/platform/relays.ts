import * as z from 'zod'
import { OrgId } from '../../contract/orgs.ts'

/** Relays of one deployment. */
const RELAYS_MAX = 16
/** Keys of one relay that hold at once: its own, and the next while it is exchanged. */
const KEYS_MAX = 4

/** Text that must be JSON. */
export const json = z.string().transform((s, ctx) => {
  try {
    return JSON.parse(s) as unknown
  } catch {
    ctx.addIssue({ code: 'custom', message: 'not JSON' })
    return z.NEVER
  }
})

const jwk = (shape: z.ZodRawShape) =>
  z.object({ kty: z.literal('OKP'), x: z.string().length(43), kid: z.string().min(1).max(64).optional(), ...shape })

/** One key, or several while one takes over from another. */
const oneOrMore = <S extends z.ZodType>(key: S) => z.preprocess((v) => (Array.isArray(v) ? v : [v]), z.array(key).min(1).max(KEYS_MAX))

/** Ed25519 keys by which a relay may prove itself. */
export const VerifyKeys = oneOrMore(jwk({ crv: z.literal('Ed25519') }))
/** X25519 keys to which credentials may be sealed. */
export const SealKeys = oneOrMore(jwk({ crv: z.literal('X25519') }))
/** The Ed25519 key by which relays know us. */
export const DialerKey = jwk({ crv: z.literal('Ed25519'), d: z.string().length(43), kid: z.string().min(1).max(64) })

const egress = z.array(z.union([z.ipv4(), z.ipv6(), z.cidrv4(), z.cidrv6()])).max(16)

/** `RELAYS`: where each is, its keys, whom it serves, and whether it takes new shells. */
export const Relays = z
  .array(
    z.strictObject({
      id: z.string().min(1).max(64),
      host: z.string().min(1),
      port: z.int().min(1).max(65_535).default(443),
      verifyKey: VerifyKeys,
      sealKey: SealKeys,
      /** Only these organisations use it, and they use no other. */
      orgIds: z.array(OrgId).max(1000).default([]),
      /** Addresses from which it connects: certificates hold from there only. */
      egress: egress.default([]),
      isDraining: z.boolean().default(false),
    }),
  )
  .min(1)
  .max(RELAYS_MAX)
  .refine((list) => new Set(list.map((relay) => relay.id)).size === list.length, 'ids are unique')

/** How to reach a relay, who it is, and who we are to it. */
export interface RelayConfig {
  readonly id: string
  readonly transport:
    | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
    /** `env` is the environment of the relay in the container, its keys among it. */
    | { readonly kind: 'container'; readonly port: number; readonly env: Readonly<Record<string, string>> }
  readonly verifyKeys: readonly JsonWebKey[]
  readonly sealKeys: readonly JsonWebKey[]
  readonly dialerKey: JsonWebKey & { readonly kid?: string | undefined }
  /** Empty: it serves every organisation that has no relay of its own. */
  readonly orgIds: readonly string[]
  readonly egress: readonly string[]
  readonly isDraining: boolean
}

/** What of the environment is about relays. */
export interface RelayVars {
  readonly RELAY_TRANSPORT: 'tcp' | 'container'
  readonly RELAY_ID: string
  readonly RELAY_HOST?: string | undefined
  readonly RELAY_PORT: number
  readonly RELAY_VERIFY_KEY?: z.output<typeof VerifyKeys> | undefined
  readonly RELAY_SEAL_KEY?: z.output<typeof SealKeys> | undefined
  readonly RELAY_DIALER_KEY?: z.output<typeof DialerKey> | undefined
  readonly RELAY_CONTAINER_ENV?: Readonly<Record<string, string>> | undefined
  readonly RELAY_EGRESS: string
  readonly RELAYS?: z.output<typeof Relays> | undefined
}

const egressOf = ({ RELAY_EGRESS }: RelayVars): readonly string[] => RELAY_EGRESS.split(',').flatMap((part) => part.trim() || [])

/** The keys of the environment without which relays cannot be used. */
export function missingRelayKeys(v: RelayVars): string[] {
  if (v.RELAYS) return v.RELAY_DIALER_KEY ? [] : ['RELAY_DIALER_KEY']
  const keys = [v.RELAY_VERIFY_KEY, v.RELAY_SEAL_KEY, v.RELAY_DIALER_KEY].filter(Boolean).length
  return [
    ...(keys > 0 && keys < 3 ? ['RELAY_VERIFY_KEY', 'RELAY_SEAL_KEY', 'RELAY_DIALER_KEY'] : []),
    ...(keys === 3 && v.RELAY_TRANSPORT === 'tcp' && !v.RELAY_HOST ? ['RELAY_HOST'] : []),
    ...(keys === 3 && v.RELAY_TRANSPORT === 'container' && !v.RELAY_CONTAINER_ENV ? ['RELAY_CONTAINER_ENV'] : []),
    ...(egress.safeParse(egressOf(v)).success ? [] : ['RELAY_EGRESS']),
  ]
}

/** The relays of `RELAYS`, or the one of the single keys. */
export function relaysOf(v: RelayVars): readonly RelayConfig[] {
  const { RELAY_VERIFY_KEY: verifyKeys, RELAY_SEAL_KEY: sealKeys, RELAY_DIALER_KEY } = v
  if (!RELAY_DIALER_KEY) return []
  const dialerKey = RELAY_DIALER_KEY as RelayConfig['dialerKey']
  if (v.RELAYS) {
    return v.RELAYS.map(({ id, host, port, verifyKey, sealKey, orgIds, isDraining, egress: addresses }) => {
      const keys = { verifyKeys: verifyKey as JsonWebKey[], sealKeys: sealKey as JsonWebKey[], dialerKey }
      return { id, transport: { kind: 'tcp', host, port }, ...keys, orgIds, egress: addresses, isDraining }
    })
  }
  if (!verifyKeys || !sealKeys) return []
  const transport =
    v.RELAY_TRANSPORT === 'container'
      ? ({ kind: 'container', port: v.RELAY_PORT, env: v.RELAY_CONTAINER_ENV ?? {} } as const)
      : ({ kind: 'tcp', host: v.RELAY_HOST ?? '', port: v.RELAY_PORT } as const)
  const keys = { verifyKeys: verifyKeys as JsonWebKey[], sealKeys: sealKeys as JsonWebKey[], dialerKey }
  return [{ id: v.RELAY_ID, transport, ...keys, orgIds: [], egress: egressOf(v), isDraining: false }]
}

/** An organisation's own relays if it has any, else those for everybody; none that is being drained. */
export function relaysFor(relays: readonly RelayConfig[], orgId: string): readonly RelayConfig[] {
  const own = relays.filter(({ orgIds }) => orgIds.includes(orgId))
  return (own.length > 0 ? own : relays.filter(({ orgIds }) => orgIds.length === 0)).filter(({ isDraining }) => !isDraining)
}
