import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type Client, ContractError, createClient, NetworkError, Problem } from '../../src/client/client.ts'
import { ME, ROOM_ID, type Service, startService, troubleFor, troubleOf, USER_ID } from './service.ts'

const LOGIN = { body: { email: 'ada@example.org', password: 'correct horse battery staple' } }

let service: Service
let client: Client
beforeEach(async () => {
  service = await startService()
  client = createClient({ origin: service.origin })
})
afterEach(() => service.stop())

const failure = (call: Promise<unknown>) =>
  call.then(
    () => undefined,
    (error: unknown) => error,
  )

describe('an answer', () => {
  beforeEach(() => client.login(LOGIN))

  test('is read by the contract, and what a newer service adds is left out', async () => {
    expect(await client.getMe()).toEqual(ME)
  })

  test('that breaks the contract is a ContractError, not data', async () => {
    service.state.trouble = troubleFor('/v1/me', [{ status: 200, body: '{"id":7}' }])
    expect(await failure(client.getMe())).toBeInstanceOf(ContractError)
  })

  test('of another server in its place is a NetworkError with its status', async () => {
    service.state.trouble = troubleFor('/v1/rooms', [{ status: 403, headers: { 'content-type': 'text/html' }, body: '<h1>no</h1>' }])
    expect(await failure(client.createRoom({ body: { name: 'plans' } }))).toMatchObject({ name: 'NetworkError', status: 403 })
  })

  test('that redirects is followed nowhere', async () => {
    const other = await startService()
    service.state.trouble = troubleFor('/v1/rooms', [{ status: 307, headers: { location: `${other.origin}/v1/rooms` } }])
    expect(await failure(client.createRoom({ body: { name: 'plans' } }))).toBeInstanceOf(NetworkError)
    expect(other.arrivals).toEqual([])
    await other.stop()
  })

  test('of readiness comes through although its status is 503', async () => {
    expect(await client.getReady()).toMatchObject({ status: 'down' })
    expect(service.to('/health/ready')).toHaveLength(1)
  })

  test('without a body gives nothing', async () => {
    expect(await client.logout()).toBeUndefined()
  })
})

describe('a problem', () => {
  test('carries slug, faults, trace and the pause that is asked for', async () => {
    const errors = [{ detail: 'needs 15 characters or more', pointer: '#/body/password' }]
    service.state.trouble = troubleFor('/v1/auth/register', [
      troubleOf('invalid-request', {}, { errors, detail: 'Two faults.' }),
      troubleOf('rate-limited', { 'retry-after': '7' }),
    ])
    const register = () => failure(client.register({ body: { email: 'a@example.org', password: 'short' } }))
    const refused = await register()
    expect(refused).toBeInstanceOf(Problem)
    expect(refused).toMatchObject({ slug: 'invalid-request', extras: { errors, detail: 'Two faults.', traceId: 'a'.repeat(32) } })
    expect(await register()).toMatchObject({ slug: 'rate-limited', extras: { retryAfterSeconds: 7 } })
  })

  test('that only a newer service knows is read by its status, and kept as it came', async () => {
    const type = { type: '/problems/quota-used-up', title: 'Your plan is used up.', status: 409 }
    service.state.trouble = troubleFor('/v1/auth/register', [troubleOf('conflict', {}, type)])
    const refused = await failure(client.register({ body: { email: 'a@example.org', password: 'x'.repeat(15) } }))
    expect(refused).toMatchObject({ slug: 'conflict', message: 'Your plan is used up.', cause: expect.objectContaining(type) })
  })
})

describe('a request', () => {
  beforeEach(() => client.login(LOGIN))

  test('takes the path apart from what is in it', async () => {
    await failure(client.getRoom({ params: { roomId: 'a/../b?c' } }))
    expect(service.arrivals.at(-1)?.path).toBe('/v1/rooms/a%2F..%2Fb%3Fc')
  })

  test.each(['', '.', '..'])('to the path segment "%s" is never sent', async (roomId) => {
    const before = service.arrivals.length
    expect(await failure(client.getRoom({ params: { roomId } }))).toBeInstanceOf(TypeError)
    expect(service.arrivals).toHaveLength(before)
  })

  test('leaves out the query that is undefined', async () => {
    await client.listRooms({ query: { limit: 10, cursor: undefined } })
    expect(service.arrivals.at(-1)?.path).toBe('/v1/rooms?limit=10')
  })

  test('carries one trace through all its tries, and another call has another', async () => {
    service.state.trouble = troubleFor('/v1/me', ['cut-before'])
    await client.getMe()
    await client.getMe()
    const [first, again, other] = service.to('/v1/me').map((a) => /^00-(\w{32})-\w{16}-01$/.exec(String(a.headers['traceparent']))?.[1])
    expect(first).toMatch(/^\w{32}$/)
    expect(again).toBe(first)
    expect(other).not.toBe(first)
  })

  test('after a write names the position of that write, and never an older one', async () => {
    expect(service.to('/v1/auth/login')[0]?.headers['parvis-bookmark']).toBeUndefined()
    await client.createRoom({ body: { name: 'one' } })
    await client.createRoom({ body: { name: 'two' } })
    service.state.bookmark = 0
    await client.createRoom({ body: { name: 'from a replica that lags' } })
    await client.listRooms()
    expect(service.arrivals.at(-1)?.headers['parvis-bookmark']).toBe('00000002-00')
  })

  test('sends no cookies in bearer mode and no bearer token to public operations', async () => {
    const seen: RequestInit[] = []
    const watched = createClient({
      origin: service.origin,
      fetch: (url, init) => {
        seen.push(init)
        return fetch(url, init)
      },
    })
    await watched.login(LOGIN)
    await watched.getLive()
    expect(seen.map((init) => init.credentials)).toEqual(['omit', 'omit'])
    expect(service.arrivals.at(-1)?.headers.authorization).toBeUndefined()
  })
})

