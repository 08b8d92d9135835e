import { afterAll, beforeAll, expect, test } from 'vitest'
import { ORGS_PER_OWNER_MAX, type OrgRole } from '../../src/contract/orgs.ts'
import { type Edge, startEdge, type TestUser } from '../harness.ts'
import { join } from './join.ts'

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
const bring = (by: TestUser, orgId: string, user: TestUser, role: OrgRole) => join(edge, by, { orgId, user, role })
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

test('nobody is put in without their consent: a role is for members, and people come in by invitation', async () => {
  const org = await found(ada)
  for (const role of ['owner', 'operator', 'reader'] as const) expect(await slugOf(put(ada, org.id, bob, role))).toBe('not-found')
  expect((await ada.client.listOrgMembers({ params: { orgId: org.id } })).items.map((m) => m.userId)).toEqual([ada.id])
  expect((await bob.client.listOrgs()).items).not.toContainEqual(expect.objectContaining({ id: org.id }))
})

test('owners change and remove members; others only leave', async () => {
  const org = await found(ada)
  await bring(ada, org.id, bob, 'owner')
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
    ['org.invite', expect.any(String)],
    ['org.join', expect.anything()],
    ['org.member-role', `${bob.id} as operator`],
    ['org.member-role', `${bob.id} as reader`],
    ['org.member-remove', bob.id],
  ])
})

test('the last owner stays, however many ask at once', async () => {
  const org = await found(ada)
  expect(await slugOf(remove(ada, org.id, ada))).toBe('conflict')
  expect(await slugOf(put(ada, org.id, ada, 'reader'))).toBe('conflict')
  await bring(ada, org.id, bob, 'owner')
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
  await bring(ada, gift.id, founder, 'owner')
  const answers = await Promise.all(Array.from({ length: 50 }, (_, i) => slugOf(found(founder, `No. ${i}`))))
  expect(answers.filter((s) => s === 'ok')).toHaveLength(ORGS_PER_OWNER_MAX)
  expect(new Set(answers)).toEqual(new Set(['ok', 'limit-reached']))
  const { items, nextCursor } = await founder.client.listOrgs({ query: { limit: 15 } })
  const rest = await founder.client.listOrgs({ query: { limit: 15, cursor: nextCursor } })
  expect(new Set([...items, ...rest.items].map((o) => o.id)).size).toBe(ORGS_PER_OWNER_MAX + 1)
  expect(rest.nextCursor).toBeUndefined()
  expect(await slugOf(founder.client.listOrgs({ query: { cursor: 'bm9wZQ' } }))).toBe('invalid-request')
  const full = await found(ada)
  await bring(ada, full.id, founder, 'reader')
  expect(await slugOf(put(ada, full.id, founder, 'owner'))).toBe('limit-reached')
})

test('bad names are refused and nothing is founded', async () => {
  for (const name of ['', '   ', 'a\u0000b', 'a\u202eb', 'x'.repeat(81), 'a\nb'])
    expect(await slugOf(found(eve, name))).toBe('invalid-request')
  expect((await eve.client.listOrgs()).items).toEqual([])
})

test('its owner renames it, and the record says so without the name', async () => {
  const org = await found(ada)
  expect(await ada.client.renameOrg({ params: { orgId: org.id }, body: { name: ' Quay ' } })).toEqual({ ...org, name: 'Quay' })
  const entry = await edge.db.prepare("SELECT cause FROM audit_entries WHERE subject = ? AND action = 'org.rename'").bind(org.id).first()
  expect(entry).toEqual({ cause: null })
})

test('ownership goes to a member in one step, and of racing transfers no organisation is left without an owner', async () => {
  const org = await found(ada)
  const params = { orgId: org.id }
  const transfer = (by: TestUser, to: TestUser) => by.client.transferOrg({ params, body: { userId: to.id as never } })
  expect(await slugOf(transfer(ada, bob))).toBe('not-found')
  expect(await slugOf(transfer(ada, ada))).toBe('conflict')
  await bring(ada, org.id, bob, 'reader')
  await bring(ada, org.id, eve, 'reader')
  const race = await Promise.all([transfer(ada, bob), transfer(ada, eve), transfer(ada, bob), transfer(ada, eve)].map(slugOf))
  expect(race.filter((slug) => slug === 'ok')).toHaveLength(1)
  const { results } = await edge.db.prepare('SELECT role FROM org_members WHERE org_id = ? ORDER BY role').bind(org.id).all()
  expect(results).toEqual([{ role: 'operator' }, { role: 'owner' }, { role: 'reader' }])
  expect(await ada.client.getOrg({ params })).toMatchObject({ role: 'operator' })
})

test('two owners who leave at once leave one behind', async () => {
  for (let round = 0; round < 5; round++) {
    const org = await found(ada)
    await bring(ada, org.id, bob, 'owner')
    const race = await Promise.all([slugOf(remove(ada, org.id, ada)), slugOf(remove(bob, org.id, bob))])
    expect(race.sort()).toEqual(['conflict', 'ok'])
    const left = (race[0] === 'ok' ? [ada, bob] : [bob, ada]) as [TestUser, TestUser]
    const owner = (await slugOf(left[0].client.getOrg({ params: { orgId: org.id } }))) === 'ok' ? left[0] : left[1]
    await owner.client.deleteOrg({ params: { orgId: org.id } })
  }
})

test('a deleted organisation is gone for its members, with its invitations; one with hosts stays', async () => {
  const org = await found(ada)
  const params = { orgId: org.id }
  await bring(ada, org.id, bob, 'operator')
  await ada.client.inviteOrgMember({ params, body: { email: 'late@example.org', role: 'reader' } })
  await edge.db
    .prepare(
      "INSERT INTO hosts (id, org_id, name, address, port, user, keys, credential_kind, credential, created_at) VALUES ('hst_1', ?, 'n', 'a', 22, 'u', '[]', 'password', '{}', 0)",
    )
    .bind(org.id)
    .run()
  expect(await slugOf(ada.client.deleteOrg({ params }))).toBe('conflict')
  expect(await ada.client.getOrg({ params })).toEqual(org)
  await edge.db.prepare("DELETE FROM hosts WHERE id = 'hst_1'").run()
  await ada.client.deleteOrg({ params })
  for (const user of [ada, bob]) expect(await slugOf(user.client.getOrg({ params }))).toBe('not-found')
  expect(await slugOf(ada.client.deleteOrg({ params }))).toBe('not-found')
  const left = await edge.db
    .prepare('SELECT (SELECT count(*) FROM org_members WHERE org_id = ?1) + (SELECT count(*) FROM org_invitations WHERE org_id = ?1) AS n')
    .bind(org.id)
    .first('n')
  expect(left).toBe(0)
})
