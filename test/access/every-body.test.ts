import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Endpoint } from '../../src/contract/endpoint.ts'
import { endpoints } from '../../src/contract/registry.ts'
import { type Edge, ORIGIN, PASSWORD, startEdge } from '../harness.ts'
import { FORGED_TOKEN } from '../identity/mailed.ts'
import { type Answer, read } from '../identity/raw.ts'
import { from } from '../limits/callers.ts'
import { RULES } from './rules.ts'
import { makeWorld, type World } from './world.ts'

const ID = '01jd0000000000000000000001'
const ASSERTION = {
  id: 'AAAA',
  rawId: 'AAAA',
  type: 'public-key',
  response: { clientDataJSON: 'AAAA', authenticatorData: 'AAAA', signature: 'AAAA' },
}
/** What strangers send. */
const OPEN: Readonly<Record<string, object>> = {
  register: { email: 'new@example.net', password: PASSWORD },
  verifyEmail: { registrationId: `reg_${ID}`, code: '000000' },
  resendVerification: { registrationId: `reg_${ID}` },
  login: { email: 'new@example.net', password: PASSWORD },
  refresh: { refreshToken: 'prt_x' },
  logout: { refreshToken: 'prt_x' },
  forgotPassword: { email: 'new@example.net' },
  resetPassword: { token: FORGED_TOKEN, newPassword: PASSWORD },
  askMagicLink: { email: 'new@example.net' },
  useMagicLink: { magicId: `mgc_${ID}`, code: '000000' },
  restoreAccount: { token: FORGED_TOKEN },
  finishLogin: { pendingId: `pnd_${ID}`, proof: { method: 'totp', code: '000000' } },
  startFactorPasskey: { pendingId: `pnd_${ID}` },
  loginWithPasskey: { assertion: ASSERTION },
}
const PRIVILEGED = { roles: ['admin'], userId: `usr_${ID}`, emailVerified: true, id: 'x', isAdmin: true, disabledAt: null }
/** What no field is: each takes the place of each. */
const ODD: readonly unknown[] = [null, [], {}, true, -1, 2 ** 53 + 1, 1e308, '', ' ', '\u202e', 'x'.repeat(9_000), [[]], { toString: 'x' }]

let edge: Edge
let world: World
beforeAll(async () => {
  const roomy = ['register', 'mail', 'code', 'login', 'login-place', 'login-account', 'factor', 'write', 'messages']
  edge = await startEdge({ vars: { LIMITS: roomy.map((name) => `${name}=1000000/60`).join(' ') } })
  world = await makeWorld(edge)
  await edge.db.prepare("INSERT INTO platform_roles VALUES (?, 'admin', 'operator', 1)").bind(world.rita.userId).run()
})
afterAll(() => edge.stop())

type Case = readonly [id: string, endpoint: Endpoint, body: Record<string, unknown>]
const WITH_BODY: readonly Case[] = (Object.values(endpoints) as Endpoint[])
  .filter((e) => e.body !== undefined)
  .map((e) => [e.id, e, (OPEN[e.id] ?? RULES[e.id as keyof typeof RULES].body ?? {}) as Record<string, unknown>])

let sent = 0
/** Sends text as the body of an operation by a reader, whose calls change nothing that matters here. */
async function say(
  e: Endpoint,
  body: string | Blob,
  headers: Record<string, string> = { 'content-type': 'application/json' },
): Promise<Answer> {
  const path = e.path.replace(/:(\w+)/g, (_, name: string) => world.paths[name] ?? `no-${name}`)
  const authorization: Record<string, string> = e.access === 'public' ? {} : { authorization: `Bearer ${world.rita.accessToken}` }
  const place = from(`2001:db8:${(++sent % 50).toString(16)}::1`)
  const own = RULES[e.id as keyof typeof RULES].headers ?? {}
  return read(await edge.request(path, { method: e.method, headers: { ...authorization, ...own, ...place, ...headers }, body }))
}

describe.each(WITH_BODY)('%s', (_, e, body) => {
  test('takes no field but its own', async () => {
    for (const [name, value] of Object.entries(PRIVILEGED)) {
      if (name in body) continue
      expect(await say(e, JSON.stringify({ ...body, [name]: value })), name).toMatchObject({ status: 400, slug: 'invalid-request' })
    }
  })

  test('takes JSON that says so, and no form that a page elsewhere can send', async () => {
    const text = JSON.stringify(body)
    for (const type of [
      'text/plain',
      'application/x-www-form-urlencoded',
      'multipart/form-data; boundary=x',
      'application/json-patch+json',
    ])
      expect((await say(e, text, { 'content-type': type })).slug, type).toBe('media-type-unsupported')
    expect((await say(e, new Blob([text]), {})).slug).toBe('media-type-unsupported')
    expect((await say(e, text, { 'content-type': 'application/json', 'content-encoding': 'gzip' })).slug).toBe('media-type-unsupported')
  })

  test('refuses whatever is no body of its, and never breaks', async () => {
    for (const text of ['', '{', 'null', '[]', '"x"', '1', `${JSON.stringify(body)}x`, `\ufeff${JSON.stringify(body)}`])
      expect((await say(e, text)).slug, text.slice(0, 40)).toBe('invalid-request')
    const odd = Object.keys(body).flatMap((field) => ODD.map((value) => JSON.stringify({ ...body, [field]: value })))
    const answers = await Promise.all(odd.map(async (text) => [(await say(e, text)).status, text.slice(0, 200)] as const))
    expect(answers.filter(([status]) => status >= 500 && status !== 503)).toEqual([])
  })
})

test('no cache keeps an answer, nor a refusal', async () => {
  for (const [id, e, body] of WITH_BODY) {
    for (const text of [JSON.stringify(body), '{']) expect((await say(e, text)).headers.get('cache-control'), id).toBe('no-store')
  }
})

test('what is sent comes back as data at most, never as a page', async () => {
  const text = '<svg onload=alert(1)>'
  for (const [id, e, body] of WITH_BODY) {
    const [field = 'x'] = Object.keys(body)
    const answer = await say(e, JSON.stringify({ ...body, [field]: text, [text]: text }), {
      'content-type': 'application/json',
      origin: ORIGIN,
    })
    expect(answer.headers.get('content-type'), id).toMatch(/^application\/(problem\+)?json/)
    expect(answer.headers.get('x-content-type-options')).toBe('nosniff')
  }
})
