import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { UserId } from '../../src/contract/identity.ts'
import { REVOCATION_SECONDS_MAX, Session } from '../../src/contract/sessions.ts'
import { authenticate } from '../../src/edge/identity/access-token.ts'
import { eraseIdentity, exportIdentity } from '../../src/edge/identity/service.ts'
import { type Edge, ORIGIN, PASSWORD, ROOMY_LIMITS, startEdge } from '../harness.ts'
import { type Answer, post, read, register } from './raw.ts'
import { scopeOf } from './scope.ts'

const FIREFOX = 'Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0'
const SAFARI = 'Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/19.0 Safari/605.1.15'
const UNKNOWN_ID = 'ses_01234567890123456789abcdef'
const LIMIT = 4

let edge: Edge
beforeAll(async () => {
  edge = await startEdge({
    vars: {
      SESSIONS_PER_USER: String(LIMIT),
      LIMITS: ROOMY_LIMITS,
    },
  })
})
afterAll(() => edge.stop())

interface Device {
  readonly accessToken: string
  readonly refreshToken: string
  readonly sessionId: string
  readonly userId: string
}

async function signIn(email: string, { userAgent = FIREFOX, ...more }: { userAgent?: string; deviceName?: string } = {}): Promise<Device> {
  const answer = await post(edge, '/v1/auth/login', { email, password: PASSWORD, ...more }, { 'user-agent': userAgent })
  if (answer.status !== 200) throw new Error(`login answered ${answer.status}`)
  return answer.body as unknown as Device
}

async function call(device: Pick<Device, 'accessToken'>, method: string, path: string, body?: unknown): Promise<Answer> {
  const headers = { authorization: `Bearer ${device.accessToken}`, ...(body === undefined ? {} : { 'content-type': 'application/json' }) }
  return read(await edge.request(path, { method, headers, ...(body === undefined ? {} : { body: JSON.stringify(body) }) }))
}

const list = async (device: Device) => (await call(device, 'GET', '/v1/auth/sessions')).body['items'] as Session[]
const revoke = (device: Device, id: string) => call(device, 'DELETE', `/v1/auth/sessions/${id}`)
const revokeOthers = (device: Device) => call(device, 'DELETE', '/v1/auth/sessions')
const rename = (device: Device, id: string, name: unknown) => call(device, 'PATCH', `/v1/auth/sessions/${id}`, { name })
const look = (device: Device) => call(device, 'GET', '/v1/auth/session')
const refresh = ({ refreshToken }: Device) => post(edge, '/v1/auth/refresh', { refreshToken })
const withoutTrace = ({ status, body }: Answer) => ({ status, body: { ...body, traceId: '' } })

const entries = async (subject: string, action: string) =>
  (await edge.db.prepare('SELECT cause, actor_id FROM audit_entries WHERE subject = ? AND action = ?').bind(subject, action).all()).results
const rows = async (userId: string) =>
  (
    await edge.db
      .prepare('SELECT id, end_cause, ended_at FROM sessions WHERE user_id = ? ORDER BY created_at, id')
      .bind(userId)
      .all<{ id: string; end_cause: string | null; ended_at: number | null }>()
  ).results
const alive = async (userId: string) => (await rows(userId)).filter((row) => row.ended_at === null)

