import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { isProblem } from '../../src/contract/problem.ts'
import { endpoints, sockets } from '../../src/contract/registry.ts'
import { type Edge, ORIGIN, PASSWORD, ROOMY_LIMITS, startEdge } from '../harness.ts'
import { closeOf, knock } from '../rooms/person.ts'
import { accountsOf, type Device, tally } from './account.ts'
import { codeOf, factorsOf, wrongCodes } from './authenticator.ts'
import { post, read, register, signInRaw } from './raw.ts'

let edge: Edge
beforeAll(async () => {
  edge = await startEdge({
    vars: {
      LIMITS: ROOMY_LIMITS,
    },
  })
})
afterAll(() => edge.stop())

const { call, login, finish, totp, recovery, pendingOf, factors, wait, forgetStep, protect } = factorsOf(() => edge)
const { entries, look, refresh, count, mailsTo, settle, ask, reset } = accountsOf(() => edge)
const OTHER = 'seven otters juggle lanterns'
const devices = (answer: { body: unknown }) => answer.body as Device

describe('an authenticator app', () => {
  test('counts for nothing until a code of it is confirmed', async () => {
    const { email, accessToken } = await signInRaw(edge, 'unconfirmed')
    const started = await call({ accessToken }, 'POST', '/v1/auth/totp')
    expect(started).toMatchObject({ status: 200, body: { uri: expect.stringContaining('otpauth://totp/Parvis:') as string } })
    expect(String(started.body['secret'])).toMatch(/^[A-Z2-7]{32}$/)
    expect((await login(email)).body).toHaveProperty('accessToken')
    expect(
      await call({ accessToken }, 'POST', '/v1/auth/totp/confirm', { code: wrongCodes(String(started.body['secret']), 1)[0] }),
    ).toMatchObject({
      status: 400,
      slug: 'code-invalid',
    })
    expect((await login(email)).body).toHaveProperty('accessToken')
  })

  test('brings recovery codes, raises this session, ends those that proved less, tells its owner and is on record', async () => {
    const email = await register(edge, 'enrol')
    const [mine, other] = [devices(await login(email)), devices(await login(email))]
    const { secret } = (await call(mine, 'POST', '/v1/auth/totp')).body as { secret: string }
    const { body } = await call(mine, 'POST', '/v1/auth/totp/confirm', { code: codeOf(secret) })
    expect(body['recoveryCodes']).toHaveLength(10)
    expect(await look(other)).toMatchObject({ slug: 'session-ended' })
    expect(await refresh(other)).toMatchObject({ slug: 'session-ended' })
    expect(await factors(mine)).toMatchObject({
      hasPassword: true,
      hasTotp: true,
      passkeys: 0,
      recoveryCodesLeft: 10,
      methods: ['totp', 'recovery-code'],
      stepUp: { methods: ['totp', 'recovery-code'], validUntil: expect.any(String) as string },
    })
    const fresh = devices(await refresh(mine))
    const claims = JSON.parse(Buffer.from(fresh.accessToken.split('.')[1]!, 'base64url').toString()) as object
    expect(claims).toMatchObject({ amr: ['pwd', 'otp', 'mfa'], auth_time: expect.any(Number) as number })
    await settle()
    expect(mailsTo(email, /sign-in method was added/)).toHaveLength(1)
    expect(await entries(mine.userId, 'totp.add')).toHaveLength(1)
  })

  test('is confirmed once, by the session that asked, and in time', async () => {
    const email = await register(edge, 'confirm')
    const [mine, other] = [devices(await login(email)), devices(await login(email))]
    const { secret } = (await call(mine, 'POST', '/v1/auth/totp')).body as { secret: string }
    const confirm = (device: Device) => call(device, 'POST', '/v1/auth/totp/confirm', { code: codeOf(secret) })
    expect(await confirm(other)).toMatchObject({ slug: 'code-invalid' })
    await edge.db.prepare('UPDATE totp_factors SET created_at = created_at - 600001 WHERE user_id = ?').bind(mine.userId).run()
    expect(await confirm(mine)).toMatchObject({ slug: 'code-invalid' })
    await edge.db.prepare('UPDATE totp_factors SET created_at = created_at + 600001 WHERE user_id = ?').bind(mine.userId).run()
    const answers = await Promise.all(Array.from({ length: 8 }, () => confirm(mine)))
    expect(tally(answers, 200)).toBe(1)
    expect(await count('SELECT count(*) AS n FROM recovery_codes WHERE user_id = ?', mine.userId)).toBe(10)
    await settle()
    expect(mailsTo(email, /sign-in method was added/)).toHaveLength(1)
  })

  test('that is set up is not replaced by asking again; the older of two enrolments stays dead', async () => {
    const { device, secret } = await protect('again')
    expect(await call(device, 'POST', '/v1/auth/totp')).toMatchObject({ status: 409, slug: 'conflict' })
    expect((await factors(device))['hasTotp']).toBe(true)
    const { accessToken } = await signInRaw(edge, 'two')
    const first = (await call({ accessToken }, 'POST', '/v1/auth/totp')).body as { secret: string }
    await call({ accessToken }, 'POST', '/v1/auth/totp')
    expect(await call({ accessToken }, 'POST', '/v1/auth/totp/confirm', { code: codeOf(first.secret) })).toMatchObject({
      slug: 'code-invalid',
    })
    expect(secret).not.toBe(first.secret)
  })

  test('is stored sealed, and its recovery codes as keyed hashes', async () => {
    const { device, secret, recoveryCodes } = await protect('sealed')
    const dump = JSON.stringify([
      (await edge.db.prepare('SELECT * FROM totp_factors WHERE user_id = ?').bind(device.userId).all()).results,
      (await edge.db.prepare('SELECT * FROM recovery_codes WHERE user_id = ?').bind(device.userId).all()).results,
      (await edge.db.prepare('SELECT * FROM audit_entries').all()).results,
      edge.logs(),
    ])
    for (const hidden of [secret, ...recoveryCodes, ...recoveryCodes.map((code) => code.replace('-', ''))])
      expect(dump).not.toContain(hidden)
  })
})

