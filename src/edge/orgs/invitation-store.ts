import { and, desc, eq, gt, lt, lte, or, type SQL, sql } from 'drizzle-orm'
import type { UserId } from '../../contract/identity.ts'
import { INVITATION_MAILS_MAX, type InvitationId } from '../../contract/invitations.ts'
import type { OrgId } from '../../contract/orgs.ts'
import type { Quotas } from '../platform/config.ts'
import type { Db } from '../platform/db.ts'
import { isActiveUser, membersOf, owned, roleIn } from './store.ts'
import { orgInvitations as i, orgMembers, orgs } from './tables.ts'

/** Who asks, in which organisation: no statement goes without. */
export interface InOrg {
  readonly orgId: OrgId
  readonly callerId: UserId
}

const isOwner = ({ orgId, callerId }: InOrg): SQL => sql`${roleIn(orgId, callerId)} = 'owner'`

/** The language and the standing of whoever invites. */
export const inviterFacts = (db: Db, at: InOrg & { readonly now: number }) =>
  db.all<{ readonly role: string | null; readonly locale: 'en' | 'fr' | null; readonly open: number }>(
    sql`SELECT ${roleIn(at.orgId, at.callerId)} AS role, (SELECT locale FROM users WHERE id = ${at.callerId}) AS locale,
      (SELECT count(*) FROM org_invitations WHERE org_id = ${at.orgId} AND expires_at > ${at.now}) AS open`,
  )

/** An expired invitation is in nobody's way. */
export const dropExpired = (db: Db, at: { readonly orgId: OrgId; readonly email: string; readonly now: number }) =>
  db.delete(i).where(and(eq(i.orgId, at.orgId), eq(i.email, at.email), lte(i.expiresAt, at.now)))

/** One row while the caller owns the organisation, the address has no open invitation and the quota is not used up. */
export const insertInvitation = (
  db: Db,
  row: Omit<typeof i.$inferSelect, 'mails' | 'inviterId'> & { readonly inviterId: UserId },
  { invitationsMax }: Quotas,
) =>
  db
    .insert(i)
    .select(
      sql`SELECT ${row.id} AS id, ${row.orgId} AS org_id, ${row.email} AS email, ${row.role} AS role, ${row.inviterId} AS inviter_id,
        ${row.tokenHash} AS token_hash, 1 AS mails, ${row.mailedAt} AS mailed_at, ${row.createdAt} AS created_at, ${row.expiresAt} AS expires_at,
        ${row.app} AS app
        WHERE ${isOwner({ orgId: row.orgId, callerId: row.inviterId })}
          AND (SELECT count(*) FROM org_invitations WHERE org_id = ${row.orgId} AND expires_at > ${row.createdAt}) < ${invitationsMax}`,
    )
    .onConflictDoNothing()

/** Whether the newest mail of an invitation may leave: no address is sent more than its share, whoever invites it. */
export const isMailDue = (tokenHash: string, limit: { readonly since: number; readonly max: number }): SQL =>
  sql`(SELECT count(*) FROM org_invitations AS due JOIN org_invitations AS other ON other.email = due.email AND other.mailed_at > ${limit.since}
    WHERE due.token_hash = ${tokenHash}) BETWEEN 1 AND ${limit.max}`

export const invitationsIn = (
  db: Db,
  at: InOrg & { readonly now: number },
  page: { readonly before?: InvitationId | undefined; readonly limit: number },
) =>
  db
    .select()
    .from(i)
    .where(and(eq(i.orgId, at.orgId), gt(i.expiresAt, at.now), isOwner(at), page.before === undefined ? undefined : lt(i.id, page.before)))
    .orderBy(desc(i.id))
    .limit(page.limit)

/** Gives an invitation a new link and a new term, while it has mails left. */
export const renewInvitation = (
  db: Db,
  at: InOrg & { readonly id: InvitationId },
  to: { readonly tokenHash: string; readonly mailedAt: number; readonly expiresAt: number },
) =>
  db
    .update(i)
    .set({ ...to, mails: sql`${i.mails} + 1` })
    .where(and(eq(i.id, at.id), eq(i.orgId, at.orgId), lt(i.mails, INVITATION_MAILS_MAX), isOwner(at)))
    .returning()

export const invitationIn = (db: Db, at: InOrg & { readonly id: InvitationId }) =>
  db
    .select()
    .from(i)
    .where(and(eq(i.id, at.id), eq(i.orgId, at.orgId), isOwner(at)))

export const withdrawRow = (db: Db, at: InOrg & { readonly id: InvitationId }) =>
  db.delete(i).where(and(eq(i.id, at.id), eq(i.orgId, at.orgId), isOwner(at)))

/** A link in the hands of a signed-in user, at a time. */
export interface Presented {
  readonly tokenHash: string
  readonly userId: UserId
  readonly now: number
}

/** Accounts exist for proven addresses only, so the address of an active user is the proof. */
const isTheirs = ({ tokenHash, userId, now }: Presented): SQL =>
  sql`org_invitations.token_hash = ${tokenHash} AND org_invitations.expires_at > ${now}
    AND org_invitations.email = (SELECT email FROM users WHERE id = ${userId} AND disabled_at IS NULL)`

export const receivedInvitation = (db: Db, presented: Presented) =>
  db.select({ invitation: i, orgName: orgs.name }).from(i).innerJoin(orgs, eq(orgs.id, i.orgId)).where(isTheirs(presented))

/** The membership that an invitation gives, once, while it is open and no quota is passed. */
export const joinByInvitation = (db: Db, p: Presented, { membersMax, ownedMax }: Quotas) =>
  db
    .insert(orgMembers)
    .select(
      sql`SELECT org_id, ${p.userId} AS user_id, role, ${p.now} AS added_at FROM org_invitations WHERE ${isTheirs(p)}
        AND ${isActiveUser(p.userId)} AND ${membersOf(sql`org_invitations.org_id`)} < ${membersMax}
        AND (role <> 'owner' OR ${owned(p.userId)} < ${ownedMax})`,
    )
    .onConflictDoNothing()

/** An invitation is spent once its user belongs to the organisation. */
export const spendInvitation = (db: Db, p: Presented) =>
  db
    .delete(i)
    .where(
      and(isTheirs(p), sql`EXISTS (SELECT 1 FROM org_members WHERE org_members.org_id = ${i.orgId} AND org_members.user_id = ${p.userId})`),
    )

export const declineRow = (db: Db, p: Presented) => db.delete(i).where(isTheirs(p))

export const deleteExpired = (db: Db, before: number) => db.delete(i).where(lt(i.expiresAt, before))

const isTo = (userId: UserId): SQL => sql`${i.email} = (SELECT email FROM users WHERE id = ${userId})`

/** Invitations that a user made or was sent. */
export const invitationsAbout = (db: Db, userId: UserId) =>
  db
    .select()
    .from(i)
    .where(or(eq(i.inviterId, userId), isTo(userId)))

/** Part of erasing a user: what they were sent goes, what they sent forgets them. */
export const eraseInvitations = (db: Db, userId: UserId) =>
  [db.delete(i).where(isTo(userId)), db.update(i).set({ inviterId: null }).where(eq(i.inviterId, userId))] as const