describe('the list', () => {
  test('tells every signed-in device, the one that asks among them, and no secret', async () => {
    const email = await register(edge, 'list')
    const laptop = await signIn(email, { deviceName: '  Kitchen laptop  ' })
    const phone = await signIn(email, { userAgent: SAFARI })
    const answer = await call(phone, 'GET', '/v1/auth/sessions')
    const items = answer.body['items'] as Session[]
    expect(answer.headers.get('cache-control')).toBe('no-store')
    expect(items.map((item) => Session.parse(item))).toEqual(items)
    expect(items).toEqual([
      expect.objectContaining({ id: phone.sessionId, name: null, browser: 'Safari', system: 'macOS', isCurrent: true }),
      expect.objectContaining({ id: laptop.sessionId, name: 'Kitchen laptop', browser: 'Firefox', system: 'Linux', isCurrent: false }),
    ])
    expect(Object.keys(items[0]!).sort()).toEqual(Object.keys(Session.shape).sort())
    const { accessToken, refreshToken } = laptop
    for (const secret of [accessToken, refreshToken, 'prt_', '127.0.0.1', '::1']) expect(JSON.stringify(answer.body)).not.toContain(secret)
  })

  test('shows the last seen first, and a refresh is being seen', async () => {
    const email = await register(edge, 'order')
    const first = await signIn(email)
    const second = await signIn(email)
    expect((await list(first)).map((s) => s.id)).toEqual([second.sessionId, first.sessionId])
    expect((await refresh(first)).status).toBe(200)
    expect((await list(first)).map((s) => s.id)).toEqual([first.sessionId, second.sessionId])
  })

  test('holds neither ended nor expired ones, nor those of anybody else', async () => {
    const [email, other] = [await register(edge, 'only'), await register(edge, 'other')]
    const [mine, ended, idle, expired] = [await signIn(email), await signIn(email), await signIn(email), await signIn(email)]
    await signIn(other)
    await revoke(mine, ended.sessionId)
    await edge.db.prepare('UPDATE sessions SET idle_expires_at = 1 WHERE id = ?').bind(idle.sessionId).run()
    await edge.db.prepare('UPDATE sessions SET expires_at = 1 WHERE id = ?').bind(expired.sessionId).run()
    expect((await list(mine)).map((s) => s.id)).toEqual([mine.sessionId])
  })

  test('is for the signed in only', async () => {
    expect(await read(await edge.request('/v1/auth/sessions'))).toMatchObject({ status: 401, slug: 'unauthenticated' })
  })
})

describe('a name', () => {
  test('is given, changed and taken away, each on record', async () => {
    const email = await register(edge, 'named')
    const [mine, other] = [await signIn(email), await signIn(email)]
    expect(await rename(mine, other.sessionId, ' Old ﬁddle ')).toMatchObject({
      status: 200,
      body: { id: other.sessionId, name: 'Old ﬁddle' },
    })
    expect((await rename(mine, mine.sessionId, null)).body['name']).toBeNull()
    expect((await list(mine)).find((s) => s.id === other.sessionId)?.name).toBe('Old ﬁddle')
    expect(await entries(other.sessionId, 'session.rename')).toEqual([{ cause: null, actor_id: mine.userId }])
  })

  test.each([[''], ['   '], ['x'.repeat(61)], ['a\nb'], ['a\u202eb'], [7], [undefined]])('%j is no name', async (name) => {
    const mine = await signIn(await register(edge, 'nameless'))
    expect(await rename(mine, mine.sessionId, name)).toMatchObject({
      status: 400,
      slug: 'invalid-request',
      body: { errors: [{ pointer: '#/body/name' }] },
    })
  })

  test('at sign-in is held to the same', async () => {
    const email = await register(edge, 'lure')
    expect(await post(edge, '/v1/auth/login', { email, password: PASSWORD, deviceName: 'a\u0000b' })).toMatchObject({ status: 400 })
    expect(await post(edge, '/v1/auth/login', { email, password: PASSWORD, deviceName: 'x'.repeat(61) })).toMatchObject({ status: 400 })
  })
})

describe('a foreign, an unknown and a malformed id are not found, in the same words', () => {
  test.each([
    ['revoking', (device: Device, id: string) => revoke(device, id)],
    ['renaming', (device: Device, id: string) => rename(device, id, 'Mine now')],
  ])('%s', async (_, act) => {
    const [mine, theirs] = [await signIn(await register(edge, 'thief')), await signIn(await register(edge, 'owner'))]
    const answers = [theirs.sessionId, UNKNOWN_ID, 'nonsense', 'ses_', theirs.sessionId.toUpperCase()].map((id) => act(mine, id))
    const [first, ...rest] = (await Promise.all(answers)).map(withoutTrace)
    expect(first).toMatchObject({ status: 404, body: { type: '/problems/not-found' } })
    for (const answer of rest) expect(answer).toEqual(first)
    expect(await list(theirs)).toMatchObject([{ id: theirs.sessionId, name: null }])
    expect((await refresh(theirs)).status).toBe(200)
    expect(await entries(theirs.sessionId, 'session.end')).toEqual([])
  })
})

