import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { UserId } from '../../src/contract/identity.ts'
import { eraseIdentity, exportIdentity } from '../../src/edge/identity/service.ts'
import { sweepIdentity } from '../../src/edge/identity/sweep.ts'
import { type Edge, ORIGIN, PASSWORD, ROOMY_LIMITS, startEdge } from '../harness.ts'
import { until } from '../until.ts'
import { accountsOf } from './account.ts'
import { codeOf, factorsOf } from './authenticator.ts'
import { type Answer, post, register } from './raw.ts'
import { scopeOf } from './scope.ts'

const FIREFOX = 'Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0'
const SAFARI = 'Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/19.0 Safari/605.1.15'
const OTHER = 'seven otters juggle lanterns'
const DAY_MS = 86_400_000

let edge: Edge
beforeAll(async () => {
  edge = await startEdge({
    vars: {
      SESSIONS_PER_USER: '100',
      LIMITS: ROOMY_LIMITS,
    },
  })
})
afterAll(() => edge.stop())

const { call, protect, totp } = factorsOf(() => edge)
const { ask, reset, forgot, count } = accountsOf(() => edge)

/** A sign-in, and what it says of the device that it is on. */
interface Entered {
  readonly accessToken: string
  readonly sessionId: string
  readonly userId: string
  readonly deviceToken: string
}

/** Signs in on a device: one that keeps what it was given the last time, or one that has never been there. */
async function signIn(email: string, deviceToken?: string, userAgent = FIREFOX): Promise<Entered> {
  const answer = await post(edge, '/v1/auth/login', { email, password: PASSWORD, deviceToken }, { 'user-agent': userAgent })
  if (answer.status !== 200) throw new Error(`login answered ${answer.status}`)
  return answer.body as unknown as Entered
}

const settle = () =>
  until(async () => {
    const { results } = await edge.db.prepare('SELECT 1 FROM outbox_events WHERE done_at IS NULL AND dead_at IS NULL LIMIT 1').all()
    return results.length === 0
  })
async function noticesTo(email: string) {
  await settle()
  return edge.mailbox.to(email).filter((mail) => /New sign-in|Nouvelle connexion/.test(mail.subject ?? ''))
}
const toldOf = async ({ userId }: Pick<Entered, 'userId'>) => {
  await settle()
  return count("SELECT count(*) AS n FROM outbox_events WHERE topic = 'inbox.notify' AND ? <> ''", userId)
}

