import {
  applyD1Migrations,
  createExecutionContext,
  createScheduledController,
  runInDurableObject,
  waitOnExecutionContext,
} from 'cloudflare:test'
import { env } from 'cloudflare:workers'
import { beforeAll, describe, expect, test } from 'vitest'
import type { UserId } from '../../src/contract/identity.ts'
import { makeScope } from '../../src/edge/app.ts'
import type { Env } from '../../src/edge/env.ts'
import { accountCharge } from '../../src/edge/identity/attempt.ts'
import { hashPassword } from '../../src/edge/identity/password.ts'
import { eraseIdentity } from '../../src/edge/identity/service.ts'
import { readConfig } from '../../src/edge/platform/config.ts'
import { type Charge, isEndless } from '../../src/edge/platform/limiter/charge.ts'
import { spendInD1 } from '../../src/edge/platform/limiter/limiter.ts'
import type { LimiterRpc } from '../../src/edge/platform/limiter/rpc.ts'
import { traceFrom } from '../../src/edge/platform/trace.ts'
import worker from '../../src/edge/worker.ts'

const PASSWORD = 'correct horse battery staple'

beforeAll(() => applyD1Migrations(env.DB, env.TEST_MIGRATIONS))

/** What a unit of work may touch. */
const newScope = () => makeScope(env, { trace: traceFrom(undefined), waitUntil: () => undefined }).scope

let people = 0
/** A user as if registered, without the mail. */
async function person(): Promise<string> {
  const email = `person-${++people}@example.net`
  const hash = await hashPassword(readConfig(env).keyring, PASSWORD)
  const id = `usr_01jd00000000000000000${String(people).padStart(5, '0')}`
  await env.DB.prepare("INSERT INTO users (id, email, password_hash, locale, created_at) VALUES (?, ?, ?, 'en', 0)")
    .bind(id, email, hash)
    .run()
  return email
}

/** The Worker as it is, with some of its bindings put out of order. */
async function signIn(
  email: string,
  { password = PASSWORD, ip, bindings = {} }: { password?: string; ip?: string; bindings?: Partial<Env> },
) {
  const context = createExecutionContext()
  const headers = { 'content-type': 'application/json', ...(ip === undefined ? {} : { 'cf-connecting-ip': ip }) }
  const request = new Request('https://parvis.test/v1/auth/login', { method: 'POST', headers, body: JSON.stringify({ email, password }) })
  const response = await worker.fetch(request, { ...env, ...bindings }, context)
  await waitOnExecutionContext(context)
  return { status: response.status, headers: response.headers, body: (await response.json()) as { accessToken?: string; type?: string } }
}

/** Objects that do something else than theirs. */
const limiters = (act: (name: string) => Pick<LimiterRpc, 'charge' | 'giveBack'>): Partial<Env> => ({
  LIMITERS: { getByName: act } as unknown as Env['LIMITERS'],
})

/** Objects as they are, and every call to them. */
function counted() {
  const calls: string[] = []
  const bindings = limiters((name) => {
    const object = env.LIMITERS.getByName(name)
    const call =
      <A, R>(method: string, work: (a: A) => R) =>
      (argument: A) => {
        calls.push(`${name.split(':')[0]} ${method}`)
        return work(argument)
      }
    return {
      charge: call('charge', (c: readonly Charge[]) => object.charge(c)),
      giveBack: call('giveBack', (k: readonly string[]) => object.giveBack(k)),
    }
  })
  return { calls, bindings }
}

