import type { HostId } from '../../contract/hosts.ts'
import type { UserId } from '../../contract/identity.ts'
import { Problem } from '../../contract/problem.ts'
import { openDb } from '../platform/db.ts'
import type { Scope } from '../platform/scope.ts'
import { hostOf } from './host-store.ts'
import { refusalOfStart } from './policy.ts'
import { requireReach } from './reach-policy.ts'
import { startable } from './store.ts'
import { isMonthUsedUp } from './usage.ts'

/** Who begins something on which host. */
interface Start {
  readonly userId: UserId
  readonly hostId: HostId
}

/** Why nothing was started: the role or the policy has changed, the host is gone, or there is no room. */
export async function startRefused(scope: Scope, { userId, hostId }: Start): Promise<Problem> {
  const [row] = await hostOf(openDb(scope.env.DB, undefined).db, { id: hostId, callerId: userId })
  const slug = refusalOfStart(row?.role ?? undefined)
  if (slug !== 'limit-reached' || !row) return new Problem(slug)
  await requireReach(scope, { hostId, userId })
  return new Problem((await isMonthUsedUp(scope, row.host.orgId)) ? 'quota-reached' : slug)
}

/** Lets pass what could begin now, so that nobody is asked about anything else; what begins is decided by its insert. @throws Problem as {@link startRefused} */
export async function requireStart(scope: Scope, { userId, hostId }: Start): Promise<void> {
  const { db } = openDb(scope.env.DB, undefined)
  const [row] = await startable(db, { hostId, userId, now: scope.now(), quotas: scope.config.shellQuotas })
  if (!row) throw await startRefused(scope, { userId, hostId })
}
