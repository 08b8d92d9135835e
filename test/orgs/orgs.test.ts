import { afterAll, beforeAll, expect, test } from 'vitest'
import { ORGS_PER_OWNER_MAX, type OrgRole } from '../../src/contract/orgs.ts'
import { type Edge, startEdge, type TestUser } from '../harness.ts'

let edge: Edge
let ada: TestUser
let bob: TestUser
let eve: TestUser
beforeAll(async () => {
  edge = await startEdge()
  ada = await edge.signUp('ada')
  bob = await edge.signUp('bob')
  eve = await edge.signUp('eve')
})
afterAll(() => edge.stop())

const slugOf = (call: Promise<unknown>): Promise<string> =>
  call.then(
    () => 'ok',
    (error: { slug: string }) => error.slug,
  )
const found = (user: TestUser, name = 'Harbour') => user.client.createOrg({ body: { name } })
const put = (by: TestUser, orgId: string, user: Pick<TestUser, 'id'>, role: OrgRole) =>
  by.client.putOrgMember({ params: { orgId, userId: user.id }, body: { role } })
const remove = (by: TestUser, orgId: string, user: Pick<TestUser, 'id'>) =>
  by.client.removeOrgMember({ params: { orgId, userId: user.id } })

test('its founder owns it, and it is in their list and nobody else’s', async () => {
  const org = await found(ada, '  Café  ')
  expect(org).toMatchObject({ name: 'Café', role: 'owner' })
  expect(await ada.client.getOrg({ params: { orgId: org.id } })).toEqual(org)
  expect((await ada.client.listOrgs()).items).toContainEqual(org)
  expect((await bob.client.listOrgs()).items).not.toContainEqual(expect.objectContaining({ id: org.id }))
})

test('to a stranger nothing of it exists', async () => {
  const org = await found(ada)
  const params = { orgId: org.id }
  const calls = [
    eve.client.getOrg({ params }),
    eve.client.listOrgMembers({ params }),
    put(eve, org.id, eve, 'owner'),
    remove(eve, org.id, ada),
    remove(eve, org.id, eve),
  ]
  for (const slug of await Promise.all(calls.map(slugOf))) expect(slug).toBe('not-found')
})

test('owners add, change and remove members; others only leave', async () => {
  const org = await found(ada)
  expect(await put(ada, org.id, bob, 'operator')).toMatchObject({ userId: bob.id, role: 'operator' })
  expect(await put(ada, org.id, bob, 'operator')).toMatchObject({ role: 'operator' })
  expect(await put(ada, org.id, bob, 'reader')).toMatchObject({ role: 'reader' })
  expect(await slugOf(put(bob, org.id, eve, 'reader'))).toBe('forbidden')
  expect(await slugOf(put(bob, org.id, bob, 'owner'))).toBe('forbidden')
  expect(await slugOf(remove(bob, org.id, ada))).toBe('forbidden')
  expect((await bob.client.listOrgMembers({ params: { orgId: org.id } })).items.map((m) => [m.userId, m.role])).toEqual(
    [
      [ada.id, 'owner'],
      [bob.id, 'reader'],
    ].sort(),
  )
  expect(await slugOf(remove(bob, org.id, bob))).toBe('ok')
  expect(await slugOf(remove(ada, org.id, bob))).toBe('not-found')
  expect(await slugOf(put(ada, org.id, { id: 'usr_00000000000000000000000000' }, 'reader'))).toBe('not-found')
  const { results } = await edge.db.prepare('SELECT action, cause FROM audit_entries WHERE org_id = ? ORDER BY id').bind(org.id).all()
  expect(results.map((r) => [r['action'], r['cause']])).toEqual([
    ['org.create', null],
    ['org.member-add', `${bob.id} as operator`],
    ['org.member-role', `${bob.id} as reader`],
    ['org.member-remove', bob.id],
  ])
})

test('the last owner stays, however many ask at once', async () => {
  const org = await found(ada)
  expect(await slugOf(remove(ada, org.id, ada))).toBe('conflict')
  expect(await slugOf(put(ada, org.id, ada, 'reader'))).toBe('conflict')
  await put(ada, org.id, bob, 'owner')
  const race = await Promise.all([
    ...Array.from({ length: 5 }, () => slugOf(remove(ada, org.id, ada))),
    ...Array.from({ length: 5 }, () => slugOf(remove(bob, org.id, bob))),
    ...Array.from({ length: 5 }, () => slugOf(put(bob, org.id, ada, 'reader'))),
    ...Array.from({ length: 5 }, () => slugOf(put(ada, org.id, bob, 'reader'))),
  ])
  const { results } = await edge.db.prepare("SELECT count(*) AS n FROM org_members WHERE org_id = ? AND role = 'owner'").bind(org.id).all()
  expect(results).toEqual([{ n: 1 }])
  expect(new Set(race)).toSatisfy((seen: Set<string>) => [...seen].every((s) => ['ok', 'conflict', 'not-found', 'forbidden'].includes(s)))
})

test('fifty founded at once are as many as allowed, and others cannot use up the quota', async () => {
  const founder = await edge.signUp('founder')
  const gift = await found(ada, 'A gift')
  await put(ada, gift.id, founder, 'owner')
  const answers = await Promise.all(Array.from({ length: 50 }, (_, i) => slugOf(found(founder, `No. ${i}`))))
  expect(answers.filter((s) => s === 'ok')).toHaveLength(ORGS_PER_OWNER_MAX)
  expect(new Set(answers)).toEqual(new Set(['ok', 'limit-reached']))
  const { items, nextCursor } = await founder.client.listOrgs({ query: { limit: 15 } })
  const rest = await founder.client.listOrgs({ query: { limit: 15, cursor: nextCursor } })
  expect(new Set([...items, ...rest.items].map((o) => o.id)).size).toBe(ORGS_PER_OWNER_MAX + 1)
  expect(rest.nextCursor).toBeUndefined()
  expect(await slugOf(founder.client.listOrgs({ query: { cursor: 'bm9wZQ' } }))).toBe('invalid-request')
  expect(await slugOf(put(ada, (await found(ada)).id, founder, 'owner'))).toBe('limit-reached')
})

test('bad names are refused and nothing is founded', async () => {
  for (const name of ['', '   ', 'a\u0000b', 'a\u202eb', 'x'.repeat(81), 'a\nb'])
    expect(await slugOf(found(eve, name))).toBe('invalid-request')
  expect((await eve.client.listOrgs()).items).toEqual([])
})
