import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Edge, startEdge } from '../harness.ts'
import { type Answer, post, read, signInRaw } from '../identity/raw.ts'
import { atOnce, freshPlaces, from, refusalOf, tally, waitAsTold } from './callers.ts'

let edge: Edge
beforeAll(async () => {
  edge = await startEdge({ vars: { LIMITS: 'register=1000/60 mail=1000/60 code=1000/60 write=5/6' } })
})
afterAll(() => edge.stop())

const place = freshPlaces()
const found = (accessToken: string, ip = place()) =>
  post(edge, '/v1/orgs', { name: 'Guild' }, { authorization: `Bearer ${accessToken}`, ...from(ip) })
const look = async (path: string, accessToken: string): Promise<Answer> =>
  read(await edge.request(path, { headers: { authorization: `Bearer ${accessToken}` } }))

test('changes by one user end exactly at their budget, wherever they come from, and go on when it said', async () => {
  const [{ accessToken }, other] = [await signInRaw(edge, 'busy'), await signInRaw(edge, 'other')]
  const answers = await atOnce(60, () => found(accessToken))
  expect(tally(answers)).toEqual({ 201: 5, 429: 55 })
  const [told] = answers.filter((a) => a.status === 429)
  expect(refusalOf(told!)).toMatchObject({ policy: 'write', quota: 5, windowSeconds: 6 })
  expect((await found(other.accessToken)).status).toBe(201)
  await waitAsTold(told!)
  expect((await found(accessToken)).headers.get('ratelimit')).toBe('"write";r=4;t=6')
})

test('looking is free, and health too', async () => {
  const { accessToken } = await signInRaw(edge, 'reader')
  await atOnce(8, () => found(accessToken))
  for (const path of ['/v1/auth/session', '/v1/me', '/v1/orgs', '/health/live']) {
    const answers = await atOnce(20, () => look(path, accessToken))
    expect(tally(answers)).toEqual({ 200: 20 })
    expect(answers[0]!.headers.has('ratelimit')).toBe(false)
  }
})

test('a flood of refreshes from one place is shed, and other places do not notice', async () => {
  const { refreshToken } = await signInRaw(edge, 'flood')
  const ip = place()
  const flood: Answer[] = []
  // Its windows begin with the minute, so a flood may find two of them.
  while (flood.length < 2_200 && !flood.some((a) => a.status === 429))
    flood.push(...(await atOnce(100, () => post(edge, '/v1/auth/refresh', { refreshToken: 'rt_nonsense' }, from(ip)))))
  expect(new Set(flood.map((a) => a.status))).toEqual(new Set([401, 429]))
  expect(refusalOf(flood.find((a) => a.status === 429)!)).toMatchObject({ policy: 'shed', quota: 1000, windowSeconds: 60, seconds: 60 })
  expect((await post(edge, '/v1/auth/refresh', { refreshToken }, from(place()))).status).toBe(200)
})
