import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { API_KEY_USE_SECONDS, API_KEYS_MAX, ApiKey, type NewApiKey } from '../../src/contract/api-keys.ts'
import type { Endpoint } from '../../src/contract/endpoint.ts'
import type { UserId } from '../../src/contract/identity.ts'
import type { ApiScope } from '../../src/contract/permission.ts'
import { endpoints } from '../../src/contract/registry.ts'
import type { RoomId } from '../../src/contract/rooms.ts'
import { REVOCATION_SECONDS_MAX } from '../../src/contract/sessions.ts'
import { authenticate } from '../../src/edge/identity/access-token.ts'
import { drawApiKey } from '../../src/edge/identity/api-key.ts'
import { eraseIdentity, exportIdentity } from '../../src/edge/identity/service.ts'
import { sweepIdentity } from '../../src/edge/identity/sweep.ts'
import { type Edge, ROOMY_LIMITS, startEdge } from '../harness.ts'
import { closeFrameOf } from '../inbox/close-frame.ts'
import { knock } from '../rooms/person.ts'
import { until } from '../until.ts'
import { accountsOf, tally } from './account.ts'
import { type Answer, read, signInRaw } from './raw.ts'
import { scopeOf } from './scope.ts'

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
const { count, entries, mailsTo, settle } = accountsOf(() => edge)
const KEYS = '/v1/auth/keys'
const ALL: readonly ApiScope[] = ['account:read', 'orgs:read', 'orgs:write', 'rooms:read', 'rooms:write', 'shells:read', 'shells:write']
const UNKNOWN = 'key_01234567890123456789abcdef'

async function call(token: string, method: string, path: string, body?: unknown): Promise<Answer> {
  const headers = { authorization: `Bearer ${token}`, ...(body === undefined ? {} : { 'content-type': 'application/json' }) }
  return read(await edge.request(path, { method, headers, ...(body === undefined ? {} : { body: JSON.stringify(body) }) }))
}
const make = (by: Person, wanted: object = {}) => call(by.accessToken, 'POST', KEYS, { name: 'Backup', scopes: ALL, ...wanted })
const made = async (by: Person, wanted: object = {}): Promise<NewApiKey> => {
  const answer = await make(by, wanted)
  if (answer.status !== 201) throw new Error(`making a key answered ${answer.status}`)
  return answer.body as unknown as NewApiKey
}
const list = async (by: Person) => (await call(by.accessToken, 'GET', KEYS)).body['items'] as ApiKey[]
const revoke = (by: Person, id: string) => call(by.accessToken, 'DELETE', `${KEYS}/${id}`)
/** The path that tells who a token speaks for, as the contract has it. */
const mePath = endpoints.getMe.path
const openRoom = async (token: string) => (await call(token, 'POST', '/v1/rooms', { name: 'room' })).body['id'] as RoomId

describe('making a key', () => {
  test('shows it once, stores a hash, lists it without it, tells its owner by mail and is on record', async () => {
    const ada = await signInRaw(edge, 'ada')
    const { apiKey, token } = await made(ada, { scopes: ['account:read'], expiresInDays: 7 })
    expect(token).toMatch(/^pvk_[0-9a-z]{58}$/)
    expect(token.startsWith(apiKey.hint)).toBe(true)
    expect(apiKey).toMatchObject({ name: 'Backup', scopes: ['account:read'], lastUsedAt: null })
    expect(Date.parse(apiKey.expiresAt) - Date.parse(apiKey.createdAt)).toBe(7 * 86_400_000)
    const answer = await call(ada.accessToken, 'GET', KEYS)
    expect(answer.body).toEqual({ items: [ApiKey.strict().parse(apiKey)] })
    const stored = JSON.stringify(await edge.db.prepare('SELECT * FROM api_keys').all())
    for (const shown of [JSON.stringify(answer.body), stored]) expect(shown).not.toContain(token.slice(8))
    expect(await entries(apiKey.id, 'api-key.create')).toEqual([{ cause: 'account:read', actor_id: ada.userId }])
    await settle()
    const [mail] = await until(async () => mailsTo(ada.email, /key/i))
    expect(`${mail!.subject} ${mail!.text}`).not.toContain(token.slice(0, 8))
  })

  test('asks for a fresh proof', async () => {
    const ada = await signInRaw(edge, 'ada')
    await edge.db.prepare('UPDATE sessions SET authenticated_at = 1 WHERE id = ?').bind(ada.sessionId).run()
    expect((await make(ada)).slug).toBe('step-up-required')
  })

  test('is for oneself: another user, a privileged field or an unknown scope is refused, and so is nobody', async () => {
    const [ada, eve] = [await signInRaw(edge, 'ada'), await signInRaw(edge, 'eve')]
    for (const extra of [
      { userId: ada.userId },
      { scopes: ['admin'] },
      { scopes: [] },
      { scopes: ['rooms:read', 'rooms:read'] },
      { expiresInDays: 400 },
      { tokenHash: 'x' },
    ])
      expect((await make(eve, extra)).slug).toBe('invalid-request')
    expect((await call('', 'POST', KEYS, { name: 'x', scopes: ALL, userId: ada.userId })).slug).toBe('unauthenticated')
    expect(await list(ada)).toEqual([])
  })

  test('the last place goes to one of the callers that race for it', async () => {
    const ada = await signInRaw(edge, 'ada')
    for (let n = 1; n < API_KEYS_MAX; n++) {
      const { tokenHash, hint } = await drawApiKey()
      await edge.db
        .prepare("INSERT INTO api_keys VALUES (?, ?, ?, ?, 'x', '[]', ?, ?, NULL, NULL)")
        .bind(`key_0${String(n).padStart(25, '0')}`, ada.userId, tokenHash, hint, Date.now(), Date.now() + 86_400_000)
        .run()
    }
    const answers = await Promise.all(Array.from({ length: 8 }, () => make(ada)))
    expect(tally(answers, 201)).toBe(1)
    expect(answers.filter(({ slug }) => slug === 'limit-reached')).toHaveLength(7)
    expect(await list(ada)).toHaveLength(API_KEYS_MAX)
    await edge.db.prepare('DELETE FROM api_keys WHERE user_id = ?').bind(ada.userId).run()
  })
})

