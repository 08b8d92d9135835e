import type { OrgRole } from '../../contract/orgs.ts'
import type { ProblemSlug } from '../../contract/problem.ts'
import type { Quotas } from '../platform/config.ts'

/** What decides whether a membership may change. */
export interface MemberFacts {
  readonly callerRole: OrgRole | null
  readonly role: OrgRole | null
  readonly addedAt: number | null
  /** 1 when the user exists and may act. */
  readonly isUser: number
  readonly owners: number
  readonly members: number
  /** Organisations the user owns already. */
  readonly owned: number
}

/** Why an owner may not give this role, or nothing. */
export function refusalOfPut(facts: MemberFacts, role: OrgRole, quotas: Quotas): ProblemSlug | undefined {
  if (facts.callerRole === null) return 'not-found'
  if (facts.callerRole !== 'owner') return 'forbidden'
  if (facts.role === null || !facts.isUser) return 'not-found'
  if (facts.role === 'owner' && role !== 'owner' && facts.owners < 2) return 'conflict'
  if (facts.role !== 'owner' && role === 'owner' && facts.owned >= quotas.ownedMax) return 'limit-reached'
  return undefined
}

/** Why ownership may not go to this member, or nothing. */
export function refusalOfTransfer(facts: MemberFacts, isOneself: boolean, quotas: Quotas): ProblemSlug | undefined {
  if (facts.callerRole === null) return 'not-found'
  if (facts.callerRole !== 'owner') return 'forbidden'
  if (facts.role === null || !facts.isUser) return 'not-found'
  if (isOneself) return 'conflict'
  if (facts.role !== 'owner' && facts.owned >= quotas.ownedMax) return 'limit-reached'
  return undefined
}

/** Why this member may not be removed, or nothing. */
export function refusalOfRemoval(facts: MemberFacts, isOneself: boolean): ProblemSlug | undefined {
  if (facts.callerRole === null) return 'not-found'
  if (facts.callerRole !== 'owner' && !isOneself) return 'forbidden'
  if (facts.role === null) return 'not-found'
  if (facts.role === 'owner' && facts.owners < 2) return 'conflict'
  return undefined
}
