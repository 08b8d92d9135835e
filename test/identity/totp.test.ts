import { createHmac, randomBytes } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { otpauthUri, stepAt, stepOfCode, toBase32, totpCode } from '../../src/edge/identity/totp.ts'

const bytes = (text: string) => new Uint8Array(Buffer.from(text))
/** RFC 6238, appendix B, SHA-1, the last six of its eight digits. */
const SECRET = bytes('12345678901234567890')
const VECTORS = [
  [59, '287082'],
  [1_111_111_109, '081804'],
  [1_111_111_111, '050471'],
  [1_234_567_890, '005924'],
  [2_000_000_000, '279037'],
  [20_000_000_000, '353130'],
] as const

describe('RFC 6238', () => {
  test.each(VECTORS)('at %i s the code is %s', async (seconds, code) => {
    expect(await totpCode(SECRET, stepAt(seconds * 1000))).toBe(code)
  })

  test('RFC 4226, appendix D: the first ten codes', async () => {
    const codes = await Promise.all(Array.from({ length: 10 }, (_, i) => totpCode(SECRET, i)))
    expect(codes).toEqual(['755224', '287082', '359152', '969429', '338314', '254676', '287922', '162583', '399871', '520489'])
  })

  test('agrees with another implementation', async () => {
    for (let i = 0; i < 200; i++) {
      const secret = new Uint8Array(randomBytes(20))
      const step = Math.floor(Math.abs(randomBytes(4).readInt32BE()))
      const counter = Buffer.alloc(8)
      counter.writeBigUInt64BE(BigInt(step))
      const mac = createHmac('sha1', secret).update(counter).digest()
      const code = String((mac.readUInt32BE(mac[19]! & 15) & 0x7fffffff) % 1_000_000).padStart(6, '0')
      expect(await totpCode(secret, step)).toBe(code)
    }
  })
})

test('a code of the step before and after is taken, one further away is not', async () => {
  const now = 1_700_000_000_000
  const found = await Promise.all([-2, -1, 0, 1, 2].map(async (by) => stepOfCode(SECRET, await totpCode(SECRET, stepAt(now) + by), now)))
  expect(found).toEqual([undefined, stepAt(now) - 1, stepAt(now), stepAt(now) + 1, undefined])
})

test.each([
  ['', ''],
  ['f', 'MY'],
  ['fo', 'MZXQ'],
  ['foo', 'MZXW6'],
  ['foob', 'MZXW6YQ'],
  ['fooba', 'MZXW6YTB'],
  ['foobar', 'MZXW6YTBOI'],
])('RFC 4648, §10: the base32 of “%s” is “%s”', (text, encoded) => {
  expect(toBase32(bytes(text))).toBe(encoded)
})

test('the URI of an app holds up against names with signs in them', () => {
  const uri = new URL(otpauthUri(SECRET, { issuer: 'A&B: C?', account: 'ada+x@example.org' }))
  expect(uri.protocol).toBe('otpauth:')
  expect(decodeURIComponent(uri.pathname)).toMatch(/\/A&B: C\?:ada\+x@example\.org$/)
  expect(Object.fromEntries(uri.searchParams)).toEqual({
    secret: toBase32(SECRET),
    issuer: 'A&B: C?',
    algorithm: 'SHA1',
    digits: '6',
    period: '30',
  })
})
