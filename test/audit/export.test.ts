import { createHash } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type CreateAuditExport, EXPORT_ENTRIES_MAX } from '../../src/contract/audit.ts'
import type { OrgId } from '../../src/contract/orgs.ts'
import { type Edge, startEdge, type TestUser } from '../harness.ts'
import { join } from '../orgs/join.ts'
import { addEntries, foundOrg, sealerOf } from './record.ts'

let edge: Edge
let owner: TestUser
beforeAll(async () => {
  edge = await startEdge()
  owner = await edge.signUp('owner')
})
afterAll(() => edge.stop())

const pathTo = async (orgId: OrgId, wanted: Partial<CreateAuditExport> = {}, { client } = owner) =>
  (await client.createOrgAuditExport({ params: { orgId }, body: wanted })).path
const download = async (orgId: OrgId, wanted: Partial<CreateAuditExport> = {}) => edge.request(await pathTo(orgId, wanted))

/** A strict reader of RFC 4180: quotes where they must be, every line ended. */
function readCsv(text: string): string[][] {
  const CELL = /(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r\n)/y
  const lines: string[][] = [[]]
  while (CELL.lastIndex < text.length) {
    const [, quoted, bare, end] = CELL.exec(text) ?? []
    if (end === undefined) throw new Error('not CSV')
    lines.at(-1)!.push(quoted?.replaceAll('""', '"') ?? bare ?? '')
    if (end === '\r\n') lines.push([])
  }
  lines.pop()
  return lines
}

const readJsonl = (text: string) => {
  expect(text.endsWith('\n')).toBe(true)
  return text
    .slice(0, -1)
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, string | number | null>)
}

const addAct = (orgId: OrgId, cause: string) =>
  edge.db
    .prepare(
      "INSERT INTO audit_entries (at, org_id, actor_id, action, subject, cause, trace_id) VALUES (?, ?, 'system', 'test.act', 's', ?, 't')",
    )
    .bind(Date.now(), orgId, cause)
    .run()

test('JSON Lines hold every entry in order, and whoever has them can recompute the chain', async () => {
  const orgId = await foundOrg(edge, owner, 4500)
  await addAct(orgId, 'line\nbreak, "quotes" and é')
  await sealerOf(edge).seal()
  const response = await download(orgId)
  expect(response.headers.get('content-type')).toBe('application/jsonl; charset=utf-8')
  expect(response.headers.get('content-disposition')).toMatch(/^attachment; filename="audit-org_\w{26}-\d{4}-\d\d-\d\d\.jsonl"$/)
  expect(response.headers.get('cache-control')).toBe('no-store')
  const records = readJsonl(await response.text())
  expect(records.map((r) => r['seq'])).toEqual(Array.from({ length: 4501 }, (_, i) => i + 1))
  let prevHash = '0'.repeat(64)
  for (const r of records) {
    const sealed = [
      'parvis-audit/1',
      r['chain'],
      r['seq'],
      prevHash,
      r['id'],
      Date.parse(String(r['at'])),
      r['orgId'],
      r['actorId'],
      r['action'],
      r['subject'],
      r['cause'],
      r['traceId'],
      r['sessionId'],
      r['country'],
    ]
    expect(r['prevHash']).toBe(prevHash)
    prevHash = createHash('sha256').update(JSON.stringify(sealed)).digest('hex')
    expect(r['hash']).toBe(prevHash)
  }
  expect(await owner.client.verifyOrgAudit({ params: { orgId } })).toMatchObject({ status: 'intact' })
})

test('CSV parses, and no cell is a formula', async () => {
  const orgId = await foundOrg(edge, owner, 0)
  const causes = ['=HYPERLINK("http://evil.example","x")', '+1', '-1', '@SUM(1)', '\t=1', 'plain', 'two\r\nlines, "quoted"', 'é']
  for (const cause of causes) await addAct(orgId, cause)
  const response = await download(orgId, { format: 'csv' })
  expect(response.headers.get('content-type')).toBe('text/csv; charset=utf-8; header=present')
  const [header, ...lines] = readCsv(await response.text())
  expect(header).toEqual([
    'seq',
    'at',
    'actorId',
    'action',
    'subject',
    'cause',
    'country',
    'sessionId',
    'traceId',
    'id',
    'prevHash',
    'hash',
  ])
  expect(lines.map((line) => line[5])).toEqual(causes.map((cause) => (/^[=+\-@\t]/.test(cause) ? `'${cause}` : cause)))
  expect(lines.every((line) => line.length === header!.length)).toBe(true)
  expect(lines.flat().filter((cell) => /^[=+\-@\t\r\n]/.test(cell))).toEqual([])
})

