import { expect, test } from 'vitest'
import { type CodeMail, renderCodeMail } from '../../src/edge/platform/mail/message.ts'

const verify = (changes: Partial<CodeMail> = {}) =>
  renderCodeMail({ locale: 'en', kind: 'verify-email', code: '048213', minutes: 10, productName: 'Parvis', ...changes })

test.each(['en', 'fr'] as const)('a code (%s) is in both bodies, leading zero included, and never in the subject', (locale) => {
  const { subject, text, html } = verify({ locale })
  expect(subject).not.toContain('048213')
  expect(text).toMatch(/^ {4}048213$/m)
  expect(html).toContain('>048213</p>')
  expect(html).toContain(`<html lang="${locale}">`)
})

test('each reader is addressed in their language, with the time spelled out', () => {
  expect(verify().subject).toBe('Confirm your address for Parvis')
  expect(verify({ locale: 'fr' }).subject).toBe('Confirmez votre adresse pour Parvis')
  expect(verify({ minutes: 1 }).text).toContain('for the next 1 minute.')
  expect(verify({ locale: 'fr' }).text).toContain('dans les 10 minutes.')
})

test.each(['en', 'fr'] as const)('the owner of an address learns of a second registration (%s) and gets no code and no link', (locale) => {
  const { subject, text, html } = renderCodeMail({ locale, kind: 'register-existing', minutes: 10, productName: 'Parvis' })
  expect(subject).toContain('Parvis')
  for (const body of [text, html]) expect(body).not.toMatch(/\d{6}(?!;)|https?:|href/)
})

test('no text is left with a hole, and no mail loads or runs anything', () => {
  for (const locale of ['en', 'fr'] as const) {
    for (const kind of ['verify-email', 'register-existing'] as const) {
      const { subject, text, html } = verify({ locale, kind })
      expect(`${subject}${text}${html}`).not.toMatch(/[{}]|undefined/)
      expect(html).not.toMatch(/<(?:script|img|link|a|form|iframe)\b|url\(/i)
    }
  }
})

test('a product name is text, whatever it is made of', () => {
  const { html, text, subject } = verify({ productName: `<img src=x onerror="a('b')">&{minutes}$&` })
  expect(html).toContain('&lt;img src=x onerror=&quot;a(&#39;b&#39;)&quot;&gt;&amp;{minutes}$&amp;')
  expect(html).not.toContain('<img')
  expect(text).toContain('your <img src=x')
  expect(subject).toContain('{minutes}$&')
})
