import { decodeJwt, exportJWK, generateKeyPair, importJWK, jwtVerify, SignJWT } from 'jose'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Edge, ORIGIN, PASSWORD, startEdge } from '../harness.ts'
import { codeOf, factorsOf } from './authenticator.ts'
import { post, read, register, signInRaw } from './raw.ts'

let edge: Edge
let mine: Awaited<ReturnType<typeof signInRaw>>
beforeAll(async () => {
  edge = await startEdge()
  mine = await signInRaw(edge, 'tokens')
})
afterAll(() => edge.stop())

const session = async (authorization: string) => read(await edge.request('/v1/auth/session', { headers: { authorization } }))
const jwks = async () => (await (await edge.request('/.well-known/jwks.json')).json()) as { keys: { kid: string; alg: string }[] }

describe('access tokens', () => {
  test('verify with the published key alone and say what RFC 9068 asks', async () => {
    const { keys } = await jwks()
    const { payload, protectedHeader } = await jwtVerify(mine.accessToken, await importJWK(keys[0]!), {
      issuer: ORIGIN,
      audience: ORIGIN,
      typ: 'at+jwt',
    })
    expect(protectedHeader).toEqual({ alg: 'EdDSA', typ: 'at+jwt', kid: keys[0]!.kid })
    expect(payload).toMatchObject({ sub: mine.userId, sid: mine.sessionId })
    expect(payload.exp! - payload.iat!).toBeLessThanOrEqual(900)
    expect(payload.exp! - payload.iat!).toBeGreaterThanOrEqual(855)
  })

  test('the published set holds no private part', async () => {
    expect(JSON.stringify(await jwks())).not.toContain('"d"')
  })

  test('isolates that make the first key at once agree on one', async () => {
    const fresh = await startEdge()
    try {
      const sets = await Promise.all(
        Array.from({ length: 10 }, async () => JSON.stringify(await (await fresh.request('/.well-known/jwks.json')).json())),
      )
      expect(new Set(sets).size).toBe(1)
    } finally {
      await fresh.stop()
    }
  })

  async function forge(change: { header?: object; claims?: object; key?: CryptoKey | Uint8Array }): Promise<string> {
    const { privateKey } = await generateKeyPair('EdDSA', { crv: 'Ed25519' })
    const claims = { ...decodeJwt(mine.accessToken), ...change.claims }
    const header = { alg: 'EdDSA', typ: 'at+jwt', kid: (await jwks()).keys[0]!.kid, ...change.header }
    return new SignJWT(claims).setProtectedHeader(header).sign(change.key ?? privateKey)
  }

  test('forgeries of every kind are refused alike', async () => {
    const [head = '', body = '', signature = ''] = mine.accessToken.split('.')
    const { privateKey, publicKey } = await generateKeyPair('EdDSA', { crv: 'Ed25519', extractable: true })
    const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
    const published = new TextEncoder().encode(JSON.stringify((await jwks()).keys[0]))
    const forgeries = {
      'another key': await forge({}),
      'its own key in the header': await forge({ key: privateKey, header: { jwk: await exportJWK(publicKey) } }),
      'alg none': `${encode({ alg: 'none', typ: 'at+jwt' })}.${body}.`,
      'HS256 with the public key': await forge({ key: published, header: { alg: 'HS256' } }),
      'unknown kid': await forge({ header: { kid: '../../etc/passwd' } }),
      'no signature': `${head}.${body}.`,
      'changed body': `${head}.${encode({ ...decodeJwt(mine.accessToken), sub: 'usr_00000000000000000000000000' })}.${signature}`,
      padding: `${mine.accessToken}=`,
      'four parts': `${mine.accessToken}.x`,
      'the refresh token': mine.refreshToken,
      nothing: '',
      'a megabyte': 'a'.repeat(60_000),
    }
    const slugs = await Promise.all(Object.entries(forgeries).map(async ([name, token]) => [name, (await session(`Bearer ${token}`)).slug]))
    expect(Object.fromEntries(slugs)).toEqual(Object.fromEntries(Object.keys(forgeries).map((name) => [name, 'unauthenticated'])))
  })

  test('another spelling of a valid token is refused', async () => {
    const last = mine.accessToken.at(-1)!
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
    const sibling = alphabet[alphabet.indexOf(last) ^ 1]!
    expect((await session(`Bearer ${mine.accessToken.slice(0, -1)}${sibling}`)).slug).toBe('unauthenticated')
    expect((await session(`Bearer ${mine.accessToken}`)).status).toBe(200)
  })

  test.each(['Bearer', 'Bearer %', 'Basic YTpi', 'Bearer a.b', 'bearer  x.y.z', 'Bearer é.é.é'])(
    'the malformed header %j answers 401',
    async (authorization) => {
      const { status } = await session(Buffer.from(authorization).toString('latin1'))
      expect(status).toBe(401)
    },
  )
})

