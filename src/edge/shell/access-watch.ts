import { Problem, type ProblemSlug } from '../../contract/problem.ts'
import type { HostUse } from '../../contract/shell-policy.ts'
import { openDb } from '../platform/db.ts'
import { describeError } from '../platform/log.ts'
import type { Scope } from '../platform/scope.ts'
import { mayOperate } from './policy.ts'
import { useOf } from './policy-store.ts'
import type { HostOrder } from './rpc.ts'
import { standingOf } from './store.ts'

/** Nothing goes on longer than this after the right to it has ended. */
const ACCESS_MS = 4_000

/** Asks again and again whether whoever began something still may. The answer stops the asking. */
export function watchAccess(
  scope: Scope,
  of: { readonly order: HostOrder; readonly use: HostUse },
  lost: (problem: Problem) => void,
): () => void {
  const check = async (): Promise<void> => {
    const slug = await lostAccess(scope, of)
    if (slug) lost(new Problem(slug))
  }
  const timer = setInterval(() => {
    // When D1 is out nothing changes: whatever goes on has its timeout.
    check().catch((error: unknown) => scope.log('access.check-failed', { shellId: of.order.shellId, ...describeError(error) }))
  }, ACCESS_MS)
  return () => clearInterval(timer)
}

async function lostAccess(scope: Scope, { order, use }: Parameters<typeof watchAccess>[1]): Promise<ProblemSlug | undefined> {
  const { orgId, userId, sessionId, target } = order
  const { db } = openDb(scope.env.DB, undefined)
  const now = scope.now()
  const [stands] = await standingOf(db, { orgId, now }, [{ userId, sessionId }])
  if (!stands?.isSessionLive) return 'session-ended'
  if (!mayOperate(stands.role)) return 'forbidden'
  const [reach] = await useOf(db, { hostId: target.hostId, userId, use, now })
  if (!reach) return undefined
  if (!reach.isUsed) return 'forbidden'
  return !reach.byRule && reach.grantedUntil === null ? 'access-required' : undefined
}
