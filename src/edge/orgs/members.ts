import type { BatchItem } from 'drizzle-orm/batch'
import { type PageQuery, toMoment } from '../../contract/id.ts'
import { UserId } from '../../contract/identity.ts'
import type { Org, OrgId, OrgMember, OrgRole } from '../../contract/orgs.ts'
import { Problem, type ProblemSlug } from '../../contract/problem.ts'
import { auditIfChanged } from '../audit/service.ts'
import { notifyIf, ofChange } from '../platform/notify.ts'
import { commit, outboxEvent } from '../platform/outbox/outbox.ts'
import { afterKey, toPage } from '../platform/page.ts'
import type { Actor, Scope } from '../platform/scope.ts'
import { eraseInvitations } from './invitation-store.ts'
import { type MemberFacts, refusalOfPut, refusalOfRemoval, refusalOfTransfer } from './policy.ts'
import { getOrg, MEMBER_CHANGED } from './service.ts'
import {
  deleteMember,
  eraseMember,
  forgetFounder,
  type MemberChange,
  memberFacts,
  membersIn,
  orgOf,
  orgsOf,
  setMemberRole,
  transferRow,
} from './store.ts'

const ERASE_ORGS_PER_BATCH = 50

const toMember = (row: { readonly userId: UserId; readonly role: OrgRole; readonly addedAt: number }): OrgMember => ({
  userId: row.userId,
  role: row.role,
  addedAt: toMoment(row.addedAt),
})

/** Who belongs, for those who do. @throws Problem `not-found` */
export async function listOrgMembers(scope: Scope, actor: Actor, at: { readonly orgId: OrgId; readonly query: PageQuery }) {
  const key = afterKey(at.query)
  const after = key === undefined ? undefined : UserId.safeParse(key)
  if (after?.success === false)
    throw new Problem('invalid-request', { errors: [{ detail: 'is not a cursor of this list', pointer: '#/query/cursor' }] })
  const [own, rows] = await scope.db.batch([
    orgOf(scope.db, at.orgId, actor.userId),
    membersIn(scope.db, { orgId: at.orgId, callerId: actor.userId }, { after: after?.data, limit: at.query.limit + 1 }),
  ])
  if (own.length === 0) throw new Problem('not-found')
  return toPage(rows, at.query, { key: (row) => row.userId, item: toMember })
}

/** Changes the role of a member: people come in by invitation, which is theirs to accept. @throws Problem `not-found`, `forbidden`, `conflict` or `limit-reached` */
export async function putOrgMember(
  scope: Scope,
  actor: Actor,
  at: { readonly orgId: OrgId; readonly userId: UserId; readonly role: OrgRole },
): Promise<OrgMember> {
  const change: MemberChange = { orgId: at.orgId, userId: at.userId, callerId: actor.userId }
  const { quotas } = scope.config
  const facts = await factsOf(scope, change)
  refuse(refusalOfPut(facts, at.role, quotas))
  if (facts.role !== at.role) {
    const statement = setMemberRole(scope.db, change, { role: at.role, ownedMax: quotas.ownedMax })
    const isDone = await changeMember(scope, change, { statement, action: 'org.member-role', role: at.role })
    if (!isDone) await explainPut(scope, change, at.role)
  }
  return toMember({ ...at, addedAt: facts.addedAt ?? scope.now() })
}

/** A put that changed nothing: a racing call was first. It is fine when that one wanted the same. */
async function explainPut(scope: Scope, change: MemberChange, role: OrgRole): Promise<void> {
  const later = await factsOf(scope, change)
  refuse(refusalOfPut(later, role, scope.config.quotas))
  if (later.role !== role) throw new Problem('conflict')
}

