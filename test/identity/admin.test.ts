import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ManagedUserDetail } from '../../src/contract/admin.ts'
import type { PlatformRole } from '../../src/contract/permission.ts'
import { type Edge, PASSWORD, ROOMY_LIMITS, startEdge } from '../harness.ts'
import { accountsOf, tally } from './account.ts'
import { codeOf, factorsOf } from './authenticator.ts'
import { type Answer, post, read, signInRaw } from './raw.ts'

let edge: Edge
beforeAll(async () => {
  edge = await startEdge({
    vars: {
      LIMITS: ROOMY_LIMITS,
    },
  })
})
afterAll(() => edge.stop())

type Person = Awaited<ReturnType<typeof signInRaw>>
const { ask, count, entries, login, mailsTo, reset, settle } = accountsOf(() => edge)
const { finish, protect, totp, wait } = factorsOf(() => edge)
const UNKNOWN = 'usr_01234567890123456789abcdef'

const grant = (userId: string, role: PlatformRole) =>
  edge.db.prepare("INSERT INTO platform_roles VALUES (?, ?, 'operator', 1)").bind(userId, role).run()
const laysDown = () => edge.db.prepare('DELETE FROM platform_roles').run()

async function call(by: Pick<Person, 'accessToken'>, method: string, path: string, body?: unknown): Promise<Answer> {
  const headers = { authorization: `Bearer ${by.accessToken}`, ...(body === undefined ? {} : { 'content-type': 'application/json' }) }
  return read(await edge.request(path, { method, headers, ...(body === undefined ? {} : { body: JSON.stringify(body) }) }))
}
const users = '/v1/admin/users'
const REASON = { reason: 'Sends spam' }
const disable = (by: Person, id: string) => call(by, 'POST', `${users}/${id}/disable`, REASON)
const enable = (by: Person, id: string) => call(by, 'POST', `${users}/${id}/enable`, REASON)
const endSessions = (by: Person, id: string) => call(by, 'DELETE', `${users}/${id}/sessions`)
const removeFactors = (by: Pick<Person, 'accessToken'>, id: string) =>
  call(by, 'POST', `${users}/${id}/factors/remove`, { reason: 'Lost phone' })
const setRoles = (by: Person, id: string, roles: readonly string[]) => call(by, 'PUT', `${users}/${id}/roles`, { roles })
const refresh = ({ refreshToken }: Person) => post(edge, '/v1/auth/refresh', { refreshToken })
const rolesOf = async (id: string) =>
  (await edge.db.prepare('SELECT role FROM platform_roles WHERE user_id = ? ORDER BY role').bind(id).all<{ role: string }>()).results.map(
    ({ role }) => role,
  )

/** The only admin there is. */
async function admin(name: string): Promise<Person> {
  await laysDown()
  const person = await signInRaw(edge, name)
  await grant(person.userId, 'admin')
  return person
}

const ACTS: [string, string, unknown?][] = [
  ['GET', users],
  ['GET', `${users}/${UNKNOWN}`],
  ['POST', `${users}/${UNKNOWN}/disable`, REASON],
  ['POST', `${users}/${UNKNOWN}/enable`, REASON],
  ['DELETE', `${users}/${UNKNOWN}/sessions`],
  ['POST', `${users}/${UNKNOWN}/factors/remove`, REASON],
  ['DELETE', '/v1/admin/sessions'],
  ['PUT', `${users}/${UNKNOWN}/roles`, { roles: ['admin'] }],
]

