import { describe, expect, test } from 'vitest'
import { CODE_KINDS } from '../../src/edge/platform/mail/code-kinds.ts'
import { type Block, type Kind, needsCode, needsLink } from '../../src/edge/platform/mail/kind.ts'
import { checkMail, MAIL_KINDS, type Mail, type MailKind, renderMail } from '../../src/edge/platform/mail/message.ts'
import { NOTICE_KINDS } from '../../src/edge/platform/mail/notice-kinds.ts'

const HOUSE = { productName: 'Parvis', publicOrigin: 'https://parvis.example', corsOrigins: [] }
const EVENT = { at: Date.UTC(2026, 10, 21, 18, 5), browser: 'Firefox', system: 'Linux', country: 'FR', city: 'Nîmes' }
const KINDS: Readonly<Record<MailKind, Kind>> = { ...CODE_KINDS, ...NOTICE_KINDS }
const LINK = '/page?lang=fr#token-1_2'

/** A whole mail of a kind. */
const mailOf = (kind: MailKind, changes: Partial<Mail> = {}): Mail => ({
  locale: 'en',
  kind,
  minutes: 10,
  event: EVENT,
  factor: 'passkey',
  kept: { apiKeys: 2, passkeys: 1, hasTotp: true },
  ...(needsCode(KINDS[kind]) && { code: '048213' }),
  ...(needsLink(KINDS[kind]) && { link: LINK }),
  ...changes,
})
const render = (kind: MailKind, changes: Partial<Mail> = {}, house: Partial<typeof HOUSE> = {}) =>
  renderMail(mailOf(kind, changes), { ...HOUSE, ...house })

const shapeOf = (block: Block) => (typeof block === 'string' ? 'text' : Object.keys(block)[0])
const holesOf = (words: object) => new Set(JSON.stringify(words).match(/\{[a-z]+\}/g))

describe.each(['en', 'fr'] as const)('in %s', (locale) => {
  test.each(MAIL_KINDS)('%s has no hole, and loads and runs nothing', (kind) => {
    const { subject, text, html } = render(kind, { locale })
    expect(subject).toContain('Parvis')
    expect(`${subject}${text}`).not.toMatch(/[{}]|undefined|null|unknown|inconnu/)
    expect(html).not.toMatch(/\{[a-z]+\}|undefined|null/)
    expect(html).toContain(`<html lang="${locale}">`)
    expect(html).not.toMatch(/<(?:script|img|link|form|iframe|object|svg)\b|url\(|@import|\bsrc=/i)
    expect(html.match(/https?:[^"<]*/g) ?? []).toEqual(needsLink(KINDS[kind]) ? Array(2).fill(`https://parvis.example${LINK}`) : [])
  })

  test.each(MAIL_KINDS)('%s shows code and link so that they are copied whole, and neither in the subject', (kind) => {
    const { subject, text, html } = render(kind, { locale })
    expect(subject).not.toMatch(/048213|token/)
    expect(/^ {4}048213$/m.test(text)).toBe(needsCode(KINDS[kind]))
    expect(html.includes('>048213</p>')).toBe(needsCode(KINDS[kind]))
    expect(text.split('\n').includes(`https://parvis.example${LINK}`)).toBe(needsLink(KINDS[kind]))
    expect(html.includes(`href="https://parvis.example${LINK}"`)).toBe(needsLink(KINDS[kind]))
    if (!needsCode(KINDS[kind])) expect(text).not.toMatch(/\b\d{6}\b/)
  })

  test.each(MAIL_KINDS)('the subject of %s fits on one line', (kind) => {
    expect(render(kind, { locale }).subject).toMatch(/^[^\r\n]{1,100}$/)
  })
})

test.each(MAIL_KINDS)('%s says the same in both languages', (kind) => {
  const { en, fr } = KINDS[kind]
  expect(fr.body.map(shapeOf)).toEqual(en.body.map(shapeOf))
  expect(holesOf(fr)).toEqual(holesOf(en))
  expect(fr.subject).not.toBe(en.subject)
})

test('each reader is addressed in their language, with the time spelled out', () => {
  expect(render('verify-email').subject).toBe('Confirm your address for Parvis')
  expect(render('verify-email', { locale: 'fr' }).subject).toBe('Confirmez votre adresse pour Parvis')
  expect(render('verify-email', { minutes: 1 }).text).toContain('for the next 1 minute.')
  expect(render('verify-email', { locale: 'fr' }).text).toContain('dans les 10 minutes.')
  expect(render('email-changed', { minutes: 7 * 1440 }).text).toContain('for the next 7 days.')
  expect(render('email-changed', { minutes: 7 * 1440, locale: 'fr' }).text).toMatch(/dans les 7\sjours\./)
})

test('the link leads to the configured origin and nowhere else', () => {
  expect(render('sign-in', {}, { publicOrigin: 'https://elsewhere.example' }).text).toContain(`https://elsewhere.example${LINK}`)
})

test('a product name is text, whatever it is made of', () => {
  const { html, text, subject } = render('password-reset', {}, { productName: `<img src=x onerror="a('b')">&{time}$&` })
  expect(html).toContain('&lt;img src=x onerror=&quot;a(&#39;b&#39;)&quot;&gt;&amp;{time}$&amp;')
  expect(html).not.toContain('<img')
  expect(text).toContain('your <img src=x')
  expect(subject).toContain('{time}$&')
})

test('a code or link that the kind does not show, or lacks, is a bug that is told at once', () => {
  expect(() => checkMail({ kind: 'sign-in', code: '048213' })).toThrow('a sign-in mail has its link wrong')
  expect(() => checkMail({ kind: 'sign-in', link: LINK })).toThrow('a sign-in mail has its code wrong')
  expect(() => checkMail({ kind: 'password-changed', code: '048213' })).toThrow('code wrong')
})
