import type { Browser, CDPSession, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openBrowser, openDoor } from '../console/browser.ts'
import { type Edge, startEdge } from '../harness.ts'
import { describeWith } from '../requires.ts'
import { accountsOf, type Device, tally } from './account.ts'
import { codeOf, factorsOf } from './authenticator.ts'
import { post, register } from './raw.ts'

interface Json {
  readonly [key: string]: unknown
}

/** A device with a platform authenticator that holds passkeys and verifies its user. */
const AUTHENTICATOR = {
  protocol: 'ctap2',
  transport: 'internal',
  hasResidentKey: true,
  hasUserVerification: true,
  isUserVerified: true,
  automaticPresenceSimulation: true,
} as const

describeWith('chromium', 'passkeys', (path) => {
  let edge: Edge
  let browser: Browser
  let page: Page
  let authenticator: CDPSession
  let authenticatorId: string
  const doors = { own: undefined as unknown as Door, foreign: undefined as unknown as Door }
  type Door = Awaited<ReturnType<typeof openDoor>>

  beforeAll(async () => {
    doors.own = await openDoor()
    doors.foreign = await openDoor()
    edge = await startEdge({
      vars: {
        PUBLIC_ORIGIN: doors.own.origin,
        SESSIONS_PER_USER: '100',
        LIMITS: 'register=100000/60 mail=100000/60 code=100000/60 login-place=100000/60 login=100000/60 login-account=100000/60',
      },
    })
    doors.own.leadTo(edge.origin)
    doors.foreign.leadTo(edge.origin)
    browser = await openBrowser(path)
    page = await browser.newPage()
    // A page of ours that asks for no passkey by itself.
    await page.goto(`${doors.own.origin}/register`)
    authenticator = await page.context().newCDPSession(page)
    await authenticator.send('WebAuthn.enable')
    authenticatorId = (await authenticator.send('WebAuthn.addVirtualAuthenticator', { options: AUTHENTICATOR })).authenticatorId
  })
  afterAll(async () => {
    await browser?.close()
    await edge?.stop()
    await doors.own.close()
    await doors.foreign.close()
  })

  const { call, login, finish, totp, recovery, wait, factors, age, protect } = factorsOf(() => edge)
  const { entries, look, refresh, count, mailsTo, settle } = accountsOf(() => edge)

  const create = (options: Json) =>
    page.evaluate(async (given) => {
      const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(given as unknown as PublicKeyCredentialCreationOptionsJSON)
      const made = (await navigator.credentials.create({ publicKey })) as PublicKeyCredential
      return made.toJSON() as unknown as { [key: string]: unknown }
    }, options)
  const sign = (options: Json, on = page) =>
    on.evaluate(async (given) => {
      const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(given as unknown as PublicKeyCredentialRequestOptionsJSON)
      const signed = (await navigator.credentials.get({ publicKey })) as PublicKeyCredential
      return signed.toJSON() as unknown as { [key: string]: unknown }
    }, options)

  /** A passkey of the one before would else answer for the next user. */
  const forgetPasskeys = () => authenticator.send('WebAuthn.clearCredentials', { authenticatorId })

  const start = async (path: string, body: Json = {}) => (await post(edge, path, body)).body
  const startLogin = async () => await read(await edge.request('/v1/auth/login/passkey/start', { method: 'POST' }))
  const read = async (response: Response) => (await response.json()) as Json
  const enter = (assertion: Json, more: Json = {}) => post(edge, '/v1/auth/login/passkey', { assertion, ...more })
  const add = async (device: Pick<Device, 'accessToken'>, name = 'Laptop') => {
    const options = (await call(device, 'POST', '/v1/auth/passkeys/start')).body
    return call(device, 'POST', '/v1/auth/passkeys', { name, attestation: await create(options) })
  }

  /** A user with one passkey, the only one on this device. */
  async function withPasskey(name: string) {
    await forgetPasskeys()
    const email = await register(edge, name)
    const device = (await login(email)).body as unknown as Device
    const added = await add(device)
    expect(added.status).toBe(201)
    const { passkey, recoveryCodes } = added.body as unknown as { passkey: { id: string }; recoveryCodes: string[] }
    return { email, device, passkeyId: passkey.id, recoveryCodes }
  }

  test('signs nobody in from a page of a foreign origin: a visitor would else act as whoever made it', async () => {
    await withPasskey('planted')
    const assertion = await sign(await startLogin())
    const sent = { assertion, mode: 'cookie' }
    const planted = await post(edge, '/v1/auth/login/passkey', sent, { origin: 'https://evil.test' })
    expect(planted).toMatchObject({ status: 403, slug: 'origin-untrusted' })
    expect(planted.headers.getSetCookie()).toEqual([])
    expect((await post(edge, '/v1/auth/login/passkey', sent, { origin: doors.own.origin })).headers.getSetCookie()).not.toEqual([])
  })

  describe('made', () => {
    test('bring recovery codes, raise this session, end those that proved less and tell their owner', async () => {
      await forgetPasskeys()
      const email = await register(edge, 'made')
      const [mine, other] = [(await login(email)).body as unknown as Device, (await login(email)).body as unknown as Device]
      const added = await add(mine, '  Blue key  ')
      expect(added).toMatchObject({ status: 201, body: { passkey: { name: 'Blue key', lastUsedAt: null } } })
      expect(added.body['recoveryCodes']).toHaveLength(10)
      expect(await look(other)).toMatchObject({ slug: 'session-ended' })
      expect(await factors(mine)).toMatchObject({
        passkeys: 1,
        methods: ['passkey', 'recovery-code'],
        stepUp: { methods: ['passkey', 'recovery-code'] },
      })
      expect(JSON.stringify((await call(mine, 'GET', '/v1/auth/passkeys')).body)).not.toMatch(/public|credential|counter/i)
      await settle()
      expect(mailsTo(email, /sign-in method was added/)).toHaveLength(1)
    })

    test('are asked for in such a way that they are discoverable, verified and not attested', async () => {
      const { device } = await withPasskey('asked')
      const options = (await call(device, 'POST', '/v1/auth/passkeys/start')).body
      expect(options).toMatchObject({
        rp: { id: 'localhost', name: 'Parvis' },
        authenticatorSelection: { residentKey: 'required', userVerification: 'required' },
        attestation: 'none',
        excludeCredentials: [{ type: 'public-key' }],
      })
      expect(Buffer.from(String(options['challenge']), 'base64url')).toHaveLength(32)
      await expect(create(options)).rejects.toThrow(/InvalidStateError|already registered|excluded/)
    })

    test('answer their challenge once, in the session that asked, for nothing else', async () => {
      await forgetPasskeys()
      const email = await register(edge, 'bound')
      const [mine, other] = [(await login(email)).body as unknown as Device, (await login(email)).body as unknown as Device]
      const options = (await call(mine, 'POST', '/v1/auth/passkeys/start')).body
      const attestation = await create(options)
      const put = (device: Device, given: Json = attestation) =>
        call(device, 'POST', '/v1/auth/passkeys', { name: 'Key', attestation: given })
      expect(await put(other)).toMatchObject({ status: 400, slug: 'passkey-invalid' })
      const answers = await Promise.all(Array.from({ length: 6 }, () => put(mine)))
      expect(tally(answers, 201)).toBe(1)
      expect(tally(answers, 400)).toBe(5)
      const login2 = await startLogin()
      await forgetPasskeys()
      const foreign = await create({ ...options, challenge: login2['challenge'] })
      expect(await put(mine, foreign)).toMatchObject({ slug: 'passkey-invalid' })
    })

    test('in time only', async () => {
      await forgetPasskeys()
      const device = (await login(await register(edge, 'late'))).body as unknown as Device
      const attestation = await create((await call(device, 'POST', '/v1/auth/passkeys/start')).body)
      await edge.db.prepare('UPDATE passkey_challenges SET expires_at = 1 WHERE binding = ?').bind(device.sessionId).run()
      expect(await call(device, 'POST', '/v1/auth/passkeys', { name: 'Key', attestation })).toMatchObject({ slug: 'passkey-invalid' })
    })

    test('ten at most', async () => {
      const { device } = await withPasskey('ten')
      await edge.db
        .prepare(
          `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 8)
           INSERT INTO passkeys SELECT 'pky_' || i || ?1, ?1, ?1 || i, 'AA', 0, '[]', 0, 'Key', 0, NULL FROM n`,
        )
        .bind(device.userId)
        .run()
      const two = await Promise.all([1, 2].map(async () => (await call(device, 'POST', '/v1/auth/passkeys/start')).body))
      const made: Json[] = []
      for (const options of two) {
        await forgetPasskeys()
        made.push(await create({ ...options, excludeCredentials: [] }))
      }
      const answers = await Promise.all(made.map((attestation) => call(device, 'POST', '/v1/auth/passkeys', { name: 'Key', attestation })))
      expect(answers.map((a) => a.slug ?? a.status).sort()).toEqual([201, 'limit-reached'])
      expect(await call(device, 'POST', '/v1/auth/passkeys/start')).toMatchObject({ status: 409, slug: 'limit-reached' })
    })
  })

  describe('signing in', () => {
    test('names nobody, needs no address and no second factor, and is both', async () => {
      const { device, passkeyId } = await withPasskey('in')
      const options = await startLogin()
      expect(options).toMatchObject({ allowCredentials: [], userVerification: 'required', rpId: 'localhost' })
      const done = await enter(await sign(options), { deviceName: 'Phone' })
      expect(done).toMatchObject({ status: 200, body: { userId: device.userId } })
      const claims = JSON.parse(Buffer.from(String(done.body['accessToken']).split('.')[1]!, 'base64url').toString()) as { amr: string[] }
      expect(claims.amr).toEqual(expect.arrayContaining(['user', 'mfa']))
      expect(await call(done.body as unknown as Device, 'POST', '/v1/auth/recovery-codes')).toMatchObject({ status: 200 })
      const { items } = (await call(device, 'GET', '/v1/auth/passkeys')).body as { items: { id: string; lastUsedAt: string | null }[] }
      expect(items.find((p) => p.id === passkeyId)?.lastUsedAt).not.toBeNull()
    })

    test('answers a challenge once, whatever comes of it', async () => {
      await withPasskey('replay')
      const assertion = await sign(await startLogin())
      const answers = await Promise.all(Array.from({ length: 8 }, () => enter(assertion)))
      expect(tally(answers, 200)).toBe(1)
      expect(tally(answers, 400)).toBe(7)
      const spoilt = await sign(await startLogin())
      const response = spoilt['response'] as { signature: string }
      const bent = { ...spoilt, response: { ...response, signature: `${response.signature.slice(0, -8)}AAAAAAAA` } }
      expect(await enter(bent)).toMatchObject({ status: 400, slug: 'passkey-invalid' })
      expect(await enter(spoilt)).toMatchObject({ status: 400, slug: 'passkey-invalid' })
    })

    test('from a page of another origin is refused, and so is a passkey nobody has', async () => {
      await withPasskey('origin')
      const options = await startLogin()
      await page.goto(`${doors.foreign.origin}/register`)
      const foreign = await sign(options)
      await page.goto(`${doors.own.origin}/register`)
      expect(await enter(foreign)).toMatchObject({ slug: 'passkey-invalid' })
      await edge.db.prepare("UPDATE passkeys SET credential_id = 'gone' || id").run()
      expect(await enter(await sign(await startLogin()))).toMatchObject({ slug: 'passkey-invalid' })
    })

    test('without verifying its user is refused', async () => {
      await withPasskey('unverified')
      await authenticator.send('WebAuthn.setUserVerified', { authenticatorId, isUserVerified: false })
      const assertion = await sign({ ...(await startLogin()), userVerification: 'discouraged' })
      await authenticator.send('WebAuthn.setUserVerified', { authenticatorId, isUserVerified: true })
      expect(await enter(assertion)).toMatchObject({ slug: 'passkey-invalid' })
    })

    test('with a counter that does not grow is let in, put on record and told to its owner', async () => {
      const { email, passkeyId, device } = await withPasskey('counter')
      await edge.db.prepare('UPDATE passkeys SET counter = 1000 WHERE id = ?').bind(passkeyId).run()
      expect((await enter(await sign(await startLogin()))).status).toBe(200)
      expect(await entries(passkeyId, 'passkey.suspect')).toEqual([{ cause: 'counter', actor_id: device.userId }])
      await settle()
      expect(mailsTo(email, /Check the passkeys/)).toHaveLength(1)
    })

    test('of a disabled account is refused', async () => {
      const { device } = await withPasskey('disabled')
      await edge.db.prepare('UPDATE users SET disabled_at = 1 WHERE id = ?').bind(device.userId).run()
      expect(await enter(await sign(await startLogin()))).toMatchObject({ slug: 'passkey-invalid' })
    })

    test('malformed is refused, never an error of ours', async () => {
      const { passkeyId } = await withPasskey('bent')
      const good = await sign(await startLogin())
      const response = good['response'] as Json
      for (const clientDataJSON of ['AAAA', Buffer.from('{}').toString('base64url'), Buffer.from('{"challenge":7}').toString('base64url')])
        expect(await enter({ ...good, response: { ...response, clientDataJSON } })).toMatchObject({ status: 400, slug: 'passkey-invalid' })
      for (const part of ['authenticatorData', 'signature', 'userHandle']) {
        const assertion = await sign(await startLogin())
        expect(await enter({ ...assertion, response: { ...(assertion['response'] as Json), [part]: 'AAAA' } })).toMatchObject({
          status: 400,
          slug: 'passkey-invalid',
        })
      }
      expect(await enter({ id: '../..', response: {} })).toMatchObject({ status: 400, slug: 'invalid-request' })
      expect(passkeyId).toMatch(/^pky_/)
    })
  })

  describe('as a second factor', () => {
    test('finish the sign-in they were asked for, and no other', async () => {
      const { email } = await withPasskey('second')
      const [mine, other] = [await wait(email), await wait(email)]
      const options = await start('/v1/auth/login/factor/passkey', { pendingId: mine })
      expect(options['allowCredentials']).toHaveLength(1)
      const proof = { method: 'passkey', assertion: await sign(options) }
      expect(await finish(other, proof)).toMatchObject({ slug: 'passkey-invalid' })
      expect((await finish(mine, proof)).status).toBe(200)
      const forLogin = { method: 'passkey', assertion: await sign(await startLogin()) }
      expect(await finish(other, forLogin)).toMatchObject({ slug: 'passkey-invalid' })
    })

    test('of one user open nothing of another', async () => {
      const victim = await protect('victim')
      await withPasskey('attacker')
      const pendingId = await wait(victim.email)
      const options = await start('/v1/auth/login/factor/passkey', { pendingId })
      const assertion = await sign({ ...options, allowCredentials: [] })
      expect(await finish(pendingId, { method: 'passkey', assertion })).toMatchObject({ slug: 'passkey-invalid' })
    })

    test('prove again that it is their user, in the session that asked', async () => {
      const { device, email, recoveryCodes } = await withPasskey('step')
      const other = (await finish(await wait(email), recovery(recoveryCodes[0]!))).body as unknown as Device
      await age(device)
      const assertion = await sign((await call(device, 'POST', '/v1/auth/step-up/passkey')).body)
      expect(await call(other, 'POST', '/v1/auth/step-up', { method: 'passkey', assertion })).toMatchObject({ slug: 'passkey-invalid' })
      expect((await call(device, 'POST', '/v1/auth/step-up', { method: 'passkey', assertion })).status).toBe(200)
      expect((await call(device, 'POST', '/v1/auth/passkeys/start')).status).toBe(200)
    })
  })

  describe('of one user', () => {
    test('are listed, named and removed by that user alone', async () => {
      const { device, passkeyId } = await withPasskey('owner')
      const stranger = (await login(await register(edge, 'stranger'))).body as unknown as Device
      expect((await call(stranger, 'GET', '/v1/auth/passkeys')).body).toEqual({ items: [] })
      expect(await call(stranger, 'PATCH', `/v1/auth/passkeys/${passkeyId}`, { name: 'Mine' })).toMatchObject({ status: 404 })
      expect(await call(stranger, 'DELETE', `/v1/auth/passkeys/${passkeyId}`)).toMatchObject({ status: 404, slug: 'not-found' })
      expect(await call(device, 'PATCH', `/v1/auth/passkeys/${passkeyId}`, { name: 'Desk' })).toMatchObject({
        status: 200,
        body: { name: 'Desk' },
      })
      expect((await call(device, 'DELETE', `/v1/auth/passkeys/${passkeyId}`)).status).toBe(204)
      expect(await call(device, 'DELETE', `/v1/auth/passkeys/${passkeyId}`)).toMatchObject({ status: 404 })
      expect((await factors(device))['recoveryCodesLeft']).toBe(0)
      expect(await enter(await sign(await startLogin()))).toMatchObject({ slug: 'passkey-invalid' })
    })

    test('may be the only way to sign in, and then the last one stays', async () => {
      const { device, email, passkeyId } = await withPasskey('only')
      expect((await call(device, 'DELETE', '/v1/auth/password')).status).toBe(204)
      expect(await login(email)).toMatchObject({ status: 401, slug: 'credentials-invalid' })
      const again = (await enter(await sign(await startLogin()))).body as unknown as Device
      expect(await call(again, 'DELETE', `/v1/auth/passkeys/${passkeyId}`)).toMatchObject({ status: 409, slug: 'conflict' })
      expect(await call(again, 'DELETE', '/v1/auth/password')).toMatchObject({ status: 409, slug: 'conflict' })
      await settle()
      expect(mailsTo(email, /password .* was removed/)).toHaveLength(1)
      const change = await call(again, 'POST', '/v1/auth/password/change', { newPassword: 'seven otters juggle lanterns' })
      expect(change.status).toBe(204)
      expect((await refresh(again)).status).toBe(200)
      expect((await call(again, 'DELETE', `/v1/auth/passkeys/${passkeyId}`)).status).toBe(204)
    })

    test('stay beside an app that is removed', async () => {
      const { email, device, secret } = await protect('both')
      await forgetPasskeys()
      expect((await add(device)).body['recoveryCodes']).toEqual([])
      expect((await call(device, 'DELETE', '/v1/auth/totp')).status).toBe(204)
      expect((await login(email)).body).toMatchObject({ factorRequired: { methods: ['passkey', 'recovery-code'] } })
      expect(await finish(await wait(email), totp(codeOf(secret)))).toMatchObject({ slug: 'code-invalid' })
      expect(await count('SELECT count(*) AS n FROM passkeys WHERE user_id = ?', device.userId)).toBe(1)
    })
  })
})
