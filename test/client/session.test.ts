import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type Client, createClient, localStorageTokens, memoryTokens, type SignOutCause, type TokenStore } from '../../src/client/client.ts'
import { type Service, soon, startService, troubleFor, troubleOf, USER_ID } from './service.ts'

const LOGIN = { body: { email: 'ada@example.org', password: 'correct horse battery staple' } }
const REFRESH = '/v1/auth/refresh'

let service: Service
let tokens: TokenStore
beforeEach(async () => {
  service = await startService()
  tokens = memoryTokens()
})
afterEach(() => service.stop())

const clientOf = (store = tokens) => createClient({ origin: service.origin, tokens: store })
const slugOf = (call: Promise<unknown>) =>
  call.then(
    () => 'fine',
    (error: { slug?: string; name: string }) => error.slug ?? error.name,
  )

function signOutsOf(client: Client): SignOutCause[] {
  const causes: SignOutCause[] = []
  client.on('signedOut', ({ cause }) => causes.push(cause))
  return causes
}

/** A store as a custom one may be: slow, and without lock or watch. */
function plainTokens(): TokenStore {
  const inner = memoryTokens()
  const tick = () => new Promise((resolve) => setImmediate(resolve))
  return {
    read: () => tick().then(inner.read),
    write: (next) => tick().then(() => inner.write(next)),
  }
}

describe('one refresh', () => {
  test('serves 50 calls that are refused at once', async () => {
    const client = clientOf()
    await client.login(LOGIN)
    service.expireTokens()
    const answers = await Promise.all(Array.from({ length: 50 }, () => client.getMe()))
    expect(new Set(answers.map((me) => me.id))).toEqual(new Set([USER_ID]))
    expect(service.to(REFRESH)).toHaveLength(1)
  })

  test('serves two clients that share a store', async () => {
    const [a, b] = [clientOf(), clientOf()]
    await a.login(LOGIN)
    await b.getMe()
    service.expireTokens()
    await Promise.all(Array.from({ length: 50 }, (_, i) => (i % 2 ? a : b).getMe()))
    expect(service.to(REFRESH)).toHaveLength(1)
  })

  test('is made before the token expires, while calls wait', async () => {
    service.state.tokenSeconds = 29
    const client = clientOf()
    await client.login(LOGIN)
    // Looked at by a clock that is right, 29 seconds are less than the margin; one that is wrong shows on arrival.
    service.state.tokenSeconds = 900
    const fresh = clientOf()
    await Promise.all([fresh.getMe(), fresh.getMe(), fresh.listRooms()])
    expect(service.to(REFRESH)).toHaveLength(1)
    expect(service.arrivals.map((a) => a.path)).toEqual(['/v1/auth/login', REFRESH, '/v1/me', '/v1/me', '/v1/rooms'])
  })

  test('is not made over and over by a device whose clock is ahead', async () => {
    service.state.tokenSeconds = -3600
    const client = clientOf()
    await client.login(LOGIN)
    for (let i = 0; i < 5; i++) await client.getMe()
    expect(service.to(REFRESH)).toHaveLength(0)
    service.expireTokens()
    for (let i = 0; i < 5; i++) await client.getMe()
    expect(service.to(REFRESH)).toHaveLength(1)
  })

  test('whose answer is lost is asked for again with the same token', async () => {
    const client = clientOf()
    await client.login(LOGIN)
    service.expireTokens()
    service.state.trouble = troubleFor(REFRESH, ['cut-after', 'cut-before', 'cut-after'])
    expect(await client.getMe()).toMatchObject({ id: USER_ID })
    const sent = service.to(REFRESH).map((a) => (a.body as { refreshToken: string }).refreshToken)
    expect(sent).toHaveLength(4)
    expect(new Set(sent).size).toBe(1)
  })

  test('that fails fails all who wait for it, and is not made again for each', async () => {
    const client = clientOf()
    await client.login(LOGIN)
    service.expireTokens()
    service.state.trouble = ({ path }) => (path === REFRESH ? 'cut-before' : undefined)
    const slugs = await Promise.all(Array.from({ length: 20 }, () => slugOf(client.getMe())))
    expect(new Set(slugs)).toEqual(new Set(['NetworkError']))
    expect(service.to(REFRESH)).toHaveLength(4)
  })

  test('that cannot be made yet leaves a token in use that is still good', async () => {
    service.state.tokenSeconds = 29
    await clientOf().login(LOGIN)
    for (const trouble of ['unavailable', 'rate-limited'] as const) {
      service.state.trouble = ({ path }) => (path === REFRESH ? troubleOf(trouble) : undefined)
      expect(await slugOf(clientOf().getMe())).toBe('fine')
    }
    expect(service.to(REFRESH)).toHaveLength(5)
  })

  test('that brings tokens already refused is followed by another', async () => {
    const inner = memoryTokens()
    let release = () => {}
    const held = new Promise<void>((resolve) => {
      release = resolve
    })
    const other = clientOf({ read: inner.read, write: inner.write })
    const client = clientOf({ read: inner.read, write: inner.write, lock: async (work) => held.then(work) })
    await other.login(LOGIN)
    service.expireTokens()
    const first = slugOf(client.getMe())
    await soon(() => service.to('/v1/me')).toHaveLength(1)
    // While the first waits for the lock, another client refreshes; those tokens expire too, and a second call meets that.
    await other.refresh()
    service.expireTokens()
    const second = slugOf(client.getMe())
    await soon(() => service.to('/v1/me')).toHaveLength(2)
    release()
    expect(await second).toBe('fine')
    await first
  })

  test('that a stalled client still holds back is not sent when others have made it', async () => {
    const store = plainTokens()
    const [a, b] = [clientOf(store), clientOf(store)]
    await a.login(LOGIN)
    service.expireTokens()
    // The first try of `a` fails; before its second, `b` has gone two generations ahead.
    let tries = 0
    service.state.trouble = ({ path }) => (path === REFRESH && ++tries === 1 ? 'cut-before' : undefined)
    const stalled = a.getMe()
    await soon(() => tries).toBe(1)
    await b.refresh()
    await b.refresh()
    expect(await stalled).toMatchObject({ id: USER_ID })
    expect(service.to(REFRESH)).toHaveLength(3)
  })

  test('asked for by hand is shared too', async () => {
    const client = clientOf()
    await client.login(LOGIN)
    const pairs = await Promise.all([client.refresh(), client.refresh(), client.refresh()])
    expect(new Set(pairs.map((p) => p.accessToken)).size).toBe(1)
    expect(service.to(REFRESH)).toHaveLength(1)
  })

  test('of clients without any lock converges, and nobody is signed out', async () => {
    const store = plainTokens()
    const clients = Array.from({ length: 8 }, () => clientOf(store))
    const ends = clients.map(signOutsOf)
    await clients[0]!.login(LOGIN)
    service.expireTokens()
    await Promise.all(clients.map((client) => client.getMe()))
    expect(ends.flat()).toEqual([])
  })
})

