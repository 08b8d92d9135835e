import { sql } from 'drizzle-orm'
import type { AccountExport } from '../../contract/account.ts'
import { ACCOUNT_FAULTS } from '../../contract/account-faults.ts'
import { toMoment } from '../../contract/id.ts'
import { Problem } from '../../contract/problem.ts'
import { auditEntry, auditIfChanged } from '../audit/service.ts'
import type { Feature } from '../http/feature.ts'
import { closureOf, isActingSql, isDispensableSql } from '../identity/service.ts'
import { orgsOwnedAlone, ownsAloneSql } from '../orgs/service.ts'
import { outboxEventIf } from '../platform/outbox/outbox.ts'
import type { Actor, Scope } from '../platform/scope.ts'
import { ERASE, LAST_PASS_MS } from './erasure.ts'
import { insertErasureIf, isBegun } from './store.ts'

/**
 * Deletes the account: it is closed, its sessions end and its erasure is begun together or not at all, whatever happens next.
 *
 * @throws Problem `conflict` while the user alone owns an organisation, `last-admin`, `session-ended`
 */
export async function deleteAccount(scope: Scope, actor: Actor): Promise<void> {
  const { db } = scope
  const { userId } = actor
  const now = scope.now()
  const id = scope.newId('ers')
  const row = { id, userId, requestedAt: now, nextAttemptAt: now + LAST_PASS_MS }
  const closure = await closureOf(scope, { userId, now }, isBegun(id))
  const erase = await outboxEventIf(scope, { topic: ERASE, payload: { userId }, condition: isBegun(id) })
  const [begun, , keys, ended] = await db.batch([
    insertErasureIf(db, row, sql`${isActingSql({ ...actor, now })} AND NOT ${ownsAloneSql(userId)} AND ${isDispensableSql(userId)}`),
    auditIfChanged(scope, { action: 'account.delete', subject: userId }),
    ...closure.statements,
    erase.statement,
  ])
  if (begun.meta.changes === 0) throw await refusal(scope, actor)
  closure.tell([...keys, ...ended])
  scope.deliver([erase.id])
}

async function refusal(scope: Scope, { userId }: Actor): Promise<Problem> {
  const names = await orgsOwnedAlone(scope, userId)
  if (names.length > 0) return new Problem('conflict', { detail: `${ACCOUNT_FAULTS.soleOwner}: ${names.join(', ')}.` })
  const [standing] = await scope.db.all<{ readonly isDispensable: number }>(sql`SELECT ${isDispensableSql(userId)} AS isDispensable`)
  return new Problem(standing?.isDispensable === 0 ? 'last-admin' : 'session-ended')
}

/** Everything that every feature keeps about the user. */
export async function exportAccount(scope: Scope, features: readonly Feature[], { userId }: Actor): Promise<AccountExport> {
  const data: Record<string, Record<string, unknown>> = {}
  for (const { name, personalData } of features) if (personalData) data[name] = { ...(await personalData.export(scope, userId)) }
  await auditEntry(scope, { action: 'account.export', subject: userId })
  return { exportedAt: toMoment(scope.now()), data }
}
