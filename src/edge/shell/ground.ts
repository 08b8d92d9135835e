import { sql } from 'drizzle-orm'
import type { ApiKeyId } from '../../contract/api-keys.ts'
import type { HostId } from '../../contract/hosts.ts'
import type { SessionId, UserId } from '../../contract/identity.ts'
import type { Oversight } from '../../contract/oversight.ts'
import { Problem } from '../../contract/problem.ts'
import type { HostUse } from '../../contract/shell-policy.ts'
import { openDb } from '../platform/db.ts'
import type { Actor, Scope } from '../platform/scope.ts'
import { type HookRow, hooksIn } from './hook-store.ts'
import { type HostRow, hostOf, jumpsTo } from './host-store.ts'
import { requireSsh, targetOf } from './hosts.ts'
import { oversightIn } from './oversight.ts'
import { mayOperate } from './policy.ts'
import { policyOf } from './policy-store.ts'
import { type Policy, policyIn, requireUse } from './reach-policy.ts'
import { oversightOf } from './recording-store.ts'
import type { HostTarget } from './rpc.ts'
import { accessOf } from './run-store.ts'

/** A host on which something is about to begin, and all that its organisation says about that. */
export interface Ground {
  readonly host: HostRow
  readonly policy: Policy
  readonly oversight: Oversight
  readonly hooks: readonly HookRow[]
  readonly target: HostTarget
}

/** Who wants to do what there. */
export interface Approach {
  readonly hostId: HostId
  readonly userId: UserId
  readonly sessionId: SessionId | ApiKeyId
  readonly use: HostUse
  /** Absent in a run, whose starter was asked for their proof. */
  readonly actor?: Actor | undefined
}

/**
 * The ground, for whoever may act on hosts there. It is read at one moment, and at the primary: a replica may not have heard of a rule, or of
 * the end of a session.
 *
 * @throws Problem `session-ended`, `not-found`, `forbidden`, `host-unsuited` or `step-up-required`
 */
export async function groundFor(scope: Scope, { hostId, userId, sessionId, use, actor }: Approach): Promise<Ground> {
  const { db } = openDb(scope.env.DB, undefined)
  const own = (column: 'org_id' | 'jump_host_id') => sql`(SELECT own.${sql.raw(column)} FROM hosts AS own WHERE own.id = ${hostId})`
  const orgId = own('org_id')
  const [[access], [found], [policyRow], [oversightRow], hooks, way] = await db.batch([
    accessOf(db, { userId, sessionId, now: scope.now() }),
    hostOf(db, { id: hostId, callerId: userId }),
    policyOf(db, orgId),
    oversightOf(db, orgId),
    hooksIn(db, orgId),
    jumpsTo(db, { orgId, jumpHostId: own('jump_host_id') }),
  ])
  if (access?.isLive !== 1) throw new Problem('session-ended')
  if (!found?.role) throw new Problem('not-found')
  const { host, role } = found
  if (!mayOperate(role)) throw new Problem('forbidden')
  if (use !== 'shell') requireSsh(host)
  const policy = policyIn(policyRow)
  await requireUse(scope, policy, { use, actor })
  return { host, policy, oversight: oversightIn(oversightRow), hooks, target: targetOf(host, way) }
}
