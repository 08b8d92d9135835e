import { afterAll, beforeAll, expect, test } from 'vitest'
import { made } from '../access/world.ts'
import { type Edge, startEdge } from '../harness.ts'
import { signInRaw } from './raw.ts'

const CROWD = 100_000

let edge: Edge
let admin: Awaited<ReturnType<typeof signInRaw>>
beforeAll(async () => {
  edge = await startEdge()
  admin = await signInRaw(edge, 'search')
  await edge.db.prepare("INSERT INTO platform_roles VALUES (?, 'admin', 'operator', 1)").bind(admin.userId).run()
})
afterAll(() => edge.stop())

const find = async (text: string) =>
  (
    (await made(edge, admin, { method: 'GET', path: `/v1/admin/users?${new URLSearchParams({ text })}` }))['items'] as { email: string }[]
  ).map(({ email }) => email)

let planted = 0
const plant = (email: string) =>
  edge.db
    .prepare("INSERT INTO users (id, email, password_hash, locale, created_at) VALUES (?, ?, '', 'en', 1)")
    .bind(`usr_00${String(++planted).padStart(24, '0')}`, email)
    .run()
const wordsOf = async (email: string) =>
  (
    await edge.db
      .prepare('SELECT word FROM user_words WHERE user_id = (SELECT id FROM users WHERE email = ?) ORDER BY word')
      .bind(email)
      .all<{ word: string }>()
  ).results.map(({ word }) => word)

test('a user is found by how the address, or any part of it, begins, in any letter case', async () => {
  const email = 'augusta.ada_king+work@analytical-engine.example.org'
  await plant(email)
  for (const text of ['augusta', 'AUGUSTA.ada', 'ada_king', 'king+', 'work@analytical', 'analytical-engine.example.org', 'engine', email])
    expect(await find(text), text).toEqual([email])
  for (const text of ['ugusta', 'nalytical', 'augusta%', 'augusta ada', `${email}x`]) expect(await find(text), text).toEqual([])
})

test('no text, however odd, breaks the words or the search', async () => {
  for (const email of ["o'brien..x@example.org", '-@example.org', 'a--b@example.org', '"quoted"@example.org', 'back\\slash@example.org']) {
    await plant(email)
    expect(await find(email), email).toEqual([email])
  }
  expect(await find("o'brien")).toEqual(["o'brien..x@example.org"])
  for (const text of ['""', '\\\\', '[', "'; DROP TABLE user_words; --", '\u{10ffff}', 'x'.repeat(200)])
    expect(await find(text), text).toEqual([])
})

test('the words follow the address, and go with its user', async () => {
  await plant('first@example.org')
  expect(await wordsOf('first@example.org')).toEqual(['example.org', 'first@example.org', 'org'])
  await edge.db.prepare("UPDATE users SET email = 'second@example.net' WHERE email = 'first@example.org'").run()
  expect([await find('first@'), await find('second')]).toEqual([[], ['second@example.net']])
  await edge.db.prepare("DELETE FROM users WHERE email = 'second@example.net'").run()
  expect((await edge.db.prepare("SELECT count(*) AS n FROM user_words WHERE word LIKE 'second%'").first<{ n: number }>())?.n).toBe(0)
})

test(`among ${CROWD} users it reads what it finds, and scans nothing`, { timeout: 180_000 }, async () => {
  for (let from = 0; from < CROWD; from += 10_000)
    await edge.db
      .prepare(
        `WITH RECURSIVE n (i) AS (SELECT CAST(?1 AS INTEGER) UNION ALL SELECT i + 1 FROM n WHERE i < ?1 + 9999)
         INSERT INTO users (id, email, password_hash, locale, created_at)
         SELECT printf('usr_01%024d', i), 'person-' || i || '@' || (i % 500) || '.example.org', '', 'en', 1 FROM n`,
      )
      .bind(from)
      .run()
  const search = `SELECT id FROM users WHERE id IN (SELECT user_id FROM user_words WHERE word >= ?1 AND word < ?1 || char(0x10ffff))
    ORDER BY id DESC LIMIT 51`
  const plan = (await edge.db.prepare(`EXPLAIN QUERY PLAN ${search}`).bind('x').all<{ detail: string }>()).results.map(
    ({ detail }) => detail,
  )
  expect(plan.filter((step) => step.includes('SCAN'))).toEqual([])
  const readBy = async (text: string) => (await edge.db.prepare(search).bind(text).all()).meta.rows_read
  expect(await readBy('nobody')).toBeLessThan(10)
  expect(await readBy('77777@')).toBeLessThan(10)
  expect(await readBy('499.example.org')).toBeLessThan(1_000)
  expect(await find('77777@')).toEqual(['person-77777@277.example.org'])
})
