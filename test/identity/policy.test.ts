import { describe, expect, test } from 'vitest'
import { decideRefresh, jitteredTtlSeconds } from '../../src/edge/identity/policy.ts'

describe('a refresh that met another generation', () => {
  const state = { counter: 5, refreshedAt: 1_000_000, isLive: true }
  const at = { now: 1_010_000, raceSeconds: 30 }
  test.each([
    ['one behind within the window is a race', 4, state, { converge: 'concurrent-refresh' }],
    ['one behind long after is a lost answer', 4, { ...state, refreshedAt: 0 }, { converge: 'fail-to-save' }],
    ['two behind is theft', 3, state, { refuse: 'refresh-reused' }],
    ['a generation that is not yet born is theft', 6, state, { refuse: 'refresh-reused' }],
    ['an ended session refuses whatever came', 4, { ...state, isLive: false }, { refuse: 'session-ended' }],
  ] as const)('%s', (_name, presented, given, decision) => expect(decideRefresh(presented, given, at)).toEqual(decision))
})

test('access tokens live up to five percent less, never more, so refreshes do not come in step', () => {
  expect(jitteredTtlSeconds(900, 0)).toBe(900)
  expect(jitteredTtlSeconds(900, 0.999_999)).toBe(855)
})
