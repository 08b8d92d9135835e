import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { UserId } from '../../src/contract/identity.ts'
import { eraseIdentity, exportIdentity } from '../../src/edge/identity/service.ts'
import { sweepIdentity } from '../../src/edge/identity/sweep.ts'
import { type Edge, ORIGIN, PASSWORD, startEdge } from '../harness.ts'
import { accountsOf, type Device } from './account.ts'
import { codeOf, factorsOf, type Protected } from './authenticator.ts'
import { post } from './raw.ts'
import { scopeOf } from './scope.ts'

const OTHER = 'seven otters juggle lanterns'
let edge: Edge
beforeAll(async () => {
  edge = await startEdge({
    vars: { LIMITS: 'register=100000/60 mail=100000/60 code=100000/60 login-place=100000/60 login=100000/60 login-account=100000/60' },
  })
})
afterAll(() => edge.stop())

const { call, login, finish, totp, wait, protect } = factorsOf(() => edge)
const { count, ask, reset } = accountsOf(() => edge)

interface Trusted extends Protected {
  readonly trustToken: string
  /** The session at whose start the device was trusted. */
  readonly there: Device
}

async function trust(name: string): Promise<Trusted> {
  const user = await protect(name)
  const { body } = await finish(await wait(user.email), totp(codeOf(user.secret)), { trustDevice: true })
  return { ...user, trustToken: String(body['trustToken']), there: body as unknown as Device }
}
const isTrusted = async ({ email, trustToken }: Trusted, password = PASSWORD) =>
  'accessToken' in (await post(edge, '/v1/auth/login', { email, password, trustToken })).body