describe('a key acts', () => {
  test('as its user, within its scopes and nowhere else', async () => {
    const ada = await signInRaw(edge, 'ada')
    const { token } = await made(ada, { scopes: ['account:read', 'rooms:read'] })
    expect((await call(token, 'GET', mePath)).body).toMatchObject({ id: ada.userId, email: ada.email, roles: [] })
    expect((await call(token, 'GET', '/v1/rooms')).status).toBe(200)
    expect((await call(token, 'POST', '/v1/rooms', { name: 'room' })).slug).toBe('scope-missing')
    expect((await call(token, 'GET', '/v1/orgs')).slug).toBe('scope-missing')
  })

  test.each((Object.values(endpoints) as Endpoint[]).filter((e) => e.access === 'user' && !e.scope).map((e) => [e.id, e] as const))(
    'never on %s, whatever its scopes',
    async (_, { method, path }) => {
      const key = await everyScope()
      const at = path.replace(/:\w+/g, 'x')
      expect((await call(key, method, at, ['POST', 'PUT', 'PATCH'].includes(method) ? {} : undefined)).slug).toBe('scope-missing')
    },
  )

  let kept: Promise<string> | undefined
  function everyScope(): Promise<string> {
    kept ??= signInRaw(edge, 'keeper').then(async (keeper) => {
      await edge.db.prepare("INSERT INTO platform_roles VALUES (?, 'admin', 'operator', 1)").bind(keeper.userId).run()
      return (await made(keeper)).token
    })
    return kept
  }

  test('in no cookie', async () => {
    const ada = await signInRaw(edge, 'ada')
    const { token } = await made(ada)
    const answer = await read(await edge.request(mePath, { headers: { cookie: `__Host-parvis-access=${token}` } }))
    expect(answer.slug).toBe('unauthenticated')
  })

  test('at the doors of rooms, by header, by subprotocol and by a ticket it asked for', async () => {
    const ada = await signInRaw(edge, 'ada')
    const { token } = await made(ada, { scopes: ['rooms:read', 'rooms:write'] })
    const roomId = await openRoom(token)
    const door = `/v1/rooms/${roomId}/y`
    const ticket = (await call(token, 'POST', `/v1/rooms/${roomId}/tickets`)).body['ticket']
    for (const [protocols, headers] of [
      [['parvis'], { authorization: `Bearer ${token}` }],
      [['parvis', `bearer.${token}`], {}],
      [['parvis', `ticket.${ticket}`], {}],
    ] as const) {
      const { socket, status, slug } = await knock(edge, door, { protocols: [...protocols], headers })
      expect([status, slug]).toEqual([101, undefined])
      socket?.terminate()
    }
    const reader = await made(ada, { scopes: ['rooms:read'] })
    expect((await knock(edge, door, { protocols: ['parvis', `bearer.${reader.token}`] })).slug).toBe('scope-missing')
    expect((await knock(edge, '/v1/inbox/live', { protocols: ['parvis', `bearer.${token}`] })).socket).toBeUndefined()
  })

  test('and is noted as used, but not on every call', async () => {
    const ada = await signInRaw(edge, 'ada')
    const { apiKey, token } = await made(ada)
    const used = () => count('SELECT last_used_at AS n FROM api_keys WHERE id = ?', apiKey.id)
    await call(token, 'GET', mePath)
    const first = await until(async () => (await used()) ?? undefined)
    const later = scopeOf(edge, () => first + (REVOCATION_SECONDS_MAX + 1) * 1000)
    await authenticate(later, token, { scope: 'account:read' })
    expect(await used()).toBe(first)
    const muchLater = first + API_KEY_USE_SECONDS * 1000 + 1
    await authenticate(
      scopeOf(edge, () => muchLater),
      token,
      { scope: 'account:read' },
    )
    expect(await until(async () => ((await used()) === muchLater ? muchLater : undefined))).toBe(muchLater)
  })
})