describe('a second factor at sign-in', () => {
  test('is needed before any token of any kind', async () => {
    const { email } = await protect('gate')
    const answer = await login(email, { mode: 'cookie' })
    expect(answer.status).toBe(200)
    expect(Object.keys(answer.body)).toEqual(['factorRequired'])
    expect(answer.headers.getSetCookie()).toEqual([])
    const pendingId = pendingOf(answer)
    const bearer = { authorization: `Bearer ${pendingId}` }
    for (const path of ['/v1/me', '/v1/auth/session', '/v1/auth/sessions', '/v1/rooms', '/v1/auth/factors'])
      expect((await edge.request(path, { headers: bearer })).status).toBe(401)
    expect(await post(edge, '/v1/auth/refresh', { refreshToken: pendingId })).toMatchObject({ status: 401 })
    const cookie = { cookie: `__Host-parvis-access=${pendingId}; __Host-parvis-refresh=${pendingId}`, origin: 'https://parvis.test' }
    expect((await edge.request('/v1/me', { headers: cookie })).status).toBe(401)
    expect(
      (
        await read(
          await edge.request('/v1/auth/refresh', {
            method: 'POST',
            headers: { ...cookie, 'content-type': 'application/json' },
            body: '{}',
          }),
        )
      ).status,
    ).toBe(401)
  })

  test('opens no operation of the contract and no socket while it is awaited', async () => {
    const { email } = await protect('awaited')
    const token = await wait(email)
    const at = (path: string) => path.replace(/:(\w+)/g, 'no-$1')
    const guarded = Object.values(endpoints).filter(({ access }) => access === 'user')
    expect(guarded.length).toBeGreaterThan(100)
    const answers = await Promise.all(
      guarded.map(async ({ id, method, path }) => [
        id,
        (await call({ accessToken: token }, method, at(path), method === 'GET' ? undefined : {})).status,
      ]),
    )
    expect(answers.filter(([, status]) => status !== 401)).toEqual([])
    // Two doors take the token in the first message: a socket that has said none is nobody's.
    const late = ['/v1/rooms/:roomId/hocuspocus', '/v1/live/shells']
    const doors = Object.values(sockets).filter(({ path }) => !late.includes(path))
    const headers = { authorization: `Bearer ${token}` }
    const some = (path: string) => path.replace(':roomId', `rm_${'0'.repeat(26)}`).replace(':shellId', `shl_${'0'.repeat(26)}`)
    const knocks = await Promise.all(doors.map(async ({ path }) => [path, (await knock(edge, some(path), { headers })).status]))
    const { socket } = await knock(edge, '/v1/live/shells')
    const closed = closeOf(socket!)
    socket!.send(JSON.stringify({ type: 'authenticate', token }))
    expect((await closed).code).toBe(4401)
    expect(knocks.filter(([, status]) => status !== 401)).toEqual([])
  })

  test('by code of the app starts the session that was asked for, once', async () => {
    const { email, secret, device } = await protect('finish')
    const pendingId = await wait(email, { deviceName: 'Kitchen tablet' })
    const done = await finish(pendingId, totp(codeOf(secret)))
    expect(done.status).toBe(200)
    const items = (await call(devices(done), 'GET', '/v1/auth/sessions')).body['items'] as { name: string | null; isCurrent: boolean }[]
    expect(items.find((s) => s.isCurrent)?.name).toBe('Kitchen tablet')
    await forgetStep(device.userId)
    expect(await finish(pendingId, totp(codeOf(secret)))).toMatchObject({ status: 401, slug: 'sign-in-ended' })
  })

  test('by one code opens one of two sign-ins; an older code opens none', async () => {
    const { email, secret } = await protect('once')
    const [one, two] = [await wait(email), await wait(email)]
    const code = codeOf(secret)
    expect((await finish(one, totp(code))).status).toBe(200)
    expect(await finish(two, totp(code))).toMatchObject({ status: 400, slug: 'code-invalid' })
    expect(await finish(two, totp(codeOf(secret, -1)))).toMatchObject({ status: 400, slug: 'code-invalid' })
    expect((await finish(two, totp(codeOf(secret, 1)))).status).toBe(200)
  })

  test('raced twenty times with one code starts one session', async () => {
    const { email, secret, device } = await protect('race')
    const pendings = await Promise.all(Array.from({ length: 20 }, () => wait(email)))
    const before = await count('SELECT count(*) AS n FROM sessions WHERE user_id = ?', device.userId)
    const answers = await Promise.all(pendings.map((id) => finish(id, totp(codeOf(secret)))))
    expect(tally(answers, 200)).toBe(1)
    expect(await count('SELECT count(*) AS n FROM sessions WHERE user_id = ?', device.userId)).toBe(before! + 1)
  })

  test('has five tries; the sixth is refused even with the right code', async () => {
    const { email, secret } = await protect('tries')
    const pendingId = await wait(email)
    for (const code of wrongCodes(secret, 5)) expect(await finish(pendingId, totp(code))).toMatchObject({ slug: 'code-invalid' })
    expect(await finish(pendingId, totp(codeOf(secret)))).toMatchObject({ status: 401, slug: 'sign-in-ended' })
  })

  test('guessed at eleven times across three sign-ins closes the codes of the account, and sessions live on', async () => {
    const { email, secret, device, recoveryCodes } = await protect('guess')
    const pendings = [await wait(email), await wait(email), await wait(email)]
    const answers = []
    for (const [i, code] of wrongCodes(secret, 11).entries()) answers.push(await finish(pendings[Math.floor(i / 4)]!, totp(code)))
    expect(tally(answers, 400)).toBe(10)
    expect(answers.at(-1)).toMatchObject({ status: 429, slug: 'rate-limited' })
    expect(await finish(pendings[2]!, totp(codeOf(secret)))).toMatchObject({ status: 429 })
    expect(await finish(await wait(email), recovery(recoveryCodes[0]!))).toMatchObject({ status: 429 })
    expect((await look(device)).status).toBe(200)
    const refused = await entries(device.userId, 'factor.refuse')
    expect(refused).toEqual(Array(10).fill({ cause: 'totp', actor_id: 'anonymous' }))
    expect(await entries(device.userId, 'session.await-factor')).toContainEqual({ cause: null, actor_id: 'anonymous' })
    await forgetStep(device.userId)
    expect((await call(device, 'POST', '/v1/auth/step-up', totp(codeOf(secret)))).status).toBe(200)
  })

  test('guessed at elsewhere leaves the places where the account signs in, and a reset opens the codes again, once a day', async () => {
    const { email, secret, device } = await protect('home')
    const waitAt = async (ip: string, password = PASSWORD) =>
      pendingOf(await post(edge, '/v1/auth/login', { email, password }, { 'cf-connecting-ip': ip }))
    const [home, afar, away] = ['198.51.100.7', '203.0.113.9', '192.0.2.5']
    const tryCode = async (ip: string, password = PASSWORD) => {
      await forgetStep(device.userId)
      return (await finish(await waitAt(ip, password), totp(codeOf(secret)))).status
    }
    const guessAll = async (password = PASSWORD) => {
      const pendings = [await waitAt(afar, password), await waitAt(afar, password), await waitAt(afar, password)]
      for (const [i, code] of wrongCodes(secret, 11).entries()) await finish(pendings[Math.floor(i / 4)]!, totp(code))
    }
    const resetTo = async (password: string) => {
      const { resetId, code } = await ask(email)
      return (await reset(resetId, code, password)).status
    }
    expect(await tryCode(home)).toBe(200)
    await guessAll()
    expect([await tryCode(away), await tryCode(home)]).toEqual([429, 200])
    expect(await resetTo(OTHER)).toBe(200)
    await guessAll(OTHER)
    expect(await resetTo(PASSWORD)).toBe(200)
    expect([await tryCode(away), await tryCode(home)]).toEqual([429, 200])
    await edge.db.prepare('UPDATE password_resets SET created_at = created_at - 86400001 WHERE user_id = ?').bind(device.userId).run()
    expect(await resetTo(OTHER)).toBe(200)
    expect(await tryCode(away, OTHER)).toBe(200)
  })

  test('that is right ends the count of wrong ones', async () => {
    const { email, secret, device } = await protect('reset')
    for (let round = 0; round < 3; round++) {
      const pendingId = await wait(email)
      for (const code of wrongCodes(secret, 4)) await finish(pendingId, totp(code))
      await forgetStep(device.userId)
      expect((await finish(pendingId, totp(codeOf(secret)))).status).toBe(200)
    }
  })

  test('cannot come first: without a password proven there is nothing to finish', async () => {
    const { secret } = await protect('first')
    const unknown = 'pnd_01234567890123456789abcdef'
    expect(await finish(unknown, totp(codeOf(secret)))).toMatchObject({ status: 401, slug: 'sign-in-ended' })
    const stranger = await protect('stranger')
    const pendingId = await wait(stranger.email)
    expect(await finish(pendingId, totp(codeOf(secret)))).toMatchObject({ slug: 'code-invalid' })
    await edge.db.prepare('UPDATE pending_sign_ins SET expires_at = 0 WHERE id = ?').bind(pendingId).run()
    expect(await finish(pendingId, totp(codeOf(stranger.secret)))).toMatchObject({ slug: 'sign-in-ended' })
  })

  test('is not left out after a reset, which also ends a sign-in under way', async () => {
    const { email, secret } = await protect('forgot')
    const stale = await wait(email)
    const { resetId, code } = await ask(email)
    const password = 'seven otters juggle lanterns'
    expect((await reset(resetId, code, password)).status).toBe(200)
    const answer = await post(edge, '/v1/auth/login', { email, password })
    expect(Object.keys(answer.body)).toEqual(['factorRequired'])
    expect(await finish(stale, totp(codeOf(secret)))).toMatchObject({ slug: 'sign-in-ended' })
    expect((await finish(pendingOf(answer), totp(codeOf(secret, 1)))).status).toBe(200)
  })

  test('is asked for after a sign-in by mail as well, and a disabled account gets nowhere', async () => {
    const { email, secret, device } = await protect('mail')
    const { body } = await post(edge, '/v1/auth/magic', { email })
    const mail = await edge.mailbox.mailTo(email, 3)
    const code = /\b(\d{6})\b/.exec(mail.text ?? '')?.[1]
    const answer = await post(edge, '/v1/auth/magic/verify', { magicId: body['magicId'], code })
    expect(Object.keys(answer.body)).toEqual(['factorRequired'])
    await edge.db.prepare('UPDATE users SET disabled_at = 1 WHERE id = ?').bind(device.userId).run()
    expect(await finish(pendingOf(answer), totp(codeOf(secret)))).toMatchObject({ slug: 'sign-in-ended' })
  })

  test('enrolled while a sign-in is being checked is asked of that sign-in', async () => {
    const email = await register(edge, 'between')
    const mine = devices(await login(email))
    const { secret } = (await call(mine, 'POST', '/v1/auth/totp')).body as { secret: string }
    const [confirmed, ...others] = await Promise.all([
      call(mine, 'POST', '/v1/auth/totp/confirm', { code: codeOf(secret) }),
      ...Array.from({ length: 6 }, () => login(email)),
    ])
    expect(confirmed.status).toBe(200)
    for (const { body } of others) {
      if (!('accessToken' in body)) continue
      expect(await refresh(body as unknown as Device)).toMatchObject({ slug: 'session-ended' })
    }
  })
})