describe('a session', () => {
  test('survives any outage of the network', async () => {
    const client = clientOf()
    const ends = signOutsOf(client)
    await client.login(LOGIN)
    service.expireTokens()
    service.state.trouble = troubleFor(REFRESH, Array(4).fill('cut-before'))
    expect(await slugOf(client.getMe())).toBe('NetworkError')
    service.state.trouble = troubleFor(REFRESH, Array(4).fill(troubleOf('unavailable')))
    expect(await slugOf(client.getMe())).toBe('unavailable')
    service.state.trouble = troubleFor(REFRESH, [{ status: 502, body: '<html>' }, troubleOf('internal')])
    expect(await slugOf(client.getMe())).toBe('fine')
    expect(ends).toEqual([])
  })

  test('that ended signs out once, whoever finds out', async () => {
    const [a, b] = [clientOf(), clientOf()]
    await a.login(LOGIN)
    await b.getMe()
    const [endsOfA, endsOfB] = [signOutsOf(a), signOutsOf(b)]
    service.endSessions()
    const slugs = await Promise.all(Array.from({ length: 20 }, () => slugOf(a.getMe())))
    expect(new Set(slugs)).toEqual(new Set(['session-ended']))
    await soon(() => endsOfB).toEqual(['elsewhere'])
    expect(endsOfA).toEqual(['session-ended'])
    expect(await tokens.read()).toBeUndefined()
  })

  test('whose refresh token was stolen and used is over, and says so', async () => {
    const client = clientOf()
    const ends = signOutsOf(client)
    await client.login(LOGIN)
    const thief = clientOf(memoryTokens(await tokens.read()))
    await thief.refresh()
    await thief.refresh()
    service.expireTokens()
    expect(await slugOf(client.getMe())).toBe('refresh-reused')
    expect(ends).toEqual(['refresh-reused'])
    expect(await slugOf(client.getMe())).toBe('unauthenticated')
    expect(ends).toHaveLength(1)
  })

  test('is forgotten when the service never made its token', async () => {
    const client = clientOf()
    const ends = signOutsOf(client)
    await client.login(LOGIN)
    service.sessions.clear()
    expect(await slugOf(client.getMe())).toBe('unauthenticated')
    expect(ends).toEqual(['unauthenticated'])
    expect(await client.session()).toBeUndefined()
  })

  test('that somebody began meanwhile is not ended by the end of the one before', async () => {
    const client = clientOf()
    await client.login(LOGIN)
    const ends = signOutsOf(client)
    let release = () => {}
    const held = new Promise<void>((resolve) => {
      release = resolve
    })
    const slow = createClient({
      origin: service.origin,
      tokens,
      fetch: async (url, init) => {
        const answer = await fetch(url, init)
        if (url.pathname === '/v1/me') await held
        return answer
      },
    })
    service.endSessions()
    const late = slugOf(slow.getMe())
    await soon(() => service.to('/v1/me')).toHaveLength(1)
    const { sessionId } = await client.login(LOGIN)
    release()
    expect(await late).toBe('session-ended')
    expect((await client.session())?.sessionId).toBe(sessionId)
    expect(ends).toEqual(['replaced'])
  })
})

