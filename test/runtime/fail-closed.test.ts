import { applyD1Migrations, createExecutionContext, listDurableObjectIds, waitOnExecutionContext } from 'cloudflare:test'
import { env } from 'cloudflare:workers'
import { beforeAll, expect, onTestFinished, test, vi } from 'vitest'
import type { Endpoint } from '../../src/contract/endpoint.ts'
import { endpoints, sockets } from '../../src/contract/registry.ts'
import type { Env } from '../../src/edge/env.ts'
import { hashPassword } from '../../src/edge/identity/password.ts'
import { readConfig } from '../../src/edge/platform/config.ts'
import worker from '../../src/edge/worker.ts'

const EMAIL = 'closed@example.net'
const PASSWORD = 'correct horse battery staple'

beforeAll(async () => {
  await applyD1Migrations(env.DB, env.TEST_MIGRATIONS)
  await env.DB.prepare(
    "INSERT INTO users (id, email, password_hash, locale, created_at) VALUES ('usr_01jd0000000000000000000009', ?, ?, 'en', 0)",
  )
    .bind(EMAIL, await hashPassword(readConfig(env).keyring, PASSWORD))
    .run()
})

/** A D1 that is not there. */
const lost = new Proxy({} as D1Database, {
  get: () => () => {
    throw new Error('D1_ERROR: Network connection lost.')
  },
})

async function ask(request: Request, bindings: Partial<Env> = {}) {
  const context = createExecutionContext()
  const response = await worker.fetch(request, { ...env, ...bindings }, context)
  await waitOnExecutionContext(context)
  const text = await response.text()
  return {
    status: response.status,
    headers: response.headers,
    body: text.startsWith('{') ? (JSON.parse(text) as Record<string, unknown>) : {},
  }
}
const posting = (path: string, body: unknown) =>
  new Request(`https://parvis.test${path}`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) })
const signIn = async () => (await ask(posting('/v1/auth/login', { email: EMAIL, password: PASSWORD }))).body

const IDS: Readonly<Record<string, string>> = { kid: 'audit-1', versionId: '1' }
const CLOSED = (Object.values(endpoints) as Endpoint[]).filter((e) => e.access === 'user')

test('a token that nobody can check any more opens nothing: every operation is unavailable, and tells nobody’s name', async () => {
  const { accessToken } = await signIn()
  const answers: Record<string, unknown> = {}
  for (const { id, method, path } of CLOSED) {
    const url = `https://parvis.test${path.replace(/:(\w+)/g, (_, name: string) => IDS[name] ?? `x_${'0'.repeat(26)}`)}`
    const answer = await ask(new Request(url, { method, headers: { authorization: `Bearer ${accessToken}` } }), { DB: lost })
    answers[id] = [answer.status, answer.body['type'], Number(answer.headers.get('retry-after')) > 0]
  }
  expect(answers).toEqual(Object.fromEntries(CLOSED.map(({ id }) => [id, [503, '/problems/unavailable', true]])))
})

test.each([
  ['a refresh', '/v1/auth/refresh'],
  ['a sign-out', '/v1/auth/logout'],
])('%s that could not be stored is not acknowledged, and works once storage is back', async (_, path) => {
  const { refreshToken } = await signIn()
  expect(await ask(posting(path, { refreshToken }), { DB: lost })).toMatchObject({ status: 503, body: { type: '/problems/unavailable' } })
  expect((await ask(posting(path, { refreshToken }))).status).toBeLessThan(300)
})

test.each([
  ['/v1/auth/register', { email: 'new@example.net', password: PASSWORD }],
  ['/v1/auth/login', { email: EMAIL, password: PASSWORD }],
  ['/v1/auth/magic', { email: EMAIL }],
  ['/v1/auth/password/forgot', { email: EMAIL }],
  ['/v1/auth/verify', { token: 'A'.repeat(43), password: PASSWORD }],
])('%s is unavailable and makes nothing up', async (path, body) => {
  const answer = await ask(posting(path, body), { DB: lost })
  expect([answer.status, answer.body['accessToken'], answer.body['registrationId']]).toEqual([503, undefined, undefined])
})

