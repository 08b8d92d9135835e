import { sql } from 'drizzle-orm'
import { PLATFORM_CHAIN } from '../../contract/audit.ts'
import { Problem } from '../../contract/problem.ts'
import { openExport } from '../audit/service.ts'
import { openDb } from '../platform/db.ts'
import type { Actor, Scope } from '../platform/scope.ts'
import { hasPermission } from './role-store.ts'
import { demandLiveAccess } from './service.ts'

/** A ticket carries no role, and one may have been taken meanwhile. @throws Problem `session-ended` or `forbidden` */
async function demandReader(scope: Scope, actor: Actor): Promise<void> {
  await demandLiveAccess(scope, actor)
  const { db } = openDb(scope.env.DB, undefined)
  const [found] = await db.all<{ readonly isReader: number }>(sql`SELECT ${hasPermission(actor.userId, 'audit.read')} AS isReader`)
  if (found?.isReader !== 1) throw new Problem('forbidden')
}

/** The platform's record as a file, if whoever got the path may still read it. @throws Problem `ticket-invalid`, `session-ended` or `forbidden` */
export const openPlatformAuditFile = (scope: Scope, url: string): Promise<Response> =>
  openExport(scope, { chain: PLATFORM_CHAIN, url }, (actor) => demandReader(scope, actor))
