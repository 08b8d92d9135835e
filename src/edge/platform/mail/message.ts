import type { Locale } from '../../../contract/identity.ts'
import type { KeptAccess } from '../../../contract/passwords.ts'
import { CODE_KINDS } from './code-kinds.ts'
import { type Block, type Kind, needsCode, needsLink } from './kind.ts'
import { type Letter, type Part, renderHtml, renderText } from './letter.ts'
import { NOTICE_KINDS } from './notice-kinds.ts'

/** Every mail we write. No subject carries a code: subjects are shown on locked screens and kept in logs of mail servers. */
const KINDS = { ...CODE_KINDS, ...NOTICE_KINDS }

/** The mails that `renderMail` can write. */
export type MailKind = keyof typeof KINDS

/** Every {@link MailKind}. */
export const MAIL_KINDS = Object.keys(KINDS) as MailKind[]

/** Ways to sign in that a mail can name. */
export const MAILED_FACTORS = ['totp', 'passkey', 'recovery-codes'] as const
/** A way to sign in that a mail can name. */
export type MailedFactor = (typeof MAILED_FACTORS)[number]

/** What a mail tells about; what is not known is null. */
export interface MailedEvent {
  /** Unix milliseconds. */
  readonly at: number
  readonly browser: string | null
  readonly system: string | null
  /** ISO 3166-1 alpha-2. */
  readonly country: string | null
  readonly city: string | null
}

/** An event of which the mail tells the time alone. */
export const eventAt = (at: number): MailedEvent => ({ at, browser: null, system: null, country: null, city: null })

/** What goes into a mail. */
export interface Mail {
  readonly locale: Locale
  readonly kind: MailKind
  readonly code?: string | undefined
  /** A page of ours with its token in the fragment, which no server is sent and so none can log. */
  readonly link?: string | undefined
  /** The app that the link leads to; absent, or no longer listed: to our own pages. */
  readonly app?: string | undefined
  /** How long code and link work. */
  readonly minutes?: number | undefined
  /** What happened, where the mail tells of something. */
  readonly event?: MailedEvent | undefined
  readonly factor?: MailedFactor | undefined
  /** What opens an account besides its password. */
  readonly kept?: KeptAccess | undefined
}

/** Whom mails speak for: the product, and the origins that their links may lead to. */
export interface House {
  readonly productName: string
  readonly publicOrigin: string
  readonly corsOrigins: readonly string[]
}

/** A mail ready to be addressed. */
export interface Rendered {
  readonly subject: string
  readonly text: string
  readonly html: string
}

/** @throws Error when the mail lacks the code or the link that its kind shows, or has one too many: a bug of whoever queues it. */
export function checkMail({ kind, code, link }: Pick<Mail, 'kind' | 'code' | 'link'>): void {
  const known: Kind = KINDS[kind]
  if ((code !== undefined) !== needsCode(known)) throw new Error(`a ${kind} mail has its code wrong`)
  if ((link !== undefined) !== needsLink(known)) throw new Error(`a ${kind} mail has its link wrong`)
}

/** The subject and both bodies of a mail, in the reader's language. */
export function renderMail(mail: Mail, { productName, publicOrigin, corsOrigins }: House): Rendered {
  const { locale, kind, code = '', link = '', app = publicOrigin, minutes = 0, event = eventAt(0), factor, kept } = mail
  checkMail(mail)
  const { subject, heading, body } = (KINDS[kind] as Kind)[locale]
  const values: Readonly<Record<string, string>> = {
    product: productName,
    term: formatTerm(locale, minutes),
    device: [event.browser, event.system].filter(Boolean).join(', ') || UNKNOWN[locale],
    place: formatPlace(locale, event),
    time: formatTime(locale, event.at),
    factor: factor === undefined ? UNKNOWN[locale] : FACTORS[locale][factor],
    keys: String(kept?.apiKeys ?? UNKNOWN[locale]),
    passkeys: String(kept?.passkeys ?? UNKNOWN[locale]),
    app: kept === undefined ? UNKNOWN[locale] : YES_OR_NO[locale][kept.hasTotp ? 0 : 1],
  }
  // One pass, so that no value is read as a hole.
  const fill = (text: string) => text.replace(/\{([a-z]+)\}/g, (hole, name: string) => values[name] ?? hole)
  const toPart = (block: Block): Part => {
    if (typeof block === 'string') return { text: fill(block) }
    if ('show' in block) return { code }
    if ('link' in block) return { label: fill(block.link), url: (corsOrigins.includes(app) ? app : publicOrigin) + link }
    return { facts: block.facts.map(([label, value]) => [fill(label), fill(value)]) }
  }
  const letter: Letter = { locale, heading: fill(heading), parts: body.map(toPart), footer: productName }
  return { subject: fill(subject), text: renderText(letter), html: renderHtml(letter) }
}

const UNKNOWN: Readonly<Record<Locale, string>> = { en: 'unknown', fr: 'inconnu' }

const YES_OR_NO: Readonly<Record<Locale, readonly [yes: string, no: string]>> = { en: ['yes', 'no'], fr: ['oui', 'non'] }

const FACTORS: Readonly<Record<Locale, Readonly<Record<MailedFactor, string>>>> = {
  en: { totp: 'an authenticator app', passkey: 'a passkey', 'recovery-codes': 'recovery codes' },
  fr: { totp: 'une application d’authentification', passkey: 'une clé d’accès', 'recovery-codes': 'des codes de secours' },
}

/** What Cloudflare says for Tor, which is no country. */
const TOR = 'T1'

function formatPlace(locale: Locale, { city, country }: MailedEvent): string {
  if (country === null) return UNKNOWN[locale]
  const name = country === TOR ? 'Tor' : new Intl.DisplayNames(locale, { type: 'region' }).of(country)
  return [city, name].filter(Boolean).join(', ')
}

/** In UTC, because nothing tells where the reader is. */
function formatTime(locale: Locale, at: number): string {
  return `${new Intl.DateTimeFormat(locale, { dateStyle: 'long', timeStyle: 'short', timeZone: 'UTC' }).format(at)} UTC`
}

const DAY_MINUTES = 1440

function formatTerm(locale: Locale, minutes: number): string {
  const [value, unit] = minutes > 0 && minutes % DAY_MINUTES === 0 ? [minutes / DAY_MINUTES, 'day'] : [minutes, 'minute']
  return new Intl.NumberFormat(locale, { style: 'unit', unit, unitDisplay: 'long' }).format(value)
}
