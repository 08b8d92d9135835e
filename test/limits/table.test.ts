import { describe, expect, test } from 'vitest'
import { unstable_readConfig } from 'wrangler'
import { type Endpoint, limitOf } from '../../src/contract/endpoint.ts'
import { Problem } from '../../src/contract/problem.ts'
import { endpoints } from '../../src/contract/registry.ts'
import { SHED } from '../../src/edge/http/limits.ts'
import { problemResponse } from '../../src/edge/http/problems.ts'
import { DEFAULT_LIMITS, parseLimits } from '../../src/edge/platform/limiter/limits.ts'
import { placeOf } from '../../src/edge/platform/limiter/place.ts'

const at = (ip: string, more: Record<string, string> = {}) => placeOf(new Headers({ 'cf-connecting-ip': ip, ...more }))
const NOWHERE = { prefix: 'unknown', network: 'unknown', isUnknown: true }

describe('a place', () => {
  test.each([
    ['2001:db8:1:2::1', '2001:db8:1:2:ffff:ffff:ffff:ffff'],
    ['2001:db8:1:2::1', '2001:0DB8:0001:0002:0000:0000:0000:0001'],
    ['2001:db8:1:2::1', '2001:db8:1:2:0:0:0:1'],
    ['2001:db8::1', '2001:db8:0:0:8::'],
    ['203.0.113.7', '::ffff:203.0.113.7'],
    ['203.0.113.7', '::ffff:cb00:7107'],
  ])('%s and %s are one', (one, other) => expect(at(one)).toEqual(at(other)))

  test.each([
    ['2001:db8:1:2::1', '2001:db8:1:3::1'],
    ['203.0.113.7', '203.0.113.8'],
    ['203.0.113.7', '2001:db8:1:2::1'],
  ])('%s and %s are two', (one, other) => expect(at(one).prefix).not.toBe(at(other).prefix))

  test('of IPv6 has a network around it, of IPv4 none', () => {
    expect(at('2001:db8:1:2::1').network).toBe(at('2001:db8:1:3::1').network)
    expect(at('2001:db8:1:2::1').network).not.toBe(at('2001:db8:2:2::1').network)
    expect(at('203.0.113.7').network).toBe(at('203.0.113.7').prefix)
  })

  test('is what the edge says, whatever else is claimed', () => {
    const claims = {
      'x-forwarded-for': '198.51.100.1',
      forwarded: 'for=198.51.100.1',
      'x-real-ip': '198.51.100.1',
      'true-client-ip': '198.51.100.1',
    }
    expect(at('203.0.113.7', claims)).toEqual(at('203.0.113.7'))
    expect(placeOf(new Headers(claims))).toEqual(NOWHERE)
  })

  test.each(['', 'nonsense', '203.0.113.7, 198.51.100.1', '203.0.113.256', '2001:db8::1::2', '[2001:db8::1]', '203.0.113.7:80'])(
    'that reads %j is nowhere, which everybody nowhere shares',
    (text) => expect(at(text)).toEqual(NOWHERE),
  )
})

describe('what LIMITS says', () => {
  test('nothing leaves the table as it ships', () => expect(parseLimits('  ')).toEqual(DEFAULT_LIMITS))

  test('changes the numbers of the budgets it names, and nothing else', () => {
    const limits = parseLimits('register=7/60  login=2/1,4/10 login-account=3/1,5/never')
    expect(limits).toEqual({
      ...DEFAULT_LIMITS,
      register: { steps: [{ count: 7, seconds: 60 }] },
      login: {
        steps: [
          { count: 2, seconds: 1 },
          { count: 4, seconds: 10 },
        ],
        forgetSeconds: 86_400,
      },
      'login-account': {
        steps: [
          { count: 3, seconds: 1 },
          { count: 5, seconds: Number.POSITIVE_INFINITY },
        ],
        forgetSeconds: 2_592_000,
      },
    })
  })

  test.each([
    'regster=7/60',
    'toString=7/60',
    '__proto__=7/60',
    'register',
    'register=',
    'register=0/60',
    'register=7/0',
    'register=7/60/1',
    'register=7/60=1',
    'register=-7/60',
    'register=7/never',
    'register=7/60,9/60',
    'login=5/300,5/900',
    'login=5/300,10/200',
    'login=5/never,10/900',
    'login=5/300,',
    'register=9999999999/60',
    'register=7/999999999',
  ])('%s is refused', (text) => expect(parseLimits(text)).toBeUndefined())
})

describe('the table that ships', () => {
  test('grants five sign-ins in five minutes, then one at a time and ever later', () => {
    const { steps } = DEFAULT_LIMITS.login
    expect(steps[0]).toEqual({ count: 5, seconds: 300 })
    expect(steps.map((s) => s.seconds)).toEqual(steps.map((s) => s.seconds).toSorted((a, b) => a - b))
  })

  test('lets no account fail more than a hundred times in a row', () => {
    const closing = DEFAULT_LIMITS['login-account'].steps.find((s) => s.seconds === Number.POSITIVE_INFINITY)
    expect(closing?.count).toBeLessThanOrEqual(100)
  })

  test('tells clients the shed that is configured', () => {
    const [shed, ...more] = unstable_readConfig({ config: 'wrangler.toml' }, { hideWarnings: true }).ratelimits
    expect(more).toEqual([])
    expect(shed).toMatchObject({ name: 'SHED', simple: { limit: SHED.quota, period: SHED.windowSeconds } })
  })
})

test('a refusal that is of no budget says how long, in the same words', () => {
  const { headers } = problemResponse(new Problem('rate-limited', { retryAfterSeconds: 5 }), '0'.repeat(32))
  expect(headers.get('retry-after')).toBe('5')
  expect(headers.get('ratelimit-policy')).toBe('"pause";q=0;w=5')
  expect(headers.get('ratelimit')).toBe('"pause";r=0;t=5')
})

describe('every operation', () => {
  const all = Object.values(endpoints) as unknown as Endpoint[]
  const limitsOf = (of: (e: Endpoint) => boolean) => new Set(all.filter(of).map(limitOf))

  /** It gathers everything of every feature. */
  const COSTLY = ['exportMe', 'listFiles', 'readFile']
  /** A mail that one person makes us send to another. */
  const MAILING = ['inviteOrgMember', 'resendOrgInvitation']

  test('that only looks is free, health and the session first of all', () => {
    expect(limitsOf((e) => e.method === 'GET' && !COSTLY.includes(e.id))).toEqual(new Set(['none']))
    expect(limitsOf((e) => COSTLY.includes(e.id))).toEqual(new Set(['write']))
  })

  test('by which a user changes something draws on their own budget, and what mails others on that of mails', () => {
    expect(limitsOf((e) => e.method !== 'GET' && e.access === 'user' && !MAILING.includes(e.id))).toEqual(new Set(['write']))
    expect(limitsOf((e) => MAILING.includes(e.id))).toEqual(new Set(['register']))
  })

  test('of a sign-in whose account bounds it already has no fuse that anybody could blow', () => {
    const steps = ['finishLogin', 'startFactorPasskey', 'startPasskeyLogin', 'loginWithPasskey']
    expect(limitsOf((e) => steps.includes(e.id))).toEqual(new Set(['factor']))
  })

  test('that mails a way in to the owner of an account draws on another fuse than what mails strangers', () => {
    expect(limitsOf((e) => ['forgotPassword', 'askMagicLink'].includes(e.id))).toEqual(new Set(['mail']))
  })

  test('that is open to strangers and does something is limited', () => {
    expect(limitsOf((e) => e.method !== 'GET' && e.access === 'public').has('none')).toBe(false)
  })
})