describe('who may look after users', () => {
  test.each(ACTS)('%s %s: nobody without a token, nobody without a role', async (method, path, body) => {
    await admin('root')
    const stranger = await signInRaw(edge, 'stranger')
    expect((await call({ accessToken: '' }, method, path, body)).slug).toBe('unauthenticated')
    expect((await call(stranger, method, path, body)).slug).toBe('forbidden')
  })

  test('a moderator looks and changes nothing', async () => {
    const root = await admin('root')
    const moderator = await signInRaw(edge, 'moderator')
    await grant(moderator.userId, 'moderator')
    expect((await call(moderator, 'GET', users)).status).toBe(200)
    expect((await call(moderator, 'GET', `${users}/${root.userId}`)).status).toBe(200)
    for (const answer of [
      await disable(moderator, root.userId),
      await enable(moderator, root.userId),
      await endSessions(moderator, root.userId),
      await removeFactors(moderator, root.userId),
      await setRoles(moderator, moderator.userId, ['admin']),
      await call(moderator, 'DELETE', '/v1/admin/sessions'),
    ])
      expect(answer.slug).toBe('forbidden')
    expect(await rolesOf(moderator.userId)).toEqual(['moderator'])
  })

  test('a role that is taken away holds at the very next call, though the isolate remembers the session', async () => {
    const root = await admin('root')
    expect((await call(root, 'GET', users)).status).toBe(200)
    await laysDown()
    expect((await call(root, 'GET', users)).slug).toBe('forbidden')
  })

  test('a session that ended elsewhere holds at the very next sensitive call', async () => {
    const root = await admin('root')
    expect((await call(root, 'GET', users)).status).toBe(200)
    await edge.db.prepare("UPDATE sessions SET ended_at = 1, end_cause = 'revoked' WHERE id = ?").bind(root.sessionId).run()
    expect((await call(root, 'GET', users)).slug).toBe('session-ended')
  })

  test('what gives or takes access asks for a fresh proof', async () => {
    const root = await admin('root')
    await edge.db.prepare('UPDATE sessions SET authenticated_at = 1 WHERE id = ?').bind(root.sessionId).run()
    expect((await setRoles(root, root.userId, ['admin', 'moderator'])).slug).toBe('step-up-required')
    for (const act of [disable, enable, endSessions, removeFactors]) expect((await act(root, root.userId)).slug).toBe('step-up-required')
    expect((await call(root, 'DELETE', '/v1/admin/sessions')).slug).toBe('step-up-required')
  })

  test('no field makes somebody an admin: what a contract does not list is refused', async () => {
    const email = 'mass@example.net'
    for (const extra of [{ roles: ['admin'] }, { role: 'admin' }, { emailVerified: true }, { userId: UNKNOWN }])
      expect((await post(edge, '/v1/auth/register', { email, password: PASSWORD, ...extra })).slug).toBe('invalid-request')
    const root = await admin('root')
    expect((await setRoles(root, root.userId, ['owner'])).slug).toBe('invalid-request')
    expect((await setRoles(root, root.userId, ['admin', 'admin'])).slug).toBe('invalid-request')
  })
})

