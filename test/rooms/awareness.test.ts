import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  type Bound,
  type Claim,
  inFrames,
  isHeld,
  isShown,
  judgeEntry,
  type Presence,
  renewalsWaitMs,
} from '../../src/edge/rooms/awareness.ts'

const json = (state: unknown) => new TextEncoder().encode(JSON.stringify(state))
const nobody = { held: undefined, isOurs: false, leftAtClock: undefined }
const presence = (more: Partial<Presence & Bound> = {}): Presence & Bound => ({
  clientId: 7,
  clock: 5,
  json: '{"a":1}',
  heardAt: 0,
  toldAt: 0,
  isBound: false,
  ...more,
})
const entry = (clock: number, state: unknown, clientId = 7) => ({ clientId, clock, json: json(state) })

describe('an entry', () => {
  const of = (own: Presence | undefined, e: ReturnType<typeof entry>, { isBound = false, ...claim }: Partial<Claim & Bound> = {}) =>
    judgeEntry(own, e, { claim: () => ({ ...nobody, ...claim }), now: 100, isBound })

  test('binds the first id that nobody holds', () => {
    expect(of(undefined, entry(0, { a: 1 }))).toEqual({
      kind: 'show',
      presence: { clientId: 7, clock: 0, json: '{"a":1}', heardAt: 100, toldAt: 100 },
    })
  })
  test('of a second id is ignored', () => expect(of(presence(), entry(9, {}, 8)).kind).toBe('ignore'))
  test('may take a new id once the old one is taken back', () => expect(of(presence({ json: null }), entry(9, {}, 8)).kind).toBe('show'))
  test('that is not newer is ignored', () => expect(of(presence(), entry(5, { a: 2 })).kind).toBe('ignore'))
  test('that ends at the same clock counts', () => expect(of(presence(), entry(5, null)).kind).toBe('show'))
  test('that ends twice counts once', () => expect(of(presence({ json: null }), entry(5, null)).kind).toBe('ignore'))
  test('that says the same is a renewal', () => expect(of(presence(), entry(6, { a: 1 })).kind).toBe('renew'))
  test('that says something else is a change', () => expect(of(presence(), entry(6, { a: 2 })).kind).toBe('show'))
  test('for an id of another is ignored', () => expect(of(undefined, entry(9, {}), { held: presence() }).kind).toBe('ignore'))
  test('for an id of the same session takes it over if newer', () => {
    expect(of(undefined, entry(6, {}), { held: presence(), isOurs: true }).kind).toBe('show')
    expect(of(undefined, entry(5, {}), { held: presence(), isOurs: true }).kind).toBe('ignore')
  })
  test('that ends an id nobody holds is ignored', () => expect(of(undefined, entry(9, null)).kind).toBe('ignore'))
  test('older than the end of its id is challenged', () => {
    expect(of(undefined, entry(5, {}), { leftAtClock: 6 })).toEqual({ kind: 'challenge', clock: 6 })
    expect(of(undefined, entry(7, {}), { leftAtClock: 6 }).kind).toBe('show')
  })
  test('of a bound socket is the latest, whatever its clock: the room counts on', () => {
    const isBound = true
    expect(of(presence({ clock: 9 }), entry(2, { a: 2 }), { isBound })).toMatchObject({ kind: 'show', presence: { clock: 10 } })
    expect(of(presence({ clock: 9 }), entry(12, { a: 2 }), { isBound })).toMatchObject({ presence: { clock: 12 } })
    expect(of(undefined, entry(1, {}), { isBound, leftAtClock: 6 })).toMatchObject({ kind: 'show', presence: { clock: 7 } })
    expect(of(undefined, entry(1, {}), { isBound, held: presence(), isOurs: true })).toMatchObject({ presence: { clock: 6 } })
    expect(of(undefined, entry(9, {}), { isBound, held: presence() }).kind).toBe('ignore')
    expect(of(presence({ json: null }), entry(9, null), { isBound }).kind).toBe('ignore')
  })
  test('at a clock that nobody could count on from is ignored', () => {
    expect(of(undefined, entry(0x1_0000_0000, {})).kind).toBe('ignore')
    expect(of(presence(), entry(0x1_0000_0000, {})).kind).toBe('ignore')
    expect(of(undefined, entry(Number.MAX_SAFE_INTEGER, {}), { isBound: true })).toMatchObject({ presence: { clock: 0xffff_ffff } })
  })
  test.each(['5', '"text"', '[1]', 'true', '{', ''])('%s is no state', (text) => {
    const bad = { clientId: 7, clock: 9, json: new TextEncoder().encode(text) }
    expect(() => judgeEntry(presence(), bad, { claim: () => nobody, now: 0, isBound: false })).toThrow()
    expect(judgeEntry(presence({ clientId: 8 }), bad, { claim: () => nobody, now: 0, isBound: false }).kind).toBe('ignore')
  })
})

