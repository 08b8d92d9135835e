import { and, asc, desc, eq, gt, inArray, lt, ne, type SQL, sql } from 'drizzle-orm'
import type { UserId } from '../../contract/identity.ts'
import type { OrgId, OrgRole } from '../../contract/orgs.ts'
import type { Quotas } from '../platform/config.ts'
import type { Db } from '../platform/db.ts'
import type { MemberFacts } from './policy.ts'
import { orgMembers as m, orgInvitations, orgs } from './tables.ts'

/** The membership a change is about, and who asks for the change. */
export interface MemberChange {
  readonly orgId: OrgId
  readonly callerId: UserId
  readonly userId: UserId
}

export const isActiveUser = (userId: UserId) => sql`EXISTS (SELECT 1 FROM users WHERE users.id = ${userId} AND users.disabled_at IS NULL)`

/** Only organisations one founded oneself count: nobody's quota can be filled by others. */
const foundedAndOwned = (userId: UserId) => sql`
  (SELECT count(*) FROM orgs AS founded JOIN org_members AS held ON held.org_id = founded.id AND held.user_id = founded.founder_id
    WHERE founded.founder_id = ${userId} AND held.role = 'owner')`

export const owned = (userId: UserId) =>
  sql`(SELECT count(*) FROM org_members AS held WHERE held.user_id = ${userId} AND held.role = 'owner')`
const ownersOf = (orgId: OrgId) => sql`(SELECT count(*) FROM org_members AS held WHERE held.org_id = ${orgId} AND held.role = 'owner')`
export const membersOf = (orgId: SQL | OrgId) => sql`(SELECT count(*) FROM org_members AS held WHERE held.org_id = ${orgId})`

/** The role of a user in an organisation, or NULL: the condition of every statement about something an organisation owns. */
export const roleIn = (orgId: SQL | OrgId, userId: SQL | UserId) =>
  sql<OrgRole | null>`(SELECT held.role FROM org_members AS held WHERE held.org_id = ${orgId} AND held.user_id = ${userId})`

/** The organisations a user belongs to, as the right side of `IN`. */
export const orgIdsOf = (userId: UserId) => sql`(SELECT held.org_id FROM org_members AS held WHERE held.user_id = ${userId})`

const isAlone = (userId: UserId): SQL => sql`held.user_id = ${userId} AND held.role = 'owner'
  AND NOT EXISTS (SELECT 1 FROM org_members AS peer WHERE peer.org_id = held.org_id AND peer.role = 'owner' AND peer.user_id <> held.user_id)`

export const ownersIn = (db: Db, orgId: OrgId) =>
  db
    .select({ userId: m.userId })
    .from(m)
    .where(and(eq(m.orgId, orgId), eq(m.role, 'owner')))

/** Whether a user is the only owner of some organisation. */
export const ownsAlone = (userId: UserId): SQL => sql`EXISTS (SELECT 1 FROM org_members AS held WHERE ${isAlone(userId)})`

export const ownedAlone = (db: Db, userId: UserId) =>
  db.all<{ readonly name: string }>(
    sql`SELECT orgs.name FROM org_members AS held JOIN orgs ON orgs.id = held.org_id WHERE ${isAlone(userId)} ORDER BY held.org_id LIMIT 5`,
  )

/** One row unless the quota is used up. */
export const insertOrg = (
  db: Db,
  org: { readonly id: OrgId; readonly name: string; readonly founderId: UserId; readonly createdAt: number },
  { ownedMax }: Quotas,
) =>
  db.insert(orgs).select(
    sql`SELECT ${org.id} AS id, ${org.name} AS name, ${org.founderId} AS founder_id, ${org.createdAt} AS created_at, NULL AS deleted_at
      WHERE ${isActiveUser(org.founderId)} AND ${foundedAndOwned(org.founderId)} < ${ownedMax}`,
  )

/** The founder's membership of the organisation that this very batch has founded. */
export const insertFounder = (db: Db, id: OrgId) =>
  db.insert(m).select(sql`SELECT id AS org_id, founder_id AS user_id, 'owner' AS role, created_at AS added_at FROM orgs WHERE id = ${id}`)

export const orgsOf = (db: Db, userId: UserId, page: { readonly before?: OrgId | undefined; readonly limit: number }) =>
  db
    .select({ org: orgs, role: m.role })
    .from(m)
    .innerJoin(orgs, eq(orgs.id, m.orgId))
    .where(and(eq(m.userId, userId), page.before === undefined ? undefined : lt(m.orgId, page.before)))
    .orderBy(desc(m.orgId))
    .limit(page.limit)

export const orgOf = (db: Db, orgId: OrgId, userId: UserId) =>
  db
    .select({ org: orgs, role: m.role })
    .from(m)
    .innerJoin(orgs, eq(orgs.id, m.orgId))
    .where(and(eq(m.orgId, orgId), eq(m.userId, userId)))
    .limit(1)

