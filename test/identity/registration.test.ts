import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Edge, PASSWORD, startEdge } from '../harness.ts'
import { until } from '../until.ts'
import { type Answer, post, register } from './raw.ts'

let edge: Edge
beforeAll(async () => {
  edge = await startEdge()
})
afterAll(() => edge.stop())

const ask = (email: string, more: object = {}) => post(edge, '/v1/auth/register', { email, password: PASSWORD, ...more })
const verify = (registrationId: unknown, code: string) => post(edge, '/v1/auth/verify', { registrationId, code })
const login = (email: string, password = PASSWORD) => post(edge, '/v1/auth/login', { email, password })
const wrong = (code: string) => (code === '000000' ? '000001' : '000000')
const shapeOf = ({ status, headers, body }: Answer) => ({ status, headers: [...headers.keys()].sort(), keys: Object.keys(body).sort() })

const pending = async () =>
  (await edge.db.prepare('SELECT count(*) AS n FROM outbox_events WHERE done_at IS NULL').first<{ n: number }>())?.n

describe('registration', () => {
  test('the answer is the same for a free and a taken address; only the mail differs', async () => {
    const email = await register(edge, 'taken')
    const [taken, free] = [await ask(email), await ask('free@example.net')]
    expect(shapeOf(taken)).toEqual(shapeOf(free))
    expect((await edge.mailbox.mailTo(email, 2)).text).toContain('already has one')
    expect(/\b\d{6}\b/.exec((await edge.mailbox.mailTo(email, 2)).text ?? '')).toBeNull()
  })

  test('no account exists before the code is given', async () => {
    const email = 'early@example.net'
    await ask(email)
    await edge.mailbox.codeTo(email)
    expect(await login(email)).toMatchObject({ status: 401, slug: 'credentials-invalid' })
  })

  test('the code of one registration opens no other, so nobody can plant a password on a stranger', async () => {
    const email = 'victim@example.net'
    const attacker = await ask(email, { password: 'the password of an attacker' })
    const attackersCode = await edge.mailbox.codeTo(email, 1)
    const victim = await ask(email)
    const victimsCode = await edge.mailbox.codeTo(email, 2)
    if (attackersCode !== victimsCode)
      expect(await verify(victim.body['registrationId'], attackersCode)).toMatchObject({ slug: 'code-invalid' })
    expect((await verify(victim.body['registrationId'], victimsCode)).status).toBe(204)
    expect(await verify(attacker.body['registrationId'], attackersCode)).toMatchObject({ slug: 'code-invalid' })
    expect((await login(email, 'the password of an attacker')).status).toBe(401)
    expect((await login(email)).status).toBe(200)
  })

  test('fifty parallel proofs of one registration make one user and one entry', async () => {
    const email = 'many@example.net'
    const { body } = await ask(email)
    const code = await edge.mailbox.codeTo(email)
    const answers = await Promise.all(Array.from({ length: 50 }, () => verify(body['registrationId'], code)))
    expect(new Set(answers.map((a) => a.status))).toEqual(new Set([204]))
    expect(await edge.db.prepare('SELECT count(*) AS n FROM users WHERE email = ?').bind(email).first()).toEqual({ n: 1 })
    const { id } = (await edge.db.prepare('SELECT id FROM users WHERE email = ?').bind(email).first<{ id: string }>())!
    expect(await edge.db.prepare('SELECT count(*) AS n FROM audit_entries WHERE subject = ?').bind(id).first()).toEqual({ n: 1 })
  })

  test('five wrong codes burn the registration, in parallel too; the right one is then refused', async () => {
    const email = 'burnt@example.net'
    const { body } = await ask(email)
    const code = await edge.mailbox.codeTo(email)
    await Promise.all(Array.from({ length: 20 }, () => verify(body['registrationId'], wrong(code))))
    expect(await verify(body['registrationId'], code)).toMatchObject({ status: 400, slug: 'code-invalid' })
    expect(await edge.db.prepare('SELECT tries FROM registrations WHERE email = ?').bind(email).first()).toEqual({ tries: 5 })
  })

  test('an expired code is refused', async () => {
    const email = 'late@example.net'
    const { body } = await ask(email)
    const code = await edge.mailbox.codeTo(email)
    await edge.db.prepare('UPDATE registrations SET expires_at = 1 WHERE email = ?').bind(email).run()
    expect(await verify(body['registrationId'], code)).toMatchObject({ slug: 'code-invalid' })
  })

  test('letter case of an address does not make another person', async () => {
    await register(edge, 'Case')
    const { results } = await edge.db.prepare("SELECT email FROM users WHERE email LIKE 'case-%'").all<{ email: string }>()
    expect((await login(results[0]!.email.toUpperCase())).status).toBe(200)
  })

  test('one address is sent five mails an hour at most, and the answer does not tell', async () => {
    const email = 'flooded@example.net'
    const answers: Answer[] = []
    for (let i = 0; i < 8; i++) answers.push(await ask(email))
    expect(new Set(answers.map((a) => a.status))).toEqual(new Set([202]))
    await edge.mailbox.mailTo(email, 5)
    await until(async () => (await pending()) === 0)
    expect(edge.mailbox.to(email)).toHaveLength(5)
    const { results } = await edge.db.prepare('SELECT tries FROM registrations WHERE email = ? ORDER BY id').bind(email).all()
    expect(results.map((r) => r['tries'])).toEqual([0, 0, 0, 0, 0, 5, 5, 5])
  })

  test('thirty parallel registrations of one address send five mails, no more', async () => {
    const email = 'stormed@example.net'
    const answers = await Promise.all(Array.from({ length: 30 }, () => ask(email)))
    expect(answers.every((a) => a.status === 202 || a.slug === 'unavailable')).toBe(true)
    await edge.mailbox.mailTo(email, 5)
    await until(async () => (await pending()) === 0)
    expect(edge.mailbox.to(email)).toHaveLength(5)
  })

  test('a French user is written to in French', async () => {
    await ask('francais@example.net', { locale: 'fr' })
    expect((await edge.mailbox.mailTo('francais@example.net')).subject).toContain('Confirmez')
  })

  test('short passwords are refused with the reason, long passphrases of any characters are welcome', async () => {
    const short = await ask('short@example.net', { password: 'fourteen chars' })
    expect(short).toMatchObject({ status: 400, slug: 'invalid-request', body: { errors: [{ pointer: '#/body/password' }] } })
    expect((await ask('long@example.net', { password: 'é à ü 漢字 '.repeat(20) })).status).toBe(202)
    expect((await ask('vast@example.net', { password: 'x'.repeat(1025) })).status).toBe(400)
  })
})