describe('revoking one', () => {
  test('ends it for refresh and for access tokens on this isolate at once, and is on record', async () => {
    const email = await register(edge, 'one')
    const [mine, other] = [await signIn(email), await signIn(email)]
    expect((await look(other)).status).toBe(200)
    expect((await revoke(mine, other.sessionId)).status).toBe(204)
    expect(await look(other)).toMatchObject({ status: 401, slug: 'session-ended' })
    expect(await refresh(other)).toMatchObject({ status: 401, slug: 'session-ended' })
    expect((await look(mine)).status).toBe(200)
    expect(await entries(other.sessionId, 'session.end')).toEqual([{ cause: 'revoked', actor_id: mine.userId }])
  })

  test('again, or twenty times at once, succeeds and leaves one entry', async () => {
    const email = await register(edge, 'again')
    const [mine, other] = [await signIn(email), await signIn(email)]
    const answers = await Promise.all(Array.from({ length: 20 }, () => revoke(mine, other.sessionId)))
    expect(new Set(answers.map((a) => a.status))).toEqual(new Set([204]))
    expect((await revoke(mine, other.sessionId)).status).toBe(204)
    expect(await entries(other.sessionId, 'session.end')).toHaveLength(1)
    expect((await rename(mine, other.sessionId, 'Ghost')).status).toBe(404)
  })

  test('can be the own one', async () => {
    const mine = await signIn(await register(edge, 'self'))
    expect((await revoke(mine, mine.sessionId)).status).toBe(204)
    expect(await look(mine)).toMatchObject({ status: 401, slug: 'session-ended' })
    expect(await revoke(mine, mine.sessionId)).toMatchObject({ status: 401 })
  })

  test('by cookie needs a trusted origin', async () => {
    const email = await register(edge, 'crossed')
    const { headers, body } = await post(edge, '/v1/auth/login', { email, password: PASSWORD, mode: 'cookie' }, { origin: ORIGIN })
    const cookie = headers
      .getSetCookie()
      .map((c) => c.split(';')[0])
      .join('; ')
    const end = async (origin: string) =>
      read(await edge.request(`/v1/auth/sessions/${String(body['sessionId'])}`, { method: 'DELETE', headers: { cookie, origin } }))
    expect(await end('https://evil.example')).toMatchObject({ status: 403, slug: 'origin-untrusted' })
    expect((await end(ORIGIN)).status).toBe(204)
  })
})

describe('revoking the others', () => {
  test('leaves this one alone, tells how many it ended, and ends none twice', async () => {
    const email = await register(edge, 'others')
    const [mine, second, third] = [await signIn(email), await signIn(email), await signIn(email)]
    const stranger = await signIn(await register(edge, 'bystander'))
    expect(await revokeOthers(mine)).toMatchObject({ status: 200, body: { ended: 2 } })
    for (const device of [second, third]) {
      expect(await look(device)).toMatchObject({ slug: 'session-ended' })
      expect(await refresh(device)).toMatchObject({ slug: 'session-ended' })
    }
    expect((await refresh(mine)).status).toBe(200)
    expect((await refresh(stranger)).status).toBe(200)
    expect(await revokeOthers(mine)).toMatchObject({ status: 200, body: { ended: 0 } })
    expect(await entries(mine.userId, 'session.end-others')).toEqual([{ cause: 'revoked', actor_id: mine.userId }])
  })

  test.each([1, 2, 3, 4, 5])('of devices that all do it at once, one stays (round %i)', async () => {
    const email = await register(edge, 'duel')
    const devices = [await signIn(email), await signIn(email), await signIn(email), await signIn(email)]
    await Promise.all(devices.map(look))
    const answers = await Promise.all([...devices, ...devices, ...devices, ...devices, ...devices].map(revokeOthers))
    const winners = answers.filter((a) => a.status === 200)
    expect(winners.length).toBeGreaterThanOrEqual(1)
    expect(new Set(answers.filter((a) => a.status !== 200).map((a) => a.slug))).toEqual(new Set(['session-ended']))
    expect(await alive(devices[0]!.userId)).toHaveLength(1)
  })
})

