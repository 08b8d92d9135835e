import { sql } from 'drizzle-orm'
import type { Dependency } from '../../contract/health.ts'
import type { Db } from './db.ts'
import { describeError } from './log.ts'
import type { Scope } from './scope.ts'

/** Boxes of one sweep and kind; a thousand take twenty minutes. */
const BOXES_PER_SWEEP = 50
/** Nobody needs to know how many more. */
const COUNTED_MAX = 1_000

/** Something stored that works under the root secret it was made with. Large tables have an index on `version`. */
export interface UnderSecret {
  /** In the plural, as an operator reads it. */
  readonly what: string
  readonly table: string
  /** In SQL: the version of its secret, as text. */
  readonly version: string
  /** How a version is written there; absent where it is its digits. */
  readonly spell?: (version: number) => string
  /** How a box is moved under a newer secret; absent where only its owner can. */
  readonly box?: {
    readonly column: string
    readonly key: string
    readonly purpose: string
    /** What it is bound to; absent where that is its key. */
    readonly bind?: string
  }
}

/** In SQL: the version that stands before the first point of a box or a keyed hash. */
export const versionIn = (column: string): string => `substr(${column}, 1, instr(${column}, '.') - 1)`

/** A column of boxes, which the sweep brings under the newest root secret. */
export const sealedColumn = (what: string, table: string, box: NonNullable<UnderSecret['box']>): UnderSecret => ({
  what,
  table,
  version: versionIn(box.column),
  box,
})

const spellOf = ({ spell = String }: UnderSecret) => spell

interface Boxed {
  readonly key: string | number
  readonly box: string
}

/** Brings boxes under the newest root secret, whose older one may then leave the list. Answers how many it looked at. */
export async function rewrapBoxes(scope: Scope, all: readonly UnderSecret[]): Promise<number> {
  const counts: number[] = []
  for (const each of all) counts.push(each.box ? await rewrapColumn(scope, each, each.box) : 0)
  return counts.reduce((sum, n) => sum + n, 0)
}

async function rewrapColumn(scope: Scope, { table, version, ...rest }: UnderSecret, box: NonNullable<UnderSecret['box']>): Promise<number> {
  const { keyring } = scope.config
  const older = JSON.stringify(keyring.versions.slice(1).map(spellOf({ table, version, ...rest })))
  const [at, key, column] = [table, box.key, box.column].map((name) => sql.identifier(name))
  const rows = await scope.db.all<Boxed>(
    sql`SELECT ${key} AS key, ${column} AS box FROM ${at} WHERE ${sql.raw(version)} IN (SELECT value FROM json_each(${older})) LIMIT ${BOXES_PER_SWEEP}`,
  )
  for (const row of rows) {
    const bind = box.bind ?? String(row.key)
    try {
      const sealed = await keyring.seal(box.purpose, bind, await keyring.open(box.purpose, bind, row.box))
      // The very box that was opened: one that changed meanwhile is newer and stays.
      await scope.db.run(sql`UPDATE ${at} SET ${column} = ${sealed} WHERE ${key} = ${row.key} AND ${column} = ${row.box}`)
    } catch (error) {
      scope.log('secret.closed', { table, id: row.key, ...describeError(error) })
    }
  }
  return rows.length
}

/** How much lies under each version, found by looking each version up in the index and not by reading all. */
const countByVersion = (db: Db, { table, version }: UnderSecret) => {
  const [at, v] = [sql.identifier(table), sql.raw(version)]
  const next = (after: string) => sql`(SELECT ${v} FROM ${at} WHERE ${v} > ${sql.raw(after)} ORDER BY ${v} LIMIT 1)`
  return db.all<{ readonly version: string; readonly count: number }>(
    sql`WITH RECURSIVE seen(named) AS (SELECT ${next("''")} UNION ALL SELECT ${next('seen.named')} FROM seen WHERE seen.named IS NOT NULL)
      SELECT named AS version, (SELECT count(*) FROM (SELECT 1 FROM ${at} WHERE ${v} = seen.named LIMIT ${COUNTED_MAX})) AS count
      FROM seen WHERE named IS NOT NULL`,
  )
}

/** What no listed secret opens any more, and what an older one must stay in the list for. */
export async function secretsStanding(
  { db, config: { keyring } }: Scope,
  all: readonly UnderSecret[],
): Promise<Pick<Dependency, 'ok' | 'detail'>> {
  const found = await Promise.all(
    all.map(async (each) => {
      const listed = keyring.versions.map(spellOf(each))
      const counts = await countByVersion(db, each)
      const sumOf = (isCounted: (version: string) => boolean) =>
        counts.filter(({ version }) => isCounted(version)).reduce((sum, { count }) => sum + count, 0)
      return {
        what: each.what,
        lost: sumOf((version) => !listed.includes(version)),
        older: sumOf((version) => listed.includes(version) && version !== listed[0]),
      }
    }),
  )
  const list = (kind: 'lost' | 'older') =>
    found
      .filter((each) => each[kind] > 0)
      .map((each) => `${each[kind]} ${each.what}`)
      .join(', ') || 'nothing'
  return {
    ok: found.every(({ lost }) => lost === 0),
    detail: `under older secrets: ${list('older')}; under none that is listed: ${list('lost')}`,
  }
}
