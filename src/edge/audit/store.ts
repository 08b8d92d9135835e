import { and, asc, count, desc, eq, gt, gte, inArray, isNull, lt, lte, type SQL, sql } from 'drizzle-orm'
import { type AuditFilter, PLATFORM_CHAIN } from '../../contract/audit.ts'
import type { UserId } from '../../contract/identity.ts'
import type { OrgId } from '../../contract/orgs.ts'
import type { Db } from '../platform/db.ts'
import type { ActRow } from './act.ts'
import type { Chain, Head, Link } from './link.ts'
import { auditChains as c, auditEntries as e, auditLinks as l, auditCheckpoints as p } from './tables.ts'

export const insertEntry = (db: Db, row: ActRow) => db.insert(e).values(row)

/** Writes the entry only where the condition holds. */
export const insertEntryIf = (db: Db, r: ActRow, condition: SQL) =>
  db.insert(e).select(
    sql`SELECT NULL AS id, ${r.at} AS at, ${r.orgId} AS org_id, ${r.actorId} AS actor_id, ${r.action} AS action, ${r.subject} AS subject,
      ${r.cause} AS cause, ${r.traceId} AS trace_id, ${r.sessionId} AS session_id, ${r.country} AS country WHERE ${condition}`,
  )

/** Whether no entry of this action names the subject yet. */
export const isFirst = (r: Pick<ActRow, 'action' | 'subject'>): SQL =>
  sql`NOT EXISTS (SELECT 1 FROM audit_entries WHERE subject = ${r.subject} AND action = ${r.action})`

/** Whether no entry of this action and cause names the subject yet. */
export const isNew = (r: Pick<ActRow, 'action' | 'subject' | 'cause'>): SQL =>
  sql`NOT EXISTS (SELECT 1 FROM audit_entries WHERE subject = ${r.subject} AND action = ${r.action} AND cause = ${r.cause})`

/**
 * Entries are sealed in the order of their ids over all chains, so everything up to here has its link.
 * A link to an entry that does not exist yet is nobody's honest work and must not hold up those before it.
 */
const sealedThrough = sql<number>`
  (SELECT coalesce(max(entry_id), 0) FROM audit_links WHERE entry_id <= (SELECT max(id) FROM audit_entries))`

const headColumn = (column: 'seq' | 'hash') =>
  sql.raw(
    `(SELECT head.${column} FROM audit_links AS head WHERE head.chain = coalesce(audit_entries.org_id, '${PLATFORM_CHAIN}') ORDER BY head.seq DESC LIMIT 1)`,
  )

/** The oldest entries without a link, each with the end of its chain, from one snapshot. */
export const unsealedEntries = (db: Db, limit: number) =>
  db
    .select({
      entry: e,
      sealedThrough: sealedThrough.as('sealed_through'),
      headSeq: sql<number | null>`${headColumn('seq')}`.as('head_seq'),
      headHash: sql<string | null>`${headColumn('hash')}`.as('head_hash'),
    })
    .from(e)
    .where(gt(e.id, sealedThrough))
    .orderBy(asc(e.id))
    .limit(limit)

/** All of the links, or none when somebody has sealed anything since `through` was read. */
export const insertLinks = (db: Db, links: readonly Link[], through: number) =>
  db.insert(l).select(
    sql`SELECT value->>'chain' AS chain, value->>'seq' AS seq, value->>'entryId' AS entry_id, value->>'prevHash' AS prev_hash,
      value->>'hash' AS hash, value->>'mac' AS mac FROM json_each(${JSON.stringify(links)}) WHERE ${sealedThrough} = ${through} ORDER BY key`,
  )

/** Makes a checkpoint due for chains that have grown, unless one is already. */
export const markGrown = (db: Db, chains: readonly string[], dueAt: number) =>
  db
    .insert(c)
    .select(sql`SELECT value AS chain, ${dueAt} AS due_at, NULL AS kid, NULL AS fault FROM json_each(${JSON.stringify(chains)}) WHERE true`)
    .onConflictDoUpdate({ target: c.chain, set: { dueAt: sql`coalesce(due_at, excluded.due_at)` } })

