import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Edge, startEdge } from '../harness.ts'
import { post, signInRaw } from '../identity/raw.ts'

let edge: Edge
beforeAll(async () => {
  edge = await startEdge()
})
afterAll(() => edge.stop())

test('a writer is told where its write stands and reads it back from there', async () => {
  const { accessToken } = await signInRaw(edge, 'writer')
  const authorization = `Bearer ${accessToken}`
  const written = await post(edge, '/v1/rooms', { name: 'Just now' }, { authorization })
  const bookmark = written.headers.get('parvis-bookmark')
  expect(bookmark).toMatch(/^[0-9a-f]{8}-[0-9a-f]{8}-[0-9a-f]{8}-[0-9a-f]{32}$/)
  const read = await edge.request(`/v1/rooms/${written.body['id']}`, { headers: { authorization, 'parvis-bookmark': bookmark ?? '' } })
  expect(await read.json()).toMatchObject({ name: 'Just now' })
})

test.each(['first-unconstrained', 'nonsense', "'; DROP TABLE users; --", '0'.repeat(5_000)])(
  'the forged bookmark %.30s is not passed on',
  async (bookmark) => {
    const { accessToken } = await signInRaw(edge, 'forger')
    const answer = await edge.request('/v1/me', { headers: { authorization: `Bearer ${accessToken}`, 'parvis-bookmark': bookmark } })
    expect(answer.status).toBe(200)
  },
)

test('an answer that asked no storage carries no bookmark', async () => {
  expect((await edge.request('/health/live')).headers.has('parvis-bookmark')).toBe(false)
})
