import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Edge, startEdge } from '../harness.ts'
import { type Answer, read } from '../identity/raw.ts'

let edge: Edge
beforeAll(async () => {
  edge = await startEdge()
})
afterAll(() => edge.stop())

const JSON_TYPE = { 'content-type': 'application/json' }
const send = async (body: BodyInit, headers: Record<string, string> = JSON_TYPE): Promise<Answer> =>
  read(
    await edge.request('/v1/auth/login', {
      method: 'POST',
      headers,
      body,
      ...(body instanceof ReadableStream ? { duplex: 'half' } : {}),
    } as RequestInit),
  )
const credentials = JSON.stringify({ email: 'a@example.org', password: 'x' })

/** What every refusal owes the caller, whatever was wrong. */
function expectProblem(answer: Answer, slug: string): void {
  expect({ slug: answer.slug, type: answer.headers.get('content-type') }).toEqual({ slug, type: 'application/problem+json; charset=utf-8' })
  expect(answer.body['traceId']).toMatch(/^[0-9a-f]{32}$/)
  expect(JSON.stringify(answer.body)).not.toMatch(/\n\s+at |\.ts:\d|stack/)
}

describe('a body that is not what it claims', () => {
  test.each([
    ['broken JSON', '{"email":'],
    ['an empty body', ''],
    ['a byte order mark', `\ufeff${credentials}`],
    ['trailing garbage', `${credentials}x`],
    ['a lone value', '7'],
    ['an array', '[]'],
    ['null', 'null'],
  ])('%s is an invalid request', async (_name, body) => expectProblem(await send(body), 'invalid-request'))

  test('bytes that are not UTF-8 are an invalid request', async () =>
    expectProblem(await send(new Uint8Array([0x22, 0xff, 0x22])), 'invalid-request'))

  test.each([
    ['text', { 'content-type': 'text/plain' }],
    ['a form', { 'content-type': 'application/x-www-form-urlencoded' }],
    ['no type', {}],
    ['another charset', { 'content-type': 'application/json; charset=utf-16' }],
    ['gzip', { ...JSON_TYPE, 'content-encoding': 'gzip' }],
  ])('%s is refused by its type', async (_name, headers) => {
    const body = new Blob([credentials])
    expectProblem(await send(body, headers as Record<string, string>), 'media-type-unsupported')
  })

  test('JSON with its charset named is welcome', async () => {
    expect((await send(credentials, { 'content-type': 'application/json; charset=UTF-8' })).slug).toBe('credentials-invalid')
  })

  test.each([
    ['an extra field', { email: 'a@example.org', password: 'x', role: 'admin' }, '#/body/role'],
    ['a wrong type', { email: 7, password: 'x' }, '#/body/email'],
    ['a missing field', { email: 'a@example.org' }, '#/body/password'],
    ['NUL', { email: 'a@example.org', password: 'a\0b' }, '#/body/password'],
    ['a header injection', { email: 'a@example.org\r\nBcc: b@example.org', password: 'x' }, '#/body/email'],
    ['two addresses', { email: 'a@example.org,b@example.org', password: 'x' }, '#/body/email'],
    ['a full-width at', { email: 'a＠example.org', password: 'x' }, '#/body/email'],
  ])('%s is named by its pointer', async (_name, body, pointer) => {
    const answer = await send(JSON.stringify(body))
    expectProblem(answer, 'invalid-request')
    expect(answer.body['errors']).toEqual(expect.arrayContaining([expect.objectContaining({ pointer })]))
  })

  test('a lone surrogate is named by its pointer', async () => {
    const answer = await send('{"email":"a@example.org","password":"\\ud800"}')
    expect(answer.body['errors']).toEqual([{ detail: 'holds NUL or a lone surrogate', pointer: '#/body/password' }])
  })

  test('a key that reaches for prototypes is refused and reaches nothing', async () => {
    expectProblem(await send('{"__proto__":{"isAdmin":true},"email":"a@example.org","password":"x"}'), 'invalid-request')
    expect((await send(credentials)).slug).toBe('credentials-invalid')
  })
})

describe('a body that is too much', () => {
  const padded = (length: number) =>
    JSON.stringify({ email: 'a@example.org', password: 'x', pad: '' }).replace('""', `"${'p'.repeat(length - 49)}"`)

  test('one byte over the limit is too large, the limit itself is read', async () => {
    expect(padded(65_536)).toHaveLength(65_536)
    expectProblem(await send(padded(65_536)), 'invalid-request')
    expectProblem(await send(padded(65_537)), 'payload-too-large')
  })

  test('a streamed body without a length is cut while it streams', async () => {
    const chunk = new TextEncoder().encode('x'.repeat(16_384))
    let sent = 0
    const endless = new ReadableStream<Uint8Array>({ pull: (c) => (sent++ < 6_400 ? c.enqueue(chunk) : c.close()) })
    const answer = await send(endless).catch(() => undefined)
    if (answer) expectProblem(answer, 'payload-too-large')
    expect(sent).toBeLessThan(6_400)
  })

  test('a hundred thousand levels are refused before they are parsed', async () => {
    expectProblem(await send(`${'['.repeat(30_000)}${']'.repeat(30_000)}`), 'invalid-request')
    expectProblem(await send(`[${'1,'.repeat(5_000)}1]`), 'invalid-request')
  })
})

test('every refusal is one line in the log, without what was sent', async () => {
  edge.server.clearLogs()
  await send('{"password":"canary-in-a-bad-body"', JSON_TYPE)
  const lines = edge.logs().filter((l) => l['event'] === 'request')
  expect(lines).toEqual([expect.objectContaining({ method: 'POST', route: '/v1/auth/login', status: 400, problem: 'invalid-request' })])
  expect(JSON.stringify(edge.server.getLogs())).not.toContain('canary')
})
