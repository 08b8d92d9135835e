import type { Feature } from '../http/feature.ts'
import { d1Probe, mailProbe, objectsProbe, outboxProbe } from './probes.ts'
import { mountOps } from './routes.ts'

/** Health over its own probes and those of the features given. */
export function opsOver(features: readonly Feature[]): Feature {
  const probes = { d1: d1Probe, objects: objectsProbe, mail: mailProbe, outbox: outboxProbe }
  const all = Object.assign({}, probes, ...features.map((f) => f.probes ?? {}))
  return { name: 'ops', mount: (app) => mountOps(app, all), probes }
}
