import { timingSafeEqual } from 'node:crypto'
import { once } from 'node:events'
import { request } from 'node:http'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { authenticate } from '../../src/edge/identity/access-token.ts'
import { refresh as refreshAt } from '../../src/edge/identity/refresh.ts'
import { sweepIdentity } from '../../src/edge/identity/sweep.ts'
import { made, send } from '../access/world.ts'
import { type Edge, PASSWORD, startEdge } from '../harness.ts'
import { atOnce } from '../limits/callers.ts'
import { until } from '../until.ts'
import { killRuntime } from '../workerd.ts'
import { accountsOf, type Device, tally } from './account.ts'
import { codeOf, factorsOf } from './authenticator.ts'
import { mailsOf } from './mailed.ts'
import { type Answer, post, register, signInRaw } from './raw.ts'
import { scopeOf } from './scope.ts'

/** Fifty of everything, and a runtime of its own to kill: a busy machine needs its time. Nothing here waits for a time. */
vi.setConfig({ testTimeout: 180_000, hookTimeout: 180_000 })

const FIFTY = 50
const HALF_MINUTE_MS = 30_000
const TWO_MINUTES_MS = 120_000
const EIGHT_DAYS_MS = 8 * 86_400_000

let edge: Edge
beforeAll(async () => {
  const roomy = ['register', 'mail', 'code', 'login', 'login-place', 'login-account', 'factor', 'write']
  edge = await startEdge({ vars: { SESSIONS_PER_USER: '100', LIMITS: roomy.map((name) => `${name}=100000/60`).join(' ') } })
})
afterAll(() => edge.stop())

const { askMagic, newest, useMagic } = mailsOf(() => edge)
const { count, refresh, change, ask, reset, login } = accountsOf(() => edge)
const { protect, wait, finish, totp, recovery, call } = factorsOf(() => edge)
/** Sign-ins of one user that wait for their second factor at once, put in without the cost of a hash each. */
async function waitOften(email: string, times: number): Promise<string[]> {
  const first = await wait(email)
  const ids = Array.from({ length: times }, (_, i) => first.slice(0, -2) + String(i).padStart(2, '0'))
  const { results } = await edge.db.prepare('SELECT * FROM pending_sign_ins WHERE id = ?').bind(first).all<Record<string, unknown>>()
  const columns = Object.keys(results[0] ?? {})
  const others = columns.map((name) => (name === 'id' ? 'more.value' : `p.${name}`)).join(', ')
  await edge.db
    .prepare(
      `INSERT INTO pending_sign_ins (${columns.join(', ')}) SELECT ${others} FROM pending_sign_ins AS p, json_each(?) AS more WHERE p.id = ?`,
    )
    .bind(JSON.stringify(ids.filter((id) => id !== first)), first)
    .run()
  return [...new Set([first, ...ids])]
}
const sessionsOf = (userId: string) => count('SELECT count(*) AS n FROM sessions WHERE user_id = ? AND ended_at IS NULL', userId)

test('a registration that is repeated because its answer was lost makes one user, by whichever of its mails', async () => {
  const email = 'lost-answer@example.net'
  const body = { email, password: PASSWORD }
  // The first is committed and mailed, and its caller never hears of it.
  await post(edge, '/v1/auth/register', body)
  const first = await newest(email, 1)
  const again = await post(edge, '/v1/auth/register', body)
  const { code } = await newest(email, 2)
  const answers = await Promise.all([
    post(edge, '/v1/auth/verify', { registrationId: again.body['registrationId'], code }),
    post(edge, '/v1/auth/verify', { token: first.token, password: PASSWORD }),
  ])
  expect(answers.map(({ status }) => status).toSorted()).toEqual([204, 400])
  expect(await count('SELECT count(*) AS n FROM users WHERE email = ?', email)).toBe(1)
  expect((await login(email)).status).toBe(200)
})