describe('a session that was ended elsewhere', () => {
  const elsewhere = (device: Device) => edge.db.prepare('UPDATE sessions SET ended_at = 1 WHERE id = ?').bind(device.sessionId).run()

  test.each([
    ['lists', (d: Device) => call(d, 'GET', '/v1/auth/sessions')],
    ['names', (d: Device, id: string) => rename(d, id, 'Mine')],
    ['ends', (d: Device, id: string) => revoke(d, id)],
    ['ends others', (d: Device) => revokeOthers(d)],
    [
      'changes the password',
      (d: Device) =>
        call(d, 'POST', '/v1/auth/password/change', { currentPassword: PASSWORD, newPassword: 'seven otters juggle lanterns' }),
    ],
  ])('%s no more, although this isolate still remembers it', async (_, act) => {
    const email = await register(edge, 'stale')
    const [mine, other] = [await signIn(email), await signIn(email)]
    expect((await look(mine)).status).toBe(200)
    await elsewhere(mine)
    expect((await look(mine)).status).toBe(200)
    expect(await act(mine, other.sessionId)).toMatchObject({ status: 401, slug: 'session-ended' })
    expect((await look(mine)).status).toBe(401)
    expect(await list(other)).toMatchObject([{ id: other.sessionId, name: null }])
  })

  test(`is asked about again after ${REVOCATION_SECONDS_MAX} seconds on every isolate`, async () => {
    const mine = await signIn(await register(edge, 'bound'))
    let now = Date.now()
    const isolate = scopeOf(edge, () => now)
    await authenticate(isolate, mine.accessToken)
    await elsewhere(mine)
    now += REVOCATION_SECONDS_MAX * 1000 - 1
    expect(await authenticate(isolate, mine.accessToken)).toMatchObject({ sessionId: mine.sessionId })
    now += 1
    await expect(authenticate(isolate, mine.accessToken)).rejects.toMatchObject({ slug: 'session-ended' })
  })
})

describe('more devices than allowed', () => {
  test('end the one that was not seen for longest, on record; never the new one', async () => {
    const email = await register(edge, 'limit')
    const devices: Device[] = []
    for (let i = 0; i < LIMIT; i++) devices.push(await signIn(email))
    const [first, second] = devices as [Device, Device]
    expect((await refresh(first)).status).toBe(200)
    const extra = await signIn(email)
    expect(await look(second)).toMatchObject({ status: 401, slug: 'session-ended' })
    expect((await look(first)).status).toBe(200)
    expect((await list(extra)).map((s) => s.id)).not.toContain(second.sessionId)
    expect((await rows(extra.userId)).filter((row) => row.end_cause === 'limit').map((row) => row.id)).toEqual([second.sessionId])
    expect(await entries(extra.userId, 'session.end-others')).toEqual([{ cause: 'limit', actor_id: extra.userId }])
  })

  test('thirty that sign in at once all succeed, and as many stay as are allowed', async () => {
    const email = await register(edge, 'crowd')
    const signedIn = await Promise.all(Array.from({ length: 30 }, () => signIn(email)))
    const left = await alive(signedIn[0]!.userId)
    expect(left).toHaveLength(LIMIT)
    const seen = await Promise.all(signedIn.map(look))
    expect(seen.filter((a) => a.status === 200)).toHaveLength(LIMIT)
  })

  test('expired ones take no place', async () => {
    const email = await register(edge, 'expired')
    const devices: Device[] = []
    for (let i = 0; i < LIMIT; i++) devices.push(await signIn(email))
    await edge.db.prepare('UPDATE sessions SET idle_expires_at = 1 WHERE id = ?').bind(devices[3]!.sessionId).run()
    const extra = await signIn(email)
    expect((await list(extra)).map((s) => s.id).sort()).toEqual([...devices.slice(0, 3), extra].map((d) => d.sessionId).sort())
  })
})

test('a person is told all that is kept of their devices, and it goes with them', async () => {
  const email = await register(edge, 'leaver')
  const mine = await signIn(email, { deviceName: 'Hut' })
  await post(edge, '/v1/auth/password/forgot', { email })
  const told = JSON.stringify(await exportIdentity(scopeOf(edge), mine.userId as UserId))
  for (const part of ['"name":"Hut"', '"browser":"Firefox"', '"system":"Linux"', '"country":', '"city":', '"passwordResets":[{"id":"rst_'])
    expect(told).toContain(part)
  expect(told).not.toMatch(/mac"|hash/i)
  await eraseIdentity(scopeOf(edge), mine.userId as UserId)
  for (const [table, column, value] of [
    ['users', 'id', mine.userId],
    ['sessions', 'user_id', mine.userId],
    ['password_resets', 'email', email],
  ])
    expect(await edge.db.prepare(`SELECT count(*) AS n FROM ${table} WHERE ${column} = ?`).bind(value).first()).toEqual({ n: 0 })
})
