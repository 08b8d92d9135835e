import type { SQL } from 'drizzle-orm'
import { type PageQuery, toMoment } from '../../contract/id.ts'
import type { UserId } from '../../contract/identity.ts'
import { type CreateOrg, type Org, OrgId, type OrgRole } from '../../contract/orgs.ts'
import { Problem } from '../../contract/problem.ts'
import { auditIfChanged } from '../audit/service.ts'
import { commit, outboxEventIf } from '../platform/outbox/outbox.ts'
import { afterKey, toPage } from '../platform/page.ts'
import type { Actor, Scope } from '../platform/scope.ts'
import { invitationsAbout } from './invitation-store.ts'
import {
  activeUser,
  deleteContents,
  deleteRow,
  insertFounder,
  insertOrg,
  isDeleted,
  orgIdsOf,
  orgOf,
  orgsOf,
  ownedAlone,
  ownersIn,
  ownsAlone,
  renameRow,
  roleIn,
} from './store.ts'

/** Topic of the events that say that a user's role in an organisation has changed: `{ orgId, userId }`. */
export const MEMBER_CHANGED = 'orgs.member-changed'

/** Topic of the events that say that an organisation is gone: `{ orgId }`. */
export const ORG_DELETED = 'orgs.deleted'

type OrgRow = Awaited<ReturnType<typeof orgOf>>[number]

const toOrg = ({ org, role }: { readonly org: Pick<OrgRow['org'], 'id' | 'name' | 'createdAt'>; readonly role: OrgRole }): Org => ({
  id: org.id,
  name: org.name,
  role,
  createdAt: toMoment(org.createdAt),
})

/** Founds an organisation. @throws Problem `limit-reached`, or `session-ended` when the account is gone */
export async function createOrg(scope: Scope, actor: Actor, input: CreateOrg): Promise<Org> {
  const org = { id: OrgId.parse(scope.newId('org')), name: input.name, founderId: actor.userId, createdAt: scope.now() }
  const results = (await commit(scope, [
    insertOrg(scope.db, org, scope.config.quotas),
    insertFounder(scope.db, org.id),
    auditIfChanged(scope, { action: 'org.create', subject: org.id, orgId: org.id }),
  ])) as readonly D1Result[]
  if (results[0]?.meta.changes === 1) return toOrg({ org, role: 'owner' })
  const [user] = await activeUser(scope.db, actor.userId)
  throw new Problem(user ? 'limit-reached' : 'session-ended')
}

/** The caller's organisations, newest first. */
export async function listOrgs(scope: Scope, actor: Actor, query: PageQuery): Promise<{ items: Org[]; nextCursor?: string }> {
  const key = afterKey(query)
  const before = key === undefined ? undefined : OrgId.safeParse(key)
  if (before?.success === false)
    throw new Problem('invalid-request', { errors: [{ detail: 'is not a cursor of this list', pointer: '#/query/cursor' }] })
  const rows = await orgsOf(scope.db, actor.userId, { before: before?.data, limit: query.limit + 1 })
  return toPage(rows, query, { key: (row) => row.org.id, item: toOrg })
}

/** One organisation of the caller. @throws Problem `not-found` */
export async function getOrg(scope: Scope, actor: Actor, orgId: OrgId): Promise<Org> {
  const [row] = await orgOf(scope.db, orgId, actor.userId)
  if (!row) throw new Problem('not-found')
  return toOrg(row)
}

/** Gives it another name, for its owners. @throws Problem `not-found` or `forbidden` */
export async function renameOrg(scope: Scope, actor: Actor, to: { readonly orgId: OrgId; readonly name: string }): Promise<Org> {
  await scope.db.batch([
    renameRow(scope.db, { orgId: to.orgId, callerId: actor.userId }, to.name),
    auditIfChanged(scope, { action: 'org.rename', subject: to.orgId, orgId: to.orgId }),
  ])
  const org = await getOrg(scope, actor, to.orgId)
  if (org.role !== 'owner') throw new Problem('forbidden')
  return org
}

/** Deletes it with its members and invitations, for its owners. @throws Problem `not-found`, `forbidden`, or `conflict` while it has hosts */
export async function deleteOrg(scope: Scope, actor: Actor, orgId: OrgId): Promise<void> {
  const [deleted] = (await commit(
    scope,
    [
      deleteRow(scope.db, { orgId, callerId: actor.userId, now: scope.now() }),
      auditIfChanged(scope, { action: 'org.delete', subject: orgId, orgId }),
      ...deleteContents(scope.db, orgId),
    ],
    [await outboxEventIf(scope, { topic: ORG_DELETED, payload: { orgId }, condition: isDeleted(orgId) })],
  )) as readonly D1Result[]
  if (deleted?.meta.changes === 1) return
  await requireOrgRole(scope, actor, { orgId, roles: ['owner'] })
  throw new Problem('conflict', { detail: 'Delete its hosts first.' })
}

/** The caller's role. @throws Problem `not-found` for strangers */
export async function orgRoleOf(scope: Scope, actor: Actor, orgId: OrgId): Promise<OrgRole> {
  return (await getOrg(scope, actor, orgId)).role
}

/** Lets pass whose role is one of these. @throws Problem `not-found` for strangers, `forbidden` for other members */
export async function requireOrgRole(scope: Scope, actor: Actor, at: { readonly orgId: OrgId; readonly roles: readonly OrgRole[] }) {
  if (!at.roles.includes(await orgRoleOf(scope, actor, at.orgId))) throw new Problem('forbidden')
}

/** SQL for the role of a user in the organisation that a column or value names: NULL for strangers. The condition of other features' statements. */
export const orgRoleSql = (orgId: SQL | OrgId, userId: SQL | UserId): SQL<OrgRole | null> => roleIn(orgId, userId)

/** Who owns an organisation. */
export const ownersOfOrg = async (scope: Scope, orgId: OrgId): Promise<UserId[]> =>
  (await ownersIn(scope.db, orgId)).map(({ userId }) => userId)

/** SQL for the ids of a user's organisations, as the right side of `IN`. */
export const orgIdsSql = (userId: UserId): SQL => orgIdsOf(userId)

/** SQL for whether a user is the only owner of some organisation. */
export const ownsAloneSql = (userId: UserId): SQL => ownsAlone(userId)

/** Names of organisations that a user alone owns, a few of them. */
export const orgsOwnedAlone = async (scope: Scope, userId: UserId): Promise<string[]> =>
  (await ownedAlone(scope.db, userId)).map(({ name }) => name)

/** The organisations a user belongs to, and the invitations that name them. */
export async function exportOrgs(scope: Scope, userId: UserId): Promise<object> {
  const rows = await orgsOf(scope.db, userId, { limit: Number.MAX_SAFE_INTEGER })
  const invitations = await invitationsAbout(scope.db, userId)
  return {
    orgs: rows.map(toOrg),
    // The address and the role; never the link.
    invitations: invitations.map((i) => ({
      id: i.id,
      orgId: i.orgId,
      email: i.email,
      role: i.role,
      isByYou: i.inviterId === userId,
      createdAt: toMoment(i.createdAt),
    })),
  }
}
