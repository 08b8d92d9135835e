import type { Dependency, Readiness } from '../../contract/health.ts'
import { toMoment } from '../../contract/id.ts'
import type { Probe } from '../http/feature.ts'
import type { Scope } from '../platform/scope.ts'

/** A dependency that needs longer than this is as good as down for the people waiting. */
const BUDGET_MS = 2_000
/** Asking for readiness must not become a load of its own. */
const KEPT_MS = 5_000

/** What every configured probe says, by name. */
export type Probes = Readonly<Record<string, Probe>>

async function within<T>(work: Promise<T>, otherwise: T): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | null = null
  const late = new Promise<T>((resolve) => {
    timer = setTimeout(() => resolve(otherwise), BUDGET_MS)
  })
  try {
    return await Promise.race([work, late])
  } finally {
    clearTimeout(timer)
  }
}

async function ask(scope: Scope, probe: Probe): Promise<Dependency> {
  const startedAt = performance.now()
  const answer = await within(
    probe.check(scope).catch(() => ({ ok: false, detail: 'failed' })),
    { ok: false, detail: `no answer within ${BUDGET_MS} ms` },
  )
  return { ...answer, hard: probe.isHard, durationMs: Math.round(performance.now() - startedAt) }
}

let kept: { readonly at: number; readonly of: Probes; readonly readiness: Readiness } | undefined

/** How every dependency stands, at most five seconds old. */
export async function readiness(scope: Scope, probes: Probes): Promise<Readiness> {
  const now = scope.now()
  if (kept && kept.of === probes && now - kept.at < KEPT_MS) return kept.readiness
  const answers = await Promise.all(Object.entries(probes).map(async ([name, probe]) => [name, await ask(scope, probe)] as const))
  const isDown = answers.some(([, a]) => a.hard && !a.ok)
  const isDegraded = answers.some(([, a]) => !a.ok)
  const fresh: Readiness = {
    status: isDown ? 'down' : isDegraded ? 'degraded' : 'ready',
    checkedAt: toMoment(now),
    dependencies: Object.fromEntries(answers),
  }
  kept = { at: now, of: probes, readiness: fresh }
  return fresh
}