describe('what is no key', () => {
  test('is refused without a look at storage', async () => {
    const { token } = await drawApiKey()
    const last = token.at(-1) === '0' ? '1' : '0'
    const scope = scopeOf(edge)
    const DB = {
      withSession(): never {
        throw new Error('storage was asked')
      },
    }
    const silent = { ...scope, env: { ...scope.env, DB: DB as unknown as D1Database } }
    for (const wrong of [
      token.slice(0, -1) + last,
      `${token}0`,
      token.slice(0, -1),
      `pvk_${'0'.repeat(58)}`,
      'pvk_',
      'pvk_x',
      token.toUpperCase(),
    ]) {
      await expect(authenticate(silent, wrong)).rejects.toMatchObject({ slug: 'unauthenticated' })
      expect((await call(wrong, 'GET', mePath)).slug).toBe('unauthenticated')
    }
    await expect(authenticate(silent, token)).rejects.toThrow('storage was asked')
  })

  test('is refused when we never made it, whatever is around it', async () => {
    const ada = await signInRaw(edge, 'ada')
    const { token } = await made(ada)
    for (const wrong of [(await drawApiKey()).token, `${token} `, ` ${token}`, `${token}.x.y`, `${token}%00`, `${token}\t`].slice(0, 5)) {
      const { status } = await call(wrong, 'GET', mePath)
      if (wrong.trim() !== token) expect(status).toBe(401)
    }
    expect((await read(await edge.request(mePath, { headers: { authorization: `Basic ${token}` } }))).slug).toBe('unauthenticated')
    expect((await read(await edge.request(`${mePath}?access_token=${token}`))).slug).toBe('unauthenticated')
  })
})

