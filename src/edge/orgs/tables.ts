import { integer, primaryKey, sqliteTable, text } from 'drizzle-orm/sqlite-core'
import type { UserId } from '../../contract/identity.ts'
import type { InvitationId } from '../../contract/invitations.ts'
import type { OrgId, OrgRole } from '../../contract/orgs.ts'

export const orgs = sqliteTable('orgs', {
  id: text('id').$type<OrgId>().primaryKey(),
  name: text('name').notNull(),
  /** Whose quota the organisation uses while they own it; null once they are erased. */
  founderId: text('founder_id').$type<UserId>(),
  createdAt: integer('created_at').notNull(),
  /** The row stays without a name or member, for the record that points at it. */
  deletedAt: integer('deleted_at'),
})

export const orgMembers = sqliteTable(
  'org_members',
  {
    orgId: text('org_id').$type<OrgId>().notNull(),
    userId: text('user_id').$type<UserId>().notNull(),
    role: text('role').$type<OrgRole>().notNull(),
    addedAt: integer('added_at').notNull(),
  },
  (t) => [primaryKey({ columns: [t.orgId, t.userId] })],
)

export const orgInvitations = sqliteTable('org_invitations', {
  id: text('id').$type<InvitationId>().primaryKey(),
  orgId: text('org_id').$type<OrgId>().notNull(),
  email: text('email').notNull(),
  role: text('role').$type<OrgRole>().notNull(),
  inviterId: text('inviter_id').$type<UserId>(),
  /** Of the newest mailed link. */
  tokenHash: text('token_hash').notNull(),
  mails: integer('mails').notNull().default(1),
  mailedAt: integer('mailed_at').notNull(),
  createdAt: integer('created_at').notNull(),
  expiresAt: integer('expires_at').notNull(),
  /** The app that mailed links lead to; empty for the console. */
  app: text('app'),
})
