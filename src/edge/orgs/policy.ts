import { ORG_MEMBERS_MAX, ORGS_PER_OWNER_MAX, type OrgRole } from '../../contract/orgs.ts'
import type { ProblemSlug } from '../../contract/problem.ts'

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
export function refusalOfPut(facts: MemberFacts, role: OrgRole): ProblemSlug | undefined {
  if (facts.callerRole === null) return 'not-found'
  if (facts.callerRole !== 'owner') return 'forbidden'
  if (!facts.isUser) return 'not-found'
  if (facts.role === 'owner' && role !== 'owner' && facts.owners < 2) return 'conflict'
  if (facts.role === null && facts.members >= ORG_MEMBERS_MAX) return 'limit-reached'
  if (facts.role !== 'owner' && role === 'owner' && facts.owned >= ORGS_PER_OWNER_MAX) return 'limit-reached'
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
