import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { REVOCATION_SECONDS_MAX } from '../../src/contract/sessions.ts'
import { authenticate, forgetSession, mintAccessToken } from '../../src/edge/identity/access-token.ts'
import type { Scope } from '../../src/edge/platform/scope.ts'
import { made, send } from '../access/world.ts'
import { type Edge, startEdge } from '../harness.ts'
import { post, signInRaw } from './raw.ts'
import { scopeOf } from './scope.ts'

const BOUND_MS = REVOCATION_SECONDS_MAX * 1000

let edge: Edge
beforeAll(async () => {
  edge = await startEdge({ vars: { LIMITS: 'register=100000/60 mail=100000/60 code=100000/60 login-place=100000/60 write=100000/60' } })
})
afterAll(() => edge.stop())

type Person = Awaited<ReturnType<typeof signInRaw>>

/** An isolate besides the Worker's: it remembers by itself, and its clock is the test's. */
function anotherIsolate() {
  const clock = { now: Date.now() }
  const scope = scopeOf(edge, () => clock.now)
  return { clock, scope, see: ({ accessToken }: Person, demands = {}) => authenticate(scope, accessToken, demands) }
}

/** The same isolate, in whose look at storage something happens before the answer comes. */
const withSlowLook = (scope: Scope, meanwhile: () => void): Scope => {
  const { DB } = scope.env
  const slow: Pick<D1Database, 'withSession'> = {
    withSession(at) {
      setImmediate(meanwhile)
      return DB.withSession(at)
    },
  }
  return { ...scope, env: { ...scope.env, DB: slow as D1Database } }
}

const WAYS: Record<string, (person: Person) => Promise<unknown>> = {
  'signing out': ({ refreshToken }) => post(edge, '/v1/auth/logout', { refreshToken }),
  'revoking the device': (person) => made(edge, person, { method: 'DELETE', path: `/v1/auth/sessions/${person.sessionId}` }),
  'revoking it from another device': async (person) => {
    const { body } = await post(edge, '/v1/auth/login', { email: person.email, password: 'correct horse battery staple' })
    await made(edge, { accessToken: String(body['accessToken']) }, { method: 'DELETE', path: '/v1/auth/sessions' })
  },
  'a stolen refresh token that comes back': async ({ refreshToken: first }) => {
    const { body: second } = await post(edge, '/v1/auth/refresh', { refreshToken: first })
    await post(edge, '/v1/auth/refresh', { refreshToken: second['refreshToken'] })
    await post(edge, '/v1/auth/refresh', { refreshToken: first })
  },
  'the deletion of the account': (person) => made(edge, person, { method: 'DELETE', path: '/v1/me' }),
}

describe.each(Object.entries(WAYS))('a session that ended on one isolate by %s', (_, end) => {
  test('is over there at once, on another within the published bound, and there at once for what is sensitive', async () => {
    const person = await signInRaw(edge, 'revoked')
    const { clock, see } = anotherIsolate()
    const look = () => send(edge, person.accessToken, { method: 'GET', path: '/v1/auth/session' })
    await see(person)
    expect((await look()).status).toBe(200)
    await end(person)
    expect((await look()).slug).toBe('session-ended')
    clock.now += BOUND_MS - 1
    expect(await see(person)).toMatchObject({ sessionId: person.sessionId })
    await expect(see(person, { isSensitive: true })).rejects.toMatchObject({ slug: 'session-ended' })
    await expect(see(person), 'and from then on it knows').rejects.toMatchObject({ slug: 'session-ended' })
  })
})

