import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Edge, PASSWORD, startEdge } from '../harness.ts'
import { post, register, signInRaw } from '../identity/raw.ts'
import { atOnce, freshPlaces, from, guess, refusalOf, signIn, tally } from './callers.ts'

let edge: Edge
beforeAll(async () => {
  edge = await startEdge({ vars: { LIMITS: '' } })
})
afterAll(() => edge.stop())

const place = freshPlaces()

describe('guesses at one account from one place', () => {
  test('two hundred at once let exactly five be looked at, and every refusal says when', async () => {
    const email = await register(edge, 'crowd')
    const ip = place()
    const answers = await atOnce(200, () => guess(edge, email, ip))
    expect(tally(answers)).toEqual({ 401: 5, 429: 195 })
    const refusals = answers.filter((a) => a.status === 429).map(refusalOf)
    expect(new Set(refusals.map((r) => r.policy))).toEqual(new Set(['login']))
    for (const r of refusals) expect(r).toMatchObject({ quota: 5, windowSeconds: 300 })
    for (const { seconds } of refusals) expect(seconds).toBeGreaterThan(280)
    for (const { seconds } of refusals) expect(seconds).toBeLessThanOrEqual(300)
  })

  test('close that place even to the right password, and no other place', async () => {
    const { email, refreshToken } = await signInRaw(edge, 'victim')
    const thief = place()
    for (let i = 0; i < 5; i++) expect((await guess(edge, email, thief)).status).toBe(401)
    refusalOf(await signIn(edge, email, { ip: thief }))
    expect((await signIn(edge, email, { ip: place() })).status).toBe(200)
    expect((await post(edge, '/v1/auth/refresh', { refreshToken }, from(thief))).status).toBe(200)
  })

  test('count down what is left in the answer', async () => {
    const email = await register(edge, 'counted')
    const ip = place()
    const left: (string | null)[] = []
    for (let i = 0; i < 5; i++) left.push((await guess(edge, email, ip)).headers.get('ratelimit'))
    expect(left).toEqual(['"login";r=4', '"login";r=3', '"login";r=2', '"login";r=1', '"login";r=0;t=300'])
  })

  test('are forgotten with a success', async () => {
    const email = await register(edge, 'forgetful')
    const ip = place()
    for (let round = 0; round < 3; round++) {
      for (let i = 0; i < 4; i++) expect((await guess(edge, email, ip)).status).toBe(401)
      expect((await signIn(edge, email, { ip })).status).toBe(200)
    }
    expect((await guess(edge, email, ip)).headers.get('ratelimit')).toBe('"login";r=4')
  })

  test('are forgotten with a success at the last try, which had closed the place', async () => {
    const email = await register(edge, 'last')
    const ip = place()
    for (let i = 0; i < 4; i++) await guess(edge, email, ip)
    expect((await signIn(edge, email, { ip })).status).toBe(200)
    expect((await guess(edge, email, ip)).status).toBe(401)
  })

  test('are not forgotten with the success of another account', async () => {
    const [email, own] = [await register(edge, 'target'), await register(edge, 'own')]
    const ip = place()
    for (let i = 0; i < 5; i++) {
      await guess(edge, email, ip)
      expect((await signIn(edge, own, { ip })).status).toBe(200)
    }
    refusalOf(await guess(edge, email, ip))
  })

  test('are answered alike whether or not the account exists', async () => {
    const known = await register(edge, 'known')
    const seen = async (email: string) => {
      const ip = place()
      const answers = []
      for (let i = 0; i < 7; i++) answers.push(await guess(edge, email, ip))
      return answers.map(({ status, headers, body }) => ({
        status,
        headers: [...headers.keys()].sort(),
        limit: headers.get('ratelimit'),
        body: { ...body, traceId: '' },
      }))
    }
    expect(await seen('nobody-at-all@example.net')).toEqual(await seen(known))
  })
})

describe('one place', () => {
  const exhaust = async (email: string, ips: readonly string[]) => {
    for (const ip of ips) expect((await guess(edge, email, ip)).status).toBe(401)
  }

  test('is a whole /64, however its addresses are spelled', async () => {
    const email = await register(edge, 'rotating')
    await exhaust(email, ['2001:db8:f:1::1', '2001:db8:f:1::2', '2001:db8:f:1:a:b:c:d', '2001:0db8:000f:0001::9', '2001:DB8:F:1:0:0:0:3'])
    refusalOf(await guess(edge, email, '2001:db8:f:1:ffff:ffff:ffff:ffff'))
    expect((await guess(edge, email, '2001:db8:f:2::1')).status).toBe(401)
  })

  test('is one IPv4 address, also as IPv6 writes it', async () => {
    const email = await register(edge, 'mapped')
    await exhaust(email, ['198.51.100.9', '::ffff:198.51.100.9', '198.51.100.9', '::ffff:c633:6409', '::FFFF:198.51.100.9'])
    refusalOf(await guess(edge, email, '198.51.100.9'))
    expect((await guess(edge, email, '198.51.100.10')).status).toBe(401)
  })

  test('is not what the caller claims', async () => {
    const email = await register(edge, 'claims')
    const ip = place()
    const claim = (i: number) => ({
      'x-forwarded-for': `198.51.100.${i}`,
      'x-real-ip': `198.51.100.${i}`,
      forwarded: `for=198.51.100.${i}`,
    })
    const answers = await atOnce(12, (i) =>
      post(edge, '/v1/auth/login', { email, password: 'a wrong guess' }, { ...from(ip), ...claim(i) }),
    )
    expect(tally(answers)).toEqual({ 401: 5, 429: 7 })
  })
})

test('from a place that nobody knows a right password costs no try either, however often', async () => {
  const email = await register(edge, 'nowhere')
  const nowhere = 'no address'
  for (let i = 0; i < 8; i++) expect((await signIn(edge, email, { ip: nowhere })).status).toBe(200)
  for (let i = 0; i < 5; i++) expect((await guess(edge, email, nowhere)).status).toBe(401)
  refusalOf(await signIn(edge, email, { ip: nowhere }))
})

test('a body that is no sign-in costs no try', async () => {
  const email = await register(edge, 'clumsy')
  const ip = place()
  for (let i = 0; i < 8; i++) expect((await post(edge, '/v1/auth/login', { email }, from(ip))).status).toBe(400)
  expect((await post(edge, '/v1/auth/login', { email, password: PASSWORD }, from(ip))).status).toBe(200)
})
