import * as z from 'zod'
import { endpoint } from './endpoint.ts'
import { Moment } from './id.ts'

/** How one dependency stands. `hard` ones make the whole not ready. */
export const Dependency = z
  .object({ ok: z.boolean(), hard: z.boolean(), durationMs: z.int(), detail: z.string().optional() })
  .meta({ id: 'Dependency' })
/** How one dependency stands. */
export type Dependency = z.infer<typeof Dependency>

/** Readiness by dependency; kept for five seconds so that asking is no burden. */
export const Readiness = z
  .object({ status: z.enum(['ready', 'degraded', 'down']), checkedAt: Moment, dependencies: z.record(z.string(), Dependency) })
  .meta({ id: 'Readiness' })
/** Readiness by dependency. */
export type Readiness = z.infer<typeof Readiness>

/** The health operations. */
export const healthEndpoints = {
  getLive: endpoint({
    id: 'getLive',
    method: 'GET',
    path: '/health/live',
    tag: 'health',
    access: 'public',
    summary: 'The Worker answers. Touches nothing else.',
    success: 200,
    response: z.object({ status: z.literal('live') }).meta({ id: 'Liveness' }),
    problems: [],
  }),
  getReady: endpoint({
    id: 'getReady',
    method: 'GET',
    path: '/health/ready',
    tag: 'health',
    access: 'public',
    summary: 'Whether each dependency answers within its budget. Answers 503 with the same body when a hard one does not.',
    success: 200,
    response: Readiness,
    problems: [],
  }),
}