describe('the bound counts from the look at storage', () => {
  const elsewhere = ({ sessionId }: Person) => edge.db.prepare('UPDATE sessions SET ended_at = 1 WHERE id = ?').bind(sessionId).run()

  test('and not from its answer, however slow', async () => {
    const person = await signInRaw(edge, 'slow')
    const { clock, scope, see } = anotherIsolate()
    const askedAt = clock.now
    await authenticate(
      withSlowLook(scope, () => {
        clock.now += 10_000
      }),
      person.accessToken,
    )
    expect(clock.now).toBe(askedAt + 10_000)
    await elsewhere(person)
    clock.now = askedAt + BOUND_MS
    await expect(see(person)).rejects.toMatchObject({ slug: 'session-ended' })
  })

  test('so what ends on the same isolate while storage answers is not remembered as alive', async () => {
    const person = await signInRaw(edge, 'overtaken')
    const { scope, see } = anotherIsolate()
    await authenticate(
      withSlowLook(scope, () => forgetSession(person.sessionId as Parameters<typeof forgetSession>[0])),
      person.accessToken,
    )
    await elsewhere(person)
    await expect(see(person)).rejects.toMatchObject({ slug: 'session-ended' })
  })

  test('which asks the primary, and no replica that a bookmark of the caller’s choice would do for', async () => {
    const person = await signInRaw(edge, 'bookmarked')
    const { scope, see } = anotherIsolate()
    await see(await signInRaw(edge, 'keys-are-known'))
    const lagging = Object.defineProperty({ ...scope }, 'db', {
      get() {
        throw new Error('a replica was asked')
      },
    })
    expect(await authenticate(lagging, person.accessToken)).toMatchObject({ sessionId: person.sessionId })
    await elsewhere(person)
    forgetSession(person.sessionId as Parameters<typeof forgetSession>[0])
    await expect(authenticate(lagging, person.accessToken)).rejects.toMatchObject({ slug: 'session-ended' })
  })

  test('and begins anew with each look', async () => {
    const person = await signInRaw(edge, 'again')
    const { clock, see } = anotherIsolate()
    await see(person)
    clock.now += BOUND_MS
    await see(person)
    await elsewhere(person)
    clock.now += BOUND_MS - 1
    expect(await see(person)).toMatchObject({ sessionId: person.sessionId })
    clock.now += 1
    await expect(see(person)).rejects.toMatchObject({ slug: 'session-ended' })
  })
})

test('a token is believed no longer than it lives, also while it is remembered', async () => {
  const person = await signInRaw(edge, 'expiring')
  const { clock, see } = anotherIsolate()
  const { expiresAt } = await see(person)
  clock.now = expiresAt - 1
  expect(await see(person)).toMatchObject({ userId: person.userId })
  clock.now = expiresAt
  await expect(see(person)).rejects.toMatchObject({ slug: 'unauthenticated' })
})

test('no more than five thousand tokens are remembered, and the oldest is forgotten first', async () => {
  const { scope } = anotherIsolate()
  const session = { id: 'ses_01jd0000000000000000000001', userId: 'usr_01jd0000000000000000000001', amr: 'pwd', authenticatedAt: 0 }
  let looks = 0
  // What storage says is not the matter here, only how often it is asked.
  const raw = async () => {
    looks++
    return [[session.id, '[]']]
  }
  const DB = { withSession: () => ({ prepare: () => ({ bind: () => ({ raw }) }) }) } as unknown as D1Database
  const counting = { ...scope, env: { ...scope.env, DB } }
  const living = { ...session, expiresAt: Date.now() + 3_600_000 } as Parameters<typeof mintAccessToken>[1]
  const tokens: string[] = []
  for (let i = 0; i < 5_001; i++) tokens.push((await mintAccessToken(scope, living)).accessToken)
  for (const token of tokens) await authenticate(counting, token)
  expect(looks).toBe(5_001)
  for (const token of [tokens.at(-1)!, tokens[1]!]) await authenticate(counting, token)
  expect(looks, 'these are remembered').toBe(5_001)
  await authenticate(counting, tokens[0]!)
  expect(looks, 'the oldest made room').toBe(5_002)
}, 120_000)

test('the bound is half a minute, and is published', () => expect(REVOCATION_SECONDS_MAX).toBe(30))
