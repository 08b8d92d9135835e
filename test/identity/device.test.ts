import { describe, expect, test } from 'vitest'
import { deviceOf } from '../../src/edge/identity/device.ts'

const from = (userAgent: string, cf?: object) =>
  deviceOf({ headers: new Headers(userAgent === '' ? {} : { 'user-agent': userAgent }), cf } as unknown as Request)

describe('a device is named after its user agent', () => {
  test.each([
    ['Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0', 'Firefox', 'Linux'],
    [
      'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36',
      'Chrome',
      'Windows',
    ],
    [
      'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36 Edg/142.0',
      'Edge',
      'Windows',
    ],
    [
      'Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/19.0 Safari/605.1.15',
      'Safari',
      'macOS',
    ],
    [
      'Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/142.0 Mobile/15E148 Safari/604.1',
      'Chrome',
      'iOS',
    ],
    ['Mozilla/5.0 (Linux; Android 16; Pixel 10) AppleWebKit/537.36 Chrome/142.0.0.0 Mobile Safari/537.36', 'Chrome', 'Android'],
    [
      'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) notes/1.0 Chrome/142.0.0.0 Electron/40.0 Safari/537.36',
      'Desktop app',
      'Linux',
    ],
    ['curl/8.17.0', 'curl', null],
    ['node', 'Node.js', null],
    ['<script>alert(1)</script>', null, null],
    ['', null, null],
  ])('%s', (userAgent, browser, system) => {
    expect(from(userAgent)).toEqual({ browser, system, country: null, city: null })
  })

  test('and a vast one is read no further than any real one is long', () => {
    expect(from(`${'x'.repeat(512)}Firefox/145.0`).browser).toBeNull()
    expect(from(`${'x'.repeat(500)}Firefox/145.0`).browser).toBe('Firefox')
  })
})

describe('a place comes from the edge', () => {
  test.each([
    ['a city', { country: 'FR', city: 'Nîmes' }, 'FR', 'Nîmes'],
    ['a country alone', { country: 'FR' }, 'FR', null],
    ['Tor, which is no country', { country: 'T1', city: 'Berlin' }, 'T1', 'Berlin'],
    ['the unknown', { country: 'XX', city: 'Nowhere' }, null, null],
    ['what is no country code', { country: 'france', city: 'Paris' }, null, null],
    ['what is no text', { country: 33, city: {} }, null, null],
    ['a city of control characters', { country: 'FR', city: 'Par\u202eis' }, 'FR', null],
    ['a city without end', { country: 'FR', city: 'x'.repeat(101) }, 'FR', null],
  ])('%s', (_, cf, country, city) => {
    expect(from('', cf)).toMatchObject({ country, city })
  })

  test('and no header has a part in it', () => {
    const headers = new Headers({ 'cf-ipcountry': 'DE', 'x-forwarded-for': '203.0.113.7' })
    expect(deviceOf({ headers, cf: { country: 'FR' } } as unknown as Request).country).toBe('FR')
    expect(deviceOf({ headers, cf: undefined } as unknown as Request).country).toBeNull()
  })
})
