import { applyD1Migrations, createExecutionContext, waitOnExecutionContext } from 'cloudflare:test'
import { env } from 'cloudflare:workers'
import { decodeProtectedHeader } from 'jose'
import { beforeAll, expect, test } from 'vitest'
import type { Env } from '../../src/edge/env.ts'
import { FEATURES } from '../../src/edge/features.ts'
import { hashPassword } from '../../src/edge/identity/password.ts'
import { IDENTITY_SECRETS } from '../../src/edge/identity/secrets.ts'
import { rotateSigningKeys } from '../../src/edge/identity/signing-keys.ts'
import { totpCode } from '../../src/edge/identity/totp.ts'
import { PUSH_KEY, pushPublicKey, vapidFor } from '../../src/edge/inbox/vapid.ts'
import { readConfig } from '../../src/edge/platform/config.ts'
import { objectScope } from '../../src/edge/platform/object-scope.ts'
import { rewrapBoxes, secretsStanding } from '../../src/edge/platform/root-secrets.ts'
import type { Scope } from '../../src/edge/platform/scope.ts'
import worker from '../../src/edge/worker.ts'
import { TRACEPARENT } from './shell-peer.ts'

const PASSWORD = 'correct horse battery staple'
const ADA = 'ada@example.net'
const BOB = 'bob@example.net'
const drawn = (version: number) =>
  `${version}:${btoa(String.fromCharCode(...crypto.getRandomValues(new Uint8Array(32))))
    .replace(/\+/g, '-')
    .replace(/\//g, '_')
    .replace(/=/g, '')}`
const [FIRST, SECOND, THIRD] = [drawn(1), drawn(2), drawn(3)]
const UNDER_SECRETS = FEATURES.flatMap((f) => f.underSecrets ?? [])

/** A deployment with bindings of its own: nothing that another kept in memory serves it. */
function deploy(vars: Record<string, string>) {
  const { DB } = env
  const own = {
    prepare: (text: string) => DB.prepare(text),
    batch: (all: D1PreparedStatement[]) => DB.batch(all),
    withSession: (at?: string) => DB.withSession(at),
  }
  return { ...env, ...vars, DB: own } as unknown as Env
}

async function ask(to: Env, path: string, body: unknown, token?: string) {
  const context = createExecutionContext()
  const headers = { 'content-type': 'application/json', ...(token === undefined ? {} : { authorization: `Bearer ${token}` }) }
  const request = new Request(
    `https://parvis.test${path}`,
    body === undefined ? { headers } : { method: 'POST', headers, body: JSON.stringify(body) },
  )
  const response = await worker.fetch(request, to, context)
  await waitOnExecutionContext(context)
  const text = await response.text()
  return { status: response.status, body: text ? JSON.parse(text) : {} }
}
const login = (to: Env, email: string) => ask(to, '/v1/auth/login', { email, password: PASSWORD })
const finish = async (to: Env, email: string, proof: object) => {
  const { body } = await login(to, email)
  return ask(to, '/v1/auth/login/factor', { pendingId: body.factorRequired.pendingId, proof })
}

const scopeOf = (of: Env): Scope => ({ ...objectScope({ waitUntil: () => undefined }, of, TRACEPARENT), config: readConfig(of) })
const standing = (of: Env) => secretsStanding(scopeOf(of), UNDER_SECRETS)

