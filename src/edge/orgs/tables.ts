import { integer, primaryKey, sqliteTable, text } from 'drizzle-orm/sqlite-core'
import type { UserId } from '../../contract/identity.ts'
import type { OrgId, OrgRole } from '../../contract/orgs.ts'

export const orgs = sqliteTable('orgs', {
  id: text('id').$type<OrgId>().primaryKey(),
  name: text('name').notNull(),
  /** Whose quota the organisation uses while they own it; null once they are erased. */
  founderId: text('founder_id').$type<UserId>(),
  createdAt: integer('created_at').notNull(),
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
