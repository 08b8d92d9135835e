import { CONSUMERS, makeApp, makeScope } from './app.ts'
import type { Env } from './env.ts'
import { FEATURES } from './features.ts'
import { sweepLimits } from './platform/limiter/store.ts'
import { describeError } from './platform/log.ts'
import { sweepMailDays } from './platform/mail/delivery.ts'
import { consumeBatch, sweepOutbox } from './platform/outbox/outbox.ts'
import { traceFrom } from './platform/trace.ts'

export { InboxObject } from './inbox/object.ts'
export { LimiterObject } from './platform/limiter/object.ts'
export { LeafObject } from './rooms/leaf-object.ts'
export { RoomObject } from './rooms/object.ts'
export { ShellObject } from './shell/object.ts'
export { RunObject } from './shell/run-object.ts'

const app = makeApp()

/** Sweeps do not wait for each other's health: one that fails is logged and the rest run. */
async function sweep(env: Env, ctx: ExecutionContext): Promise<void> {
  const { scope } = makeScope(env, { trace: traceFrom(undefined), waitUntil: (work) => ctx.waitUntil(work) })
  const own = { outbox: () => sweepOutbox(scope, CONSUMERS), limits: sweepLimits, mail: sweepMailDays }
  const sweeps = { ...own, ...Object.assign({}, ...FEATURES.map((f) => f.sweeps ?? {})) }
  for (const [name, run] of Object.entries(sweeps) as [string, (s: typeof scope) => Promise<number>][]) {
    try {
      scope.log('sweep', { name, count: await run(scope) })
    } catch (error) {
      scope.log('sweep.failed', { name, ...describeError(error) })
    }
  }
}

export default {
  fetch: app.fetch,
  async queue(batch, env, ctx) {
    const { scope } = makeScope(env, { trace: traceFrom(undefined), waitUntil: (work) => ctx.waitUntil(work) })
    await consumeBatch(scope, CONSUMERS, batch)
  },
  scheduled: (_event, env, ctx) => sweep(env, ctx),
} satisfies ExportedHandler<Env>
