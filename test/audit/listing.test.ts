import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { AuditEntry } from '../../src/contract/audit.ts'
import type { OrgId } from '../../src/contract/orgs.ts'
import { exportActivity } from '../../src/edge/audit/listing.ts'
import { openDb } from '../../src/edge/platform/db.ts'
import type { Scope } from '../../src/edge/platform/scope.ts'
import { type Edge, PASSWORD, startEdge, type TestUser } from '../harness.ts'
import { codeOf, wrongCodes } from '../identity/authenticator.ts'
import { post } from '../identity/raw.ts'
import { join } from '../orgs/join.ts'
import { until } from '../until.ts'
import { addEntries, foundOrg } from './record.ts'

let edge: Edge
let owner: TestUser
beforeAll(async () => {
  edge = await startEdge()
  owner = await edge.signUp('owner')
})
afterAll(() => edge.stop())

type Filter = NonNullable<Parameters<TestUser['client']['listOrgAudit']>[0]['query']>

async function listAll(orgId: OrgId, query: Partial<Filter> = {}, between?: () => Promise<unknown>): Promise<AuditEntry[]> {
  const items: AuditEntry[] = []
  let cursor: string | undefined
  do {
    const page = await owner.client.listOrgAudit({ params: { orgId }, query: { ...query, cursor } })
    items.push(...page.items)
    cursor = page.nextCursor
    await between?.()
  } while (cursor !== undefined)
  return items
}

