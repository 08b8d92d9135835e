import type { Locale } from '../../../contract/identity.ts'

interface Words {
  readonly subject: string
  readonly heading: string
  /** Paragraphs before the code. */
  readonly before: readonly string[]
  /** Paragraphs after the code. */
  readonly after: readonly string[]
}

/**
 * Every mail we write. `{product}`, `{minutes}`, `{device}`, `{place}` and `{time}` are filled in.
 * No mail shows text that whoever signed in could choose: it would be theirs to lure with.
 * No subject carries the code: subjects are shown on locked screens and kept in logs of mail servers.
 */
const MAILS = {
  en: {
    'verify-email': {
      subject: 'Confirm your address for {product}',
      heading: 'Confirm your address',
      before: ['Enter this code to finish creating your {product} account:'],
      after: [
        'It works once, for the next {minutes}. Nobody from {product} will ever ask you for it.',
        'If you did not create an account, ignore this message: without the code, nothing happens.',
      ],
    },
    'register-existing': {
      subject: 'You already have a {product} account',
      heading: 'You already have an account',
      before: [
        'Somebody, perhaps you, tried to create a {product} account with this address. It already has one, so nothing was created and nothing has changed.',
        'If it was you, sign in with your password, or reset it if you have forgotten it.',
        'If it was not you, there is nothing to do. Whoever tried was not told that this account exists.',
      ],
      after: [],
    },
    'reset-password': {
      subject: 'Reset your {product} password',
      heading: 'Reset your password',
      before: ['Enter this code to choose a new password for your {product} account:'],
      after: [
        'It works once, for the next {minutes}. Nobody from {product} will ever ask you for it.',
        'If you did not ask for it, ignore this message: without the code, your password stays as it is.',
      ],
    },
    'password-reset': {
      subject: 'Your {product} password was reset',
      heading: 'Your password was reset',
      before: [
        'The password of your {product} account was replaced on {time}, with a code sent to this address. Every device was signed out.',
        'If it was you, sign in with the new password; there is nothing else to do.',
        'If it was not you, somebody can read your mail: secure your mailbox first, then reset your password again.',
      ],
      after: [],
    },
    'password-changed': {
      subject: 'Your {product} password was changed',
      heading: 'Your password was changed',
      before: [
        'The password of your {product} account was changed on {time}. All your other devices were signed out.',
        'If it was you, there is nothing to do.',
        'If it was not you, somebody knows your old password: reset it at once with “Forgot password”. That signs everybody else out.',
      ],
      after: [],
    },
    'new-device': {
      subject: 'New sign-in to your {product} account',
      heading: 'New sign-in',
      before: [
        'Somebody has signed in to your {product} account on a device, or from a country, that we have not seen you use before.',
        'Device: {device}',
        'Place: {place}',
        'Time: {time}',
        'If it was you, there is nothing to do.',
        'If it was not you, that person knows your password: change it now. That signs everybody else out.',
      ],
      after: [],
    },
  },
  fr: {
    'verify-email': {
      subject: 'Confirmez votre adresse pour {product}',
      heading: 'Confirmez votre adresse',
      before: ['Saisissez ce code pour terminer la création de votre compte {product}\u00a0:'],
      after: [
        'Il ne sert qu’une fois, dans les {minutes}. Personne chez {product} ne vous le demandera jamais.',
        'Si vous n’avez pas créé de compte, ignorez ce message\u00a0: sans le code, rien ne se passe.',
      ],
    },
    'register-existing': {
      subject: 'Vous avez déjà un compte {product}',
      heading: 'Vous avez déjà un compte',
      before: [
        'Quelqu’un, peut-être vous, a voulu créer un compte {product} avec cette adresse. Elle en a déjà un\u00a0: rien n’a été créé, rien n’a changé.',
        'Si c’était vous, connectez-vous avec votre mot de passe, ou réinitialisez-le si vous l’avez oublié.',
        'Si ce n’était pas vous, il n’y a rien à faire. La personne n’a pas appris que ce compte existe.',
      ],
      after: [],
    },
    'reset-password': {
      subject: 'Réinitialisez votre mot de passe {product}',
      heading: 'Réinitialisez votre mot de passe',
      before: ['Saisissez ce code pour choisir un nouveau mot de passe pour votre compte {product}\u00a0:'],
      after: [
        'Il ne sert qu’une fois, dans les {minutes}. Personne chez {product} ne vous le demandera jamais.',
        'Si vous n’avez rien demandé, ignorez ce message\u00a0: sans le code, votre mot de passe reste le même.',
      ],
    },
    'password-reset': {
      subject: 'Votre mot de passe {product} a été réinitialisé',
      heading: 'Votre mot de passe a été réinitialisé',
      before: [
        'Le mot de passe de votre compte {product} a été remplacé le {time}, avec un code envoyé à cette adresse. Tous les appareils ont été déconnectés.',
        'Si c’était vous, connectez-vous avec le nouveau mot de passe\u00a0: il n’y a rien d’autre à faire.',
        'Si ce n’était pas vous, quelqu’un peut lire votre courrier\u00a0: sécurisez d’abord votre messagerie, puis réinitialisez de nouveau votre mot de passe.',
      ],
      after: [],
    },
    'password-changed': {
      subject: 'Votre mot de passe {product} a été modifié',
      heading: 'Votre mot de passe a été modifié',
      before: [
        'Le mot de passe de votre compte {product} a été modifié le {time}. Tous vos autres appareils ont été déconnectés.',
        'Si c’était vous, il n’y a rien à faire.',
        'Si ce n’était pas vous, quelqu’un connaît votre ancien mot de passe\u00a0: réinitialisez-le tout de suite avec «\u00a0Mot de passe oublié\u00a0». Tous les autres seront déconnectés.',
      ],
      after: [],
    },
    'new-device': {
      subject: 'Nouvelle connexion à votre compte {product}',
      heading: 'Nouvelle connexion',
      before: [
        'Quelqu’un s’est connecté à votre compte {product} sur un appareil, ou depuis un pays, que nous ne vous connaissions pas.',
        'Appareil\u00a0: {device}',
        'Lieu\u00a0: {place}',
        'Date\u00a0: {time}',
        'Si c’était vous, il n’y a rien à faire.',
        'Si ce n’était pas vous, cette personne connaît votre mot de passe\u00a0: changez-le tout de suite. Tous les autres seront déconnectés.',
      ],
      after: [],
    },
  },
} as const satisfies Record<Locale, Record<string, Words>>

