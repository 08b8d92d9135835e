import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { endpoints } from '../../src/contract/registry.ts'
import { type Edge, ORIGIN, startEdge } from '../harness.ts'
import { read } from '../identity/raw.ts'

const FRIEND = 'https://app.example.org'
let edge: Edge
beforeAll(async () => {
  edge = await startEdge({ vars: { CORS_ORIGINS: FRIEND } })
})
afterAll(() => edge.stop())

const HEADERS = {
  'strict-transport-security': 'max-age=63072000; includeSubDomains',
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'x-frame-options': 'DENY',
}

describe('every answer', () => {
  const paths = [
    '/health/live',
    '/health/ready',
    '/v1/nothing',
    '/v1/auth/login',
    '/v1/me',
    '/.well-known/jwks.json',
    '/v1/openapi.json',
    '/docs',
    '/',
  ]
  test.each(paths)('%s carries the security headers and a trace', async (path) => {
    const { headers } = await edge.request(path)
    expect(Object.fromEntries(Object.keys(HEADERS).map((name) => [name, headers.get(name)]))).toEqual(HEADERS)
    expect(headers.get('content-security-policy')).toContain("frame-ancestors 'none'")
    expect(headers.get('traceparent')).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-0[01]$/)
    expect(headers.get('content-type')).toMatch(/charset=utf-8|application\/json/)
  })

  test.each(['/', '/docs'])('%s is a page of its own, with nothing of the device open to it', async (path) => {
    const { headers } = await edge.request(path)
    expect(headers.get('cross-origin-opener-policy')).toBe('same-origin')
    expect(headers.get('permissions-policy')).toMatch(/camera=\(\).*microphone=\(\)/)
  })

  test('anything about a person is not kept by caches', async () => {
    for (const path of ['/v1/me', '/v1/auth/session', '/v1/rooms'])
      expect((await edge.request(path)).headers.get('cache-control')).toBe('no-store')
  })
})

describe('paths and methods', () => {
  test.each(['/v1/nothing', '/v1/auth//login', '//v1/auth/login', '/v1/auth/login/', '/v1/%61uth/nothing', '/nothing'])(
    '%s is a problem',
    async (path) => {
      const answer = await read(await fetch(`${edge.origin}${path}`, { method: 'POST' }))
      expect(answer.slug).toBe('not-found')
    },
  )

  test('a known path with another method answers 405 and says which are allowed', async () => {
    const answer = await read(await edge.request('/v1/auth/login', { method: 'DELETE' }))
    expect([answer.status, answer.slug, answer.headers.get('allow')]).toEqual([405, 'method-not-allowed', 'POST'])
    const rooms = await edge.request('/v1/rooms', { method: 'PUT' })
    expect(rooms.headers.get('allow')?.split(', ').sort()).toEqual(['GET', 'HEAD', 'POST'])
  })

  test('every operation that wants a user refuses a stranger before anything else', async () => {
    const closed = Object.values(endpoints).filter((e) => e.access === 'user')
    const slugs = await Promise.all(
      closed.map(async (e) => {
        const path = e.path.replace(
          /:(\w+)Id/g,
          (_, kind: string) => `${{ room: 'rm', user: 'usr', org: 'org', host: 'hst', shell: 'shl' }[kind]}_01jd0000000000000000000000`,
        )
        return [e.id, (await read(await edge.request(path, { method: e.method }))).slug]
      }),
    )
    expect(Object.fromEntries(slugs)).toEqual(Object.fromEntries(closed.map((e) => [e.id, 'unauthenticated'])))
  })

  test('a cursor that no list gave out is an invalid request', async () => {
    const { client } = await edge.signUp('cursor')
    await expect(client.listRooms({ query: { cursor: 'bm90LWEtY3Vyc29y' } })).rejects.toMatchObject({ slug: 'invalid-request' })
    await expect(client.listRooms({ query: { limit: 101 } })).rejects.toMatchObject({ slug: 'invalid-request' })
  })
})

