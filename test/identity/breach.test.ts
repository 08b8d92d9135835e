import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { pastOf } from '../../src/edge/identity/breach.ts'
import { parseConfig } from '../../src/edge/platform/config.ts'
import type { Scope } from '../../src/edge/platform/scope.ts'
import { type Edge, PASSWORD, rootSecret, startEdge } from '../harness.ts'
import { type Answering, lineFor, padding, type RangeService, startRangeService } from './range-service.ts'
import { type Answer, post } from './raw.ts'

let service: RangeService
/** One that lets pass what cannot be looked up, and one that does not. */
let open: Edge
let closed: Edge
beforeAll(async () => {
  service = await startRangeService()
  open = await startEdge({ vars: { BREACH_CHECK: 'open', BREACH_RANGE_URL: service.url } })
  closed = await startEdge({ vars: { BREACH_CHECK: 'closed', BREACH_RANGE_URL: service.url } })
}, 120_000)
afterAll(async () => {
  await Promise.all([open?.stop(), closed?.stop()])
  await service?.stop()
})

let people = 0
let phrases = 0
/** Another prefix every time: an answer is remembered for an hour. */
const phrase = () => `seven otters juggle lanterns, night ${++phrases}`
const register = (edge: Edge, password: string): Promise<Answer> =>
  post(edge, '/v1/auth/register', { email: `leak-${++people}@example.net`, password })
const unchecked = async (edge: Edge) =>
  (await edge.db.prepare("SELECT count(*) AS n FROM audit_entries WHERE action = 'password.unchecked'").first<{ n: number }>())?.n ?? 0

describe('a leaked password', () => {
  test.each([
    ['with its count', 3, '\r\n'],
    ['without a count', undefined, '\r\n'],
    ['among lines without carriage returns', 1, '\n'],
  ])('is refused with the reason (%s)', async (_, count, separator) => {
    const password = phrase()
    service.answerLines([...padding(10), lineFor(password, count), ...padding(10)], separator)
    expect(await register(open, password)).toMatchObject({
      status: 400,
      slug: 'invalid-request',
      body: { errors: [{ detail: 'is known from a data breach', pointer: '#/body/password' }] },
    })
  })

  test('is refused at a change and at a reset too', async () => {
    service.answerLines(padding(20))
    const email = `leak-${++people}@example.net`
    const { body } = await post(open, '/v1/auth/register', { email, password: PASSWORD })
    await post(open, '/v1/auth/verify', { registrationId: body['registrationId'], code: await open.mailbox.codeTo(email) })
    const { accessToken } = (await post(open, '/v1/auth/login', { email, password: PASSWORD })).body
    const { resetId } = (await post(open, '/v1/auth/password/forgot', { email })).body
    const code = await open.mailbox.codeTo(email, 2)
    const newPassword = phrase()
    service.answerLines([lineFor(newPassword, 7)])
    const errors = [{ detail: 'is known from a data breach', pointer: '#/body/newPassword' }]
    const bearer = { authorization: `Bearer ${String(accessToken)}` }
    expect(await post(open, '/v1/auth/password/change', { currentPassword: PASSWORD, newPassword }, bearer)).toMatchObject({
      status: 400,
      body: { errors },
    })
    expect(await post(open, '/v1/auth/password/reset', { resetId, code, newPassword })).toMatchObject({ status: 400, body: { errors } })
    expect((await post(open, '/v1/auth/login', { email, password: PASSWORD })).status).toBe(200)
  })

  test('is one whose count is not zero: such lines only pad', async () => {
    const password = phrase()
    service.answerLines([...padding(10), lineFor(password, 0)])
    expect((await register(open, password)).status).toBe(202)
  })
})

test('five characters of a hash leave, once an hour, and nothing else', async () => {
  const password = phrase()
  service.answerLines(padding(20))
  for (let i = 0; i < 3; i++) expect((await register(open, password)).status).toBe(202)
  expect(service.askedFor(password)).toEqual([
    { path: expect.stringMatching(/^\/range\/[0-9A-F]{5}$/) as string, padding: 'true', userAgent: 'Parvis' },
  ])
  for (const { path } of service.asked) expect(path).toMatch(/^\/range\/[0-9A-F]{5}$/)
})

