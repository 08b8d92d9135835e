import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { DISPLAY_NAME_CHARS_MAX } from '../../src/contract/account.ts'
import { type Edge, PASSWORD, startEdge, type TestUser } from '../harness.ts'
import { post, read } from './raw.ts'

let edge: Edge
let ada: TestUser
let eve: TestUser
beforeAll(async () => {
  edge = await startEdge()
  ada = await edge.signUp('ada')
  eve = await edge.signUp('eve')
})
afterAll(() => edge.stop())

const rowOf = (id: string) => edge.db.prepare('SELECT * FROM users WHERE id = ?').bind(id).first<Record<string, unknown>>()
const patch = async (user: TestUser, body: object, headers: Record<string, string> = {}) =>
  read(
    await edge.request('/v1/me', {
      method: 'PATCH',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${await user.client.accessToken()}`, ...headers },
      body: JSON.stringify(body),
    }),
  )

test('a user says what they are called and in which language they are written to; the version changes with it', async () => {
  const before = await ada.client.getMe()
  expect(before.displayName).toBeNull()
  const named = await ada.client.updateMe({ ifMatch: before.etag, body: { displayName: '  Ada Lovelace\u0301 ' } })
  expect(named).toEqual({ ...before, displayName: 'Ada Lovelac\u00e9', etag: expect.any(String) })
  expect(named.etag).not.toBe(before.etag)
  const french = await ada.client.updateMe({ ifMatch: named.etag, body: { locale: 'fr' } })
  expect(french).toMatchObject({ displayName: named.displayName, locale: 'fr' })
  expect(await ada.client.getMe()).toEqual(french)
  const plain = await ada.client.updateMe({ ifMatch: french.etag, body: { displayName: null, locale: 'en' } })
  expect(plain).toEqual(before)
  const { results } = await edge.db
    .prepare("SELECT cause, actor_id FROM audit_entries WHERE subject = ? AND action = 'profile.update' ORDER BY id")
    .bind(ada.id)
    .all()
  expect(results).toEqual(['displayName', 'locale', 'displayName locale'].map((cause) => ({ cause, actor_id: ada.id })))
})

test('the version is the ETag of the answer, and one for as long as nothing changes', async () => {
  const headers = { authorization: `Bearer ${await ada.client.accessToken()}` }
  const answers = await Promise.all([1, 2].map(async () => read(await edge.request('/v1/me', { headers }))))
  expect(answers.map((a) => a.headers.get('etag'))).toEqual(answers.map((a) => a.body['etag']))
  expect(answers[0]?.headers.get('etag')).toBe(answers[1]?.headers.get('etag'))
})

describe('If-Match', () => {
  test('is required', async () => {
    const answer = await patch(ada, { displayName: 'Blind' })
    expect([answer.status, answer.slug]).toEqual([428, 'precondition-required'])
  })

  test.each(['"old"', 'W/"old"', '"a", "b"'])('%s names a version that is not there', async (tag) => {
    const answer = await patch(ada, { displayName: 'Late' }, { 'if-match': tag })
    expect([answer.status, answer.slug]).toEqual([412, 'precondition-failed'])
  })

  test('a weak tag never matches, a list matches by any of it, an asterisk whatever is there', async () => {
    const { etag } = await ada.client.getMe()
    expect((await patch(ada, { displayName: 'Weak' }, { 'if-match': `W/${etag}` })).status).toBe(412)
    expect((await patch(ada, { displayName: 'Listed' }, { 'if-match': `"old" ,${etag}` })).status).toBe(200)
    expect((await patch(ada, { displayName: 'Any' }, { 'if-match': '*' })).body['displayName']).toBe('Any')
  })

  test.each(['old', '"old', '* , "a"', '"a" "b" c'])('%j is no list of entity tags', async (tag) => {
    const answer = await patch(ada, { displayName: 'Odd' }, { 'if-match': tag })
    expect(answer).toMatchObject({ status: 400, slug: 'invalid-request', body: { errors: [{ pointer: '#/header/if-match' }] } })
  })

  test('of twenty who change what they have seen, one wins and the others are told', async () => {
    const { etag } = await eve.client.getMe()
    const race = await Promise.all(Array.from({ length: 20 }, (_, n) => patch(eve, { displayName: `Eve ${n}` }, { 'if-match': etag })))
    const won = race.filter(({ status }) => status === 200)
    expect(won).toHaveLength(1)
    expect(new Set(race.filter(({ status }) => status !== 200).map(({ slug }) => slug))).toEqual(new Set(['precondition-failed']))
    expect((await eve.client.getMe()).displayName).toBe(won[0]?.body['displayName'])
  })
})

describe('what is refused', () => {
  test.each([
    ['nothing to change', {}, '#/body'],
    ['an empty name', { displayName: ' ' }, '#/body/displayName'],
    ['a name that is too long', { displayName: 'x'.repeat(DISPLAY_NAME_CHARS_MAX + 1) }, '#/body/displayName'],
    ['a name that turns the line around', { displayName: 'ada\u202egpj' }, '#/body/displayName'],
    ['a name of two lines', { displayName: 'ada\nBcc: all' }, '#/body/displayName'],
    ['a language we do not write', { locale: 'de' }, '#/body/locale'],
  ])('%s', async (_, body, pointer) => {
    const answer = await patch(ada, body, { 'if-match': '*' })
    expect(answer).toMatchObject({ status: 400, body: { errors: [{ pointer }] } })
  })

  test('a stranger, and a session that has just ended', async () => {
    expect((await read(await edge.request('/v1/me', { method: 'PATCH' }))).status).toBe(401)
    const leaver = await edge.signUp('leaver')
    const token = await leaver.client.accessToken()
    await edge.db.prepare('UPDATE sessions SET ended_at = 1 WHERE user_id = ?').bind(leaver.id).run()
    const answer = await read(
      await edge.request('/v1/me', {
        method: 'PATCH',
        headers: { 'content-type': 'application/json', 'if-match': '*', authorization: `Bearer ${token}` },
        body: '{"locale":"fr"}',
      }),
    )
    expect([answer.status, answer.slug]).toEqual([401, 'session-ended'])
    expect(await rowOf(leaver.id)).toMatchObject({ locale: 'en' })
  })
})

const PRIVILEGES = {
  id: 'usr_00000000000000000000000000',
  userId: 'usr_00000000000000000000000000',
  email: 'root@example.org',
  emailVerified: true,
  role: 'admin',
  roles: ['admin'],
  isAdmin: true,
  orgId: 'org_00000000000000000000000000',
  disabledAt: null,
  disabled_at: null,
  passwordHash: 'x',
  password_hash: 'x',
  passwordVersion: 9,
  createdAt: '2020-01-01T00:00:00.000Z',
  etag: '"mine"',
}

describe('mass assignment', () => {
  test.each(Object.entries(PRIVILEGES))('a profile does not take %s, and what came with it is not taken either', async (field, value) => {
    const before = await rowOf(ada.id)
    const answer = await patch(ada, { displayName: 'Root', [field]: value }, { 'if-match': '*' })
    expect(answer).toMatchObject({ status: 400, body: { errors: [{ detail: 'is not a field', pointer: `#/body/${field}` }] } })
    expect(await rowOf(ada.id)).toEqual(before)
  })

  test.each(Object.entries(PRIVILEGES).filter(([field]) => field !== 'email'))('a registration does not take %s', async (field, value) => {
    const email = `mass-${field.toLowerCase().replace('_', '-')}@example.org`
    const answer = await post(edge, '/v1/auth/register', { email, password: PASSWORD, [field]: value })
    expect(answer).toMatchObject({ status: 400, body: { errors: [{ detail: 'is not a field', pointer: `#/body/${field}` }] } })
    const { results } = await edge.db.prepare('SELECT id FROM registrations WHERE email = ?').bind(email).all()
    expect(results).toEqual([])
  })

  test('a query or a header gives nobody another identity', async () => {
    const headers = { authorization: `Bearer ${await ada.client.accessToken()}`, 'x-user-id': eve.id, 'x-forwarded-user': eve.email }
    const { body } = await read(await edge.request(`/v1/me?userId=${eve.id}&id=${eve.id}`, { headers }))
    expect(body['id']).toBe(ada.id)
  })
})