/** A chain from a place on, that place included, with what its links seal. */
export const linksFrom = (db: Db, chain: Chain, page: { readonly seq: number; readonly limit: number }) =>
  db
    .select({ link: l, entry: e })
    .from(l)
    .leftJoin(e, eq(e.id, l.entryId))
    .where(and(eq(l.chain, chain), gte(l.seq, page.seq)))
    .orderBy(asc(l.seq))
    .limit(page.limit)

export const sealedPosition = (db: Db) => db.select({ through: sealedThrough.as('through') }).from(sql`(SELECT 1)`)

const inChain = (chain: Chain) => (chain === PLATFORM_CHAIN ? isNull(e.orgId) : eq(e.orgId, chain))

/** The first entry of the chain within these ids that no link of the chain seals. */
export const unlinkedEntry = (db: Db, chain: Chain, ids: { readonly after: number; readonly through: number }) =>
  db
    .select({ id: e.id })
    .from(e)
    .leftJoin(l, and(eq(l.entryId, e.id), eq(l.chain, chain)))
    .where(and(inChain(chain), gt(e.id, ids.after), lte(e.id, ids.through), isNull(l.entryId)))
    .orderBy(asc(e.id))
    .limit(1)

/** Entries of the chain that wait for their link. */
export const pendingEntries = (db: Db, chain: Chain, page: { readonly after: number; readonly limit: number }) =>
  db
    .select({ id: e.id })
    .from(e)
    .where(and(inChain(chain), gt(e.id, page.after)))
    .limit(page.limit)

/** The newest checkpoints of a chain, or those before a place. */
export const checkpointsOf = (db: Db, chain: Chain, page: { readonly before?: number | undefined; readonly limit: number }) =>
  db
    .select()
    .from(p)
    .where(and(eq(p.chain, chain), page.before === undefined ? undefined : lt(p.seq, page.before)))
    .orderBy(desc(p.seq), desc(p.kid))
    .limit(page.limit)

/** Written unless another sweep has signed the same place. */
export const insertCheckpoint = (db: Db, { chain, seq, kid, hash, at, signed }: typeof p.$inferSelect) =>
  db.insert(p).select(
    sql`SELECT ${chain} AS chain, ${seq} AS seq, ${kid} AS kid, ${hash} AS hash, ${at} AS at, ${signed} AS signed
      WHERE NOT EXISTS (SELECT 1 FROM audit_checkpoints WHERE chain = ${chain} AND seq = ${seq} AND kid = ${kid})`,
  )

/** Chains whose newest checkpoint is another key's, by the index of keys. */
const signedByOthers = (kid: string) =>
  sql`SELECT chain FROM audit_chains WHERE kid < ${kid} AND fault IS NULL UNION ALL SELECT chain FROM audit_chains WHERE kid > ${kid} AND fault IS NULL`

/** Chains whose checkpoint is due, the longest due first, and then those that another key has signed. */
export const dueChains = (db: Db, at: { readonly now: number; readonly kid: string }, limit: number) =>
  db
    .select({ chain: c.chain })
    .from(c)
    .where(
      inArray(
        c.chain,
        sql`(SELECT chain FROM (SELECT chain FROM audit_chains WHERE due_at <= ${at.now} ORDER BY due_at LIMIT ${limit})
          UNION ALL SELECT chain FROM (${signedByOthers(at.kid)} LIMIT ${limit}))`,
      ),
    )
    .orderBy(sql`due_at IS NULL, due_at`)
    .limit(limit)

/** Notes a checkpoint; the next one is due once the chain grows, or at once when it was not walked to its end. */
export const markCheckpointed = (db: Db, chain: Chain, to: { readonly head: Head; readonly kid: string; readonly dueAt: number }) =>
  db
    .update(c)
    .set({
      kid: to.kid,
      fault: null,
      dueAt: sql`CASE WHEN EXISTS (SELECT 1 FROM audit_links WHERE chain = ${chain} AND seq > ${to.head.seq}) THEN ${to.dueAt} END`,
    })
    .where(eq(c.chain, chain))

