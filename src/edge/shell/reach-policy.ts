import type { HostId } from '../../contract/hosts.ts'
import type { UserId } from '../../contract/identity.ts'
import type { OrgId } from '../../contract/orgs.ts'
import { Problem } from '../../contract/problem.ts'
import type { HostUse, PutShellPolicy, ShellPolicy } from '../../contract/shell-policy.ts'
import { auditIfChanged } from '../audit/service.ts'
import { type EntityTags, isNamed } from '../http/condition.ts'
import { requireFreshProof } from '../identity/service.ts'
import { orgRoleOf, requireOrgRole } from '../orgs/service.ts'
import { openDb } from '../platform/db.ts'
import { ofChange } from '../platform/notify.ts'
import { commit, outboxEventIf } from '../platform/outbox/outbox.ts'
import type { Actor, Scope } from '../platform/scope.ts'
import { isAllowed, quoted, wordsOf } from './argv.ts'
import { type PolicyRow, policyOf, putPolicy, reachOf } from './policy-store.ts'

/** Topic of the events that say that somebody may not reach a host any more: `{ orgId }`. */
export const REACH_CHANGED = 'shell.reach-changed'

/** What holds where nobody has said anything. */
const OPEN = {
  uses: ['exec', 'files', 'shell'] as HostUse[],
  stepUp: false,
  reach: null,
  allow: null,
  deny: [],
  alerts: [],
  fileRoots: null,
  version: 0,
}

/** What holds now. */
export type Policy = Omit<ShellPolicy, 'etag'> & { readonly version: number }

/** The policy of an organisation, read at the primary: a replica may not have heard of a rule. */
export async function readPolicy(scope: Scope, orgId: OrgId): Promise<Policy> {
  const [row] = await policyOf(openDb(scope.env.DB, undefined).db, orgId)
  return policyIn(row)
}

/** What a row of `shell_policies` says, or the want of one. */
export const policyIn = (row: PolicyRow | undefined): Policy => row ?? OPEN

const toPolicy = ({ uses, stepUp, reach, allow, deny, alerts, fileRoots, version }: Policy): ShellPolicy => ({
  uses,
  stepUp,
  reach,
  allow,
  deny,
  alerts,
  fileRoots,
  etag: `"p${version}"`,
})

/** What the organisation lets its members do on its hosts. @throws Problem `not-found` */
export async function getShellPolicy(scope: Scope, actor: Actor, orgId: OrgId): Promise<ShellPolicy> {
  await orgRoleOf(scope, actor, orgId)
  return toPolicy(await readPolicy(scope, orgId))
}

/** Changes it as a whole. @throws Problem `not-found`, `forbidden` or `precondition-failed` */
export async function putShellPolicy(
  scope: Scope,
  actor: Actor,
  at: { readonly orgId: OrgId; readonly policy: PutShellPolicy; readonly ifMatch: EntityTags },
): Promise<ShellPolicy> {
  const { orgId, policy } = at
  await requireOrgRole(scope, actor, { orgId, roles: ['owner'] })
  const before = await readPolicy(scope, orgId)
  if (!isNamed(at.ifMatch, toPolicy(before).etag)) throw new Problem('precondition-failed')
  const put = putPolicy(scope.db, { orgId, callerId: actor.userId, before: before.version }, policy)
  const cause = changesOf(before, policy)
  const results = (await commit(
    scope,
    [put, auditIfChanged(scope, { action: 'shell.policy', subject: orgId, orgId, cause })],
    [await outboxEventIf(scope, { topic: REACH_CHANGED, payload: { orgId }, condition: ofChange })],
  )) as readonly D1Result[]
  if (results[0]?.meta.changes !== 1) throw new Problem('precondition-failed')
  return toPolicy({ ...policy, version: before.version + 1 })
}

/** Which parts of the policy are other ones now: what they say is in the policy, and theirs alone. */
function changesOf(before: Policy, after: PutShellPolicy): string {
  const names = ['uses', 'stepUp', 'reach', 'allow', 'deny', 'alerts', 'fileRoots'] as const
  return names.filter((name) => JSON.stringify(before[name]) !== JSON.stringify(after[name])).join(' ') || 'nothing'
}

/**
 * Lets pass what the policy lets be done at all, by whoever has proven that it is them where that is asked for. Without an actor that was asked
 * before.
 *
 * @throws Problem `forbidden` or `step-up-required`
 */
export async function requireUse(
  scope: Scope,
  { uses, stepUp }: Policy,
  by: { readonly use: HostUse; readonly actor: Actor | undefined },
): Promise<void> {
  if (!uses.includes(by.use)) throw new Problem('forbidden', { detail: 'The organisation does not allow this on its hosts.' })
  if (stepUp && by.actor) await requireFreshProof(scope, by.actor)
}

/**
 * The command as it goes to the host. Where there are rules it must be words that a shell can read in one way only, and it is sent in that way.
 *
 * @throws Problem `command-forbidden`
 */
export function judgeCommand({ allow, deny }: Pick<Policy, 'allow' | 'deny'>, command: string): string {
  if (allow === null && deny.length === 0) return command
  const words = wordsOf(command)
  if (!words) throw new Problem('command-forbidden', { detail: 'Rules judge plain commands alone: words and quotes, no shell syntax.' })
  if (!isAllowed(words, { allow, deny })) throw new Problem('command-forbidden')
  return quoted(words)
}

/** Until when somebody reaches a host, if only by an approval: Unix milliseconds, or null for as long as the rules stand. @throws Problem `access-required` */
export async function requireReach(scope: Scope, of: { readonly hostId: HostId; readonly userId: UserId }): Promise<number | null> {
  const { db } = openDb(scope.env.DB, undefined)
  const [reach] = await reachOf(db, { ...of, now: scope.now() })
  if (reach?.byRule) return null
  if (reach?.grantedUntil == null) throw new Problem('access-required')
  return reach.grantedUntil
}