describe('the list of users', () => {
  const find = async (by: Person, query: Record<string, string>) =>
    (await call(by, 'GET', `${users}?${new URLSearchParams(query)}`)).body as {
      items: { id: string; email: string }[]
      nextCursor?: string
    }

  test('comes page by page, the newest first, each user once', async () => {
    const root = await admin('root')
    const mine = [await signInRaw(edge, 'paged'), await signInRaw(edge, 'paged'), await signInRaw(edge, 'paged')]
    const first = await find(root, { text: 'paged-', limit: '2' })
    const second = await find(root, { text: 'paged-', limit: '2', cursor: first.nextCursor! })
    expect([...first.items, ...second.items].map(({ id }) => id)).toEqual(mine.map(({ userId }) => userId).reverse())
    expect(second.nextCursor).toBeUndefined()
    expect((await call(root, 'GET', `${users}?cursor=${btoa('ses_01234567890123456789abcdef')}`)).slug).toBe('invalid-request')
  })

  test('takes what is searched for as text and never as a pattern, however long or hostile', async () => {
    const root = await admin('root')
    const { email } = await signInRaw(edge, 'under_score')
    const emails = async (text: string) => (await find(root, { text })).items.map((item) => item.email)
    expect(await emails('UNDER_score')).toEqual([email])
    for (const text of ['%', 'under%score', 'under.score-', 'under*', "' OR 1=1 --", '(a+)+$', '[a-z]', '\\', 'x'.repeat(200)])
      expect(await emails(text)).toEqual([])
    expect((await call(root, 'GET', `${users}?text=${'x'.repeat(300)}`)).slug).toBe('invalid-request')
  })

  test('is sorted and filtered by what the contract lists and nothing else', async () => {
    const root = await admin('root')
    expect((await find(root, { role: 'admin' })).items.map(({ id }) => id)).toEqual([root.userId])
    for (const query of ['sort=email', 'orderBy=id;DROP TABLE users', 'role=owner', 'state=any'])
      expect((await call(root, 'GET', `${users}?${query}`)).slug).toBe('invalid-request')
  })

  test('tells no secret of anybody, and neither does a user in detail', async () => {
    const root = await admin('root')
    const bob = await signInRaw(edge, 'bob')
    const list = await call(root, 'GET', `${users}?text=bob-`)
    const detail = await call(root, 'GET', `${users}/${bob.userId}`)
    expect(Object.keys((list.body['items'] as object[])[0]!).sort()).toEqual(['createdAt', 'disabledAt', 'email', 'id', 'locale', 'roles'])
    expect(ManagedUserDetail.strict().parse(detail.body)).toMatchObject({
      id: bob.userId,
      factors: { hasPassword: true, hasTotp: false, passkeys: 0, recoveryCodesLeft: 0 },
      sessions: [{ id: bob.sessionId }],
    })
    for (const secret of ['argon2', 'prt_', bob.accessToken, bob.refreshToken, 'hash'])
      expect(JSON.stringify([list.body, detail.body])).not.toContain(secret)
    expect((await call(root, 'GET', `${users}/${UNKNOWN}`)).slug).toBe('not-found')
  })
})

describe('a disabled user', () => {
  test('is out everywhere: sessions, refresh, sign-in; until enabled, and then the old sessions stay ended', async () => {
    const root = await admin('root')
    const bob = await signInRaw(edge, 'bob')
    expect((await call(bob, 'GET', '/v1/auth/session')).status).toBe(200)
    expect((await disable(root, bob.userId)).status).toBe(204)
    expect((await disable(root, bob.userId)).status).toBe(204)
    expect((await call(bob, 'GET', '/v1/auth/session')).slug).toBe('session-ended')
    expect((await refresh(bob)).slug).toBe('session-ended')
    expect((await login(bob.email)).slug).toBe('credentials-invalid')
    expect(await entries(bob.userId, 'user.disable')).toEqual([{ cause: 'Sends spam', actor_id: root.userId }])
    expect(await entries(bob.userId, 'session.end-all')).toEqual([{ cause: 'disabled', actor_id: root.userId }])
    expect((await enable(root, bob.userId)).status).toBe(204)
    expect((await enable(root, bob.userId)).status).toBe(204)
    expect(await entries(bob.userId, 'user.enable')).toHaveLength(1)
    expect((await refresh(bob)).slug).toBe('session-ended')
    expect((await login(bob.email)).status).toBe(200)
  })

  test('nobody of that id is not found', async () => {
    const root = await admin('root')
    for (const act of [disable, enable, endSessions, removeFactors]) expect((await act(root, UNKNOWN)).slug).toBe('not-found')
    expect((await setRoles(root, UNKNOWN, [])).slug).toBe('not-found')
  })
})

