import { and, eq, type SQL, sql } from 'drizzle-orm'
import type { HookPoint } from '../../contract/hooks.ts'
import type { UserId } from '../../contract/identity.ts'
import type { OrgId } from '../../contract/orgs.ts'
import type { ShellId } from '../../contract/shell.ts'
import { orgRoleSql } from '../orgs/service.ts'
import type { Db } from '../platform/db.ts'
import { shellHooks as h, shells as s } from './tables.ts'

/** A row of `shell_hooks`. */
export type HookRow = typeof h.$inferSelect

export const hooksIn = (db: Db, orgId: OrgId | SQL) => db.select().from(h).where(eq(h.orgId, orgId)).orderBy(h.point)

export const hookAt = (db: Db, at: Pick<HookRow, 'orgId' | 'point'>) =>
  db
    .select()
    .from(h)
    .where(and(eq(h.orgId, at.orgId), eq(h.point, at.point)))
    .limit(1)

/** The hook, while the caller owns the organisation and the webhook is the organisation's. */
export const putHook = (db: Db, row: HookRow, callerId: UserId) =>
  db
    .insert(h)
    .select(
      sql`SELECT ${row.orgId} AS org_id, ${row.point} AS point, ${row.webhookId} AS webhook_id, ${row.module} AS module,
          ${row.deadlineMs} AS deadline_ms, ${row.failMode} AS fail_mode, ${row.updatedAt} AS updated_at
        WHERE ${orgRoleSql(row.orgId, callerId)} = 'owner' AND (${row.webhookId} IS NULL
          OR EXISTS (SELECT 1 FROM webhooks AS own WHERE own.id = ${row.webhookId} AND own.org_id = ${row.orgId}))`,
    )
    .onConflictDoUpdate({
      target: [h.orgId, h.point],
      set: {
        webhookId: row.webhookId,
        module: row.module,
        deadlineMs: row.deadlineMs,
        failMode: row.failMode,
        updatedAt: row.updatedAt,
      },
    })

export const deleteHook = (db: Db, at: Pick<HookRow, 'orgId' | 'point'>, callerId: UserId) =>
  db.delete(h).where(and(eq(h.orgId, at.orgId), eq(h.point, at.point), sql`${orgRoleSql(at.orgId, callerId)} = 'owner'`))

/** Whether an organisation has somebody to tell. */
export const isPointed = (orgId: OrgId, point: HookPoint): SQL =>
  sql`EXISTS (SELECT 1 FROM shell_hooks AS pointed WHERE pointed.org_id = ${orgId} AND pointed.point = ${point})`

export const shellById = (db: Db, id: ShellId) => db.select().from(s).where(eq(s.id, id)).limit(1)

/** Part of forgetting an organisation that is gone. */
export const deleteOrgHooks = (db: Db, orgId: OrgId) => db.delete(h).where(eq(h.orgId, orgId))