test('a presence that nobody renewed is not shown to those who join', () => {
  expect(isShown(presence(), 44_000)).toBe(true)
  expect(isShown(presence(), 46_000)).toBe(false)
  expect(isShown(presence({ json: null }), 0)).toBe(false)
  expect(isShown(presence({ isBound: true }), 3_600_000)).toBe(true)
})

test('entries are split so that frames stay small, and none is lost', () => {
  const entries = Array.from({ length: 100 }, (_, clientId) => ({ clientId, clock: 1, json: new Uint8Array(4096) }))
  const frames = inFrames(entries)
  expect(frames.flat()).toEqual(entries)
  expect(Math.max(...frames.map((frame) => frame.length))).toBeLessThanOrEqual(16)
  expect(inFrames([])).toEqual([])
})

/** Clients that renew 15 to 18 seconds after their last renewal, and what each of them hears of the others. */
function simulate(phases: readonly number[], periods: (client: number, round: number) => number, seconds: number) {
  const shown = new Map<number, Presence & Bound>()
  const due = phases.map((phase, client) => ({ client, at: phase, round: 0 }))
  let frames = 0
  let worst = 0
  let lastFrameAt = 0
  let worstSilence = 0
  let sendsAt: number | undefined

  function tell(now: number): void {
    frames++
    worstSilence = Math.max(worstSilence, now - lastFrameAt)
    lastFrameAt = now
    for (const [id, p] of shown) {
      if (!isHeld(p)) continue
      worst = Math.max(worst, now - p.toldAt)
      shown.set(id, { ...p, toldAt: now })
    }
  }

  for (;;) {
    due.sort((a, b) => a.at - b.at)
    const next = due[0]
    if (!next || next.at > seconds * 1000) return { frames, worst, worstSilence }
    const now = next.at
    if (sendsAt !== undefined && sendsAt <= now) {
      tell(sendsAt)
      sendsAt = undefined
    }
    const before = shown.get(next.client)
    shown.set(next.client, presence({ clientId: next.client, heardAt: now, toldAt: before?.toldAt ?? now }))
    const waitMs = before === undefined ? 0 : renewalsWaitMs([...shown.values()], now)
    if (waitMs === 0) {
      tell(now)
      sendsAt = undefined
    } else if (waitMs !== undefined) sendsAt ??= now + waitMs
    next.round++
    next.at = now + periods(next.client, next.round)
  }
}

describe('renewals share frames', () => {
  const phase = fc.integer({ min: 0, max: 18_000 })
  const period = fc.integer({ min: 15_000, max: 18_000 })

  test('and nobody is silent for 30 seconds, however the clients stand to each other', () => {
    fc.assert(
      fc.property(fc.array(phase, { minLength: 1, maxLength: 40 }), fc.infiniteStream(period), (phases, periods) => {
        const { worst, worstSilence } = simulate(phases, () => periods.next().value ?? 15_000, 300)
        expect(worst).toBeLessThan(30_000)
        expect(worstSilence).toBeLessThan(30_000)
      }),
      { numRuns: 300 },
    )
  })

  test('and a client that dies silences nobody else', () => {
    fc.assert(
      fc.property(fc.array(phase, { minLength: 4, maxLength: 40 }), fc.infiniteStream(period), fc.nat(10), (phases, periods, lastRound) => {
        const dies = (client: number, round: number) => client === 0 && round > lastRound
        const { worst } = simulate(
          phases,
          (client, round) => (dies(client, round) ? Number.POSITIVE_INFINITY : (periods.next().value ?? 15_000)),
          300,
        )
        expect(worst).toBeLessThan(30_000)
      }),
      { numRuns: 300 },
    )
  })

  test('and those whom the room vouches for renew nothing themselves: every other renewal carries them', () => {
    const bound = presence({ clientId: 9, isBound: true })
    const renewing = presence({ clientId: 8, heardAt: 15_000, toldAt: 15_000 })
    expect(renewalsWaitMs([bound, renewing], 15_000)).toBe(0)
    expect(renewalsWaitMs([{ ...bound, toldAt: 10_000 }, renewing], 15_000)).toBe(undefined)
  })

  test('and clients in step are no exception', () => {
    const inStep = simulate(Array(30).fill(0), () => 18_000, 300)
    expect(inStep.worst).toBeLessThan(30_000)
  })

  test('and a hundred idle clients cost few frames', () => {
    const period = (client: number, round: number) => 15_000 + ((client * 31 + round * 17) % 3_000)
    // Whether they came over a quarter of a minute or all at once.
    for (const withinMs of [18_000, 2_000, 500]) {
      const phases = Array.from({ length: 100 }, (_, i) => (i * 7_919) % withinMs)
      for (const pace of [period, () => 15_000, () => 18_000]) expect(simulate(phases, pace, 600).frames - 100).toBeLessThan(600 / 25)
    }
  })
})
