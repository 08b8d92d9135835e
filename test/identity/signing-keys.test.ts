import { createRemoteJWKSet, decodeProtectedHeader, jwtVerify } from 'jose'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { verifyingKey } from '../../src/edge/identity/signing-keys.ts'
import type { Scope } from '../../src/edge/platform/scope.ts'
import { type Edge, ORIGIN, startEdge } from '../harness.ts'
import { bearer, closeOf, knock } from '../rooms/person.ts'
import { codeOf, factorsOf } from './authenticator.ts'
import { post, signInRaw } from './raw.ts'
import { scopeOf } from './scope.ts'

const DAY_MS = 86_400_000

let edge: Edge
let mine: Awaited<ReturnType<typeof signInRaw>>
beforeAll(async () => {
  edge = await startEdge()
  mine = await signInRaw(edge, 'keys')
})
afterAll(() => edge.stop())

interface KeyRow {
  readonly kid: string
  readonly signs_from: number
  readonly retired_at: number | null
}
const rows = async () =>
  (await edge.db.prepare('SELECT kid, signs_from, retired_at FROM signing_keys ORDER BY created_at').all<KeyRow>()).results
const sweep = () => edge.worker.scheduled({ cron: '* * * * *' })
const published = async (of = edge) =>
  (await (await of.request('/.well-known/jwks.json')).json()) as { keys: { kid: string; alg: string }[] }
const isLetIn = async (token: string, to = edge) =>
  (await to.request('/v1/auth/session', { headers: { authorization: `Bearer ${token}` } })).status

describe('a signing key', () => {
  test('is left alone while it is young', async () => {
    await sweep()
    expect(await rows()).toEqual([{ kid: decodeProtectedHeader(mine.accessToken).kid, signs_from: 0, retired_at: null }])
  })

  test('of age is followed by one that is published well before it signs, by however many sweeps at once', async () => {
    await edge.db
      .prepare('UPDATE signing_keys SET created_at = created_at - ?')
      .bind(31 * DAY_MS)
      .run()
    await Promise.all([sweep(), sweep(), sweep()])
    const [old, next, ...more] = await rows()
    expect(more).toEqual([])
    expect(next!.signs_from).toBe(old!.retired_at)
    expect(next!.signs_from - Date.now()).toBeGreaterThan(600_000)
    expect((await published()).keys.map((k) => k.kid).sort()).toEqual([old!.kid, next!.kid].sort())
    const { body } = await post(edge, '/v1/auth/refresh', { refreshToken: mine.refreshToken })
    expect(decodeProtectedHeader(String(body['accessToken'])).kid).toBe(old!.kid)
  })

  test('whose time has come signs, while tokens of the one before are still let in', async () => {
    const [old, next] = await rows()
    await edge.db
      .prepare('UPDATE signing_keys SET signs_from = iif(signs_from > 0, 1, 0), retired_at = iif(retired_at > 0, ?, NULL)')
      .bind(Date.now() - 1)
      .run()
    await sweep()
    const fresh = await signInRaw(edge, 'next')
    expect(decodeProtectedHeader(fresh.accessToken).kid).toBe(next!.kid)
    expect(await isLetIn(mine.accessToken)).toBe(200)
    expect((await published()).keys.map((k) => k.kid)).toContain(old!.kid)
  })

  test('is forgotten once its last token is dead, and its tokens with it', async () => {
    const [old] = await rows()
    await edge.db
      .prepare('UPDATE signing_keys SET retired_at = retired_at - ? WHERE retired_at IS NOT NULL')
      .bind(2 * 3_600_000)
      .run()
    await sweep()
    expect((await published()).keys.map((k) => k.kid)).not.toContain(old!.kid)
    expect(await edge.db.prepare("SELECT count(*) AS n FROM audit_entries WHERE action = 'key.rotate'").first('n')).toBe(1)
  })
})

