import type { VerifyQuery } from '../../src/contract/audit.ts'
import type { OrgId } from '../../src/contract/orgs.ts'
import type { Chain } from '../../src/edge/audit/link.ts'
import { appendLinks, planLinks, sealPending } from '../../src/edge/audit/seal.ts'
import { verify as verifyChain } from '../../src/edge/audit/verify.ts'
import type { Env } from '../../src/edge/env.ts'
import { parseConfig } from '../../src/edge/platform/config.ts'
import { openDb } from '../../src/edge/platform/db.ts'
import { newId } from '../../src/edge/platform/id.ts'
import type { Edge, TestUser } from '../harness.ts'

/** A sealer of our own beside those of the Worker: the same code over the same database, which may be another secret's. */
export function sealerOf(edge: Edge, settings: object = edge.settings) {
  const config = parseConfig(settings)
  const scope = { config, now: Date.now, db: openDb(edge.db, undefined).db }
  return {
    seal: (passesMax?: number) => sealPending(scope, passesMax),
    plan: (limit?: number) => planLinks(scope, limit),
    append: (plan: Awaited<ReturnType<typeof planLinks>>) => appendLinks(scope, plan),
    verify: (chain: Chain, query: VerifyQuery = {}) => verifyChain({ config, env: { DB: edge.db } as Env }, chain, query),
  }
}

/** An organisation id that nobody founded: its record is whatever a test writes. */
export const someOrgId = () => newId('org', Date.now()) as OrgId

/** Runs the sweeps of a minute. */
export const runCron = (edge: Edge) => edge.worker.scheduled({ cron: '* * * * *' })

/**
 * An organisation whose record has as many sealed entries as asked for. It is written into the database,
 * where the quota of a founder does not count and no request has the Worker seal in the background.
 */
export async function foundOrg(edge: Edge, owner: Pick<TestUser, 'id'>, entries = 1): Promise<OrgId> {
  const id = someOrgId()
  await edge.db.batch([
    edge.db.prepare("INSERT INTO orgs (id, name, created_at) VALUES (?, 'Recorded', 1)").bind(id),
    edge.db.prepare("INSERT INTO org_members (org_id, user_id, role, added_at) VALUES (?, ?, 'owner', 1)").bind(id, owner.id),
  ])
  await addEntries(edge, id, entries)
  await sealerOf(edge).seal()
  return id
}

/** Entries as a feature would have written them, by turns in each of the chains. */
export async function addEntries(edge: Edge, chains: string | null | readonly (string | null)[], count: number): Promise<void> {
  const turns = typeof chains === 'object' && chains !== null ? chains : [chains]
  await edge.db
    .prepare(
      `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
       INSERT INTO audit_entries (at, org_id, actor_id, action, subject, cause, trace_id)
       SELECT ?2 + i, ?3 ->> ((i - 1) % json_array_length(?3)), 'system', 'test.act', 'thing-' || i, 'cause ' || i,
         '00000000000000000000000000000001' FROM n WHERE ?1 > 0`,
    )
    .bind(count, Date.now(), JSON.stringify(turns))
    .run()
}

/** Does to the database what only somebody could who owns it: the triggers are away meanwhile. */
export async function asIntruder(edge: Edge, ...statements: readonly string[]): Promise<void> {
  const { results } = await edge.db
    .prepare("SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name LIKE 'audit%'")
    .all<{ name: string; sql: string }>()
  await edge.db.batch([
    ...results.map(({ name }) => edge.db.prepare(`DROP TRIGGER ${name}`)),
    ...statements.map((text) => edge.db.prepare(text)),
    ...results.map(({ sql }) => edge.db.prepare(sql)),
  ])
}

/** Waits for something to be there. */
export async function until<T>(look: () => Promise<T | undefined>): Promise<T> {
  for (;;) {
    const seen = await look()
    if (seen !== undefined) return seen
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}