function fromBase32(text: string): Uint8Array<ArrayBuffer> {
  const bits = [...text].map((c) => 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'.indexOf(c).toString(2).padStart(5, '0')).join('')
  return Uint8Array.from(bits.match(/.{8}/g) ?? [], (byte) => Number.parseInt(byte, 2))
}
const codeOf = (secret: string) => totpCode(fromBase32(secret), Math.floor(Date.now() / 30_000))
/** Lets the app's code of this moment be used once more. */
const forgetStep = () => env.DB.prepare('UPDATE totp_factors SET last_step = 0').run()

let secret: string
let recoveryCodes: readonly string[]
const old = deploy({ SECRET_KEYS: FIRST })

beforeAll(async () => {
  await applyD1Migrations(env.DB, env.TEST_MIGRATIONS)
  for (const [nth, email] of [ADA, BOB].entries())
    await env.DB.prepare("INSERT INTO users (id, email, password_hash, locale, created_at) VALUES (?, ?, ?, 'en', 0)")
      .bind(`usr_01jd000000000000000000010${nth}`, email, await hashPassword(readConfig(old).keyring, PASSWORD))
      .run()
  const { body } = await login(old, ADA)
  secret = (await ask(old, '/v1/auth/totp', {}, body.accessToken)).body.secret
  recoveryCodes = (await ask(old, '/v1/auth/totp/confirm', { code: await codeOf(secret) }, body.accessToken)).body.recoveryCodes
  await pushPublicKey(scopeOf(old))
})

test('after a rotation everything works at once, and health names what still needs the old secret', async () => {
  const both = deploy({ SECRET_KEYS: `${SECOND},${FIRST}` })
  await forgetStep()
  expect((await finish(both, ADA, { method: 'totp', code: await codeOf(secret) })).status).toBe(200)
  expect((await finish(both, ADA, { method: 'recovery-code', code: recoveryCodes[0] })).status).toBe(200)
  expect((await standing(both)).detail).toBe(
    'under older secrets: 1 authenticator apps, 1 passwords, 9 recovery codes, 1 signing keys, 1 push keys; under none that is listed: nothing',
  )
  expect(await rewrapBoxes(scopeOf(both), UNDER_SECRETS)).toBe(2)
  expect(await rewrapBoxes(scopeOf(both), UNDER_SECRETS)).toBe(0)
})

test('a signing key is followed by one under the new secret, which is published before it signs', async () => {
  const both = deploy({ SECRET_KEYS: `${SECOND},${FIRST}` })
  expect(await rotateSigningKeys(scopeOf(both))).toBeGreaterThan(0)
  expect(await rotateSigningKeys(scopeOf(both))).toBe(0)
  const [before, next] = (await env.DB.prepare('SELECT kid, signs_from, retired_at FROM signing_keys ORDER BY created_at').all()).results
  expect(next!['signs_from']).toBe(before!['retired_at'])
  expect(Number(next!['signs_from']) - Date.now()).toBeGreaterThan(600_000)
  // As if its time had come, and the last token of the one before were dead.
  await env.DB.prepare('UPDATE signing_keys SET signs_from = 0 WHERE retired_at IS NULL').run()
  await env.DB.prepare('UPDATE signing_keys SET retired_at = 1 WHERE retired_at IS NOT NULL').run()
  await rotateSigningKeys(scopeOf(both))
})

test('once nothing needs it the old secret may go: people sign in by password, app and recovery code, and stay signed in', async () => {
  const both = deploy({ SECRET_KEYS: `${SECOND},${FIRST}` })
  await forgetStep()
  const { body: device } = await finish(both, ADA, { method: 'totp', code: await codeOf(secret) })
  const { codes } = (await ask(both, '/v1/auth/recovery-codes', {}, device.accessToken)).body
  expect((await login(both, BOB)).status).toBe(200)
  expect(await standing(both)).toEqual({ ok: true, detail: 'under older secrets: nothing; under none that is listed: nothing' })

  const only = deploy({ SECRET_KEYS: SECOND })
  await forgetStep()
  expect((await finish(only, ADA, { method: 'totp', code: await codeOf(secret) })).status).toBe(200)
  expect((await finish(only, ADA, { method: 'recovery-code', code: codes[0] })).status).toBe(200)
  expect((await ask(only, '/v1/auth/refresh', { refreshToken: device.refreshToken })).status).toBe(200)
  expect((await login(only, BOB)).status).toBe(200)
  expect((await vapidFor(scopeOf(only), 'https://push.example.net/x')).authorization).toContain('vapid t=')
})

test('a secret that went too early is told by health, and stops nobody whose password it did not keep', async () => {
  const bare = deploy({ SECRET_KEYS: THIRD })
  expect((await login(bare, ADA)).status).toBe(401)
  expect(await standing(bare)).toEqual({
    ok: false,
    detail:
      'under older secrets: nothing; under none that is listed: 1 authenticator apps, 2 passwords, 9 recovery codes, 1 signing keys, 1 push keys',
  })
  const hash = await hashPassword(readConfig(bare).keyring, PASSWORD)
  await env.DB.prepare('UPDATE users SET password_hash = ? WHERE email = ?').bind(hash, BOB).run()
  expect((await login(bare, BOB)).status).toBe(200)
  expect((await login(deploy({ SECRET_KEYS: `${THIRD},${SECOND}` }), ADA)).status).toBe(200)
})

test('a changed algorithm signs once its key is published, and the one before until then', async () => {
  const secrets = { SECRET_KEYS: THIRD }
  const algOf = async (to: Env) => decodeProtectedHeader((await login(to, BOB)).body.accessToken).alg
  const es = deploy({ ...secrets, SIGNING_ALG: 'ES256' })
  expect(await algOf(es)).toBe('EdDSA')
  await rotateSigningKeys(scopeOf(es))
  expect(await algOf(es)).toBe('EdDSA')
  expect((await ask(es, '/.well-known/openid-configuration', undefined)).body.id_token_signing_alg_values_supported.toSorted()).toEqual([
    'ES256',
    'EdDSA',
  ])
  await env.DB.prepare('UPDATE signing_keys SET signs_from = 0').run()
  expect(await algOf(deploy({ ...secrets, SIGNING_ALG: 'ES256' }))).toBe('ES256')
})

test('what is looked up by its version is found in an index', async () => {
  for (const { table, version } of [...IDENTITY_SECRETS, PUSH_KEY].filter(({ table: t }) => !['signing_keys', 'push_keys'].includes(t))) {
    const { results } = await env.DB.prepare(`EXPLAIN QUERY PLAN SELECT 1 FROM ${table} WHERE ${version} = '1'`).all<{ detail: string }>()
    expect(results.map(({ detail }) => detail).join(), table).toMatch(/SEARCH .* USING (?:COVERING )?INDEX/)
  }
})