describe('a sign-in', () => {
  test('costs one call of an object, at home as anywhere, and asking for the session costs none', async () => {
    const email = await person()
    const { calls, bindings } = counted()
    const first = await signIn(email, { ip: '203.0.113.1', bindings })
    expect([first.status, calls]).toEqual([200, ['place charge']])
    expect((await signIn(email, { ip: '203.0.113.1', bindings })).status).toBe(200)
    expect(calls).toEqual(['place charge', 'place charge'])
    const headers = { authorization: `Bearer ${first.body.accessToken}` }
    const context = createExecutionContext()
    const session = await worker.fetch(new Request('https://parvis.test/v1/auth/session', { headers }), { ...env, ...bindings }, context)
    await waitOnExecutionContext(context)
    expect([session.status, calls.length]).toEqual([200, 2])
  })

  test('from nobody knows where shares one place with all such, which no account ever knows', async () => {
    const email = await person()
    expect((await signIn(email, {})).status).toBe(200)
    const statuses: number[] = []
    for (const claimed of [undefined, 'nonsense', '', '203.0.113.1, 203.0.113.2', undefined, 'more nonsense'])
      statuses.push((await signIn(email, { password: 'a wrong guess', ...(claimed === undefined ? {} : { ip: claimed }) })).status)
    // The right password cost none of the five.
    expect(statuses).toEqual([401, 401, 401, 401, 401, 429])
    const { results } = await env.DB.prepare(
      'SELECT p.place FROM sign_in_places AS p JOIN users AS u ON u.id = p.user_id WHERE u.email = ?',
    )
      .bind(email)
      .all()
    expect(results).toEqual([])
  })

  test.each([
    ['new to it', '203.0.113.2', false],
    ['it knows', '203.0.113.9', true],
  ])('that fails for a reason of ours costs no try, from a place %s', async (_name, ip, isKnown) => {
    const email = await person()
    if (isKnown) expect((await signIn(email, { ip })).status).toBe(200)
    for (let i = 0; i < 7; i++) expect((await signIn(email, { ip, bindings: { DB: failingAfter(1) } })).status).toBe(503)
    expect((await signIn(email, { ip })).status).toBe(200)
  })
})

test('as shipped, an account can be guessed at a hundred times from places new to it, in no less than twenty hours', async () => {
  let now = Date.now()
  const startedAt = now
  const scope = { ...newScope(), now: () => now }
  const account = await accountCharge(scope, 'besieged@example.net')
  let guesses = 0
  for (;;) {
    const { isAdmitted, standings } = await spendInD1(scope, [account])
    const [standing] = standings
    if (isAdmitted) guesses++
    else if (isEndless(standing!)) break
    else now += standing!.waitMs
  }
  expect(guesses).toBe(100)
  expect(now - startedAt).toBeGreaterThan(20 * 3_600_000)
})

const countOf = async (table: string, email: string, key: string) => {
  const where = table === 'limits' ? 'key = ?2' : 'user_id = (SELECT id FROM users WHERE email = ?1)'
  return (
    (await env.DB.prepare(`SELECT count(*) AS n FROM ${table} WHERE ?1 = ?1 AND ?2 = ?2 AND ${where}`).bind(email, key).first('n')) ?? 0
  )
}

test('what is kept of where somebody signs in goes with them', async () => {
  const email = await person()
  expect((await signIn(email, { ip: '203.0.113.20' })).status).toBe(200)
  expect((await signIn(email, { ip: '203.0.113.21', password: 'a wrong guess' })).status).toBe(401)
  const scope = newScope()
  const { key } = await accountCharge(scope, email)
  expect([await countOf('sign_in_places', email, key), await countOf('limits', email, key)]).toEqual([1, 1])
  const id = await env.DB.prepare('SELECT id FROM users WHERE email = ?').bind(email).first<UserId>('id')
  await eraseIdentity(scope, id!)
  expect([await countOf('sign_in_places', email, key), await countOf('limits', email, key)]).toEqual([0, 0])
})

test('the sweep drops what no longer counts, and nothing else', async () => {
  const email = await person()
  expect((await signIn(email, { ip: '203.0.113.22' })).status).toBe(200)
  await env.DB.batch([
    env.DB.prepare("INSERT INTO limits VALUES ('stale', 9, 0, 1, 1), ('fresh', 9, 0, ?, 1)").bind(Date.now() + 60_000),
    env.DB.prepare("INSERT INTO sign_in_places SELECT id, 'stale', 1 FROM users WHERE email = ?").bind(email),
  ])
  const context = createExecutionContext()
  await worker.scheduled(createScheduledController(), env, context)
  await waitOnExecutionContext(context)
  expect((await env.DB.prepare("SELECT key FROM limits WHERE key IN ('stale', 'fresh')").all()).results).toEqual([{ key: 'fresh' }])
  const { results } = await env.DB.prepare(
    "SELECT place <> 'stale' AS isKept FROM sign_in_places AS p JOIN users ON id = user_id WHERE email = ?",
  )
    .bind(email)
    .all()
  expect(results).toEqual([{ isKept: 1 }])
})