describe('a user who has lost their factors', () => {
  test('goes on by mail alone once an admin has removed them: with a new password, and told of it', async () => {
    const root = await admin('root')
    const bob = await protect('locked')
    const key = await call(bob.device, 'POST', '/v1/auth/keys', { name: 'Program', scopes: ['rooms:read'] })
    expect(key.status).toBe(201)
    const [waiting, trusted] = [await wait(bob.email), await finish(await wait(bob.email), totp(codeOf(bob.secret)), { trustDevice: true })]
    const { userId } = bob.device
    expect((await removeFactors(root, userId)).status).toBe(204)
    expect((await removeFactors(root, userId)).status).toBe(204)
    for (const table of ['totp_factors', 'recovery_codes', 'passkeys', 'pending_sign_ins', 'trusted_devices'])
      expect(await count(`SELECT count(*) AS n FROM ${table} WHERE user_id = ?`, userId)).toBe(0)
    expect((await refresh(bob.device as Person)).slug).toBe('session-ended')
    expect((await finish(waiting, totp(codeOf(bob.secret, 1)))).slug).toBe('sign-in-ended')
    expect((await login(bob.email)).slug).toBe('credentials-invalid')
    expect((await refresh(trusted.body as unknown as Person)).slug).toBe('session-ended')
    const { resetId, code } = await ask(bob.email)
    expect((await reset(resetId, code, 'seven otters juggle lanterns')).status).toBe(200)
    expect((await login(bob.email, 'seven otters juggle lanterns')).body).toHaveProperty('accessToken')
    expect(await entries(userId, 'factors.remove')).toEqual([{ cause: 'Lost phone', actor_id: root.userId }])
    await settle()
    expect(mailsTo(bob.email, /sign-in methods .* were removed/)).toHaveLength(1)
  })

  test('an admin may free themselves, and nothing happens to who has none', async () => {
    const root = await admin('root')
    const bob = await signInRaw(edge, 'plain')
    expect((await removeFactors(root, bob.userId)).status).toBe(204)
    expect((await call(bob, 'GET', '/v1/auth/session')).status).toBe(200)
    const self = await protect('self')
    await grant(self.device.userId, 'admin')
    expect((await removeFactors(self.device, self.device.userId)).status).toBe(204)
    expect((await call(self.device as Person, 'GET', users)).slug).toBe('session-ended')
  })
})

describe('the last admin', () => {
  test('stays: neither disabled nor without the role, and a refused change does nothing by halves', async () => {
    const root = await admin('root')
    expect((await disable(root, root.userId)).slug).toBe('last-admin')
    expect((await setRoles(root, root.userId, ['moderator'])).slug).toBe('last-admin')
    expect(await rolesOf(root.userId)).toEqual(['admin'])
    expect(await entries(root.userId, 'role.grant')).toEqual([])
    expect((await call(root, 'GET', users)).status).toBe(200)
  })

  test('a disabled admin does not count', async () => {
    const root = await admin('root')
    const other = await signInRaw(edge, 'other')
    expect((await setRoles(root, other.userId, ['admin'])).body['roles']).toEqual(['admin'])
    expect((await disable(root, other.userId)).status).toBe(204)
    expect((await setRoles(root, root.userId, [])).slug).toBe('last-admin')
  })

  test('admins who disable each other at the same moment leave one', async () => {
    for (const act of ['disable', 'roles'] as const) {
      const one = await admin('one')
      const two = await signInRaw(edge, 'two')
      await grant(two.userId, 'admin')
      const against = (by: Person, whom: Person) => (act === 'disable' ? disable(by, whom.userId) : setRoles(by, whom.userId, []))
      const answers = await Promise.all([against(one, two), against(two, one), against(one, two), against(two, one)])
      expect(tally(answers, 204) + tally(answers, 200)).toBeGreaterThanOrEqual(1)
      const left = 'SELECT count(*) AS n FROM platform_roles JOIN users ON users.id = user_id WHERE disabled_at IS NULL'
      expect(await count(left)).toBe(1)
    }
  })

  test('an admin lays their own role down when another stands', async () => {
    const root = await admin('root')
    const next = await signInRaw(edge, 'next')
    await setRoles(root, next.userId, ['admin'])
    expect((await setRoles(root, root.userId, ['moderator'])).body['roles']).toEqual(['moderator'])
    expect(await rolesOf(root.userId)).toEqual(['moderator'])
    expect(await entries(root.userId, 'role.revoke')).toEqual([{ cause: 'admin', actor_id: root.userId }])
    expect((await disable(root, next.userId)).slug).toBe('forbidden')
  })
})

