import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { createRenewal } from '../../src/client/renewal.ts'

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
