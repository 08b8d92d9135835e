import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Edge, PASSWORD, ROOMY_LIMITS, startEdge } from '../harness.ts'
import { accountsOf, type Device } from './account.ts'
import { codeOf, factorsOf } from './authenticator.ts'
import { post, signInRaw } from './raw.ts'

let edge: Edge
beforeAll(async () => {
  edge = await startEdge({
    vars: {
      LIMITS: ROOMY_LIMITS,
    },
  })
})
afterAll(() => edge.stop())

const { call, login, finish, totp, recovery, wait, age, protect } = factorsOf(() => edge)
const { entries, count, mailsTo, settle } = accountsOf(() => edge)
const devices = (answer: { body: unknown }) => answer.body as Device

describe('stepping up', () => {
  const stepUp = (device: Device, body: object) => call(device, 'POST', '/v1/auth/step-up', body)

  test('is needed for what is sensitive once the sign-in is five minutes old, and says with what', async () => {
    const device = await signInRaw(edge, 'stale')
    await age(device)
    const refused = await call(device, 'POST', '/v1/auth/totp')
    expect(refused).toMatchObject({ status: 403, slug: 'step-up-required', body: { methods: ['password'] } })
    expect(await stepUp(device, { method: 'password', password: 'not it at all' })).toMatchObject({
      status: 401,
      slug: 'credentials-invalid',
    })
    expect((await call(device, 'POST', '/v1/auth/totp')).slug).toBe('step-up-required')
    expect(await stepUp(device, { method: 'password', password: PASSWORD })).toMatchObject({ status: 200 })
    expect((await call(device, 'POST', '/v1/auth/totp')).status).toBe(200)
    expect(await entries(device.sessionId, 'session.step-up')).toEqual([{ cause: 'password', actor_id: device.userId }])
  })

  test.each([
    ['POST', '/v1/auth/totp'],
    ['DELETE', '/v1/auth/totp'],
    ['POST', '/v1/auth/recovery-codes'],
    ['DELETE', '/v1/auth/password'],
    ['POST', '/v1/auth/passkeys/start'],
    ['DELETE', '/v1/auth/passkeys/pky_01234567890123456789abcdef'],
    ['POST', '/v1/me/email'],
  ])('is needed for %s %s', async (method, path) => {
    const device = await signInRaw(edge, 'sensitive')
    await age(device)
    expect(await call(device, method, path)).toMatchObject({ status: 403, slug: 'step-up-required' })
  })

  test('with the password proves nothing where a second factor is enrolled', async () => {
    const { device, secret, recoveryCodes } = await protect('second')
    await age(device)
    expect(await stepUp(device, { method: 'password', password: PASSWORD })).toMatchObject({
      status: 403,
      slug: 'step-up-required',
      body: { methods: ['totp', 'recovery-code'] },
    })
    expect(await call(device, 'DELETE', '/v1/auth/totp')).toMatchObject({ slug: 'step-up-required' })
    expect((await stepUp(device, totp(codeOf(secret)))).status).toBe(200)
    await age(device)
    expect((await stepUp(device, recovery(recoveryCodes[0]!))).status).toBe(200)
    expect((await call(device, 'DELETE', '/v1/auth/totp')).status).toBe(204)
  })

  test('opens one session, not another, and none that has ended', async () => {
    const { device, email, secret } = await protect('one')
    const other = devices(await finish(await wait(email), totp(codeOf(secret))))
    await age(device)
    await age(other)
    expect((await stepUp(other, totp(codeOf(secret, 1)))).status).toBe(200)
    expect(await call(device, 'POST', '/v1/auth/recovery-codes')).toMatchObject({ slug: 'step-up-required' })
    await call(other, 'DELETE', `/v1/auth/sessions/${device.sessionId}`)
    expect(await call(device, 'POST', '/v1/auth/recovery-codes')).toMatchObject({ status: 401, slug: 'session-ended' })
  })

  test('by guessing the password comes to an end with the ladder of sign-ins', async () => {
    const limited = await startEdge({ vars: { LIMITS: 'register=100000/60 mail=100000/60 code=100000/60 login-place=100000/60' } })
    try {
      const device = await signInRaw(limited, 'ladder')
      const guess = async () =>
        (await post(limited, '/v1/auth/step-up', { method: 'password', password: 'no' }, { authorization: `Bearer ${device.accessToken}` }))
          .status
      const statuses = await Promise.all(Array.from({ length: 8 }, guess))
      expect(statuses.filter((s) => s === 401)).toHaveLength(5)
      expect(statuses.filter((s) => s === 429)).toHaveLength(3)
    } finally {
      await limited.stop()
    }
  })
})

describe('removing', () => {
  test('the app makes the password enough again, voids the recovery codes and tells the owner', async () => {
    const { email, device } = await protect('remove')
    expect((await call(device, 'DELETE', '/v1/auth/totp')).status).toBe(204)
    expect(await call(device, 'DELETE', '/v1/auth/totp')).toMatchObject({ status: 404, slug: 'not-found' })
    expect((await login(email)).body).toHaveProperty('accessToken')
    expect(await count('SELECT count(*) AS n FROM recovery_codes WHERE user_id = ?', device.userId)).toBe(0)
    await settle()
    expect(mailsTo(email, /sign-in method was removed/)).toHaveLength(1)
  })

  test('is refused while the password is too short to stand alone', async () => {
    const { device, secret } = await protect('short')
    const change = (currentPassword: string, newPassword: string) =>
      call(device, 'POST', '/v1/auth/password/change', { currentPassword, newPassword })
    expect((await change(PASSWORD, 'otterlan')).status).toBe(204)
    expect(await call(device, 'DELETE', '/v1/auth/totp')).toMatchObject({ status: 409, slug: 'conflict' })
    expect((await change('otterlan', 'seven otters juggle lanterns')).status).toBe(204)
    expect((await call(device, 'DELETE', '/v1/auth/totp')).status).toBe(204)
    expect(await change('seven otters juggle lanterns', 'otterlan')).toMatchObject({ status: 400, slug: 'invalid-request' })
    expect(secret).toHaveLength(32)
  })

  test('a password needs a passkey', async () => {
    const { device } = await protect('lastpw')
    expect(await call(device, 'DELETE', '/v1/auth/password')).toMatchObject({ status: 409, slug: 'conflict' })
  })
})

test('changing a password beside a second factor needs a fresh proof of it', async () => {
  const { device, secret } = await protect('change')
  await age(device)
  const change = () =>
    call(device, 'POST', '/v1/auth/password/change', { currentPassword: PASSWORD, newPassword: 'seven otters juggle lanterns' })
  expect(await change()).toMatchObject({ status: 403, slug: 'step-up-required', body: { methods: ['totp', 'recovery-code'] } })
  await call(device, 'POST', '/v1/auth/step-up', totp(codeOf(secret)))
  expect((await change()).status).toBe(204)
})