test('after an outage of eighty seconds the same isolate signs people in again, and knows those who were', async () => {
  const { accessToken, refreshToken } = await signIn()
  const look = (bindings: Partial<Env> = {}) =>
    ask(new Request('https://parvis.test/v1/auth/session', { headers: { authorization: `Bearer ${accessToken}` } }), bindings)
  const clock = vi.spyOn(Date, 'now')
  onTestFinished(() => clock.mockRestore())
  const startedAt = Date.now()
  for (let second = 0; second <= 80; second += 8) {
    clock.mockReturnValue(startedAt + second * 1_000)
    const failed = [
      await ask(posting('/v1/auth/login', { email: EMAIL, password: PASSWORD }), { DB: lost }),
      await ask(posting('/v1/auth/refresh', { refreshToken }), { DB: lost }),
      await ask(posting('/v1/auth/verify', { token: 'A'.repeat(43), password: PASSWORD }), { DB: lost }),
    ]
    expect(failed.map(({ status }) => status)).toEqual([503, 503, 503])
    expect(failed.every(({ headers }) => Number(headers.get('retry-after')) > 0)).toBe(true)
  }
  expect((await signIn())['accessToken']).toBeDefined()
  expect((await look()).status).toBe(200)
  expect((await ask(posting('/v1/auth/refresh', { refreshToken }))).status).toBe(200)
})

test('a page with a megabyte of Accept-Language or of lang is answered', async () => {
  const megabyte = 1_048_576
  const long = [
    'fr,'.repeat(megabyte / 3),
    `fr${'-a'.repeat(megabyte / 2)}`,
    `fr;q=${'0'.repeat(megabyte)}`,
    `x${' '.repeat(megabyte)}fr`,
    `fr${';'.repeat(megabyte)}`,
    `x${'\t,'.repeat(megabyte / 2)}fr`,
  ]
  for (const text of long) {
    const request = new Request('https://parvis.test/login', { headers: { 'accept-language': text } })
    const answer = await worker.fetch(request, env, createExecutionContext())
    expect([answer.status, (await answer.text()).includes('<html lang=')], text.slice(0, 12)).toEqual([200, true])
  }
  const said = await worker.fetch(new Request(`https://parvis.test/login?lang=${'f'.repeat(megabyte)}`), env, createExecutionContext())
  expect(await said.text()).toContain('<html lang="en"')
})

test('a secret that is not configured lets nobody in', async () => {
  const { accessToken } = await signIn()
  const look = (bindings: object) =>
    ask(
      new Request('https://parvis.test/v1/auth/session', { headers: { authorization: `Bearer ${accessToken}` } }),
      bindings as Partial<Env>,
    )
  expect((await look({})).status).toBe(200)
  for (const SECRET_KEYS of [undefined, '', 'x', '1:AAAA']) {
    const answer = await look({ SECRET_KEYS })
    expect([answer.status, answer.body['userId']]).toEqual([500, undefined])
  }
})

test('nobody makes objects by naming rooms and shells that are not there', async () => {
  const { accessToken } = await signIn()
  const objects = async () => [...(await listDurableObjectIds(env.ROOMS)), ...(await listDurableObjectIds(env.SHELLS))].length
  const before = await objects()
  const named: Readonly<Record<string, string>> = {
    roomId: 'rm_01jd0000000000000000000099',
    shellId: 'shl_01jd0000000000000000000099',
    versionId: '1',
  }
  const at = (path: string) => `https://parvis.test${path.replace(/:(\w+)/g, (_, name: string) => named[name] ?? 'x')}`
  const doors = Object.values(sockets).filter(({ path }) => path.includes('/:'))
  for (const token of [accessToken, 'a.b.c', undefined]) {
    const authorization = token === undefined ? {} : { authorization: `Bearer ${token}` }
    for (const { path } of doors) {
      const answer = await ask(
        new Request(at(path), { headers: { upgrade: 'websocket', 'sec-websocket-protocol': 'parvis', ...authorization } }),
      )
      expect([401, 403, 404], path).toContain(answer.status)
    }
    for (const { method, path } of CLOSED.filter((e) => e.path.includes(':roomId') || e.path.includes(':shellId')))
      expect([400, 401, 404, 415], path).toContain((await ask(new Request(at(path), { method, headers: authorization }))).status)
  }
  expect(await objects()).toBe(before)
})