describe('tokens that arrive late', () => {
  /** A client whose refresh answers wait until they are released. */
  function slowClient(store: TokenStore) {
    let release = () => {}
    const held = new Promise<void>((resolve) => {
      release = resolve
    })
    const client = createClient({
      origin: service.origin,
      tokens: store,
      fetch: async (url, init) => {
        const answer = await fetch(url, init)
        if (url.pathname === REFRESH) await held
        return answer
      },
    })
    return { client, release }
  }

  test('do not replace those of a session that began meanwhile', async () => {
    const store = plainTokens()
    const other = clientOf(store)
    await other.login(LOGIN)
    const { client, release } = slowClient(store)
    const late = client.refresh()
    await soon(() => service.to(REFRESH)).toHaveLength(1)
    const { sessionId } = await other.login(LOGIN)
    release()
    expect((await late).sessionId).toBe(sessionId)
    expect((await store.read())?.sessionId).toBe(sessionId)
  })

  test('do not bring back a session that was signed out meanwhile', async () => {
    const store = plainTokens()
    const other = clientOf(store)
    await other.login(LOGIN)
    const { client, release } = slowClient(store)
    const late = slugOf(client.refresh())
    await soon(() => service.to(REFRESH)).toHaveLength(1)
    await other.logout()
    release()
    expect(await late).toBe('unauthenticated')
    expect(await store.read()).toBeUndefined()
  })
})

describe('signing out', () => {
  test('ends the session, forgets the tokens and tells every client of the store once', async () => {
    const [a, b] = [clientOf(), clientOf()]
    await a.login(LOGIN)
    await b.getMe()
    const [endsOfA, endsOfB] = [signOutsOf(a), signOutsOf(b)]
    await a.logout()
    expect([...service.sessions.values()].map((s) => s.isEnded)).toEqual([true])
    await soon(() => endsOfB).toEqual(['elsewhere'])
    expect(endsOfA).toEqual(['logout'])
    await a.logout()
    expect(service.to('/v1/auth/logout')).toHaveLength(1)
  })

  test('waits for a refresh under way, whose answer cannot bring the session back', async () => {
    const client = clientOf()
    await client.login(LOGIN)
    service.expireTokens()
    const call = slugOf(client.getMe())
    await soon(() => service.to(REFRESH)).toHaveLength(1)
    await client.logout()
    await call
    expect(await client.session()).toBeUndefined()
    expect([...service.sessions.values()].map((s) => s.isEnded)).toEqual([true])
  })

  test('that cannot reach the service keeps the tokens, to be repeated', async () => {
    const client = clientOf()
    await client.login(LOGIN)
    service.state.trouble = troubleFor('/v1/auth/logout', ['cut-before'])
    expect(await slugOf(client.logout())).toBe('NetworkError')
    expect(await client.session()).toBeDefined()
    await client.logout()
    expect(await client.session()).toBeUndefined()
  })
})

test('a store may be an object of its own kind, as a desktop app has it', async () => {
  class Vault {
    readonly #inner = memoryTokens()
    locks = 0
    read() {
      return this.#inner.read()
    }
    write(next: Parameters<TokenStore['write']>[0]) {
      return this.#inner.write(next)
    }
    lock<T>(work: () => Promise<T>): Promise<T> {
      this.locks++
      return work()
    }
  }
  const vault = new Vault()
  const client = clientOf(vault)
  await client.login(LOGIN)
  service.expireTokens()
  expect(await client.getMe()).toMatchObject({ id: USER_ID })
  expect(vault.locks).toBe(1)
})

test('tokens of a browser are no tokens on the server that renders its page', async () => {
  const client = clientOf(localStorageTokens())
  expect(await slugOf(client.getMe())).toBe('unauthenticated')
  expect(await slugOf(client.login(LOGIN))).toBe('ReferenceError')
  client.close()
})

test('a client tells of a session it finds in its store, and of one that begins elsewhere', async () => {
  await clientOf().login(LOGIN)
  const restored = clientOf()
  const seen: string[] = []
  restored.on('signedIn', ({ userId }) => seen.push(userId))
  await soon(() => seen).toEqual([USER_ID])
  await clientOf().login(LOGIN)
  await soon(() => seen).toEqual([USER_ID, USER_ID])
})

test('a listener that throws breaks nothing but itself', async () => {
  const client = clientOf()
  const thrown = new Promise((resolve) => process.once('uncaughtException', resolve))
  client.on('signedIn', () => {
    throw new Error('in a listener')
  })
  const seen: string[] = []
  client.on('signedIn', ({ userId }) => seen.push(userId))
  await client.login(LOGIN)
  expect(seen).toEqual([USER_ID])
  expect(await thrown).toMatchObject({ message: 'in a listener' })
})

test('the access token for other tools is fresh', async () => {
  const client = clientOf()
  expect(await client.accessToken()).toBeUndefined()
  const { accessToken } = await client.login(LOGIN)
  expect(await client.accessToken()).toBe(accessToken)
})