export const membersIn = (
  db: Db,
  at: { readonly orgId: OrgId; readonly callerId: UserId },
  page: { readonly after?: UserId | undefined; readonly limit: number },
) =>
  db
    .select()
    .from(m)
    .where(
      and(
        eq(m.orgId, at.orgId),
        sql`${roleIn(at.orgId, at.callerId)} IS NOT NULL`,
        page.after === undefined ? undefined : gt(m.userId, page.after),
      ),
    )
    .orderBy(asc(m.userId))
    .limit(page.limit)

export const memberFacts = (db: Db, c: MemberChange) =>
  db.all<MemberFacts>(sql`SELECT ${roleIn(c.orgId, c.callerId)} AS callerRole, ${roleIn(c.orgId, c.userId)} AS role,
    (SELECT held.added_at FROM org_members AS held WHERE held.org_id = ${c.orgId} AND held.user_id = ${c.userId}) AS addedAt,
    ${isActiveUser(c.userId)} AS isUser, ${ownersOf(c.orgId)} AS owners, ${membersOf(c.orgId)} AS members, ${owned(c.userId)} AS owned`)

/** Changes a role only while the caller owns the organisation, an owner remains and no limit is passed: of racing calls the later one meets the earlier's result. */
export const setMemberRole = (db: Db, c: MemberChange, { role, ownedMax }: { readonly role: OrgRole; readonly ownedMax: number }) =>
  db
    .update(m)
    .set({ role })
    .where(
      and(
        eq(m.orgId, c.orgId),
        eq(m.userId, c.userId),
        ne(m.role, role),
        sql`${isActiveUser(c.userId)} AND ${roleIn(c.orgId, c.callerId)} = 'owner'`,
        role === 'owner' ? sql`${owned(c.userId)} < ${ownedMax}` : sql`(${m.role} <> 'owner' OR ${ownersOf(c.orgId)} > 1)`,
      ),
    )

/** Removes a member only while the caller owns the organisation or leaves it, and an owner remains. */
export const deleteMember = (db: Db, c: MemberChange) =>
  db
    .delete(m)
    .where(
      and(
        eq(m.orgId, c.orgId),
        eq(m.userId, c.userId),
        c.callerId === c.userId ? undefined : sql`${roleIn(c.orgId, c.callerId)} = 'owner'`,
        sql`(${m.role} <> 'owner' OR ${ownersOf(c.orgId)} > 1)`,
      ),
    )

/** Gives ownership to another member and takes it from the caller, in one statement, so that there is an owner at any time. */
export const transferRow = (db: Db, c: MemberChange, { ownedMax }: Quotas) =>
  db
    .update(m)
    .set({ role: sql`CASE ${m.userId} WHEN ${c.userId} THEN 'owner' ELSE 'operator' END` })
    .where(
      and(
        eq(m.orgId, c.orgId),
        inArray(m.userId, [c.userId, c.callerId]),
        sql`${roleIn(c.orgId, c.callerId)} = 'owner' AND ${c.userId} <> ${c.callerId} AND ${isActiveUser(c.userId)}
          AND ${roleIn(c.orgId, c.userId)} IS NOT NULL
          AND (${roleIn(c.orgId, c.userId)} = 'owner' OR ${owned(c.userId)} < ${ownedMax})`,
      ),
    )

export const renameRow = (db: Db, at: { readonly orgId: OrgId; readonly callerId: UserId }, name: string) =>
  db
    .update(orgs)
    .set({ name })
    .where(and(eq(orgs.id, at.orgId), sql`${roleIn(at.orgId, at.callerId)} = 'owner'`))

/** Marks an organisation as gone, while its owner asks and no host is left in it. */
export const deleteRow = (db: Db, at: { readonly orgId: OrgId; readonly callerId: UserId; readonly now: number }) =>
  db
    .update(orgs)
    .set({ name: '', founderId: null, deletedAt: at.now })
    .where(
      and(
        eq(orgs.id, at.orgId),
        sql`${roleIn(at.orgId, at.callerId)} = 'owner' AND NOT EXISTS (SELECT 1 FROM hosts WHERE hosts.org_id = ${at.orgId})`,
      ),
    )

export const isDeleted = (orgId: OrgId): SQL => sql`EXISTS (SELECT 1 FROM orgs WHERE orgs.id = ${orgId} AND orgs.deleted_at IS NOT NULL)`

/** What goes with an organisation that this very batch has deleted. */
export const deleteContents = (db: Db, orgId: OrgId) => {
  const isGone = isDeleted(orgId)
  return [
    db.delete(orgInvitations).where(and(eq(orgInvitations.orgId, orgId), isGone)),
    db.delete(m).where(and(eq(m.orgId, orgId), isGone)),
  ] as const
}

export const activeUser = (db: Db, userId: UserId) =>
  db.all<{ readonly id: string }>(sql`SELECT id FROM users WHERE id = ${userId} AND disabled_at IS NULL`)

/** Part of erasing a user: their membership goes, whatever role it had. */
export const eraseMember = (db: Db, orgId: OrgId, userId: UserId) => db.delete(m).where(and(eq(m.orgId, orgId), eq(m.userId, userId)))

export const forgetFounder = (db: Db, userId: UserId) => db.update(orgs).set({ founderId: null }).where(eq(orgs.founderId, userId))
