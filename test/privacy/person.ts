import type { Edge, TestUser } from '../harness.ts'

interface Column {
  readonly name: string
  readonly type: string
  readonly notnull: number
  readonly dflt_value: string | null
}

interface Reference {
  readonly table: string
  readonly from: string
}

/** The record outlives whom it tells of: it keeps their id, which then names nobody. */
const RECORD = ['audit_entries', 'audit_links', 'audit_checkpoints', 'audit_chains']
/** The first of the values that a CHECK of a table lets into a column, if there is one. */
const choiceOf = (schema: string, column: string): string | undefined => new RegExp(`\\b${column} IN \\('?([^',)]+)`).exec(schema)?.[1]

let planted = 0

const quoted = (name: string) => `"${name}"`

/** The tables of the database, read from itself, so that one that is added tomorrow is among them. */
export function databaseOf(edge: Edge) {
  const rows = async <T>(sql: string, ...values: unknown[]) =>
    (
      await edge.db
        .prepare(sql)
        .bind(...values)
        .all<T>()
    ).results
  const tables = async () =>
    (await rows<{ name: string }>("SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table'"))
      .map(({ name }) => name)
      .filter((name) => !/^(sqlite|_cf|d1_)/.test(name) && !RECORD.includes(name))
  const columnsOf = (table: string) => rows<Column>('SELECT name, type, "notnull", dflt_value FROM pragma_table_info(?)', table)
  const referencesOf = (table: string) => rows<Reference>('SELECT "table", "from" FROM pragma_foreign_key_list(?)', table)

  /** Columns that name a user by their id. */
  async function userColumns(): Promise<{ readonly table: string; readonly column: string }[]> {
    const found = await Promise.all(
      (await tables()).map(async (table) => {
        const [columns, references] = await Promise.all([columnsOf(table), referencesOf(table)])
        const toUsers = references.filter((r) => r.table === 'users').map(({ from }) => from)
        const named = columns.map(({ name }) => name).filter((name) => name === 'user_id' || name.endsWith('_by') || toUsers.includes(name))
        return [...new Set(named)].map((column) => ({ table, column }))
      }),
    )
    return found.flat()
  }

  /** Every text of the database that holds one of these, as `table.column`. */
  async function traces(texts: readonly string[]): Promise<string[]> {
    const found: string[] = []
    for (const table of await tables()) {
      const columns = (await columnsOf(table)).map(({ name }) => name)
      const [counts] = await rows<Record<string, number>>(
        `SELECT ${columns.map((name) => `sum(${texts.map((_, n) => `instr(${quoted(name)}, ?${n + 1}) > 0`).join(' OR ')}) AS ${quoted(name)}`).join(', ')} FROM ${quoted(table)}`,
        ...texts,
      )
      found.push(...columns.filter((name) => (counts?.[name] ?? 0) > 0).map((name) => `${table}.${name}`))
    }
    return found
  }

  /** A row about a user, made up where nothing else is asked: it points at what is there, and its texts can be read as JSON. */
  async function plant(table: string, column: string, user: TestUser): Promise<void> {
    const n = ++planted
    const [columns, references] = await Promise.all([columnsOf(table), referencesOf(table)])
    const [schema] = await rows<{ sql: string }>('SELECT sql FROM sqlite_master WHERE name = ?', table)
    const pointing = async ({ from, table: to }: Reference) => {
      const [first] = await rows<{ id: string }>(
        `SELECT id FROM ${quoted(to)} WHERE ${to === 'users' ? 'id <> ?1' : '1 OR ?1'} ORDER BY id DESC LIMIT 1`,
        user.id,
      )
      return [from, first?.id ?? null] as const
    }
    const known = Object.fromEntries(await Promise.all(references.map(pointing)))
    const fillOf = ({ name, type }: Column): unknown => {
      if (name === column) return user.id
      if (name === 'email') return `planted-${n}@example.org`
      return known[name] ?? choiceOf(schema?.sql ?? '', name) ?? (type === 'INTEGER' ? n : `[${n}]`)
    }
    const filled = columns.filter((c) => c.name === column || (c.notnull === 1 && c.dflt_value === null))
    await edge.db
      .prepare(
        `INSERT INTO ${quoted(table)} (${filled.map(({ name }) => quoted(name)).join(', ')}) VALUES (${filled.map(() => '?').join(', ')})`,
      )
      .bind(...filled.map(fillOf))
      .run()
  }

  /** Makes every column that can name a user name this one. */
  async function plantEverywhere(user: TestUser): Promise<void> {
    const known = await traces([user.id])
    const missing = (await userColumns()).filter(({ table, column }) => !known.includes(`${table}.${column}`))
    for (const { table, column } of missing) await plant(table, column, user)
  }

  return { rows, userColumns, traces, plantEverywhere }
}