describe('traces', () => {
  const traceparent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'

  test('a well-formed one is joined, in the answer and in the log', async () => {
    edge.server.clearLogs()
    const { headers } = await edge.request('/health/live', { headers: { traceparent } })
    expect(headers.get('traceparent')).toMatch(/^00-4bf92f3577b34da6a3ce929d0e0e4736-(?!00f067aa0ba902b7)[0-9a-f]{16}-01$/)
    expect(edge.logs()).toEqual([expect.objectContaining({ event: 'request', traceId: '4bf92f3577b34da6a3ce929d0e0e4736' })])
  })

  test.each([
    '00-short',
    '00-00000000000000000000000000000000-00f067aa0ba902b7-01',
    `${traceparent}-more`,
    'ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01',
  ])('the malformed %s starts a new one', async (bad) => {
    const { headers } = await edge.request('/health/live', { headers: { traceparent: bad } })
    expect(headers.get('traceparent')).not.toContain('4bf92f3577b34da6a3ce929d0e0e4736')
  })
})

describe('other origins', () => {
  const preflight = (origin: string) =>
    edge.request('/v1/rooms', {
      method: 'OPTIONS',
      headers: { origin, 'access-control-request-method': 'POST', 'access-control-request-headers': 'authorization' },
    })

  test('a listed one may call with credentials', async () => {
    const { status, headers } = await preflight(FRIEND)
    expect([status, headers.get('access-control-allow-origin'), headers.get('access-control-allow-credentials')]).toEqual([
      204,
      FRIEND,
      'true',
    ])
    const answer = await edge.request('/health/live', { headers: { origin: FRIEND } })
    expect(answer.headers.get('access-control-allow-origin')).toBe(FRIEND)
    expect(answer.headers.get('vary')).toContain('Origin')
  })

  test.each([
    'https://evil.example',
    'null',
    `${FRIEND}.evil.example`,
    'https://app.example.org:444',
    'http://app.example.org',
    '*',
    ORIGIN,
  ])('%s is told nothing', async (origin) => {
    const { headers } = await preflight(origin)
    expect([...headers.keys()].filter((name) => name.startsWith('access-control'))).toEqual([])
  })

  test('a header list without end costs nothing', async () => {
    const headers = {
      origin: FRIEND,
      'access-control-request-method': 'POST',
      'access-control-request-headers': `${' '.repeat(4_000)},`.repeat(3),
    }
    expect((await edge.request('/v1/rooms', { method: 'OPTIONS', headers })).status).toBe(204)
  })
})

test('headers that claim to come from a proxy change nothing', async () => {
  const { client, id } = await edge.signUp('proxy')
  const token = (await client.refresh({ body: {} }).catch(() => undefined))?.accessToken
  const spoof = {
    'x-forwarded-for': '1.2.3.4',
    'x-forwarded-host': 'evil.example',
    forwarded: 'host=evil.example',
    'x-user-id': 'usr_01jd0000000000000000000000',
    'x-parvis-actor': '{}',
  }
  const stranger = await edge.request('/v1/me', { headers: spoof })
  expect(stranger.status).toBe(401)
  if (token)
    expect(await (await edge.request('/v1/me', { headers: { ...spoof, authorization: `Bearer ${token}` } })).json()).toMatchObject({ id })
})

test('a Worker whose configuration is refused says so to the log by key, and nothing to the caller', async () => {
  const bad = await startEdge({ vars: { SECRET_KEYS: '1:too-short-to-use', MAIL_FROM: 'nobody' } })
  try {
    const answer = await read(await bad.request('/health/live'))
    expect([answer.status, answer.slug]).toEqual([500, 'internal'])
    const logged = JSON.stringify(bad.server.getLogs())
    expect(logged).toContain('SECRET_KEYS, MAIL_FROM')
    expect(logged + JSON.stringify(answer.body)).not.toContain('too-short-to-use')
  } finally {
    await bad.stop()
  }
})

test('an asset whose name says nothing of its content is asked for anew, and told unchanged', async () => {
  const first = await edge.request('/assets/console.css')
  const etag = first.headers.get('etag') ?? ''
  expect([first.status, first.headers.get('cache-control'), etag.length > 0]).toEqual([200, 'no-cache', true])
  expect((await edge.request('/assets/console.css', { headers: { 'if-none-match': etag } })).status).toBe(304)
  expect((await read(await edge.request('/assets/../wrangler.toml'))).slug).toBe('not-found')
  expect((await read(await edge.request('/assets/none.js'))).slug).toBe('not-found')
})