describe('cookie mode', () => {
  const cookiesOf = (headers: Headers) => headers.getSetCookie()
  const jar = (set: readonly string[]) => set.map((c) => c.split(';')[0]).join('; ')

  test('keeps the tokens out of the body and in cookies no script can read', async () => {
    const email = await register(edge, 'cookie')
    const { body, headers } = await post(edge, '/v1/auth/login', { email, password: PASSWORD, mode: 'cookie' }, { origin: ORIGIN })
    expect(body).not.toHaveProperty('accessToken')
    expect(body).not.toHaveProperty('refreshToken')
    for (const cookie of cookiesOf(headers))
      expect(cookie).toMatch(/^__Host-parvis-(access|refresh|device)=[^;]+; Max-Age=\d+; Path=\/; Secure; HttpOnly; SameSite=Lax$/)
  })

  test('acts for trusted origins only', async () => {
    const email = await register(edge, 'csrf')
    const { headers } = await post(edge, '/v1/auth/login', { email, password: PASSWORD, mode: 'cookie' }, { origin: ORIGIN })
    const cookie = jar(cookiesOf(headers))
    const create = (more: Record<string, string>) => post(edge, '/v1/auth/refresh', {}, { cookie, ...more })
    expect((await create({})).slug).toBe('origin-untrusted')
    for (const origin of ['https://evil.example', 'null', `${ORIGIN}.evil.example`, 'https://parvis.testevil'])
      expect((await create({ origin })).slug).toBe('origin-untrusted')
    expect((await create({ 'sec-fetch-site': 'cross-site' })).slug).toBe('origin-untrusted')
    expect((await create({ origin: ORIGIN })).status).toBe(200)
  })

  test('a page of another site cannot sign the visitor in', async () => {
    const email = await register(edge, 'login-csrf')
    const login = (headers: Record<string, string>) => post(edge, '/v1/auth/login', { email, password: PASSWORD, mode: 'cookie' }, headers)
    expect((await login({ origin: 'https://evil.example' })).slug).toBe('origin-untrusted')
    expect((await login({ 'sec-fetch-site': 'cross-site' })).slug).toBe('origin-untrusted')
  })

  test('its refresh token is of no use in a body, and logout drops both cookies', async () => {
    const email = await register(edge, 'mode')
    const { headers } = await post(edge, '/v1/auth/login', { email, password: PASSWORD, mode: 'cookie' }, { origin: ORIGIN })
    const cookie = jar(cookiesOf(headers))
    const refreshToken = /refresh=([^;]+)/.exec(cookie)![1]
    expect((await post(edge, '/v1/auth/refresh', { refreshToken })).slug).toBe('unauthenticated')
    const out = await post(edge, '/v1/auth/logout', {}, { cookie, origin: ORIGIN })
    expect(out.status).toBe(204)
    expect(cookiesOf(out.headers).map((c) => c.includes('Max-Age=0'))).toEqual([true, true])
    expect((await post(edge, '/v1/auth/refresh', {}, { cookie, origin: ORIGIN })).slug).toBe('session-ended')
  })

  test('logout signs a browser out by whichever cookie it has left, and drops what is no good', async () => {
    const email = await register(edge, 'half-left')
    const enter = async () => {
      const { headers } = await post(edge, '/v1/auth/login', { email, password: PASSWORD, mode: 'cookie' }, { origin: ORIGIN })
      return cookiesOf(headers).flatMap((c) => (c.startsWith('__Host-parvis-device=') ? [] : [c.split(';')[0]!]))
    }
    const leave = (cookie: string, more: Record<string, string> = { origin: ORIGIN }) =>
      post(edge, '/v1/auth/logout', {}, { cookie, ...more })
    const [access = '', refresh = ''] = await enter()
    expect((await leave(access, { origin: 'https://evil.example' })).slug).toBe('origin-untrusted')
    const out = await leave(access)
    expect([out.status, cookiesOf(out.headers).length]).toEqual([204, 2])
    expect((await post(edge, '/v1/auth/refresh', {}, { cookie: refresh, origin: ORIGIN })).slug).toBe('session-ended')
    for (const useless of ['__Host-parvis-refresh=prt_AAAA', '__Host-parvis-access=a.b.c', access]) {
      const answer = await leave(useless)
      expect([answer.status, cookiesOf(answer.headers).length], useless).toEqual([204, 2])
    }
    expect((await leave('other=1')).slug).toBe('unauthenticated')
  })

  test('all cookies together are below 4096 bytes', async () => {
    const { protect, wait, finish, totp, forgetStep } = factorsOf(() => edge)
    const person = await protect('a-name-that-is-as-long-as-people-make-them'.slice(0, 40))
    await forgetStep(person.device.userId)
    const pendingId = await wait(person.email, { mode: 'cookie' })
    const { status, headers } = await finish(pendingId, totp(codeOf(person.secret)), { trustDevice: true })
    expect([status, cookiesOf(headers).length]).toEqual([200, 4])
    expect(cookiesOf(headers).join('').length, 'with all their attributes').toBeLessThan(4096)
    expect(jar(cookiesOf(headers)).length).toBeLessThan(2048)
  })

  test('a look-alike cookie name does not shadow the real one', async () => {
    const answer = await edge.request('/v1/auth/session', { headers: { cookie: `\u00a0__Host-parvis-access=${mine.accessToken}` } })
    expect(answer.status).toBe(401)
  })
})