test('keys change while many refresh, are let in and read the published ones, and nobody notices', async () => {
  const people = await Promise.all(Array.from({ length: 6 }, (_, i) => signInRaw(edge, `during-${i}`)))
  await edge.db
    .prepare('UPDATE signing_keys SET created_at = created_at - ? WHERE retired_at IS NULL')
    .bind(31 * DAY_MS)
    .run()
  const refresh = async ({ refreshToken }: { readonly refreshToken: string }) => post(edge, '/v1/auth/refresh', { refreshToken })
  const change = async () => {
    await sweep()
    const { meta } = await edge.db
      .prepare(
        'UPDATE signing_keys SET signs_from = iif(signs_from > ?1, 1, signs_from), retired_at = iif(retired_at > ?1, ?1, retired_at)',
      )
      .bind(Date.now())
      .run()
    await Promise.all([sweep(), sweep()])
    return meta.changes
  }
  const during = async (who: (typeof people)[number]) => {
    const kids: string[] = []
    let at = who
    for (let i = 0; i < 12; i++) {
      const { status, body } = await refresh(at)
      expect(status).toBe(200)
      at = body as unknown as typeof who
      kids.push(String(decodeProtectedHeader(at.accessToken).kid))
      expect([await isLetIn(at.accessToken), await isLetIn(who.accessToken)]).toEqual([200, 200])
      expect((await published()).keys.map(({ kid }) => kid)).toEqual(expect.arrayContaining(kids))
    }
    return at
  }
  const [changed, ...last] = await Promise.all([change(), ...people.map(during)])
  expect(changed).toBeGreaterThan(0)
  for (const who of last) expect(await isLetIn(who.accessToken)).toBe(200)
  expect((await rows()).filter(({ retired_at }) => retired_at === null)).toHaveLength(1)
})

test('a thousand key ids that nobody knows cost one look at storage in ten seconds', async () => {
  let [looks, now] = [0, Date.now()]
  const { db, ...scope } = scopeOf(edge, () => now)
  const counting = Object.defineProperty({ ...scope, env: { ...scope.env, DB: {} } }, 'db', {
    get() {
      looks++
      return db
    },
  }) as unknown as Scope
  const ask = (kid: string) => verifyingKey(counting, { kid, alg: 'EdDSA' })
  for (let i = 0; i < 1_000; i++) expect(await ask(`key_${i}`)).toBeUndefined()
  expect(looks).toBe(1)
  now += 10_000
  for (let i = 0; i < 1_000; i++) await ask(`key_${i}`)
  expect(looks).toBe(2)
  const [known] = (await published()).keys
  expect(await ask(known!.kid), 'and hide none that is').toBeDefined()
})

describe('a deployment whose verifiers lack EdDSA', () => {
  let es: Edge
  beforeAll(async () => {
    es = await startEdge({ vars: { SIGNING_ALG: 'ES256' } })
  })
  afterAll(() => es.stop())

  test('signs with ES256, found and verified by its discovery document alone', async () => {
    const { accessToken } = await signInRaw(es, 'es')
    const discovery = (await (await es.request('/.well-known/openid-configuration')).json()) as Record<string, unknown>
    expect(discovery).toMatchObject({
      issuer: ORIGIN,
      jwks_uri: `${ORIGIN}/.well-known/jwks.json`,
      id_token_signing_alg_values_supported: ['ES256'],
    })
    const keys = createRemoteJWKSet(new URL('/.well-known/jwks.json', es.origin))
    const { protectedHeader } = await jwtVerify(accessToken, keys, { issuer: ORIGIN, audience: ORIGIN, typ: 'at+jwt' })
    expect(protectedHeader.alg).toBe('ES256')
    expect(await isLetIn(accessToken, es)).toBe(200)
    expect(JSON.stringify(await published(es))).not.toContain('"d"')
  })

  test('signs people in through every step: second factor, refresh, a socket and the way out', async () => {
    const { protect, wait, finish, totp, forgetStep } = factorsOf(() => es)
    const algOf = (token: unknown) => decodeProtectedHeader(String(token)).alg
    const person = await protect('es-steps')
    await forgetStep(person.device.userId)
    const { status, body } = await finish(await wait(person.email), totp(codeOf(person.secret)))
    expect([status, algOf(body['accessToken'])]).toEqual([200, 'ES256'])
    const renewed = await post(es, '/v1/auth/refresh', { refreshToken: body['refreshToken'] })
    expect([renewed.status, algOf(renewed.body['accessToken'])]).toEqual([200, 'ES256'])
    const accessToken = String(renewed.body['accessToken'])
    const { socket } = await knock(es, '/v1/inbox/live', { protocols: bearer({ accessToken }) })
    if (!socket) throw new Error('the inbox did not open')
    const closed = closeOf(socket)
    expect((await post(es, '/v1/auth/logout', { refreshToken: renewed.body['refreshToken'] })).status).toBe(204)
    expect(await closed).toEqual({ code: 4401, reason: 'session-ended' })
    expect(await isLetIn(accessToken, es)).toBe(401)
  })

  test('takes no token of another algorithm under the same key', async () => {
    const { accessToken } = await signInRaw(es, 'swap')
    const [head = '', body, signature] = accessToken.split('.')
    const header = { ...JSON.parse(Buffer.from(head, 'base64url').toString()), alg: 'EdDSA' }
    expect(await isLetIn([Buffer.from(JSON.stringify(header)).toString('base64url'), body, signature].join('.'), es)).toBe(401)
  })
})
