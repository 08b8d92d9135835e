import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Edge, startEdge } from '../harness.ts'

let edge: Edge
beforeAll(async () => {
  edge = await startEdge()
})
afterAll(() => edge.stop())

test.each([
  "UPDATE audit_entries SET action = 'x'",
  'DELETE FROM audit_entries',
  'INSERT OR REPLACE INTO audit_entries (id, at, actor_id, action, subject, trace_id) VALUES (1, 0, 1, 1, 1, 1)',
])('the database itself refuses: %s', async (statement) => {
  await edge.signUp('audited')
  await expect(edge.db.prepare(statement).run()).rejects.toThrow('append-only')
})

test('a change whose entry cannot be written does not happen', async () => {
  const { client } = await edge.signUp('atomic')
  await edge.db
    .prepare("CREATE TRIGGER refuse_entries BEFORE INSERT ON audit_entries BEGIN SELECT RAISE(ABORT, 'no entry today'); END")
    .run()
  const before = await edge.db.prepare('SELECT count(*) AS n FROM rooms').first()
  await expect(client.createRoom({ body: { name: 'Never' } })).rejects.toMatchObject({ slug: 'internal' })
  expect(await edge.db.prepare('SELECT count(*) AS n FROM rooms').first()).toEqual(before)
  await edge.db.prepare('DROP TRIGGER refuse_entries').run()
})

test('an entry says who did what to what, in which trace', async () => {
  const { client, id } = await edge.signUp('actor')
  const room = await client.createRoom({ body: { name: 'On record' } })
  const entry = await edge.db.prepare("SELECT * FROM audit_entries WHERE action = 'room.create' AND subject = ?").bind(room.id).first()
  expect(entry).toMatchObject({ actor_id: id, trace_id: expect.stringMatching(/^[0-9a-f]{32}$/), at: expect.any(Number) })
})