describe('recovery codes', () => {
  test('sign in once each, in any case and spacing, and the owner is told', async () => {
    const { email, recoveryCodes, device } = await protect('recover')
    const [first = '', second = ''] = recoveryCodes
    expect(first).toMatch(/^[0-9a-hjkmnp-tv-z]{5}-[0-9a-hjkmnp-tv-z]{5}$/)
    expect((await finish(await wait(email), recovery(` ${first.toUpperCase().replace('-', ' ')} `))).status).toBe(200)
    expect(await finish(await wait(email), recovery(first))).toMatchObject({ slug: 'code-invalid' })
    expect((await factors(device))['recoveryCodesLeft']).toBe(9)
    const pendings = await Promise.all(Array.from({ length: 8 }, () => wait(email)))
    const answers = await Promise.all(pendings.map((id) => finish(id, recovery(second))))
    expect(tally(answers, 200)).toBe(1)
    await settle()
    expect(mailsTo(email, /recovery code .* was used/)).toHaveLength(2)
    expect(await entries(device.userId, 'recovery-code.use')).toHaveLength(2)
  })

  test('of one account open no other', async () => {
    const [mine, theirs] = [await protect('mine'), await protect('theirs')]
    expect(await finish(await wait(theirs.email), recovery(mine.recoveryCodes[0]!))).toMatchObject({ slug: 'code-invalid' })
    expect((await factors(mine.device))['recoveryCodesLeft']).toBe(10)
  })

  test('made anew void the old set; without a second factor there are none', async () => {
    const { email, recoveryCodes, device } = await protect('anew')
    const made = await call(device, 'POST', '/v1/auth/recovery-codes')
    const codes = made.body['codes'] as string[]
    expect(new Set([...codes, ...recoveryCodes]).size).toBe(20)
    expect(await finish(await wait(email), recovery(recoveryCodes[3]!))).toMatchObject({ slug: 'code-invalid' })
    expect((await finish(await wait(email), recovery(codes[3]!))).status).toBe(200)
    const { accessToken } = await signInRaw(edge, 'none')
    expect(await call({ accessToken }, 'POST', '/v1/auth/recovery-codes')).toMatchObject({ status: 409, slug: 'conflict' })
  })
})