test('known and unknown addresses are told apart by nothing at sign-in', async () => {
  const email = await register(edge, 'known')
  const [known, unknown] = [await login(email, 'wrong but long enough'), await login('nobody@example.net', 'wrong but long enough')]
  expect(shapeOf(known)).toEqual(shapeOf(unknown))
  expect({ ...known.body, traceId: '' }).toEqual({ ...unknown.body, traceId: '' })
})

test('neither the database nor the log holds a password, a code or a token in the clear', async () => {
  const email = 'miner@example.net'
  const password = 'canary-password-0451-in-the-shaft'
  const { body } = await ask(email, { password })
  const code = await edge.mailbox.codeTo(email)
  await verify(body['registrationId'], code)
  const tokens = (await login(email, password)).body
  const { results: tables } = await edge.db
    .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE '\\_cf%' ESCAPE '\\'")
    .all<{ name: string }>()
  const dumps = await Promise.all(
    tables.map(async ({ name }) => JSON.stringify((await edge.db.prepare(`SELECT * FROM "${name}"`).all()).results)),
  )
  const everything = [...dumps, JSON.stringify(edge.server.getLogs())].join('\n')
  expect(tables.length).toBeGreaterThan(4)
  expect(everything).toContain(email)
  for (const secret of [password, tokens['accessToken'], tokens['refreshToken'], `"${code}"`]) expect(everything).not.toContain(secret)
})