describe('of fifty who redeem at once one wins', () => {
  test('code and link of a mail that signs in', async () => {
    const email = await register(edge, 'magic')
    const { body } = await askMagic(email)
    const { code, token } = await newest(email, 2)
    const answers = await atOnce(FIFTY, (i) => useMagic(i % 2 === 0 ? { magicId: body['magicId'], code } : { token }))
    expect([tally(answers, 200), tally(answers, 400)]).toEqual([1, FIFTY - 1])
  })

  test('code and link of a reset', async () => {
    const email = await register(edge, 'reset')
    const { resetId, code } = await ask(email)
    const answers = await atOnce(FIFTY, (i) => reset(resetId, code, `seven otters juggle ${i} lanterns`))
    // Hashing turns a crowd away before anything is spent.
    expect([tally(answers, 200), answers.filter((a) => a.status !== 200 && ![400, 503].includes(a.status))]).toEqual([1, []])
  })

  test('one code of an app, and one recovery code, at fifty sign-ins', async () => {
    const { email, secret, recoveryCodes, device } = await protect('app')
    const waiting = await waitOften(email, FIFTY)
    const code = totp(codeOf(secret))
    const before = (await sessionsOf(device.userId)) ?? 0
    const byApp = await Promise.all(waiting.map((pendingId) => finish(pendingId, code)))
    expect([tally(byApp, 200), tally(byApp, 400)]).toEqual([1, waiting.length - 1])
    const left = waiting.filter((_, i) => byApp[i]?.status !== 200)
    const byCode = await Promise.all(left.map((pendingId) => finish(pendingId, recovery(recoveryCodes[0]!))))
    expect([tally(byCode, 200), tally(byCode, 400)]).toEqual([1, left.length - 1])
    expect(await sessionsOf(device.userId)).toBe(before + 2)
  })
})

describe('what ends a session wins over what refreshes it', () => {
  test('when a refresh, a sign-out and a new password come at once', async () => {
    for (let round = 0; round < 5; round++) {
      const { email, ...mine } = await signInRaw(edge, 'ends')
      const other = (await login(email)).body as unknown as Device
      const [changed, , ...refreshed] = await Promise.all([
        change(mine, PASSWORD, 'seven otters juggle lanterns'),
        post(edge, '/v1/auth/logout', { refreshToken: mine.refreshToken }),
        ...[mine, other].flatMap((d) => Array.from({ length: 5 }, () => refresh(d))),
      ])
      const tokens = [mine, other, ...refreshed.filter((a) => a.status === 200).map(({ body }) => body as unknown as Device)]
      const alive = (await Promise.all(tokens.map(refresh))).filter((a) => a.status === 200)
      // A sign-out that came first leaves the change without a session to act by; then the other device stays.
      expect(alive.every(({ body }) => changed.status !== 204 && body['sessionId'] === other.sessionId)).toBe(true)
    }
  })
})

describe('a caller who is gone before the answer', () => {
  /** Sends a request, waits until its effect is there, and hears nothing of it. */
  async function sendAndLeave(
    path: string,
    body: object,
    { isDone, at = edge }: { readonly isDone: () => Promise<boolean>; readonly at?: Edge },
  ): Promise<void> {
    const { hostname, port } = new URL(at.origin)
    const going = request({ hostname, port, path, method: 'POST', headers: { 'content-type': 'application/json' } })
    going.on('error', () => undefined)
    going.on('response', (answer) => answer.destroy())
    going.end(JSON.stringify(body))
    await once(going, 'finish')
    await until(isDone)
    going.destroy()
  }

  test('of a refresh gets its successor by asking again', async () => {
    const mine = await signInRaw(edge, 'gone')
    const counterOf = () => count('SELECT counter AS n FROM sessions WHERE id = ?', mine.sessionId)
    await sendAndLeave('/v1/auth/refresh', { refreshToken: mine.refreshToken }, { isDone: async () => (await counterOf()) === 1 })
    const again = await refresh(mine)
    expect(again).toMatchObject({ status: 200, body: { cause: 'concurrent-refresh' } })
    expect(await counterOf()).toBe(1)
    expect((await refresh({ ...mine, refreshToken: String(again.body['refreshToken']) })).body['cause']).toBe('rotated')
  })

  test('of a refresh whose Worker was killed after the commit gets the same token, however often they ask', async () => {
    const own = await startEdge()
    try {
      const mine = await signInRaw(own, 'killed')
      const isCommitted = async () =>
        (await own.db.prepare('SELECT counter AS n FROM sessions WHERE id = ?').bind(mine.sessionId).first('n')) === 1
      await sendAndLeave('/v1/auth/refresh', { refreshToken: mine.refreshToken }, { isDone: isCommitted, at: own })
      await killRuntime(own)
      const again = (refreshToken: unknown) => post(own, '/v1/auth/refresh', { refreshToken })
      const answers = [await again(mine.refreshToken), await again(mine.refreshToken)]
      expect(answers.map(({ status }) => status)).toEqual([200, 200])
      expect(answers.map(({ body }) => body['cause'])).not.toContain('rotated')
      expect(new Set(answers.map(({ body }) => body['refreshToken'])).size).toBe(1)
      expect((await again(answers[0]?.body['refreshToken'])).body['cause']).toBe('rotated')
    } finally {
      await own.stop()
    }
  })

  test('of a proven registration is told so by asking again, and there is one account', async () => {
    const email = 'gone@example.net'
    const { body } = await post(edge, '/v1/auth/register', { email, password: PASSWORD })
    const proof = { registrationId: body['registrationId'], code: await edge.mailbox.codeTo(email) }
    const accounts = () => count('SELECT count(*) AS n FROM users WHERE email = ?', email)
    await sendAndLeave('/v1/auth/verify', proof, { isDone: async () => (await accounts()) === 1 })
    expect((await post(edge, '/v1/auth/verify', proof)).status).toBe(204)
    expect([await accounts(), (await login(email)).status]).toEqual([1, 200])
  })
})

