import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Edge, PASSWORD, startEdge } from '../harness.ts'
import { factorsOf } from '../identity/authenticator.ts'
import { post, register } from '../identity/raw.ts'
import { atOnce, freshPlaces, from, guess, refusalOf, tally, waitAsTold } from './callers.ts'

let edge: Edge
beforeAll(async () => {
  edge = await startEdge({ vars: { LIMITS: 'register=3/8 register-global=20/3600 code=4/3600 code-global=60/3600 write=5/8' } })
})
afterAll(() => edge.stop())

const place = freshPlaces()
let strangers = 0
const ask = (ip: string, email = `stranger-${++strangers}@example.net`) =>
  post(edge, '/v1/auth/register', { email, password: PASSWORD }, from(ip))
const prove = (ip: string, registrationId: unknown = 'reg_01jd0000000000000000000000') =>
  post(edge, '/v1/auth/verify', { registrationId, code: '000000' }, from(ip))

describe('registrations', () => {
  test('of one place end exactly at its budget, whoever they are for, and go on when it said', async () => {
    const taken = await register(edge, 'taken')
    const ip = place()
    const answers = await atOnce(12, (i) => ask(ip, i % 2 ? taken : undefined))
    expect(tally(answers)).toEqual({ 202: 3, 429: 9 })
    const [told] = answers.filter((a) => a.status === 429)
    expect(refusalOf(told!)).toMatchObject({ policy: 'register', quota: 3, windowSeconds: 8 })
    expect((await ask(place())).status).toBe(202)
    await waitAsTold(told!)
    expect((await ask(ip)).status).toBe(202)
  })

  test('say what is left with each answer', async () => {
    const { headers } = await ask(place())
    expect(headers.get('ratelimit-policy')).toBe('"register";q=3;w=8')
    expect(headers.get('ratelimit')).toMatch(/^"register";r=2;t=8$/)
  })

  test('that are no registrations cost nothing', async () => {
    const ip = place()
    for (let i = 0; i < 6; i++) expect((await post(edge, '/v1/auth/register', { email: 'x' }, from(ip))).status).toBe(400)
    expect((await ask(ip)).status).toBe(202)
  })
})

test('codes have a budget of their own: a place that has used it up signs in and registers as before', async () => {
  const email = await register(edge, 'codes')
  const ip = place()
  const answers = await atOnce(30, () => prove(ip))
  expect(tally(answers)).toEqual({ 400: 4, 429: 26 })
  for (const answer of answers.filter((a) => a.status === 429)) expect(refusalOf(answer).policy).toBe('code')
  expect((await post(edge, '/v1/auth/login', { email, password: PASSWORD }, from(ip))).status).toBe(200)
  for (let i = 0; i < 5; i++) await guess(edge, email, ip)
  expect((await prove(place())).status).toBe(400)
})

test('an exhausted code fuse stops no second factor and no passkey, not even where it was blown', async () => {
  const { protect, wait, finish, recovery } = factorsOf(() => edge)
  const person = await protect('behind-the-fuse')
  const pendingId = await wait(person.email)
  const here = place()
  const answers = [...(await atOnce(6, () => prove(here))), ...(await atOnce(80, () => prove(place())))]
  expect(answers.filter((a) => a.status === 429).map((a) => refusalOf(a).policy)).toContain('code-global')
  expect((await prove(place())).slug).toBe('rate-limited')
  const proof = recovery('AAAAA-AAAAA')
  expect(await post(edge, '/v1/auth/login/factor', { pendingId, proof }, from(here))).toMatchObject({ slug: 'code-invalid' })
  expect((await post(edge, '/v1/auth/login/passkey/start', {}, from(here))).status).toBe(200)
  expect((await finish(pendingId, recovery(person.recoveryCodes[0]!))).status).toBe(200)
})

test('registrations of the whole world end at the fuse, which a refused place does not burn and which takes nothing from a place', async () => {
  const greedy = place()
  await atOnce(60, () => ask(greedy))
  expect((await ask(place())).status).toBe(202)
  const answers = await atOnce(30, () => ask(place()))
  const refused = answers.filter((a) => a.status === 429)
  expect(tally(answers)[202]).toBeLessThan(20)
  expect(tally(answers)[202]! + refused.length).toBe(30)
  for (const answer of refused) expect(refusalOf(answer)).toMatchObject({ policy: 'register-global', quota: 20 })
  expect(refused.length).toBeGreaterThan(0)
  for (const path of ['/v1/auth/password/forgot', '/v1/auth/magic'])
    expect((await post(edge, path, { email: 'anybody@example.net' }, from(place()))).status).toBe(202)
})
