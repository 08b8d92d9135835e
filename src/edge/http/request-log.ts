import type { Context } from 'hono'
import type { EdgeEnv } from './implement.ts'

/** One line per request, after its answer is known: the route template, never the URL, so no token or id of a path is kept. */
export function logRequest(c: Context<EdgeEnv>, { status, startedAt }: { readonly status: number; readonly startedAt: number }): void {
  const { actor, log } = c.get('scope')
  log('request', {
    method: c.req.method,
    route: c.get('route') ?? 'unmatched',
    status,
    durationMs: Math.round(performance.now() - startedAt),
    userId: actor?.userId,
    problem: c.get('problem'),
  })
}