test('an answer is asked for again after an hour', async () => {
  const password = phrase()
  let now = 0
  const isolate = { config: { breach: { rangeUrl: service.url } }, now: () => now, log: () => undefined } as unknown as Scope
  service.answerLines(padding(20))
  expect(await pastOf(isolate, password)).toBe('clean')
  service.answerLines([lineFor(password, 1)])
  now += 3_599_999
  expect(await pastOf(isolate, password)).toBe('clean')
  now += 1
  expect(await pastOf(isolate, password)).toBe('breached')
  expect(service.askedFor(password)).toHaveLength(2)
})

describe('the look-up', () => {
  const production = {
    PUBLIC_ORIGIN: 'https://parvis.example.org',
    SECRET_KEYS: rootSecret(),
    MAIL_FROM: 'hello@parvis.example.org',
    MAIL_TRANSPORT: 'cloudflare',
  }
  const checkOf = (env: object) => parseConfig({ ...production, ...env }).breach.check

  test('is off by default on a developer’s machine, and on where people sign up', () => {
    expect(checkOf({ ENVIRONMENT: 'dev' })).toBe('off')
    expect(checkOf({})).toBe('open')
    expect(checkOf({ BREACH_CHECK: 'closed' })).toBe('closed')
  })

  test('goes over TLS outside dev', () => {
    expect(() => checkOf({ BREACH_RANGE_URL: 'http://range.example.org/' })).toThrow('BREACH_RANGE_URL')
    expect(() => checkOf({ BREACH_RANGE_URL: 'https://range.example.org/no-end' })).toThrow('BREACH_RANGE_URL')
  })
})

describe('a service that fails', () => {
  const FAILURES: readonly (readonly [string, Answering])[] = [
    ['answers 500', (_, response) => response.writeHead(500).end('no')],
    ['answers 429', (_, response) => response.writeHead(429, { 'retry-after': '2' }).end()],
    ['sends elsewhere', (_, response) => response.writeHead(302, { location: 'http://127.0.0.1:1/range/' }).end()],
    ['says nothing', (_, response) => response.end('')],
    ['says something else', (_, response) => response.end('<html>maintenance</html>')],
    [
      'breaks off in the middle',
      (_, response) => {
        response.writeHead(200, { 'content-length': '5000' })
        response.write(`${padding(5).join('\r\n')}\r\n`, () => response.destroy())
      },
    ],
    ['never answers', () => undefined],
    [
      'never ends',
      (_, response) => {
        response.write(`${padding(5).join('\r\n')}\r\n`)
      },
    ],
    ['never stops', (_, response) => response.end(`${padding(9_000).join('\r\n')}`)],
  ]

  test.each(FAILURES)('(%s) stops nobody where that is the rule, within a second, and it is on record', async (_, answering) => {
    service.answer(answering)
    const before = await unchecked(open)
    const startedAt = performance.now()
    expect((await register(open, phrase())).status).toBe(202)
    expect(performance.now() - startedAt).toBeLessThan(5_000)
    expect(await unchecked(open)).toBe(before + 1)
  })

  test.each(FAILURES)('(%s) stops everybody where that is the rule', async (_, answering) => {
    service.answer(answering)
    const answer = await register(closed, phrase())
    expect(answer).toMatchObject({ status: 503, slug: 'unavailable' })
    expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0)
  })

  test('is asked again the next time: a failure is not remembered', async () => {
    const password = phrase()
    service.answer((_, response) => response.writeHead(500).end())
    expect((await register(closed, password)).status).toBe(503)
    service.answerLines(padding(20))
    expect((await register(closed, password)).status).toBe(202)
    service.answer((_, response) => response.writeHead(500).end())
    expect((await register(closed, password)).status).toBe(202)
  })
})

test('a password that the policy refuses is looked up nowhere', async () => {
  const before = service.asked.length
  expect((await register(closed, 'passwordpassword')).status).toBe(400)
  expect(service.asked.length).toBe(before)
})

test('no log line holds a password or its hash', async () => {
  const password = phrase()
  service.answer((_, response) => response.writeHead(500).end())
  await register(open, password)
  const logs = JSON.stringify([...open.server.getLogs(), ...closed.server.getLogs()])
  expect(logs).toContain('breach.unknown')
  for (const secret of ['otters', lineFor(password)]) expect(logs).not.toContain(secret)
})
