import { afterAll, beforeAll, expect, test } from 'vitest'
import { Email } from '../../src/contract/identity.ts'
import { firstAdminSql } from '../../src/dev/first-admin.ts'
import { type Edge, startEdge } from '../harness.ts'

let edge: Edge
beforeAll(async () => {
  edge = await startEdge()
})
afterAll(() => edge.stop())

let now = Date.now()
/** Runs the command's statements; answers whom they made an admin. */
async function make(email: string): Promise<unknown[]> {
  const statements = firstAdminSql(Email.parse(email), ++now).map((sql) => edge.db.prepare(sql))
  return (await edge.db.batch(statements)).at(-1)!.results
}
const admins = async () => (await edge.db.prepare("SELECT user_id FROM platform_roles WHERE role = 'admin'").all()).results

test('the first admin is made of an account that exists, once, and it is on record', async () => {
  const [ada, bob] = [await edge.signUp('ada'), await edge.signUp('bob')]
  expect(await make('nobody@example.org')).toEqual([])
  expect(await make(ada.email)).toEqual([{ userId: ada.id }])
  expect((await ada.client.getMe()).roles).toEqual(['admin'])
  expect((await ada.client.listUsers({ query: {} })).items.length).toBeGreaterThan(0)
  expect(await make(bob.email)).toEqual([])
  expect(await admins()).toEqual([{ user_id: ada.id }])
  const { results } = await edge.db.prepare("SELECT actor_id, subject, cause FROM audit_entries WHERE action = 'role.grant'").all()
  expect(results).toEqual([{ actor_id: 'operator', subject: ada.id, cause: 'admin' }])
})

test('of commands at once one makes an admin', async () => {
  await edge.db.prepare('DELETE FROM platform_roles').run()
  const people = await Promise.all(['one', 'two', 'three'].map((name) => edge.signUp(name)))
  const made = await Promise.all(people.map(({ email }) => make(email)))
  expect(made.flat()).toHaveLength(1)
  expect(await admins()).toHaveLength(1)
})

test('an address is text, whatever it holds', async () => {
  await edge.db.prepare('DELETE FROM platform_roles').run()
  expect(await make("o'hara@example.org")).toEqual([])
  expect(await admins()).toEqual([])
})
