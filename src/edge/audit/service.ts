import { sql } from 'drizzle-orm'
import type { ActivityQuery, AuditQuery, CreateAuditExport, VerifyQuery } from '../../contract/audit.ts'
import type { PageQuery } from '../../contract/id.ts'
import type { UserId } from '../../contract/identity.ts'
import type { Config } from '../platform/config.ts'
import type { Actor, Scope } from '../platform/scope.ts'
import { type Act, rowOf } from './act.ts'
import { checkpointPage } from './checkpoint.ts'
import { checkExport, grantExport, streamExport } from './export.ts'
import type { Chain } from './link.ts'
import { activityPage, entryPage } from './listing.ts'
import { csvLineOf } from './policy.ts'
import { sealSoon } from './seal.ts'
import { readStatement, signStatement } from './signing.ts'
import { insertEntry, insertEntryIf, isNew } from './store.ts'
import { verify } from './verify.ts'

/**
 * A statement, not a write: put it in the same batch as the change it records, so a change
 * without its trace cannot be committed. It is sealed about a second later.
 */
export function auditEntry(scope: Scope, act: Act) {
  sealSoon(scope)
  return insertEntry(scope.db, rowOf(scope, act))
}

/**
 * As {@link auditEntry}, written only if the statement right before it in the batch changed a row:
 * a conditional change that did not happen leaves no entry. Any statement between the two breaks the link.
 */
export function auditIfChanged(scope: Scope, act: Act) {
  sealSoon(scope)
  return insertEntryIf(scope.db, rowOf(scope, act), sql`changes() > 0`)
}

/** As {@link auditEntry}, written only if the very same act, by its cause, is not on record yet: what a ticket allows once. */
export function auditOnce(scope: Scope, act: Act & { readonly cause: string }) {
  sealSoon(scope)
  const row = rowOf(scope, act)
  return insertEntryIf(scope.db, row, isNew(row))
}

/** Signs a statement about evidence under the key that signs checkpoints; `typ` tells its kind. */
export const signEvidence = (config: Config, of: Parameters<typeof signStatement>[1]) => signStatement(config, of)

/** What a signed statement says, or nothing when it is not ours. */
export const readEvidence = (config: Config, of: Parameters<typeof readStatement>[1]) => readStatement(config, of)

/** A line of CSV that no spreadsheet takes for a formula. */
export const csvLine = (cells: readonly (string | number | null)[]): string => csvLineOf(cells)

/** What happened in a chain, newest first. Who may ask is for the caller to decide, here and below. @throws Problem `invalid-request` */
export const listEntries = (scope: Scope, chain: Chain, query: AuditQuery) => entryPage(scope, chain, query)

/** What a user did and what was done to their account, newest first. @throws Problem `invalid-request` */
export const listActivity = (scope: Scope, userId: UserId, query: ActivityQuery) => activityPage(scope, userId, query)

/** Walks a chain, or the next part of it, and names the first broken link. @throws Problem `invalid-request` */
export const verifyChain = (scope: Pick<Scope, 'config' | 'env'>, chain: Chain, query: VerifyQuery) => verify(scope, chain, query)

/** The signed checkpoints of a chain, newest first. @throws Problem `invalid-request` */
export const listCheckpoints = (scope: Scope, chain: Chain, query: PageQuery) => checkpointPage(scope, chain, query)

/** A path that streams the entries of a chain once. @throws Problem `invalid-request` when it selects too many */
export const createExport = (scope: Scope, actor: Actor, of: { readonly chain: Chain; readonly wanted: CreateAuditExport }) =>
  grantExport(scope, actor, of)

/** The file behind such a path. `authorise` decides again, since roles change. @throws Problem `ticket-invalid` or what `authorise` throws */
export async function openExport(
  scope: Scope,
  at: { readonly chain: Chain; readonly url: string },
  authorise: (actor: Actor) => Promise<void>,
): Promise<Response> {
  const granted = await checkExport(scope, at)
  await authorise(granted.actor)
  sealSoon(scope)
  return streamExport(scope, granted)
}
