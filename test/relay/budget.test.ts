import { expect, test } from 'vitest'
import { createTargetBudget, type Outcome } from '../../src/relay/budget.ts'

const name = { tenant: 'org_1', target: '192.0.2.1 22', username: 'ops' }

test('logins that wait behind failing ones are refused before they are tried', async () => {
  const budget = createTargetBudget(3)
  let tried = 0
  const attempts = Array.from({ length: 20 }, async () => {
    const place = await budget.enter(name, 10_000)
    tried += 1
    await new Promise(setImmediate)
    place.leave('login-refused')
  })
  const ends = await Promise.allSettled(attempts)
  const refused = ends.flatMap((end) => (end.status === 'rejected' ? [end.reason.code] : []))
  expect(new Set(refused)).toEqual(new Set(['target-backoff']))
  // Four are under way at once, and each of the places given back before the third failure let one more in.
  expect(tried).toBeLessThanOrEqual(6)
  expect(refused.length).toBe(20 - tried)
})

test('a connection without a login costs a fifth of a failed one, and other ends nothing', async () => {
  const budget = createTargetBudget(1)
  const end = async (outcome: Outcome) => (await budget.enter(name, 1_000)).leave(outcome)
  for (let i = 0; i < 10; i += 1) await end('other')
  for (let i = 0; i < 5; i += 1) await end('unauthenticated')
  await expect(end('ready')).rejects.toMatchObject({ code: 'target-backoff' })
})
