import { describe, expect, test } from 'vitest'
import { type CodeMail, MAIL_KINDS, renderCodeMail } from '../../src/edge/platform/mail/message.ts'

const EVENT = { at: Date.UTC(2026, 10, 21, 18, 5), browser: 'Firefox', system: 'Linux', country: 'FR', city: 'Nîmes' }
const mail = (changes: Partial<CodeMail> = {}) =>
  renderCodeMail({ locale: 'en', kind: 'new-device', code: undefined, minutes: 10, productName: 'Parvis', event: EVENT, ...changes })

describe.each(['en', 'fr'] as const)('in %s', (locale) => {
  test.each(MAIL_KINDS)('%s has no hole, loads and runs nothing, and shows its code in the body alone', (kind) => {
    const hasCode = kind === 'verify-email' || kind === 'reset-password'
    const { subject, text, html } = mail({ locale, kind, ...(hasCode ? { code: '048213' } : {}) })
    expect(subject).toContain('Parvis')
    expect(`${subject}${text}${html}`).not.toMatch(/[{}]|undefined|null/)
    expect(html).not.toMatch(/<(?:script|img|link|a|form|iframe)\b|url\(|https?:/i)
    expect(subject).not.toContain('048213')
    if (hasCode) for (const body of [text, html]) expect(body).toContain('048213')
    else for (const body of [text, html]) expect(body).not.toMatch(/\b\d{6}\b(?!;)/)
  })
})

test('a new device is told with its place and time', () => {
  expect(mail().text).toMatch(/Device: Firefox, Linux\n\nPlace: Nîmes, France\n\nTime: November 21, 2026 at 6:05\sPM UTC\n/)
  expect(mail({ locale: 'fr' }).text).toContain(
    'Appareil\u00a0: Firefox, Linux\n\nLieu\u00a0: Nîmes, France\n\nDate\u00a0: 21 novembre 2026 à 18:05 UTC',
  )
})

test.each([
  ['nothing is known', { browser: null, system: null, country: null, city: null }, 'Device: unknown', 'Place: unknown'],
  ['only the country is known', { ...EVENT, city: null }, 'Device: Firefox, Linux', 'Place: France'],
  ['it came through Tor', { ...EVENT, country: 'T1', city: null }, 'Device: Firefox, Linux', 'Place: Tor'],
  ['the country is none that anybody knows', { ...EVENT, country: 'QZ', city: null }, 'Device: Firefox, Linux', 'Place: QZ'],
])('when %s, it says so', (_, known, device, place) => {
  const { text } = mail({ event: { ...EVENT, ...known } })
  expect(text).toContain(device)
  expect(text).toContain(place)
})

test('what the network says is text, whatever it is made of', () => {
  const { html } = mail({ event: { ...EVENT, city: '<img src=x onerror=alert(1)>{product}' } })
  expect(html).toContain('&lt;img src=x onerror=alert(1)&gt;{product}')
  expect(html).not.toContain('<img')
})