describe('the last way to sign in stays', () => {
  const PASSKEYS = ['pky_01jd0000000000000000000001', 'pky_01jd0000000000000000000002']
  /** Somebody with passkeys, who has just proven both factors. */
  async function withPasskeys(ids: readonly string[]) {
    const person = await signInRaw(edge, 'last-way')
    await edge.db
      .prepare('DELETE FROM passkeys WHERE id IN (?, ?)')
      .bind(...PASSKEYS)
      .run()
    await edge.db.batch([
      ...ids.map((id) =>
        edge.db
          .prepare(
            `INSERT INTO passkeys (id, user_id, credential_id, public_key, counter, transports, is_backup_eligible, name, created_at)
             VALUES (?, ?, ?, 'AAAA', 0, '[]', 1, 'Laptop', 1)`,
          )
          .bind(id, person.userId, id),
      ),
      edge.db.prepare("UPDATE sessions SET amr = 'pwd mfa' WHERE id = ?").bind(person.sessionId),
    ])
    return person
  }
  const waysOf = (userId: string) =>
    count(
      `SELECT (SELECT count(*) FROM passkeys WHERE user_id = u.id) + (u.password_hash <> '') AS n FROM users AS u WHERE u.id = ?`,
      userId,
    )
  const remove = (person: Pick<Device, 'accessToken'>, id: string) => call(person, 'DELETE', `/v1/auth/passkeys/${id}`)

  test.each([1, 2, 3, 4, 5])('when both passkeys of somebody without a password are removed at once (round %i)', async () => {
    const person = await withPasskeys(PASSKEYS)
    await edge.db.prepare("UPDATE users SET password_hash = '' WHERE id = ?").bind(person.userId).run()
    const answers = await Promise.all(PASSKEYS.map((id) => remove(person, id)))
    expect([tally(answers, 204), tally(answers, 409), await waysOf(person.userId)]).toEqual([1, 1, 1])
  })

  test.each([1, 2, 3, 4, 5])('when the passkey and the password are removed at once (round %i)', async () => {
    const [id = ''] = PASSKEYS
    const person = await withPasskeys([id])
    const answers: Answer[] = await Promise.all([remove(person, id), call(person, 'DELETE', '/v1/auth/password')])
    expect(tally(answers, 204)).toBe(1)
    expect(await waysOf(person.userId)).toBe(1)
  })
})

test('ten registrations of one address, however it is spelt, proven at once make one account', async () => {
  const email = 'ten.times@example.net'
  const proofs: object[] = []
  for (let i = 0; i < 10; i++) {
    // As if each were the first of its hour, so that mail goes out every time.
    await edge.db.prepare('UPDATE registrations SET created_at = 0 WHERE email = ?').bind(email).run()
    const spelt = i % 2 === 0 ? email : 'Ten.Times@Example.NET'
    const { body } = await post(edge, '/v1/auth/register', { email: spelt, password: PASSWORD })
    proofs.push({ registrationId: body['registrationId'], code: (await newest(email, i + 1)).code })
  }
  const answers = await Promise.all(proofs.map((proof) => post(edge, '/v1/auth/verify', proof)))
  expect([tally(answers, 204), tally(answers, 400)]).toEqual([1, 9])
  expect(await count('SELECT count(*) AS n FROM users WHERE email = ? COLLATE NOCASE', email)).toBe(1)
})

