import { globSync } from 'node:fs'
import { resolve } from 'node:path'
import { is } from 'drizzle-orm'
import { getTableConfig, SQLiteTable } from 'drizzle-orm/sqlite-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Edge, startEdge } from './harness.ts'

interface Column {
  readonly name: string
  readonly type: string
  readonly notnull: number
  readonly pk: number
}

const modules = await Promise.all(
  globSync('src/edge/**/tables.ts').map((file) => import(resolve(file)) as Promise<Record<string, unknown>>),
)
const tables = modules.flatMap((m) => Object.values(m)).filter((value) => is(value, SQLiteTable))
const configs = tables.map((t) => getTableConfig(t))

let edge: Edge
beforeAll(async () => {
  edge = await startEdge()
})
afterAll(() => edge.stop())

test.each(configs.map((c) => [c.name, c] as const))('%s: the migrations and the Drizzle table agree', async (name, config) => {
  const { results } = await edge.db
    .prepare('SELECT name, type, "notnull", pk FROM pragma_table_info(?) ORDER BY name')
    .bind(name)
    .all<Column>()
  const real = results.map((c) => ({ name: c.name, type: c.type.toLowerCase(), isRequired: c.notnull === 1 || c.pk > 0 }))
  const composite = new Set(config.primaryKeys.flatMap((k) => k.columns.map((c) => c.name)))
  const mine = config.columns.map((c) => ({
    name: c.name,
    type: c.getSQLType(),
    isRequired: c.notNull || c.primary || composite.has(c.name),
  }))
  expect(mine.sort((a, b) => (a.name < b.name ? -1 : 1))).toEqual(real)
})

test('every table of the database has its Drizzle table, is STRICT, and is known by one name', async () => {
  const { results } = await edge.db
    .prepare(
      "SELECT name, strict FROM pragma_table_list WHERE schema = 'main' AND type = 'table' AND name NOT LIKE 'sqlite%' AND name NOT LIKE '\\_cf%' ESCAPE '\\' AND name <> 'd1_migrations'",
    )
    .all<{ name: string; strict: number }>()
  expect(results.map((t) => t.name).sort()).toEqual(configs.map((c) => c.name).sort())
  expect(results.filter((t) => t.strict !== 1)).toEqual([])
})
