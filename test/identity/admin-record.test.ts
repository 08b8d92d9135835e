import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { asIntruder, runCron } from '../audit/record.ts'
import { type Edge, startEdge } from '../harness.ts'
import { type Answer, read, signInRaw } from './raw.ts'

type Person = Awaited<ReturnType<typeof signInRaw>>
const AUDIT = '/v1/admin/audit'

let edge: Edge
let root: Person
beforeAll(async () => {
  edge = await startEdge()
  root = await signInRaw(edge, 'root')
  await grant(root)
})
afterAll(() => edge.stop())

const grant = ({ userId }: Person) =>
  edge.db.prepare("INSERT OR IGNORE INTO platform_roles VALUES (?, 'admin', 'operator', 1)").bind(userId).run()
const layDown = ({ userId }: Person) => edge.db.prepare('DELETE FROM platform_roles WHERE user_id = ?').bind(userId).run()

async function call(by: Person, method: string, path: string, body?: unknown): Promise<Answer> {
  const headers = { authorization: `Bearer ${by.accessToken}`, ...(body === undefined ? {} : { 'content-type': 'application/json' }) }
  return read(await edge.request(path, { method, headers, ...(body === undefined ? {} : { body: JSON.stringify(body) }) }))
}
const items = async (path: string) => (await call(root, 'GET', path)).body['items'] as Record<string, unknown>[]
const pathOf = async (wanted: object = {}) => String((await call(root, 'POST', `${AUDIT}/exports`, wanted)).body['path'])
const fileAt = async (path: string) => edge.request(path)
const slugAt = async (path: string) => (await read(await fileAt(path))).slug

describe('the platform’s record', () => {
  test('tells what belongs to no organisation, filtered and page by page, and what a user did', async () => {
    const bob = await signInRaw(edge, 'bob')
    const org = (await call(bob, 'POST', '/v1/orgs', { name: 'Harbour' })).body['id']
    await call(root, 'POST', `/v1/admin/users/${bob.userId}/disable`, { reason: 'Sends spam' })
    expect(await items(`${AUDIT}?action=user.disable&subject=${bob.userId}`)).toMatchObject([
      { action: 'user.disable', actorId: root.userId, cause: 'Sends spam' },
    ])
    expect(await items(`${AUDIT}?subject=${org}`)).toEqual([])
    const first = (await call(root, 'GET', `${AUDIT}?limit=2`)).body as { items: { id: number }[]; nextCursor: string }
    const second = await items(`${AUDIT}?limit=2&cursor=${first.nextCursor}`)
    expect(second).toHaveLength(2)
    expect(Number(second[0]?.['id'])).toBeLessThan(first.items.at(-1)!.id)
    const deeds = await items(`/v1/admin/users/${bob.userId}/activity`)
    expect(deeds.map(({ action, by }) => `${by} ${action}`)).toEqual(expect.arrayContaining(['you org.create', 'other user.disable']))
    expect((await call(root, 'GET', `${AUDIT}?cursor=x`)).slug).toBe('invalid-request')
  })

  test('is walked, and its first broken link named', async () => {
    await runCron(edge)
    expect((await call(root, 'GET', `${AUDIT}/verify`)).body).toMatchObject({ status: 'intact' })
    await asIntruder(edge, "UPDATE audit_entries SET cause = 'nothing' WHERE action = 'user.disable'")
    const { body } = await call(root, 'GET', `${AUDIT}/verify`)
    expect(body).toMatchObject({ status: 'broken', broken: { reason: 'entry-changed' } })
    await asIntruder(edge, "UPDATE audit_entries SET cause = 'Sends spam' WHERE action = 'user.disable'")
  })
})

describe('the record as a file', () => {
  test('is streamed once, in the form and of the selection that was asked for, and is on record', async () => {
    const path = await pathOf({ format: 'csv', action: 'user.disable' })
    const answer = await fileAt(path)
    expect(answer.headers.get('content-disposition')).toMatch(/^attachment; filename="audit-platform-\d{4}-\d\d-\d\d\.csv"$/)
    const text = await answer.text()
    expect(text).toContain('Sends spam')
    expect(text).not.toContain('session.start')
    expect(await slugAt(path)).toBe('ticket-invalid')
    expect(await items(`${AUDIT}?action=audit.export`)).toMatchObject([{ actorId: root.userId, cause: 'csv' }])
    const lines = (await (await fileAt(await pathOf())).text()).trim().split('\n')
    expect(lines.map((line) => (JSON.parse(line) as { chain: string }).chain)).toEqual(lines.map(() => 'platform'))
  })

  test('opens to nobody whose role was taken meanwhile, nor for another selection or an organisation', async () => {
    const path = await pathOf({ action: 'user.' })
    expect(await slugAt(path.replace('action=user.', 'action=session.'))).toBe('ticket-invalid')
    expect(await slugAt(path.replace('/v1/admin/audit/file', '/v1/orgs/org_01234567890123456789abcdef/audit/file'))).toBe('ticket-invalid')
    expect(await slugAt(`${AUDIT}/file`)).toBe('ticket-invalid')
    await layDown(root)
    expect(await slugAt(path)).toBe('forbidden')
    await grant(root)
    expect((await fileAt(path)).status).toBe(200)
  })

  test('asks for a fresh proof', async () => {
    await edge.db.prepare('UPDATE sessions SET authenticated_at = 1 WHERE id = ?').bind(root.sessionId).run()
    expect((await call(root, 'POST', `${AUDIT}/exports`, {})).slug).toBe('step-up-required')
  })
})