test.each([1, 2, 3])('an admin is left, though each of three lays down, disables or deletes at the same moment (round %i)', async () => {
  await edge.db.prepare('DELETE FROM platform_roles').run()
  const admins = [await signInRaw(edge, 'admin'), await signInRaw(edge, 'admin'), await signInRaw(edge, 'admin')] as const
  for (const { userId } of admins) await edge.db.prepare("INSERT INTO platform_roles VALUES (?, 'admin', 'operator', 1)").bind(userId).run()
  const [a, b, c] = admins
  await Promise.all([
    send(edge, a.accessToken, { method: 'POST', path: `/v1/admin/users/${b.userId}/disable` }),
    send(edge, b.accessToken, { method: 'PUT', path: `/v1/admin/users/${b.userId}/roles`, body: { roles: [] } }),
    send(edge, b.accessToken, { method: 'POST', path: `/v1/admin/users/${c.userId}/disable` }),
    send(edge, c.accessToken, { method: 'PUT', path: `/v1/admin/users/${a.userId}/roles`, body: { roles: ['moderator'] } }),
    send(edge, a.accessToken, { method: 'DELETE', path: '/v1/me' }),
    send(edge, c.accessToken, { method: 'DELETE', path: '/v1/me' }),
  ])
  const left = await count(
    "SELECT count(*) AS n FROM platform_roles AS r JOIN users AS u ON u.id = r.user_id WHERE r.role = 'admin' AND u.disabled_at IS NULL",
  )
  expect(left).toBeGreaterThan(0)
})

describe('clocks that differ', () => {
  // What workerd adds to the Web's own functions, and Node has elsewhere.
  beforeAll(() => {
    Object.defineProperty(crypto.subtle, 'timingSafeEqual', { value: timingSafeEqual })
  })
  const at = (ms: number) => scopeOf(edge, () => Date.now() + ms)
  const device = { browser: null, system: null, country: null, city: null }
  const rotate = (ms: number, token: string) => refreshAt(at(ms), { token, mode: 'bearer' }, device)

  test.each([TWO_MINUTES_MS, -TWO_MINUTES_MS])('by %i ms between isolates sign nobody out, and let a race be a race', async (skew) => {
    const mine = await signInRaw(edge, 'skewed')
    const first = await rotate(skew, mine.refreshToken)
    expect(first.cause).toBe('rotated')
    const again = await refresh(mine)
    expect(again.body).toMatchObject({ refreshToken: first.refreshToken })
    expect((await refresh({ ...mine, refreshToken: String(first.refreshToken) })).body['cause']).toBe('rotated')
    expect((await send(edge, first.accessToken, { method: 'GET', path: '/v1/auth/session' })).status).toBe(200)
  })

  test('by half a minute or more either way let no token live beyond its end', async () => {
    const mine = await signInRaw(edge, 'behind')
    const { expiresAt } = await authenticate(at(0), mine.accessToken)
    const late = expiresAt - Date.now() + HALF_MINUTE_MS
    await expect(authenticate(at(late), mine.accessToken)).rejects.toMatchObject({ slug: 'unauthenticated' })
  })

  test('by eight days end what is idle, and nothing that is not', async () => {
    const mine = await signInRaw(edge, 'idle')
    await expect(authenticate(at(EIGHT_DAYS_MS), mine.accessToken)).rejects.toMatchObject({ slug: 'unauthenticated' })
    await expect(rotate(EIGHT_DAYS_MS, mine.refreshToken)).rejects.toMatchObject({ slug: 'session-ended' })
    await sweepIdentity(at(EIGHT_DAYS_MS))
    expect((await refresh(mine)).status, 'a clock that was wrong has done no harm').toBe(200)
    expect(await made(edge, mine, { method: 'GET', path: '/v1/me' })).toMatchObject({ id: mine.userId })
  })
})