/** Removes a member, or leaves. @throws Problem `not-found`, `forbidden` or `conflict` */
export async function removeOrgMember(scope: Scope, actor: Actor, at: { readonly orgId: OrgId; readonly userId: UserId }): Promise<void> {
  const change: MemberChange = { ...at, callerId: actor.userId }
  const isOneself = at.userId === actor.userId
  refuse(refusalOfRemoval(await factsOf(scope, change), isOneself))
  if (await changeMember(scope, change, { statement: deleteMember(scope.db, change), action: 'org.member-remove' })) return
  refuse(refusalOfRemoval(await factsOf(scope, change), isOneself))
  throw new Problem('conflict')
}

/** Makes another member owner in the caller's place. @throws Problem `not-found`, `forbidden`, `conflict` or `limit-reached` */
export async function transferOrg(scope: Scope, actor: Actor, at: { readonly orgId: OrgId; readonly userId: UserId }): Promise<Org> {
  const change: MemberChange = { ...at, callerId: actor.userId }
  const isOneself = at.userId === actor.userId
  const { quotas } = scope.config
  const refusal = async () => refuse(refusalOfTransfer(await factsOf(scope, change), isOneself, quotas))
  await refusal()
  const content = { kind: 'org-member', orgId: at.orgId, role: 'owner' } as const
  const told = await notifyIf(scope, { userId: at.userId }, { content, condition: ofChange })
  const [moved] = (await commit(
    scope,
    [
      transferRow(scope.db, change, quotas),
      auditIfChanged(scope, { action: 'org.transfer', subject: at.orgId, orgId: at.orgId, cause: at.userId }),
      told.statement,
    ],
    [await outboxEvent(scope, MEMBER_CHANGED, at), await outboxEvent(scope, MEMBER_CHANGED, { ...at, userId: actor.userId })],
  )) as readonly D1Result[]
  if (moved?.meta.changes === 0) {
    await refusal()
    throw new Problem('conflict')
  }
  scope.deliver([told.id])
  return getOrg(scope, actor, at.orgId)
}

/** Forgets a user's memberships and invitations. An organisation they owned alone stays with its other members. */
export async function eraseMemberships(scope: Scope, userId: UserId): Promise<void> {
  await scope.db.batch([forgetFounder(scope.db, userId), ...eraseInvitations(scope.db, userId)])
  for (;;) {
    const rows = await orgsOf(scope.db, userId, { limit: ERASE_ORGS_PER_BATCH })
    if (rows.length === 0) return
    const events = await Promise.all(rows.map(({ org }) => outboxEvent(scope, MEMBER_CHANGED, { orgId: org.id, userId })))
    await commit(
      scope,
      rows.map(({ org }) => eraseMember(scope.db, org.id, userId)),
      events,
    )
  }
}

/** One transaction: the membership, its audit entry and the event. Answers whether the membership changed. */
async function changeMember(
  scope: Scope,
  change: MemberChange,
  by: { readonly statement: BatchItem<'sqlite'>; readonly action: `org.${string}`; readonly role?: OrgRole },
): Promise<boolean> {
  const { orgId, userId } = change
  const cause = by.role === undefined ? userId : `${userId} as ${by.role}`
  const content = { kind: 'org-member', orgId, role: by.role ?? null } as const
  const told = change.callerId === userId ? undefined : await notifyIf(scope, { userId }, { content, condition: ofChange })
  const results = (await commit(
    scope,
    [by.statement, auditIfChanged(scope, { action: by.action, subject: orgId, orgId, cause }), ...(told ? [told.statement] : [])],
    [await outboxEvent(scope, MEMBER_CHANGED, { orgId, userId })],
  )) as readonly D1Result[]
  const isDone = results[0]?.meta.changes === 1
  if (isDone && told) scope.deliver([told.id])
  return isDone
}

async function factsOf(scope: Scope, change: MemberChange): Promise<MemberFacts> {
  const [facts] = await memberFacts(scope.db, change)
  if (!facts) throw new Error('a query without a table answers one row')
  return facts
}

function refuse(slug: ProblemSlug | undefined): void {
  if (slug) throw new Problem(slug)
}