describe('a sign-in on a device that its user was never on', () => {
  test('is told, also from the same browser, system and country as ever; one on a device that was there is not', async () => {
    const email = await register(edge, 'mine')
    const home = await signIn(email)
    expect(await noticesTo(email)).toEqual([])
    for (let i = 0; i < 3; i++) await signIn(email, home.deviceToken)
    expect(await noticesTo(email)).toEqual([])
    await signIn(email)
    expect(await noticesTo(email)).toHaveLength(1)
    await signIn(email, home.deviceToken, SAFARI)
    expect(await noticesTo(email)).toHaveLength(1)
  })

  test('is told with which, where and when, and nothing that whoever signed in could choose', async () => {
    const email = await register(edge, 'notice')
    await signIn(email)
    await post(
      edge,
      '/v1/auth/login',
      { email, password: PASSWORD, deviceName: 'Call +1 555 0100 at once' },
      { 'user-agent': `${SAFARI} http://evil.example` },
    )
    expect(await noticesTo(email)).toHaveLength(1)
    const { text = '', html = '' } = (await noticesTo(email))[0] ?? {}
    for (const body of [
      text,
      String(html)
        .replace(/<\/th>/g, ': ')
        .replace(/<[^>]+>/g, ''),
    ]) {
      expect(body).toContain('Device: Safari, macOS')
      expect(body).toMatch(/Time: .*20\d\d.* UTC/)
      expect(body).not.toMatch(/evil|555/)
    }
  })

  test('is told in the language of the user', async () => {
    const email = 'nouvelle@example.net'
    const { body } = await post(edge, '/v1/auth/register', { email, password: PASSWORD, locale: 'fr' })
    await post(edge, '/v1/auth/verify', { registrationId: body['registrationId'], code: await edge.mailbox.codeTo(email) })
    await signIn(email)
    await signIn(email, undefined, SAFARI)
    const [mail] = await noticesTo(email)
    expect(mail).toMatchObject({ subject: 'Nouvelle connexion à votre compte Parvis', text: expect.stringContaining('Safari, macOS') })
  })

  test('is told in the inbox each time, and by mail as often as a day has room for', async () => {
    const email = await register(edge, 'flurry')
    const home = await signIn(email)
    const before = Number(await toldOf(home))
    await Promise.all(Array.from({ length: 20 }, () => signIn(email)))
    expect(Number(await toldOf(home)) - before).toBe(20)
    expect(await noticesTo(email)).toHaveLength(9)
  })

  test('is told after so long an absence that all sessions were forgotten but the last', async () => {
    const email = await register(edge, 'absent')
    const { userId } = await signIn(email)
    const last = await signIn(email)
    await edge.db.prepare('UPDATE sessions SET expires_at = 1, ended_at = 1 WHERE user_id = ?').bind(userId).run()
    await sweepIdentity(scopeOf(edge))
    expect(await count('SELECT count(*) AS n FROM sessions WHERE user_id = ?', userId)).toBe(1)
    expect(await noticesTo(email)).toHaveLength(1)
    await signIn(email, last.deviceToken)
    expect(await noticesTo(email)).toHaveLength(1)
    await signIn(email)
    expect(await noticesTo(email)).toHaveLength(2)
  })

  test('by mail, by a second factor and on a page with cookies is told alike', async () => {
    const { email, secret } = await protect('doors')
    const from = (await noticesTo(email)).length
    const headers = { origin: ORIGIN }
    const enter = async (mode: string, { cookie = '', ...more }: { cookie?: string; deviceToken?: string } = {}) => {
      const { body } = await post(edge, '/v1/auth/login', { email, password: PASSWORD, mode }, headers)
      const { pendingId } = body['factorRequired'] as { pendingId: string }
      await edge.db.prepare('UPDATE totp_factors SET last_step = 0').run()
      return post(edge, '/v1/auth/login/factor', { pendingId, proof: totp(codeOf(secret)), ...more }, { ...headers, cookie })
    }
    const { deviceToken } = (await enter('bearer')).body as unknown as Entered
    expect((await noticesTo(email)).length - from).toBe(1)
    await enter('bearer', { deviceToken })
    expect((await noticesTo(email)).length - from).toBe(1)

    const inBrowser = await enter('cookie')
    expect(inBrowser.body).not.toHaveProperty('deviceToken')
    expect((await noticesTo(email)).length - from).toBe(2)
    await enter('cookie', { cookie: deviceCookieOf(inBrowser) })
    expect((await noticesTo(email)).length - from).toBe(2)
    // A browser shows what it keeps in its cookie, and only there.
    await enter('cookie', { deviceToken })
    expect((await noticesTo(email)).length - from).toBe(3)

    const byMail = await register(edge, 'by-mail')
    const first = await signIn(byMail)
    const use = async (deviceToken?: string) => {
      const { body } = await post(edge, '/v1/auth/magic', { email: byMail })
      return post(edge, '/v1/auth/magic/verify', { magicId: body['magicId'], code: await edge.mailbox.codeTo(byMail), deviceToken })
    }
    await use(first.deviceToken)
    expect(await noticesTo(byMail)).toEqual([])
  })
})

/** The pair of a cookie that an answer sets, once it is seen to be one that no script and no other host can read or set. */
function deviceCookieOf(answer: Answer): string {
  const line = answer.headers.getSetCookie().find((cookie) => cookie.startsWith('__Host-parvis-device=')) ?? ''
  for (const part of ['; HttpOnly', '; Secure', '; Path=/', '; SameSite=Lax', `; Max-Age=${365 * 86_400}`]) expect(line).toContain(part)
  return line.split(';')[0]!
}