test('an export takes the entries it was asked for', async () => {
  const orgId = await foundOrg(edge, owner, 20)
  await addAct(orgId, 'the one')
  await edge.db
    .prepare("INSERT INTO audit_entries (at, org_id, actor_id, action, subject, trace_id) VALUES (5, ?, 'system', 'old.act', 's', 't')")
    .bind(orgId)
    .run()
  expect(readJsonl(await (await download(orgId, { subject: 's', action: 'test.' })).text())).toMatchObject([{ cause: 'the one' }])
  expect(readJsonl(await (await download(orgId, { to: '2000-01-01T00:00:00.000Z' })).text())).toMatchObject([{ action: 'old.act' }])
  expect(await (await download(orgId, { subject: 'nothing' })).text()).toBe('')
  expect(readCsv(await (await download(orgId, { subject: 'nothing', format: 'csv' })).text())).toHaveLength(1)
})

test('entries that come while it streams are left to the next export', async () => {
  const orgId = await foundOrg(edge, owner, 2500)
  const response = await download(orgId)
  await addEntries(edge, orgId, 2500)
  expect(readJsonl(await response.text())).toHaveLength(2500)
})

test('a download is on record, with who and in which form', async () => {
  const orgId = await foundOrg(edge, owner, 2)
  await (await download(orgId, { format: 'csv' })).text()
  expect((await owner.client.listOrgAudit({ params: { orgId }, query: { limit: 1 } })).items).toMatchObject([
    { action: 'audit.export', actorId: owner.id, cause: 'csv', sessionId: (await owner.client.getSession()).sessionId },
  ])
})

test('a path works once, whoever comes first', async () => {
  const orgId = await foundOrg(edge, owner, 2)
  const path = await pathTo(orgId)
  const answers = await Promise.all(Array.from({ length: 20 }, () => edge.request(path)))
  expect(answers.map((a) => a.status).toSorted()).toEqual([200, ...Array.from({ length: 19 }, () => 401)])
  const refused = answers.find((a) => a.status === 401)!
  expect(await refused.json()).toMatchObject({ type: '/problems/ticket-invalid' })
})

test('a path opens what it was made for and nothing else', async () => {
  const [orgId, other] = [await foundOrg(edge, owner, 2), await foundOrg(edge, owner, 2)]
  const path = await pathTo(orgId, { action: 'test.' })
  const ticket = new URL(path, edge.origin).searchParams.get('ticket')!
  for (const changed of [
    path.replace(orgId, other),
    path.replace('action=test.', 'action=org.'),
    path.replace('format=jsonl', 'format=csv'),
    path.replace('&action=test.', '').replace('action=test.&', ''),
    `${path}&subject=s`,
    `${path}&extra=1`,
    path.replace(ticket, ''),
    path.replace(ticket, `${ticket}x`),
    path.replace(/ticket=.*$/, 'ticket=..'),
    path.replace(/&ticket=.*$/, ''),
    path.replace(orgId, 'org_x'),
  ])
    expect([changed, (await edge.request(changed)).status]).toEqual([changed, 401])
  expect((await edge.request(path)).status).toBe(200)
})

test('a path dies with the session that it was asked for with', async () => {
  const leaver = await edge.signUp('leaver')
  const orgId = await foundOrg(edge, leaver, 2)
  const path = await pathTo(orgId, {}, leaver)
  await leaver.client.logout()
  const answer = await edge.request(path)
  expect([answer.status, await answer.json()]).toEqual([401, expect.objectContaining({ type: '/problems/session-ended' })])
})

test('a path dies with the role of whoever got it', async () => {
  const fickle = await edge.signUp('fickle')
  const orgId = await foundOrg(edge, owner, 2)
  const seat = (role: 'reader') => owner.client.putOrgMember({ params: { orgId, userId: fickle.id as never }, body: { role } })
  await join(edge, owner, { orgId, user: fickle, role: 'owner' })
  const [demoted, removed] = [await pathTo(orgId, {}, fickle), await pathTo(orgId, {}, fickle)]
  await seat('reader')
  expect((await edge.request(demoted)).status).toBe(403)
  await owner.client.removeOrgMember({ params: { orgId, userId: fickle.id as never } })
  expect((await edge.request(removed)).status).toBe(404)
})

test('nothing of a ticket is logged', async () => {
  const orgId = await foundOrg(edge, owner, 2)
  const path = await pathTo(orgId)
  await (await edge.request(path)).text()
  const ticket = new URL(path, edge.origin).searchParams.get('ticket')!
  const logs = edge.logs()
  expect(logs).toContainEqual(expect.objectContaining({ event: 'request', route: '/v1/orgs/:orgId/audit/file', status: 200 }))
  expect(JSON.stringify(logs)).not.toContain(ticket.slice(0, 40))
})

test('too long a record is refused before a path is given; by time range it goes', async () => {
  const orgId = await foundOrg(edge, owner, 0)
  await addEntries(edge, orgId, EXPORT_ENTRIES_MAX + 1)
  await expect(pathTo(orgId)).rejects.toMatchObject({ slug: 'invalid-request' })
  const [newest] = (await owner.client.listOrgAudit({ params: { orgId }, query: { limit: 1 } })).items
  expect(readJsonl(await (await download(orgId, { from: newest!.at })).text())).toHaveLength(1)
})