export const markFaulty = (db: Db, chain: Chain, to: { readonly fault: string; readonly dueAt: number }) =>
  db.update(c).set(to).where(eq(c.chain, chain))

/** When the oldest entry without a link was made, how many chains are broken, and how many the newest key has yet to sign. */
export const sealingSummary = (db: Db, kid: string) =>
  db
    .select({
      oldest: sql<number | null>`(SELECT at FROM audit_entries WHERE id > ${sealedThrough} ORDER BY id LIMIT 1)`.as('oldest'),
      broken: sql<number>`(SELECT count(*) FROM audit_chains WHERE fault IS NOT NULL)`.as('broken'),
      oldKey: sql<number>`(SELECT count(*) FROM (${signedByOthers(kid)}))`.as('old_key'),
    })
    .from(sql`(SELECT 1)`)

/** Actions by their start: a range, since LIKE patterns are short and their wildcards many. */
const startsWith = (prefix: string) => and(gte(e.action, prefix), lt(e.action, `${prefix}\u{10ffff}`))

/** A filter with its times in Unix milliseconds. */
export type Selection = Pick<AuditFilter, 'action' | 'actor' | 'subject'> & {
  readonly from?: number | undefined
  readonly to?: number | undefined
}

const matches = (s: Selection) =>
  and(
    s.action === undefined ? undefined : startsWith(s.action),
    s.actor === undefined ? undefined : eq(e.actorId, s.actor),
    s.subject === undefined ? undefined : eq(e.subject, s.subject),
    s.from === undefined ? undefined : gte(e.at, s.from),
    s.to === undefined ? undefined : lt(e.at, s.to),
  )

/** A chain's entries, newest first. */
export const entriesOf = (
  db: Db,
  chain: Chain,
  page: { readonly selection: Selection; readonly before?: number | undefined; readonly limit: number },
) =>
  db
    .select({ entry: e, link: l })
    .from(e)
    .leftJoin(l, eq(l.entryId, e.id))
    .where(and(inChain(chain), page.before === undefined ? undefined : lt(e.id, page.before), matches(page.selection)))
    .orderBy(desc(e.id))
    .limit(page.limit)

/** A chain's entries, oldest first, up to an entry. */
export const entriesUpTo = (
  db: Db,
  chain: Chain,
  page: { readonly selection: Selection; readonly after: number; readonly through: number; readonly limit: number },
) =>
  db
    .select({ entry: e, link: l })
    .from(e)
    .leftJoin(l, eq(l.entryId, e.id))
    .where(and(inChain(chain), gt(e.id, page.after), lte(e.id, page.through), matches(page.selection)))
    .orderBy(asc(e.id))
    .limit(page.limit)

/** How many entries are selected, counted up to `max`. */
export const countEntries = (db: Db, orgId: OrgId, of: { readonly selection: Selection; readonly max: number }) =>
  db.select({ entries: count() }).from(
    db
      .select({ id: e.id })
      .from(e)
      .where(and(inChain(orgId), matches(of.selection)))
      .limit(of.max)
      .as('selected'),
  )

export const newestEntry = (db: Db) => db.select({ id: e.id }).from(e).orderBy(desc(e.id)).limit(1)

/** Ids of what a user did and of what was done to them: each half by its own index, then the newest of both. */
export function activityOf(
  db: Db,
  userId: UserId,
  page: { readonly selection: Selection; readonly before?: number | undefined; readonly limit: number },
) {
  const half = (isTheirs: SQL) => {
    const where = and(isTheirs, page.before === undefined ? undefined : lt(e.id, page.before), matches(page.selection))
    return sql`SELECT id FROM (SELECT ${e.id} FROM ${e} WHERE ${where} ORDER BY ${e.id} DESC LIMIT ${page.limit})`
  }
  return db
    .select()
    .from(e)
    .where(inArray(e.id, sql`(${half(eq(e.actorId, userId))} UNION ${half(eq(e.subject, userId))})`))
    .orderBy(desc(e.id))
    .limit(page.limit)
}