describe('what a device is known by', () => {
  test('opens nothing, and is stored as a hash', async () => {
    const email = await register(edge, 'opens')
    const { deviceToken, userId } = await signIn(email)
    expect(deviceToken).toMatch(/^pdv_[A-Za-z0-9_-]{43}$/)
    for (const password of ['a wrong but long enough guess', deviceToken])
      expect(await post(edge, '/v1/auth/login', { email, password, deviceToken })).toMatchObject({ slug: 'credentials-invalid' })
    expect((await edge.request('/v1/me', { headers: { authorization: `Bearer ${deviceToken}` } })).status).toBe(401)
    expect(await post(edge, '/v1/auth/refresh', { refreshToken: deviceToken })).toMatchObject({ status: 401 })
    const { results } = await edge.db.prepare('SELECT * FROM known_devices WHERE user_id = ?').bind(userId).all()
    expect(results).toHaveLength(1)
    expect(JSON.stringify(results) + JSON.stringify(edge.logs())).not.toContain(deviceToken.slice(4))
  })

  test('is one for each account, so that nobody knows what another will be known by on a device they share', async () => {
    const [ada, bob] = [await register(edge, 'ada'), await register(edge, 'bob')]
    const hers = await signIn(ada)
    const his = await signIn(bob, hers.deviceToken)
    expect(his.deviceToken).not.toBe(hers.deviceToken)
    const again = await signIn(ada, his.deviceToken)
    await signIn(bob, again.deviceToken)
    for (const email of [ada, bob]) expect(await noticesTo(email)).toEqual([])
    // What was there before he came is not his.
    await signIn(bob, hers.deviceToken)
    expect(await noticesTo(bob)).toHaveLength(1)
  })

  test('is kept for five accounts, the last used, and whatever else is said is as good as nothing', async () => {
    let kept: string | undefined
    const emails: string[] = []
    for (let i = 0; i < 6; i++) {
      emails.push(await register(edge, 'shared'))
      kept = (await signIn(emails[i]!, kept)).deviceToken
    }
    expect(kept?.split('.')).toHaveLength(5)
    await signIn(emails[1]!, kept)
    expect(await noticesTo(emails[1]!)).toEqual([])
    await signIn(emails[0]!, kept)
    expect(await noticesTo(emails[0]!)).toHaveLength(1)
    for (const strange of ['.', 'pdv_', '....', 'pdv_x.pdv_y', "' OR 1=1", 'x'.repeat(300)]) {
      const { deviceToken } = await signIn(emails[2]!, strange)
      expect(deviceToken).toMatch(/^pdv_[A-Za-z0-9_-]{43}/)
    }
  })

  test('is for a year after the last sign-in, and then forgotten', async () => {
    const email = await register(edge, 'year')
    const { deviceToken, userId } = await signIn(email)
    const age = (ms: number) =>
      edge.db.prepare('UPDATE known_devices SET expires_at = expires_at - ? WHERE user_id = ?').bind(ms, userId).run()
    await age(364 * DAY_MS)
    await signIn(email, deviceToken)
    expect(await noticesTo(email)).toEqual([])
    await age(364 * DAY_MS)
    await signIn(email, deviceToken)
    expect(await noticesTo(email)).toEqual([])
    await age(366 * DAY_MS)
    await signIn(email, deviceToken)
    expect(await noticesTo(email)).toHaveLength(1)
    await sweepIdentity(scopeOf(edge, () => Date.now() + 366 * DAY_MS))
    expect(await count('SELECT count(*) AS n FROM known_devices')).toBe(0)
  })

  test('is kept of fifty devices, the longest unused is forgotten', async () => {
    const email = await register(edge, 'many')
    const { userId } = await signIn(email)
    await edge.db
      .prepare(`INSERT INTO known_devices SELECT ?, 'hash-' || value, '', value, value, ? FROM json_each(?)`)
      .bind(userId, Date.now() + DAY_MS, JSON.stringify(Array.from({ length: 49 }, (_, i) => i + 1)))
      .run()
    await signIn(email)
    expect(await count('SELECT count(*) AS n FROM known_devices WHERE user_id = ?', userId)).toBe(50)
    expect(await count("SELECT count(*) AS n FROM known_devices WHERE user_id = ? AND token_hash = 'hash-1'", userId)).toBe(0)
  })

  test.each<[string, (there: Entered, home: Entered, email: string) => Promise<unknown>]>([
    ['the device is signed out from another', (there, home) => call(home, 'DELETE', `/v1/auth/sessions/${there.sessionId}`)],
    ['all other devices are signed out', (_, home) => call(home, 'DELETE', '/v1/auth/sessions')],
    [
      'the password is changed',
      async (_, home) => {
        await call(home, 'POST', '/v1/auth/password/change', { currentPassword: PASSWORD, newPassword: OTHER })
        await call(home, 'POST', '/v1/auth/password/change', { currentPassword: OTHER, newPassword: PASSWORD })
      },
    ],
    [
      'the password is reset',
      async (_, __, email) => {
        const { resetId, code } = await ask(email)
        await reset(resetId, code, PASSWORD)
      },
    ],
  ])('is known no more once %s', async (_, change) => {
    const email = await register(edge, 'gone')
    const home = await signIn(email)
    const there = await signIn(email)
    const before = (await noticesTo(email)).length
    await change(there, home, email)
    await signIn(email, there.deviceToken)
    expect((await noticesTo(email)).length - before).toBe(1)
  })

  test.each(['', 'one user'])('is known no more where a rule that began later ends all that was begun before (%s)', async (whose) => {
    const email = await register(edge, 'barred')
    const { userId, deviceToken } = await signIn(email)
    const used = Number(await count('SELECT last_used_at AS n FROM known_devices WHERE user_id = ?', userId))
    const signInUnder = async (at: number) => {
      await edge.db
        .prepare('INSERT INTO not_befores VALUES (?, ?)')
        .bind(whose && userId, at)
        .run()
      await edge.db.prepare('UPDATE known_devices SET last_used_at = ? WHERE user_id = ?').bind(used, userId).run()
      await signIn(email, deviceToken)
      await edge.db.prepare('DELETE FROM not_befores').run()
      return (await noticesTo(email)).length
    }
    expect([await signInUnder(used - 1), await signInUnder(used)]).toEqual([0, 1])
  })

  test('stays known where its own user changes the password, or signs out', async () => {
    const email = await register(edge, 'stays')
    const home = await signIn(email)
    await call(home, 'POST', '/v1/auth/password/change', { currentPassword: PASSWORD, newPassword: OTHER })
    await call(home, 'POST', '/v1/auth/password/change', { currentPassword: OTHER, newPassword: PASSWORD })
    const again = await signIn(email, home.deviceToken)
    await post(edge, '/v1/auth/logout', { refreshToken: (again as unknown as { refreshToken: string }).refreshToken })
    await signIn(email, home.deviceToken)
    expect(await noticesTo(email)).toEqual([])
  })

  test('is told to its user without what it is known by, and goes with them', async () => {
    const email = await register(edge, 'leaver')
    const { userId, deviceToken } = await signIn(email)
    await forgot(email)
    const told = JSON.stringify(await exportIdentity(scopeOf(edge), userId as UserId))
    expect(told).toContain('"knownDevices":[{"createdAt":')
    expect(told).not.toMatch(/hash/i)
    expect(told).not.toContain(deviceToken)
    await eraseIdentity(scopeOf(edge), userId as UserId)
    expect(await count('SELECT count(*) AS n FROM known_devices WHERE user_id = ?', userId)).toBe(0)
  })
})
