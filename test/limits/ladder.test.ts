import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Edge, startEdge } from '../harness.ts'
import { type Answer, post, register, signInRaw } from '../identity/raw.ts'
import { atOnce, freshPlaces, guess, refusalOf, signIn, tally, waitAsTold } from './callers.ts'

let edge: Edge
beforeAll(async () => {
  edge = await startEdge({
    vars: { LIMITS: 'register=1000/60 mail=1000/60 code=1000/60 login=2/3,3/6,4/60 login-place=6/60 login-account=4/60,8/never' },
  })
})
afterAll(() => edge.stop())

const place = freshPlaces()

test('waits grow with every failure past a step, and are honest', async () => {
  const email = await register(edge, 'climber')
  const ip = place()
  await guess(edge, email, ip)
  await guess(edge, email, ip)
  const first = await guess(edge, email, ip)
  expect(refusalOf(first)).toMatchObject({ policy: 'login', quota: 2, windowSeconds: 3 })
  expect(refusalOf(first).seconds).toBeLessThanOrEqual(3)
  await waitAsTold(first)
  expect((await guess(edge, email, ip)).status).toBe(401)
  const second = await guess(edge, email, ip)
  expect(refusalOf(second).seconds).toBeGreaterThan(3)
  await waitAsTold(second)
  expect((await signIn(edge, email, { ip })).status).toBe(200)
  expect((await guess(edge, email, ip)).headers.get('ratelimit')).toBe('"login";r=1')
})

test('being told to wait costs nothing: who asks all the time waits no longer', async () => {
  const email = await register(edge, 'impatient')
  const ip = place()
  await guess(edge, email, ip)
  await guess(edge, email, ip)
  const told = await guess(edge, email, ip)
  await atOnce(20, () => guess(edge, email, ip))
  await waitAsTold(told)
  expect((await signIn(edge, email, { ip })).status).toBe(200)
})

test('one password on many accounts is stopped by its place, and not for those who know the place', async () => {
  const email = await register(edge, 'regular')
  const ip = place()
  expect((await signIn(edge, email, { ip })).status).toBe(200)
  const answers = await atOnce(12, (i) => guess(edge, `sprayed-${i}@example.net`, ip))
  expect(tally(answers)).toEqual({ 401: 5, 429: 7 })
  for (const answer of answers.filter((a) => a.status === 429)) expect(refusalOf(answer)).toMatchObject({ policy: 'login-place', quota: 6 })
  expect((await signIn(edge, email, { ip })).status).toBe(200)
})

test('who rotates through a /48 has ten times what one place has', async () => {
  const answers: Answer[] = []
  for (let i = 0; i < 80; i += 20)
    answers.push(...(await atOnce(20, (j) => guess(edge, `rotated-${i + j}@example.net`, `2001:db8:ffff:${(i + j).toString(16)}::1`))))
  expect(tally(answers)).toEqual({ 401: 60, 429: 20 })
})

describe('an account guessed at from everywhere', () => {
  const home = place()
  const attack = (email: string, count: number) => atOnce(count, () => guess(edge, email, place()))
  /** Moves the account's budget into the past, as if time had gone by. */
  const pass = (seconds: number) =>
    edge.db
      .prepare('UPDATE limits SET blocked_until = blocked_until - ?1, forget_at = forget_at - ?1')
      .bind(seconds * 1000)
      .run()
  const looked = async (email: string, count: number) => tally(await attack(email, count))[401]

  test('is looked at exactly as often as its budget says, however many places take part', async () => {
    const email = await register(edge, 'botnet')
    const answers = await attack(email, 40)
    expect(tally(answers)).toEqual({ 401: 4, 429: 36 })
    for (const answer of answers.filter((a) => a.status === 429)) expect(refusalOf(answer).policy).toBe('login-account')
  })

  test('slows places that are new to it, and not the ones it knows', async () => {
    const email = await register(edge, 'slowed')
    expect((await signIn(edge, email, { ip: home })).status).toBe(200)
    expect(await looked(email, 10)).toBe(4)
    refusalOf(await signIn(edge, email, { ip: place() }))
    expect((await signIn(edge, email, { ip: home })).status).toBe(200)
    expect((await signIn(edge, email, { ip: place() })).status).toBe(200)
  })

  test('lets a new place in once it has waited, and a refusal has cost that place none of its own tries', async () => {
    const email = await register(edge, 'patient')
    const cafe = place()
    await looked(email, 6)
    const told = await signIn(edge, email, { ip: cafe })
    for (let i = 0; i < 5; i++) refusalOf(await signIn(edge, email, { ip: cafe }))
    await pass(refusalOf(told).seconds)
    expect((await signIn(edge, email, { ip: cafe })).status).toBe(200)
  })

  test('closes at last to new places, in words that tell nothing, until it is signed in to from a known one', async () => {
    const { email, refreshToken, userId } = await signInRaw(edge, 'closed')
    expect((await signIn(edge, email, { ip: home })).status).toBe(200)
    for (let i = 0; i < 8; i++) {
      await pass(60)
      expect((await guess(edge, email, place())).status).toBe(401)
    }
    const wrong = await guess(edge, email, place())
    const right = await signIn(edge, email, { ip: place() })
    const nobody = await guess(edge, 'nobody-here@example.net', place())
    for (const answer of [wrong, right, nobody]) expect(answer).toMatchObject({ status: 401, slug: 'credentials-invalid' })
    expect({ ...right.body, traceId: '' }).toEqual({ ...nobody.body, traceId: '' })
    expect([...right.headers.keys()].sort()).toEqual([...nobody.headers.keys()].sort())
    expect((await post(edge, '/v1/auth/refresh', { refreshToken })).status).toBe(200)
    const { results } = await edge.db
      .prepare("SELECT subject, cause FROM audit_entries WHERE action = 'password.close' AND subject = ?")
      .bind(userId)
      .all()
    expect(results).toEqual([{ subject: userId, cause: 'failures' }])
    expect((await signIn(edge, email, { ip: home })).status).toBe(200)
    expect((await signIn(edge, email, { ip: place() })).status).toBe(200)
  })

  test('an address that is nobody’s is slowed just so', async () => {
    expect(tally(await attack('nobody-anywhere@example.net', 12))).toEqual({ 401: 4, 429: 8 })
  })
})