describe('a read', () => {
  beforeEach(() => client.login(LOGIN))

  test('is repeated through lost connections and outages', async () => {
    service.state.trouble = troubleFor('/v1/me', ['cut-before', 'cut-after', troubleOf('unavailable')])
    expect(await client.getMe()).toMatchObject({ id: USER_ID })
    expect(service.to('/v1/me')).toHaveLength(4)
  })

  test('waits as long as the service asks', async () => {
    service.state.trouble = troubleFor('/v1/me', [troubleOf('unavailable', { 'retry-after': '1' })])
    const startedAt = performance.now()
    await client.getMe()
    expect(performance.now() - startedAt).toBeGreaterThanOrEqual(1000)
  })

  test('does not wait a minute: the caller is told how long', async () => {
    service.state.trouble = troubleFor('/v1/me', [troubleOf('unavailable', { 'retry-after': '60' })])
    expect(await failure(client.getMe())).toMatchObject({ slug: 'unavailable', extras: { retryAfterSeconds: 60 } })
    expect(service.to('/v1/me')).toHaveLength(1)
  })

  test('gives up after a few tries', async () => {
    service.state.trouble = troubleFor('/v1/me', Array(9).fill('cut-before'))
    expect(await failure(client.getMe())).toMatchObject({ name: 'NetworkError', traceId: expect.stringMatching(/^\w{32}$/) })
    expect(service.to('/v1/me')).toHaveLength(4)
  })

  test('is not repeated when the service wants calm', async () => {
    service.state.trouble = troubleFor('/v1/me', [troubleOf('rate-limited', { 'retry-after': '1' })])
    expect(await failure(client.getMe())).toMatchObject({ slug: 'rate-limited' })
    expect(service.to('/v1/me')).toHaveLength(1)
  })
})

describe('a write', () => {
  test.each(['cut-before', 'cut-after', troubleOf('unavailable')] as const)('is never repeated blindly (%#)', async (trouble) => {
    await client.login(LOGIN)
    service.state.trouble = troubleFor('/v1/rooms', [trouble])
    expect(await failure(client.createRoom({ body: { name: 'once' } }))).toBeInstanceOf(Error)
    expect(service.to('/v1/rooms')).toHaveLength(1)
  })
})

describe('an abort signal', () => {
  beforeEach(() => client.login(LOGIN))

  test('ends a call that hangs, with its own reason, and its request', async () => {
    service.state.trouble = troubleFor('/v1/me', ['hang'])
    const reason = new Error('navigated away')
    const aborter = new AbortController()
    const call = failure(client.getMe({}, { signal: aborter.signal }))
    const cancelled = new Promise((resolve) => service.server.once('request', (_, response) => response.once('close', resolve)))
    service.server.once('request', () => setImmediate(() => aborter.abort(reason)))
    expect(await call).toBe(reason)
    await cancelled
  })

  test('ends a call that waits for a refresh that hangs', async () => {
    service.expireTokens()
    const aborter = new AbortController()
    service.state.trouble = ({ path }) => {
      if (path !== '/v1/auth/refresh') return undefined
      setImmediate(() => aborter.abort('enough'))
      return 'hang'
    }
    expect(await failure(client.getMe({}, { signal: aborter.signal }))).toBe('enough')
  })

  test('that is aborted already sends nothing', async () => {
    const before = service.arrivals.length
    expect(await failure(client.getMe({}, { signal: AbortSignal.abort('gone') }))).toBe('gone')
    expect(await failure(client.login(LOGIN, { signal: AbortSignal.abort('gone') }))).toBe('gone')
    expect(service.arrivals).toHaveLength(before)
  })

  test('ends the pause before a repetition', async () => {
    service.state.trouble = troubleFor('/v1/me', [troubleOf('unavailable', { 'retry-after': '20' })])
    const aborter = new AbortController()
    const call = failure(client.getMe({}, { signal: aborter.signal }))
    service.server.once('request', (_, response) => response.once('finish', () => setTimeout(() => aborter.abort('enough'), 50)))
    expect(await call).toBe('enough')
    expect(service.to('/v1/me')).toHaveLength(1)
  })

  test('of one call leaves the refresh it shares to the others', async () => {
    service.expireTokens()
    const aborter = new AbortController()
    const impatient = failure(client.getMe({}, { signal: aborter.signal }))
    const patient = client.getMe()
    service.state.trouble = ({ path }) => {
      if (path === '/v1/auth/refresh') aborter.abort('impatient')
      return undefined
    }
    expect(await impatient).toBe('impatient')
    expect(await patient).toMatchObject({ id: USER_ID })
    expect(service.to('/v1/auth/refresh')).toHaveLength(1)
  })
})

test('an unreachable service is a NetworkError that knows why', async () => {
  await service.stop()
  const refused = await failure(client.createRoom({ body: { name: 'nowhere' } }))
  expect(refused).toBeInstanceOf(NetworkError)
  expect((refused as Error).cause).toBeInstanceOf(Error)
  service = await startService()
})

test('a call before sign-in meets what the service says', async () => {
  expect(await failure(client.getRoom({ params: { roomId: ROOM_ID } }))).toMatchObject({ slug: 'unauthenticated' })
  expect(await failure(client.refresh())).toMatchObject({ slug: 'unauthenticated' })
})