describe('a trusted device', () => {
  test('leaves the second factor out, is kept as a hash, and proves no second factor', async () => {
    const user = await trust('leaves')
    expect(user.trustToken).toMatch(/^ptd_[A-Za-z0-9_-]{43}$/)
    const again = await login(user.email, { trustToken: user.trustToken })
    const device = again.body as unknown as Device
    const claims = JSON.parse(Buffer.from(device.accessToken.split('.')[1]!, 'base64url').toString()) as object
    expect(claims).toMatchObject({ amr: ['pwd'] })
    expect(await call(device, 'POST', '/v1/auth/recovery-codes')).toMatchObject({ status: 403, slug: 'step-up-required' })
    const dump = JSON.stringify((await edge.db.prepare('SELECT * FROM trusted_devices').all()).results) + JSON.stringify(edge.logs())
    expect(dump).not.toContain(user.trustToken)
  })

  test('is trusted by one user, with the right password, and for thirty days', async () => {
    const [user, other] = [await trust('mine'), await protect('other')]
    expect(Object.keys((await login(other.email, { trustToken: user.trustToken })).body)).toEqual(['factorRequired'])
    expect(await login(user.email, { trustToken: user.trustToken, password: 'not it at all' })).toMatchObject({
      slug: 'credentials-invalid',
    })
    expect(Object.keys((await login(user.email, { trustToken: 'ptd_guess' })).body)).toEqual(['factorRequired'])
    await edge.db
      .prepare('UPDATE trusted_devices SET expires_at = expires_at - 30 * 86400000 WHERE user_id = ?')
      .bind(user.device.userId)
      .run()
    expect(await isTrusted(user)).toBe(false)
  })

  test('is listed without its token, and revoked by its user alone', async () => {
    const [user, stranger] = [await trust('list'), await trust('stranger')]
    const listed = await call(user.device, 'GET', '/v1/auth/trusted-devices')
    const [item] = listed.body['items'] as { id: string }[]
    expect(JSON.stringify(listed.body)).not.toMatch(/ptd_|hash/)
    expect(await call(stranger.device, 'DELETE', `/v1/auth/trusted-devices/${item!.id}`)).toMatchObject({ status: 404, slug: 'not-found' })
    expect(await isTrusted(user)).toBe(true)
    expect((await call(user.device, 'DELETE', `/v1/auth/trusted-devices/${item!.id}`)).status).toBe(204)
    expect(await isTrusted(user)).toBe(false)
  })

  test.each<[string, (user: Trusted) => Promise<unknown>]>([
    [
      'the password is changed',
      ({ device }) => call(device, 'POST', '/v1/auth/password/change', { currentPassword: PASSWORD, newPassword: OTHER }),
    ],
    [
      'the password is reset',
      async ({ email }) => {
        const { resetId, code } = await ask(email)
        return reset(resetId, code, OTHER)
      },
    ],
    ['the app is removed', ({ device }) => call(device, 'DELETE', '/v1/auth/totp')],
    ['the device is signed out from another', ({ device, there }) => call(device, 'DELETE', `/v1/auth/sessions/${there.sessionId}`)],
    ['all other devices are signed out', ({ device }) => call(device, 'DELETE', '/v1/auth/sessions')],
  ])('is trusted no more once %s', async (_, change) => {
    const user = await trust('void')
    expect(await count('SELECT count(*) AS n FROM trusted_devices WHERE user_id = ?', user.device.userId)).toBe(1)
    await change(user)
    expect(await count('SELECT count(*) AS n FROM trusted_devices WHERE user_id = ?', user.device.userId)).toBe(0)
  })

  test.each(['', 'one user'])('is trusted no more where a rule that began later ends all that was begun before (%s)', async (whose) => {
    const user = await trust('barred')
    const { userId } = user.device
    const given = await count('SELECT created_at AS n FROM trusted_devices WHERE user_id = ?', userId)
    const ruleAt = (at: number) =>
      edge.db
        .prepare('INSERT INTO not_befores VALUES (?, ?) ON CONFLICT DO UPDATE SET at = excluded.at')
        .bind(whose && userId, at)
        .run()
    try {
      // The row is still there: rules for everybody reach rows later, a user at a time.
      await ruleAt(Number(given) - 1)
      expect(await isTrusted(user)).toBe(true)
      await ruleAt(Number(given))
      expect(await isTrusted(user)).toBe(false)
      expect(await count('SELECT count(*) AS n FROM trusted_devices WHERE user_id = ?', userId)).toBe(1)
    } finally {
      await edge.db.prepare('DELETE FROM not_befores').run()
    }
  })

  test('keeps its trust in a cookie that no script reads, over signing out', async () => {
    const { email, secret } = await protect('cookie')
    const headers = { origin: ORIGIN }
    const body = { email, password: PASSWORD, mode: 'cookie' }
    const waiting = await post(edge, '/v1/auth/login', body, headers)
    const { pendingId } = waiting.body['factorRequired'] as { pendingId: string }
    const done = await post(edge, '/v1/auth/login/factor', { pendingId, proof: totp(codeOf(secret)), trustDevice: true }, headers)
    expect(done.body).not.toHaveProperty('trustToken')
    const cookies = done.headers.getSetCookie()
    const kept = cookies.find((c) => c.startsWith('__Host-parvis-trust='))
    expect(kept).toMatch(/; HttpOnly/i)
    expect(kept).toMatch(/; Secure/i)
    const cookie = cookies.map((c) => c.split(';')[0]).join('; ')
    const out = await post(edge, '/v1/auth/logout', {}, { ...headers, cookie })
    expect(out.headers.getSetCookie().some((c) => c.startsWith('__Host-parvis-trust='))).toBe(false)
    const again = await post(edge, '/v1/auth/login', body, { ...headers, cookie })
    expect(again.body).toHaveProperty('sessionId')
    expect(await post(edge, '/v1/auth/login/factor', { pendingId, proof: totp('000000') }, { origin: 'https://evil.test' })).toMatchObject({
      status: 403,
      slug: 'origin-untrusted',
    })
  })
})

test('factors are exported without their secrets, and erased with the user', async () => {
  const user = await trust('erase')
  await wait(user.email)
  const scope = scopeOf(edge)
  const userId = user.device.userId as UserId
  const exported = JSON.stringify(await exportIdentity(scope, userId))
  expect(exported).toContain('"totp":[{')
  for (const secret of [user.secret, user.trustToken, 'code_mac', 'secret']) expect(exported).not.toContain(secret)
  await eraseIdentity(scope, userId)
  for (const table of ['totp_factors', 'recovery_codes', 'pending_sign_ins', 'trusted_devices', 'passkeys'])
    expect(await count(`SELECT count(*) AS n FROM ${table} WHERE user_id = ?`, userId)).toBe(0)
})

test('the sweep forgets what is over', async () => {
  const user = await trust('sweep')
  await wait(user.email)
  await edge.request('/v1/auth/login/passkey/start', { method: 'POST' })
  await sweepIdentity(scopeOf(edge, () => Date.now() + 2 * 86_400_000))
  expect(await count('SELECT count(*) AS n FROM pending_sign_ins')).toBe(0)
  expect(await count('SELECT count(*) AS n FROM passkey_challenges')).toBe(0)
  expect(await isTrusted(user)).toBe(true)
  await sweepIdentity(scopeOf(edge, () => Date.now() + 31 * 86_400_000))
  expect(await count('SELECT count(*) AS n FROM trusted_devices')).toBe(0)
})