/** The mails that `renderCodeMail` can write. */
export type MailKind = keyof (typeof MAILS)['en']

/** Every {@link MailKind}. */
export const MAIL_KINDS = Object.keys(MAILS.en) as MailKind[]

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

/** What goes into a mail. */
export interface CodeMail {
  readonly locale: Locale
  readonly kind: MailKind
  /** Shown in large type between the paragraphs, when there is one. */
  readonly code?: string | undefined
  /** How long the code works. */
  readonly minutes?: number | undefined
  /** What happened, where the mail tells of something. */
  readonly event?: MailedEvent | undefined
  readonly productName: string
}

/** A mail ready to be addressed. */
export interface Rendered {
  readonly subject: string
  readonly text: string
  readonly html: string
}

/** The subject and both bodies of a mail, in the reader's language. */
export function renderCodeMail({ locale, kind, code, minutes = 0, productName, event = NOTHING }: CodeMail): Rendered {
  const words: Words = MAILS[locale][kind]
  const values = {
    product: productName,
    minutes: formatMinutes(locale, minutes),
    device: [event.browser, event.system].filter(Boolean).join(', ') || UNKNOWN[locale],
    place: formatPlace(locale, event),
    time: formatTime(locale, event.at),
  }
  const fill = (text: string) => text.replace(/\{(product|minutes|device|place|time)\}/g, (_, key: keyof typeof values) => values[key])
  const letter = { heading: fill(words.heading), before: words.before.map(fill), code, after: words.after.map(fill), footer: productName }
  return { subject: fill(words.subject), text: renderText(letter), html: renderHtml(letter, locale) }
}

interface Letter {
  readonly heading: string
  readonly before: readonly string[]
  readonly code: string | undefined
  readonly after: readonly string[]
  readonly footer: string
}

const NOTHING: MailedEvent = { at: 0, browser: null, system: null, country: null, city: null }
const UNKNOWN: Readonly<Record<Locale, string>> = { en: 'unknown', fr: 'inconnu' }
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

function formatMinutes(locale: Locale, minutes: number): string {
  return new Intl.NumberFormat(locale, { style: 'unit', unit: 'minute', unitDisplay: 'long' }).format(minutes)
}

function renderText({ heading, before, code, after, footer }: Letter): string {
  const shown = code === undefined ? [] : [`    ${code}`]
  return `${[heading, ...before, ...shown, ...after, `-- \n${footer}`].join('\n\n')}\n`
}

/** Inline styles only: mail programs drop the rest. Colours hold in light and dark because the background is stated with them. */
const STYLE = {
  body: 'margin:0;padding:32px 16px;background:#f4f4f2;color:#1d1d1b;font-family:-apple-system,BlinkMacSystemFont,Segoe UI,Roboto,Helvetica,Arial,sans-serif',
  card: 'max-width:480px;margin:0 auto;padding:32px;background:#ffffff;border:1px solid #e3e2dd;border-radius:12px',
  heading: 'margin:0 0 16px;font-size:22px;line-height:28px;font-weight:600',
  paragraph: 'margin:0 0 16px;font-size:16px;line-height:24px',
  code: 'margin:24px 0;padding:16px;background:#f4f4f2;border-radius:8px;text-align:center;font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;font-size:34px;line-height:40px;font-weight:600;letter-spacing:6px',
  footer: 'margin:24px auto 0;max-width:480px;text-align:center;font-size:13px;line-height:20px;color:#6b6a64',
}

function renderHtml({ heading, before, code, after, footer }: Letter, locale: Locale): string {
  const paragraphs = (texts: readonly string[]) => texts.map((text) => `<p style="${STYLE.paragraph}">${escapeHtml(text)}</p>`)
  const body = [
    `<div style="${STYLE.card}">`,
    `<h1 style="${STYLE.heading}">${escapeHtml(heading)}</h1>`,
    ...paragraphs(before),
    ...(code === undefined ? [] : [`<p style="${STYLE.code}">${escapeHtml(code)}</p>`]),
    ...paragraphs(after),
    '</div>',
    `<p style="${STYLE.footer}">${escapeHtml(footer)}</p>`,
  ]
  return [
    '<!doctype html>',
    `<html lang="${locale}">`,
    '<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><meta name="color-scheme" content="light">',
    `<title>${escapeHtml(heading)}</title></head>`,
    `<body style="${STYLE.body}">`,
    ...body,
    '</body></html>',
    '',
  ].join('\n')
}

const ENTITIES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' }

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => ENTITIES[character] ?? '')
}
