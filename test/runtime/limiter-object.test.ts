import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from 'cloudflare:test'
import { env } from 'cloudflare:workers'
import { describe, expect, test } from 'vitest'
import type { Charge } from '../../src/edge/platform/limiter/charge.ts'
import type { Rule } from '../../src/edge/platform/limiter/limits.ts'

const WINDOW: Rule = { steps: [{ count: 3, seconds: 60 }] }
const LADDER: Rule = {
  steps: [
    { count: 2, seconds: 10 },
    { count: 4, seconds: 100 },
  ],
  forgetSeconds: 1_000,
}

let objects = 0
const newLimiter = () => env.LIMITERS.getByName(`limiter-${++objects}`)
type Limiter = ReturnType<typeof newLimiter>

const charge = (rule: Rule, key = 'key', more: Partial<Charge> = {}): Charge => ({ budget: 'write', key, rule, ...more })
const take = async (limiter: Limiter, ...charges: Charge[]) => (await limiter.charge(charges)).map((s) => s.isAdmitted)
const takeAll = async (limiter: Limiter, count: number, of: Charge) => {
  const taken: boolean[] = []
  for (let i = 0; i < count; i++) taken.push(...(await take(limiter, of)))
  return taken
}
/** Moves everything an object holds into the past, as if time had gone by. */
const pass = (limiter: Limiter, seconds: number) =>
  runInDurableObject(limiter, (_, { storage }) => {
    storage.sql.exec(
      'UPDATE limits SET blocked_until = blocked_until - ?1, forget_at = forget_at - ?1, charged_at = charged_at - ?1',
      seconds * 1000,
    )
  })
const rowsIn = (limiter: Limiter) =>
  runInDurableObject(limiter, (_, { storage }) => storage.sql.exec('SELECT count(*) AS n FROM limits').one()['n'])

describe('a window', () => {
  test('grants its units, and as many again once it is over', async () => {
    const limiter = newLimiter()
    expect(await takeAll(limiter, 5, charge(WINDOW))).toEqual([true, true, true, false, false])
    await pass(limiter, 59)
    expect(await takeAll(limiter, 1, charge(WINDOW))).toEqual([false])
    await pass(limiter, 1)
    expect(await takeAll(limiter, 4, charge(WINDOW))).toEqual([true, true, true, false])
  })

  test('opens with its first unit, not with its last', async () => {
    const limiter = newLimiter()
    await takeAll(limiter, 2, charge(WINDOW))
    await pass(limiter, 50)
    const [third] = await limiter.charge([charge(WINDOW)])
    expect(third).toMatchObject({ isAdmitted: true, count: 3 })
    expect(third!.waitMs).toBeLessThanOrEqual(10_000)
    await pass(limiter, 10)
    expect(await take(limiter, charge(WINDOW))).toEqual([true])
  })

  test('is exact for two hundred at once', async () => {
    const limiter = newLimiter()
    const taken = await Promise.all(Array.from({ length: 200 }, () => take(limiter, charge(WINDOW))))
    expect(taken.flat().filter(Boolean)).toHaveLength(3)
  })
})

describe('a ladder', () => {
  test('waits as its steps say, longer the higher it is climbed, and forgets after a long quiet', async () => {
    const limiter = newLimiter()
    const waits: number[] = []
    for (let i = 0; i < 5; i++) {
      const [standing] = await limiter.charge([charge(LADDER)])
      expect(standing).toMatchObject({ isAdmitted: true, count: i + 1 })
      waits.push(standing!.waitMs / 1000)
      expect(await take(limiter, charge(LADDER))).toEqual([i === 0])
      if (i === 0) await limiter.giveBack(['key'])
      await pass(limiter, waits[i]!)
    }
    expect(waits).toEqual([0, 10, 10, 100, 100])
    await pass(limiter, 1_000)
    expect(await limiter.charge([charge(LADDER)])).toMatchObject([{ count: 1, waitMs: 0 }])
  })

  test('begins anew after a success, also where the last unit had closed it', async () => {
    const limiter = newLimiter()
    expect(await takeAll(limiter, 3, charge(LADDER))).toEqual([true, true, false])
    expect(await limiter.charge([charge(LADDER, 'key', { clearedAt: Date.now() + 1 })])).toMatchObject([{ isAdmitted: true, count: 1 }])
    expect(await limiter.charge([charge(LADDER, 'key', { clearedAt: 1 })])).toMatchObject([{ count: 2 }])
  })

  test('can close for good', async () => {
    const limiter = newLimiter()
    const rule: Rule = { steps: [{ count: 1, seconds: Number.POSITIVE_INFINITY }], forgetSeconds: 1 }
    expect(await takeAll(limiter, 2, charge(rule))).toEqual([true, false])
    await pass(limiter, 10 * 365 * 86_400)
    expect(await take(limiter, charge(rule))).toEqual([false])
  })
})

describe('several budgets in one charge', () => {
  test('are taken from together or not at all', async () => {
    const limiter = newLimiter()
    await takeAll(limiter, 3, charge(WINDOW, 'empty'))
    expect(await take(limiter, charge(WINDOW, 'full'), charge(WINDOW, 'empty'))).toEqual([true, false])
    expect(await takeAll(limiter, 4, charge(WINDOW, 'full'))).toEqual([true, true, true, false])
  })

  test('know nothing of each other', async () => {
    const limiter = newLimiter()
    await takeAll(limiter, 3, charge(WINDOW, 'one'))
    expect(await take(limiter, charge(WINDOW, 'other'))).toEqual([true])
  })
})

test('a unit given back is there again, and a wait it caused is over', async () => {
  const limiter = newLimiter()
  expect(await takeAll(limiter, 3, charge(LADDER))).toEqual([true, true, false])
  await limiter.giveBack(['key', 'unknown'])
  expect(await takeAll(limiter, 2, charge(LADDER))).toEqual([true, false])
})

describe('a limiter object', () => {
  test('counts on after its memory is gone', async () => {
    const limiter = newLimiter()
    await takeAll(limiter, 2, charge(WINDOW))
    await evictDurableObject(limiter)
    expect(await takeAll(limiter, 2, charge(WINDOW))).toEqual([true, false])
  })

  test('forgets what no longer counts, keeps what does, and ceases to exist when nothing is left', async () => {
    const limiter = newLimiter()
    await take(limiter, charge(WINDOW, 'short'), charge(LADDER, 'long'))
    await pass(limiter, 61)
    expect(await runDurableObjectAlarm(limiter)).toBe(true)
    expect(await rowsIn(limiter)).toBe(1)
    expect(await runInDurableObject(limiter, (_, { storage }) => storage.getAlarm())).toBeGreaterThan(Date.now())
    await pass(limiter, 10_000)
    expect(await runDurableObjectAlarm(limiter)).toBe(true)
    await runInDurableObject(limiter, async (_, { storage }) => {
      expect(storage.sql.exec("SELECT name FROM sqlite_schema WHERE name = 'limits'").toArray()).toEqual([])
      expect(await storage.getAlarm()).toBeNull()
    })
    expect(await takeAll(limiter, 4, charge(WINDOW))).toEqual([true, true, true, false])
    expect(await runInDurableObject(limiter, (_, { storage }) => storage.getAlarm())).toBeGreaterThan(Date.now())
  })
})