describe('what began before a moment is over', () => {
  const bar = (userId: string, at: number) => edge.db.prepare('INSERT INTO not_befores VALUES (?, ?)').bind(userId, at).run()
  const isOut = async (person: Person) =>
    [(await call(person, 'GET', '/v1/auth/factors')).slug, (await refresh(person)).slug].join() === 'session-ended,session-ended'

  test('of one user, when an admin says so; a new sign-in is fresh', async () => {
    const root = await admin('root')
    const bob = await signInRaw(edge, 'bob')
    const eve = await signInRaw(edge, 'eve')
    expect((await endSessions(root, bob.userId)).status).toBe(204)
    expect((await call(bob, 'GET', '/v1/auth/session')).slug).toBe('session-ended')
    expect((await refresh(bob)).slug).toBe('session-ended')
    expect((await call(eve, 'GET', '/v1/auth/session')).status).toBe(200)
    expect(await entries(bob.userId, 'session.end-all')).toEqual([{ cause: 'admin', actor_id: root.userId }])
    const again = (await login(bob.email)).body as unknown as Person
    expect((await call(again, 'GET', '/v1/auth/session')).status).toBe(200)
  })

  test.each(['of one user', 'of everybody', 'of a disabled user'])('a waiting sign-in and a trusted device too: %s', async (whose) => {
    const root = await admin('root')
    const bob = await protect('waiting')
    const { userId } = bob.device
    const { trustToken } = (await finish(await wait(bob.email), totp(codeOf(bob.secret)), { trustDevice: true })).body
    const waiting = await wait(bob.email)
    if (whose === 'of one user') expect((await endSessions(root, userId)).status).toBe(204)
    if (whose === 'of everybody') expect((await call(root, 'DELETE', '/v1/admin/sessions')).status).toBe(204)
    if (whose === 'of a disabled user') {
      expect((await disable(root, userId)).status).toBe(204)
      expect((await enable(root, userId)).status).toBe(204)
    }
    expect((await finish(waiting, totp(codeOf(bob.secret, 1)))).slug).toBe('sign-in-ended')
    expect((await post(edge, '/v1/auth/login/factor/passkey', { pendingId: waiting })).slug).toBe('sign-in-ended')
    const again = await post(edge, '/v1/auth/login', { email: bob.email, password: PASSWORD, trustToken })
    expect(Object.keys(again.body)).toEqual(['factorRequired'])
    await edge.db.prepare("DELETE FROM not_befores WHERE user_id = ''").run()
  })

  test('an admin may end their own', async () => {
    const root = await admin('root')
    expect((await endSessions(root, root.userId)).status).toBe(204)
    expect((await call(root, 'GET', users)).slug).toBe('session-ended')
  })

  test('the rule for everybody and the rule for one user both hold, whichever is later', async () => {
    const old = await signInRaw(edge, 'old')
    const free = await signInRaw(edge, 'free')
    await bar(old.userId, 1)
    await bar('', Date.now())
    expect(await isOut(old)).toBe(true)
    expect(await isOut(free)).toBe(true)
    const late = await signInRaw(edge, 'late')
    expect((await call(late, 'GET', '/v1/auth/session')).status).toBe(200)
    await bar(late.userId, Date.now())
    expect(await isOut(late)).toBe(true)
    await edge.db.prepare("DELETE FROM not_befores WHERE user_id = ''").run()
  })

  test('of everybody, the admin too', async () => {
    const root = await admin('root')
    const bob = await signInRaw(edge, 'bob')
    expect((await call(root, 'DELETE', '/v1/admin/sessions')).status).toBe(204)
    expect(await isOut(bob)).toBe(true)
    expect((await call(root, 'GET', users)).slug).toBe('session-ended')
    expect(await entries('everybody', 'session.end-all')).toContainEqual({ cause: 'admin', actor_id: root.userId })
    const fresh = await signInRaw(edge, 'fresh')
    expect((await call(fresh, 'GET', '/v1/auth/session')).status).toBe(200)
  })
})