describe('the record of an organisation', () => {
  test('says who did what to what, from where, newest first', async () => {
    const other = await edge.signUp('other')
    const { id: orgId } = await owner.client.createOrg({ body: { name: 'Told' } })
    await join(edge, owner, { orgId, user: other, role: 'operator' })
    await owner.client.putOrgMember({ params: { orgId, userId: other.id as never }, body: { role: 'reader' } })
    const { sessionId } = await owner.client.getSession()
    const items = await listAll(orgId)
    expect(items.map((e) => e.action)).toEqual(['org.member-role', 'org.join', 'org.invite', 'org.create'])
    expect(items[0]).toMatchObject({
      actorId: owner.id,
      subject: orgId,
      cause: `${other.id} as reader`,
      sessionId,
      country: expect.stringMatching(/^[A-Z][A-Z0-9]$/),
      traceId: expect.stringMatching(/^[0-9a-f]{32}$/),
    })
  })

  test('pages without gap or repetition while entries keep coming', async () => {
    const orgId = await foundOrg(edge, owner, 61)
    const before = (await listAll(orgId, { limit: 100 })).map((e) => e.id)
    const paged = (await listAll(orgId, { limit: 7 }, () => addEntries(edge, [orgId, null], 10))).map((e) => e.id)
    expect(paged).toEqual(before)
    expect(new Set(paged).size).toBe(61)
    expect((await listAll(orgId, { limit: 100 })).length).toBeGreaterThan(61)
  })

  test('is filtered by start of the action, actor, subject and time', async () => {
    const orgId = await foundOrg(edge, owner, 0)
    const at = (minute: number) => Date.UTC(2026, 10, 21, 12, minute)
    const rows = [
      [at(0), 'usr_a', 'org.create', 'one'],
      [at(1), 'usr_b', 'org.member-role', 'two'],
      [at(2), 'system', 'organ.play', 'two'],
      [at(3), 'usr_a', 'shell.open', 'three'],
    ] as const
    for (const [moment, actor, action, subject] of rows)
      await edge.db
        .prepare("INSERT INTO audit_entries (at, org_id, actor_id, action, subject, trace_id) VALUES (?, ?, ?, ?, ?, 't')")
        .bind(moment, orgId, actor, action, subject)
        .run()
    const found = async (query: Partial<Filter>) => (await listAll(orgId, query)).map((e) => e.action)
    expect(await found({ action: 'org.' })).toEqual(['org.member-role', 'org.create'])
    expect(await found({ action: 'org' })).toEqual(['organ.play', 'org.member-role', 'org.create'])
    expect(await found({ actor: 'usr_a' })).toEqual(['shell.open', 'org.create'])
    expect(await found({ actor: 'system' })).toEqual(['organ.play'])
    expect(await found({ subject: 'two' })).toEqual(['organ.play', 'org.member-role'])
    const [from, to] = [new Date(at(1)).toISOString(), new Date(at(3)).toISOString()]
    expect(await found({ from, to })).toEqual(['organ.play', 'org.member-role'])
    expect(await found({ from, to, actor: 'usr_b', action: 'org.', subject: 'two', limit: 1 })).toEqual(['org.member-role'])
    expect(await found({ subject: "two' OR '1'='1" })).toEqual([])
  })

  test('takes nothing that is no filter or cursor of its own', async () => {
    const orgId = await foundOrg(edge, owner, 3)
    for (const query of [
      { action: '%' },
      { action: 'Org' },
      { action: '' },
      { actor: "x'--" },
      { subject: '' },
      { subject: 's'.repeat(201) },
      { from: 'yesterday' },
      { from: '2026-11-21T12:00:00Z' },
      { cursor: 'x' },
      { cursor: Buffer.from('-1').toString('base64url') },
      { cursor: Buffer.from('1e9').toString('base64url') },
      { cursor: Buffer.from('9'.repeat(16)).toString('base64url') },
      { cursor: Buffer.from('org_00000000000000000000000000').toString('base64url') },
      { limit: 0 },
      { limit: 101 },
      { extra: 1 },
    ])
      await expect(owner.client.listOrgAudit({ params: { orgId }, query: query as Filter }), JSON.stringify(query)).rejects.toMatchObject({
        slug: 'invalid-request',
      })
  })

  test('is for its owners: others of the organisation are forbidden, strangers find nothing, nobody may ask unknown', async () => {
    const [operator, reader, stranger, gone] = await Promise.all(
      ['operator', 'reader', 'stranger', 'gone'].map((name) => edge.signUp(name)),
    )
    const orgId = await foundOrg(edge, owner, 3)
    const seat = (user: TestUser, role: 'owner' | 'operator' | 'reader') => join(edge, owner, { orgId, user, role })
    await Promise.all([seat(operator!, 'operator'), seat(reader!, 'reader'), seat(gone!, 'owner')])
    const params = { orgId }
    const asked = (client: TestUser['client']) => [
      () => client.listOrgAudit({ params }),
      () => client.verifyOrgAudit({ params }),
      () => client.listOrgCheckpoints({ params }),
      () => client.createOrgAuditExport({ params, body: {} }),
    ]
    const answers = async (client: TestUser['client']) =>
      Promise.all(
        asked(client).map((ask) =>
          ask().then(
            () => 'answered',
            (problem) => (problem as { slug: string }).slug,
          ),
        ),
      )
    const four = (slug: string) => Array.from({ length: 4 }, () => slug)
    expect(await answers(gone!.client)).toEqual(four('answered'))
    await owner.client.removeOrgMember({ params: { orgId, userId: gone!.id as never } })
    expect(await answers(gone!.client)).toEqual(four('not-found'))
    expect(await answers(operator!.client)).toEqual(four('forbidden'))
    expect(await answers(reader!.client)).toEqual(four('forbidden'))
    expect(await answers(stranger!.client)).toEqual(four('not-found'))
    expect(await answers(edge.client())).toEqual(four('unauthenticated'))
  })
})

