import { expect, test } from 'vitest'
import { MAILED_FACTORS, type Mail, renderMail } from '../../src/edge/platform/mail/message.ts'

const HOUSE = { productName: 'Parvis', publicOrigin: 'https://parvis.example', corsOrigins: [] }
const EVENT = { at: Date.UTC(2026, 10, 21, 18, 5), browser: 'Firefox', system: 'Linux', country: 'FR', city: 'Nîmes' }
const mail = (changes: Partial<Mail> = {}) => renderMail({ locale: 'en', kind: 'new-device', event: EVENT, ...changes }, HOUSE)

test('a new device is told with its place and time', () => {
  expect(mail().text).toMatch(/Device: Firefox, Linux\nPlace: Nîmes, France\nTime: November 21, 2026 at 6:05\sPM UTC\n/)
  expect(mail({ locale: 'fr' }).text).toContain(
    'Appareil\u00a0: Firefox, Linux\nLieu\u00a0: Nîmes, France\nDate\u00a0: 21 novembre 2026 à 18:05 UTC',
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

test.each(MAILED_FACTORS)('a change of %s names it in words', (factor) => {
  for (const kind of ['factor-added', 'factor-removed'] as const) {
    for (const locale of ['en', 'fr'] as const) expect(mail({ kind, locale, factor }).text).not.toMatch(/unknown|inconnu|totp/)
  }
})