/** A D1 that is lost after so many reads of the door. */
function failingAfter(reads: number): D1Database {
  const lost = () => Promise.reject(new Error('D1_ERROR: Network connection lost.'))
  return new Proxy(env.DB, {
    get(db, name) {
      if (name === 'batch') return lost
      if (name !== 'withSession') return Reflect.get(db, name, db)
      return () => {
        const session = db.withSession('first-primary')
        let left = reads
        return new Proxy(session, {
          get(s, key) {
            const value: unknown = Reflect.get(s, key, s)
            if (key === 'batch') return lost
            if (key === 'prepare' && left-- <= 0) throw new Error('D1_ERROR: Network connection lost.')
            return typeof value === 'function' ? value.bind(s) : value
          },
        })
      }
    },
  })
}

describe('while its object is out of reach', () => {
  const failing = limiters(() => ({
    charge: () => Promise.reject(new Error('Internal error in Durable Object storage')),
    giveBack: () => Promise.reject(new Error('Internal error in Durable Object storage')),
  }))

  test('a place is counted in D1, exactly, and told the same', async () => {
    const email = await person()
    const answers = await Promise.all(
      Array.from({ length: 30 }, () => signIn(email, { ip: '203.0.113.3', password: 'a wrong guess', bindings: failing })),
    )
    expect(answers.map((a) => a.status).toSorted()).toEqual([...Array(5).fill(401), ...Array(25).fill(429)])
    const refusal = answers.find((a) => a.status === 429)!
    expect(refusal.headers.get('ratelimit-policy')).toBe('"login";q=5;w=300')
    expect(Number(refusal.headers.get('retry-after'))).toBeGreaterThan(290)
    expect((await signIn(email, { ip: '203.0.113.4', bindings: failing })).status).toBe(200)
  })

  test('a success clears the count there too', async () => {
    const email = await person()
    for (let round = 0; round < 2; round++) {
      for (let i = 0; i < 4; i++)
        expect((await signIn(email, { ip: '203.0.113.5', password: 'wrong', bindings: failing })).status).toBe(401)
      expect((await signIn(email, { ip: '203.0.113.5', bindings: failing })).status).toBe(200)
    }
  })

  test('nobody waits longer than a second for an object that hangs', async () => {
    const email = await person()
    const hanging = limiters(() => ({ charge: () => new Promise(() => undefined), giveBack: () => new Promise(() => undefined) }))
    const startedAt = Date.now()
    expect((await signIn(email, { ip: '203.0.113.6', bindings: hanging })).status).toBe(200)
    expect(Date.now() - startedAt).toBeLessThan(5_000)
  })

  test('an object whose storage is damaged is one of those', async () => {
    const email = await person()
    await signIn(email, { ip: '203.0.113.7' })
    const names: string[] = []
    const noting = limiters((name) => {
      names.push(name)
      return env.LIMITERS.getByName(name)
    })
    await signIn(email, { ip: '203.0.113.7', bindings: noting })
    await runInDurableObject(env.LIMITERS.getByName(names[0]!), (_, { storage }) => {
      storage.sql.exec('DROP TABLE limits')
    })
    const statuses: number[] = []
    for (let i = 0; i < 6; i++) statuses.push((await signIn(email, { ip: '203.0.113.7', password: 'wrong' })).status)
    expect(statuses).toEqual([401, 401, 401, 401, 401, 429])
  })

  test('and D1 too, nobody is let in', async () => {
    const email = await person()
    const answer = await signIn(email, { ip: '203.0.113.8', bindings: { ...failing, DB: failingAfter(1) } })
    expect([answer.status, answer.body.type]).toEqual([503, '/problems/unavailable'])
    expect(answer.headers.has('retry-after')).toBe(true)
  })
})
