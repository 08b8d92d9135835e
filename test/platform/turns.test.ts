import { afterEach, expect, test, vi } from 'vitest'
import { openTurns } from '../../src/edge/platform/turns.ts'

afterEach(() => vi.useRealTimers())

/** Turns over a gate that counts how often it was shut. */
function watched() {
  vi.useFakeTimers()
  const shut = vi.fn(async (work: () => Promise<unknown>) => work())
  return { shut, turns: openTurns({ blockConcurrencyWhile: shut as unknown as DurableObjectState['blockConcurrencyWhile'] }) }
}

test('a flood is heard in pieces, by number or by size, and nothing between two of them before a timer has run', async () => {
  const { shut, turns } = watched()
  for (let i = 0; i < 320; i++) turns.note(20)
  expect(shut).toHaveBeenCalledTimes(10)
  let isOpen = false
  void shut.mock.results[0]?.value.then(() => {
    isOpen = true
  })
  await Promise.resolve()
  expect(isOpen).toBe(false)
  await vi.runAllTimersAsync()
  expect(isOpen).toBe(true)
  turns.note(1_048_576)
  expect(shut).toHaveBeenCalledTimes(11)
})

test('who talks at a measure is never held up', () => {
  const { shut, turns } = watched()
  for (let i = 0; i < 320; i++) {
    vi.advanceTimersByTime(4)
    turns.note(20)
  }
  expect(shut).not.toHaveBeenCalled()
})

test('what comes many in a call is heard in the same pieces', async () => {
  const { shut, turns } = watched()
  const waits = Array.from({ length: 64 }, () => turns.take(20))
  expect(waits.flatMap((wait, i) => (wait ? [i] : []))).toEqual([31, 63])
  expect(shut).not.toHaveBeenCalled()
  await vi.runAllTimersAsync()
  await Promise.all(waits)
})
