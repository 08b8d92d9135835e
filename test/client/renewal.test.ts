import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { createClient, memoryTokens } from '../../src/client/client.ts'
import { createRenewal } from '../../src/client/renewal.ts'
import { startService } from './service.ts'

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

/** A socket whose service always says that its token ends at the same distance from now. */
function follow(lastsMs: number) {
  const shownAt: number[] = []
  const beganAt = Date.now()
  const renewal = createRenewal({
    credential: async () => 'token',
    show() {
      shownAt.push(Date.now() - beganAt)
      renewal.plan(Date.now() + lastsMs)
    },
  })
  renewal.plan(Date.now() + lastsMs)
  return { shownAt, renewal }
}

test('by a clock that is ahead every token seems over: it is shown ever more seldom', async () => {
  const { shownAt, renewal } = follow(-3_600_000)
  await vi.advanceTimersByTimeAsync(36_000)
  expect(shownAt).toEqual([1_000, 3_000, 7_000, 15_000, 25_000, 35_000])
  renewal.plan(Date.now() + 30_000)
  await vi.advanceTimersByTimeAsync(6_000)
  expect(shownAt.slice(6)).toEqual([41_000, 42_000])
  renewal.stop()
})

test('a token is shown anew half a minute before its end, and nothing after the stop', async () => {
  const { shownAt, renewal } = follow(900_000)
  await vi.advanceTimersByTimeAsync(1_750_000)
  expect(shownAt).toEqual([875_000, 1_750_000])
  renewal.stop()
  await vi.advanceTimersByTimeAsync(3_600_000)
  expect(shownAt).toHaveLength(2)
})

test('a token for others is replaced three minutes before its end, or at half of its time', async () => {
  vi.useRealTimers()
  const service = await startService()
  const refreshes = () => service.to('/v1/auth/refresh').length
  const login = { body: { email: 'ada@example.org', password: 'correct horse battery staple' } }
  for (const seconds of [900, 170]) {
    service.state.tokenSeconds = seconds
    const tokens = memoryTokens()
    const client = createClient({ origin: service.origin, tokens })
    await client.login(login)
    const shown = await client.accessToken()
    expect(shown).toBe((await tokens.read())?.accessToken)
    // Read by one who does not know how long it was good for, 170 seconds are too few to hand out and enough to use.
    const later = createClient({ origin: service.origin, tokens })
    await later.getMe()
    expect(refreshes()).toBe(0)
    expect((await later.accessToken()) === shown).toBe(seconds === 900)
  }
  expect(refreshes()).toBe(1)
  await service.stop()
})