test('a sign-in never takes over a session or a token that the browser was given before', async () => {
  const { email, secret } = await protect('fixation')
  const planted = (await login((await protect('planter')).email)).body
  const before = {
    cookie:
      '__Host-parvis-access=a.b.c; __Host-parvis-refresh=prt_planted; __Host-parvis-trust=ptd_planted; __Host-parvis-device=pdv_planted',
    origin: ORIGIN,
  }
  const waiting = await post(edge, '/v1/auth/login', { email, password: PASSWORD, mode: 'cookie' }, before)
  expect(waiting.headers.getSetCookie()).toEqual([])
  const ids = [pendingOf(waiting), (planted['factorRequired'] as { pendingId: string }).pendingId]
  expect(new Set(ids).size).toBe(2)
  const done = await post(edge, '/v1/auth/login/factor', { pendingId: ids[0], proof: totp(codeOf(secret)) }, before)
  const cookies = done.headers.getSetCookie().join()
  expect(cookies).toMatch(/__Host-parvis-refresh=prt_(?!planted)/)
  expect(cookies).toMatch(/__Host-parvis-device=pdv_[\w-]{43};/)
  expect(cookies).not.toContain('__Host-parvis-trust')
})

test('the typed client signs in with a second factor, trusts a device and steps up', async () => {
  const { email, secret, device } = await protect('typed')
  const client = edge.client()
  const first = await client.login({ body: { email, password: PASSWORD } })
  if (!first.factorRequired) throw new Error('no second factor was asked for')
  expect(first.factorRequired.methods).toEqual(['totp', 'recovery-code'])
  expect(await client.session()).toBeUndefined()
  const { pendingId } = first.factorRequired
  await expect(
    client.finishLogin({ body: { pendingId, proof: { method: 'totp', code: wrongCodes(secret, 1)[0]! } } }),
  ).rejects.toMatchObject({ slug: 'code-invalid' })
  const done = await client.finishLogin({ body: { pendingId, proof: { method: 'totp', code: codeOf(secret) }, trustDevice: true } })
  expect(await client.getMe()).toMatchObject({ email })
  await client.logout()
  const again = await client.login({ body: { email, password: PASSWORD, ...(done.trustToken && { trustToken: done.trustToken }) } })
  expect(again.sessionId).toMatch(/^ses_/)
  const refused: unknown = await client.makeRecoveryCodes().catch((error: unknown) => error)
  expect(isProblem(refused) && [refused.slug, refused.extras.methods]).toEqual(['step-up-required', ['totp', 'recovery-code']])
  await forgetStep(device.userId)
  await client.stepUp({ body: { method: 'totp', code: codeOf(secret) } })
  expect((await client.makeRecoveryCodes()).codes).toHaveLength(10)
  expect((await client.listTrustedDevices()).items).toHaveLength(1)
  await client.removeTotp()
  expect((await client.getFactors()).methods).toEqual([])
})
