import type { Feature, Probe } from '../http/feature.ts'
import { rewrapBoxes, secretsStanding } from '../platform/root-secrets.ts'
import { mailMetrics, outboxMetrics } from './metrics.ts'
import { d1Probe, mailProbe, objectsProbe, outboxProbe } from './probes.ts'
import { mountOps } from './routes.ts'

/** Health and metrics over its own parts and those of the features given. */
export function opsOver(features: readonly Feature[]): Feature {
  const underSecrets = features.flatMap((f) => f.underSecrets ?? [])
  const rootSecrets: Probe = { isHard: false, check: (scope) => secretsStanding(scope, underSecrets) }
  const probes = { d1: d1Probe, objects: objectsProbe, mail: mailProbe, outbox: outboxProbe, rootSecrets }
  const all = Object.assign({}, probes, ...features.map((f) => f.probes ?? {}))
  const told = features.flatMap(({ name, metrics }) => (metrics ? [[name, metrics] as const] : []))
  const sources = { mail: mailMetrics, outbox: outboxMetrics, ...Object.fromEntries(told) }
  return {
    name: 'ops',
    mount: (app) => mountOps(app, { probes: all, sources }),
    probes,
    sweeps: { boxes: (scope) => rewrapBoxes(scope, underSecrets) },
  }
}