describe('the end of a key', () => {
  test('by its owner: at once here, its sockets within a second; again is fine', async () => {
    const ada = await signInRaw(edge, 'ada')
    const { apiKey, token } = await made(ada)
    const roomId = await openRoom(token)
    const { socket } = await knock(edge, `/v1/rooms/${roomId}/y`, { protocols: ['parvis', `bearer.${token}`] })
    const closed = closeFrameOf(socket!)
    expect((await revoke(ada, apiKey.id)).status).toBe(204)
    expect(await closed).toMatchObject({ code: 4401, reason: 'session-ended' })
    expect((await call(token, 'GET', mePath)).slug).toBe('unauthenticated')
    expect((await knock(edge, `/v1/rooms/${roomId}/y`, { protocols: ['parvis', `bearer.${token}`] })).slug).toBe('unauthenticated')
    expect((await revoke(ada, apiKey.id)).status).toBe(204)
    expect(await list(ada)).toEqual([])
    expect(await entries(apiKey.id, 'api-key.end')).toEqual([{ cause: 'revoked', actor_id: ada.userId }])
  })

  test('elsewhere within the published bound', async () => {
    const ada = await signInRaw(edge, 'ada')
    const { apiKey, token } = await made(ada)
    const start = Date.now()
    const at = (ms: number) =>
      authenticate(
        scopeOf(edge, () => start + ms),
        token,
        { scope: 'account:read' },
      )
    await at(0)
    await edge.db.prepare('UPDATE api_keys SET ended_at = 1 WHERE id = ?').bind(apiKey.id).run()
    await expect(
      authenticate(
        scopeOf(edge, () => start),
        token,
        { scope: 'account:read', isSensitive: true },
      ),
    ).rejects.toMatchObject({ slug: 'unauthenticated' })
    await expect(at(REVOCATION_SECONDS_MAX * 1000)).rejects.toMatchObject({ slug: 'unauthenticated' })
  })

  test('by time', async () => {
    const ada = await signInRaw(edge, 'ada')
    const { apiKey, token } = await made(ada, { expiresInDays: 1 })
    const end = Date.parse(apiKey.expiresAt)
    const at = (ms: number) =>
      authenticate(
        scopeOf(edge, () => ms),
        token,
        { scope: 'account:read' },
      )
    expect(await at(end - 1)).toMatchObject({ userId: ada.userId, sessionId: apiKey.id })
    await expect(at(end)).rejects.toMatchObject({ slug: 'unauthenticated' })
    await expect(at(end + 8 * 86_400_000)).rejects.toMatchObject({ slug: 'unauthenticated' })
  })

  test('by an admin who shuts its user out or ends all that they began; a new key and a new socket then work', async () => {
    const root = await signInRaw(edge, 'root')
    await edge.db.prepare("INSERT INTO platform_roles VALUES (?, 'admin', 'operator', 1)").bind(root.userId).run()
    for (const [method, act, reason] of [
      ['POST', 'disable', { reason: 'Spam' }],
      ['DELETE', 'sessions', undefined],
    ] as const) {
      const bob = await signInRaw(edge, 'bob')
      const { token } = await made(bob)
      const roomId = await openRoom(token)
      const byKey = await knock(edge, `/v1/rooms/${roomId}/y`, { protocols: ['parvis', `bearer.${token}`] })
      const bySession = await knock(edge, `/v1/rooms/${roomId}/y`, { protocols: ['parvis', `bearer.${bob.accessToken}`] })
      const closed = [closeFrameOf(byKey.socket!), closeFrameOf(bySession.socket!)]
      expect((await call(root.accessToken, method, `/v1/admin/users/${bob.userId}/${act}`, reason)).status).toBe(204)
      for (const close of await Promise.all(closed)) expect(close).toMatchObject({ code: 4401, reason: 'session-ended' })
      expect((await call(token, 'GET', mePath)).slug).toBe('unauthenticated')
      await call(root.accessToken, 'POST', `/v1/admin/users/${bob.userId}/enable`, { reason: 'Mistake' })
      expect((await call(token, 'GET', mePath)).slug).toBe('unauthenticated')
      const { body } = await accountsOf(() => edge).login(bob.email)
      const again = await knock(edge, `/v1/rooms/${roomId}/y`, { protocols: ['parvis', `bearer.${body['accessToken']}`] })
      expect(again.status).toBe(101)
      again.socket?.terminate()
    }
  })
})

test('nobody renames or revokes the key of another', async () => {
  const [ada, eve] = [await signInRaw(edge, 'ada'), await signInRaw(edge, 'eve')]
  const { apiKey, token } = await made(ada)
  for (const id of [apiKey.id, UNKNOWN, 'x']) {
    expect((await revoke(eve, id)).slug).toBe('not-found')
    expect((await call(eve.accessToken, 'PATCH', `${KEYS}/${id}`, { name: 'mine' })).slug).toBe('not-found')
  }
  expect(await list(ada)).toMatchObject([{ id: apiKey.id, name: 'Backup' }])
  expect((await call(ada.accessToken, 'PATCH', `${KEYS}/${apiKey.id}`, { name: 'Nightly' })).body).toMatchObject({ name: 'Nightly' })
  expect((await call(ada.accessToken, 'PATCH', `${KEYS}/${apiKey.id}`, { name: 'a\u202eb' })).slug).toBe('invalid-request')
  expect((await call(token, 'GET', mePath)).status).toBe(200)
})

test('keys are exported without their hash, swept when they are long over, and erased with their user', async () => {
  const ada = await signInRaw(edge, 'ada')
  const { apiKey, token } = await made(ada)
  const exported = JSON.stringify(await exportIdentity(scopeOf(edge), ada.userId as UserId))
  expect(exported).toContain(apiKey.id)
  const stored = await edge.db.prepare('SELECT token_hash FROM api_keys WHERE id = ?').bind(apiKey.id).first<{ token_hash: string }>()
  for (const secret of [stored!.token_hash, token]) expect(exported).not.toContain(secret)
  const old = await made(ada)
  await edge.db.prepare('UPDATE api_keys SET ended_at = 1 WHERE id = ?').bind(old.apiKey.id).run()
  await sweepIdentity(scopeOf(edge))
  expect(await count('SELECT count(*) AS n FROM api_keys WHERE user_id = ?', ada.userId)).toBe(1)
  await eraseIdentity(scopeOf(edge), ada.userId as UserId)
  expect(await count('SELECT count(*) AS n FROM api_keys WHERE user_id = ?', ada.userId)).toBe(0)
})
