import { expect, test } from 'vitest'
import type { Probe } from '../../src/edge/http/feature.ts'
import { type Probes, readiness } from '../../src/edge/ops/health.ts'
import type { Scope } from '../../src/edge/platform/scope.ts'

let clock = 0
const scope = { now: () => clock } as Scope
const well: Probe = { isHard: true, check: async () => ({ ok: true }) }
const failing = (isHard: boolean): Probe => ({ isHard, check: () => Promise.reject(new Error('secret-host:1433 refused')) })
const ask = (probes: Probes) => readiness(scope, probes)

test('all well is ready, a soft failure degrades, a hard one is down', async () => {
  expect((await ask({ a: well })).status).toBe('ready')
  expect((await ask({ a: well, b: failing(false) })).status).toBe('degraded')
  expect((await ask({ a: well, b: failing(true) })).status).toBe('down')
})

test('a failure tells that it failed and nothing of how', async () => {
  const { dependencies } = await ask({ a: failing(true) })
  expect(dependencies['a']).toMatchObject({ ok: false, hard: true, detail: 'failed' })
})

test('a dependency that does not answer is down within its budget', async () => {
  const { status, dependencies } = await ask({ a: { isHard: true, check: () => new Promise(() => undefined) } })
  expect(status).toBe('down')
  expect(dependencies['a']?.detail).toContain('no answer within')
})

test('a dependency is asked once in five seconds however often readiness is', async () => {
  let asked = 0
  const probes: Probes = {
    a: {
      isHard: true,
      check: async () => {
        asked++
        return { ok: true }
      },
    },
  }
  await Promise.all([ask(probes), ask(probes)])
  const first = asked
  for (let i = 0; i < 10; i++) await ask(probes)
  expect(asked).toBe(first)
  clock += 5_001
  await ask(probes)
  expect(asked).toBe(first + 1)
})
