import * as z from 'zod'

/** The SMTP accounts that can be configured, by the prefix of their variables. */
const ACCOUNTS = { smtp: 'SMTP', smtp2: 'SMTP2', smtp3: 'SMTP3' } as const
type AccountName = keyof typeof ACCOUNTS

const NAMES = ['cloudflare', 'catcher', 'smtp', 'smtp2', 'smtp3'] as const
/** The name of a way out for mail. */
export type WayName = (typeof NAMES)[number]

const account = {
  HOST: z.string().min(1).optional(),
  PORT: z.coerce.number().int().min(1).max(65_535).default(465),
  TLS: z.enum(['implicit', 'starttls', 'none']).default('implicit'),
  USERNAME: z.string().min(1).optional(),
  PASSWORD: z.string().min(1).optional(),
}

type AccountVars<P extends string> = { [K in keyof typeof account & string as `${P}_${K}`]: (typeof account)[K] }

const accountVars = <P extends string>(prefix: P) =>
  Object.fromEntries(Object.entries(account).map(([key, schema]) => [`${prefix}_${key}`, schema])) as AccountVars<P>

const ways = z
  .string()
  .transform((s) => s.split(',').map((name) => name.trim()))
  .pipe(z.array(z.enum(NAMES)).min(1))
  .refine((names) => new Set(names).size === names.length, 'each way once')

const quotas = z
  .string()
  .default('')
  .transform((s, ctx) => {
    const pairs = s.split(/\s+/).filter(Boolean)
    const parsed = pairs.map((pair) => /^([a-z]+\d?)=([1-9]\d{0,8})$/.exec(pair))
    const found = parsed.flatMap((match) => (match ? [[match[1] ?? '', Number(match[2])] as const] : []))
    if (found.length === pairs.length && found.every(([name]) => NAMES.some((known) => known === name)))
      return new Map<string, number>(found)
    ctx.addIssue({ code: 'custom', message: 'name=mails a day, apart by spaces' })
    return z.NEVER
  })

/** The variables of mail. */
export const MAIL_VARS = {
  MAIL_FROM: z.email(),
  /** Ways out in the order in which they are tried, as in `smtp,smtp2,cloudflare`. */
  MAIL_TRANSPORT: ways,
  /** Mails that a way may carry a day (UTC), as in `smtp=490 cloudflare=900`; without a number it has no end. */
  MAIL_QUOTAS: quotas,
  MAIL_CATCHER_URL: z.url().optional(),
  ...accountVars('SMTP'),
  ...accountVars('SMTP2'),
  ...accountVars('SMTP3'),
}

const MailVars = z.object(MAIL_VARS)
type MailVars = z.output<typeof MailVars>

/** How mail leaves by one way. */
export type WaySettings =
  | { readonly kind: 'cloudflare' }
  | {
      readonly kind: 'smtp'
      readonly host: string
      readonly port: number
      readonly tls: 'implicit' | 'starttls' | 'none'
      readonly username: string | undefined
      readonly password: string | undefined
    }
  | { readonly kind: 'catcher'; readonly url: string }

/** One way out for mail. */
export interface MailWay {
  readonly name: WayName
  readonly settings: WaySettings
  /** Mails it may carry a day; undefined when there is no end. */
  readonly dailyMax: number | undefined
}

const isAccount = (name: string): name is AccountName => name in ACCOUNTS

function settingsOf(v: MailVars, name: WayName): WaySettings {
  if (name === 'cloudflare') return { kind: 'cloudflare' }
  if (name === 'catcher') return { kind: 'catcher', url: v.MAIL_CATCHER_URL ?? '' }
  const prefix = ACCOUNTS[name]
  return {
    kind: 'smtp',
    host: v[`${prefix}_HOST`] ?? '',
    port: v[`${prefix}_PORT`],
    tls: v[`${prefix}_TLS`],
    username: v[`${prefix}_USERNAME`],
    password: v[`${prefix}_PASSWORD`],
  }
}

/** The configured ways, in order. */
export const mailWaysOf = (v: MailVars): readonly MailWay[] =>
  v.MAIL_TRANSPORT.map((name) => ({ name, settings: settingsOf(v, name), dailyMax: v.MAIL_QUOTAS.get(name) }))

/** Keys that the configured ways need and lack. */
export function missingMailKeys(v: MailVars): string[] {
  const used = v.MAIL_TRANSPORT.filter(isAccount).map((name) => ACCOUNTS[name])
  return [
    ...used.filter((prefix) => !v[`${prefix}_HOST`]).map((prefix) => `${prefix}_HOST`),
    ...Object.values(ACCOUNTS)
      .filter((prefix) => Boolean(v[`${prefix}_USERNAME`]) !== Boolean(v[`${prefix}_PASSWORD`]))
      .flatMap((prefix) => [`${prefix}_USERNAME`, `${prefix}_PASSWORD`]),
    ...(v.MAIL_TRANSPORT.includes('catcher') && !v.MAIL_CATCHER_URL ? ['MAIL_CATCHER_URL'] : []),
  ]
}

/** Keys whose values may be used on this machine only. */
export function weakMailKeys(v: MailVars): string[] {
  return [
    ...(v.MAIL_TRANSPORT.includes('catcher') ? ['MAIL_TRANSPORT'] : []),
    ...Object.values(ACCOUNTS)
      .filter((prefix) => v[`${prefix}_TLS`] === 'none')
      .map((prefix) => `${prefix}_TLS`),
  ]
}