describe('the activity of an account', () => {
  test('tells what its user did, from where and on which device', async () => {
    const user = await edge.signUp('active')
    const { sessionId } = await user.client.getSession()
    const room = await user.client.createRoom({ body: { name: 'Mine' } })
    const { items } = await user.client.listMyActivity()
    expect(items.map((a) => [a.action, a.by])).toEqual([
      ['room.create', 'you'],
      ['session.start', 'you'],
      ['user.verify', 'you'],
    ])
    expect(items[0]).toMatchObject({ subject: room.id, sessionId, country: expect.stringMatching(/^[A-Z][A-Z0-9]$/) })
    expect(Date.now() - Date.parse(items[0]!.at)).toBeLessThan(60_000)
  })

  test('tells of a stranger who tried the password', async () => {
    const user = await edge.signUp('tried')
    await post(edge, '/v1/auth/login', { email: user.email, password: `not ${PASSWORD}` })
    expect((await user.client.listMyActivity({ query: { limit: 1 } })).items).toMatchObject([
      { action: 'session.refuse', by: 'anonymous', subject: user.id, sessionId: null, country: expect.any(String) },
    ])
  })

  test('tells of wrong codes that were mailed, and of a wrong second factor before there was a session, as nobody known', async () => {
    const user = await edge.signUp('guessed')
    const { resetId } = await edge.client().forgotPassword({ body: { email: user.email } })
    const right = (await until(async () => edge.mailbox.to(user.email).find((mail) => /^Reset/.test(mail.subject ?? '')))).text ?? ''
    const code = right.includes('000000') ? '000001' : '000000'
    await edge
      .client()
      .resetPassword({ body: { resetId, code, newPassword: 'seven otters juggle lanterns' } })
      .catch(() => undefined)
    const { secret } = await user.client.startTotp()
    await user.client.confirmTotp({ body: { code: codeOf(secret) } })
    const { factorRequired } = await edge.client().login({ body: { email: user.email, password: PASSWORD } })
    const proof = { method: 'totp', code: wrongCodes(secret, 1)[0]! } as const
    await edge
      .client()
      .finishLogin({ body: { pendingId: factorRequired!.pendingId, proof } })
      .catch(() => undefined)
    const told = (await user.client.listMyActivity()).items.map(({ action, by }) => [action, by])
    for (const action of ['password.refuse', 'session.await-factor', 'factor.refuse']) expect(told).toContainEqual([action, 'anonymous'])
  })

  test('tells that somebody else did something to the account, and no more', async () => {
    const user = await edge.signUp('subject')
    await edge.db
      .prepare(
        `INSERT INTO audit_entries (at, actor_id, action, subject, cause, trace_id, session_id, country)
         VALUES (?, 'usr_moderator', 'user.disable', ?, 'said to a colleague', 't', 'ses_theirs', 'IS')`,
      )
      .bind(Date.now(), user.id)
      .run()
    const { items } = await user.client.listMyActivity({ query: { limit: 1 } })
    expect(items).toMatchObject([{ action: 'user.disable', by: 'other', cause: null, country: null, sessionId: null }])
    expect(JSON.stringify(items)).not.toContain('moderator')
  })

  test('says where a call came from by the word of the edge, never by a header', async () => {
    const user = await edge.signUp('spoof')
    const headers = { 'cf-ipcountry': 'ZZ', 'x-forwarded-for': '203.0.113.9', 'cf-connecting-ip': '203.0.113.9' }
    await post(edge, '/v1/auth/login', { email: user.email, password: PASSWORD }, headers)
    const { items } = await user.client.listMyActivity({ query: { limit: 2 } })
    expect(items[0]!.country).toBe(items[1]!.country)
    const { results } = await edge.db.prepare('SELECT * FROM audit_entries').all()
    expect(JSON.stringify(results)).not.toMatch(/203\.0\.113|127\.0\.0\.1|ZZ/)
  })

  test('is nobody else’s, pages without gap, and is filtered', async () => {
    const [one, two] = [await edge.signUp('one'), await edge.signUp('two')]
    for (let i = 0; i < 7; i++) await one.client.createRoom({ body: { name: `Room ${i}` } })
    const seen: string[] = []
    let cursor: string | undefined
    do {
      const page = await one.client.listMyActivity({ query: { limit: 2, cursor, action: 'room.' } })
      seen.push(...page.items.map((a) => a.subject))
      cursor = page.nextCursor
      await two.client.createRoom({ body: { name: 'Elsewhere' } })
    } while (cursor !== undefined)
    const rooms = (await one.client.listRooms()).items.map((r) => r.id)
    expect(seen).toEqual(rooms)
    expect((await two.client.listMyActivity()).items.filter((a) => rooms.includes(a.subject as never))).toEqual([])
    expect((await one.client.listMyActivity({ query: { to: '2026-01-01T00:00:00.000Z' } })).items).toEqual([])
    await expect(edge.client().listMyActivity()).rejects.toMatchObject({ slug: 'unauthenticated' })
  })

  test('is handed over whole with a user’s data', async () => {
    const user = await edge.signUp('exported')
    await edge.db
      .prepare(
        `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2100)
         INSERT INTO audit_entries (at, actor_id, action, subject, trace_id) SELECT 1000 + i, ?1, 'test.act', ?1, 't' FROM n`,
      )
      .bind(user.id)
      .run()
    const scope = { db: openDb(edge.db, undefined).db } as Scope
    const { activity } = (await exportActivity(scope, user.id as never)) as { activity: readonly { action: string; by: string }[] }
    expect(activity).toHaveLength(2102)
    expect(activity.every((a) => a.by === 'you')).toBe(true)
  })
})
