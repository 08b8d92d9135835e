import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Edge, ORIGIN, PASSWORD, startEdge } from '../harness.ts'
import { until } from '../until.ts'
import { accountsOf, shapeOf, tally } from './account.ts'
import { FORGED_TOKEN, mailsOf } from './mailed.ts'
import { register as signUp } from './raw.ts'

let edge: Edge
beforeAll(async () => {
  edge = await startEdge()
})
afterAll(() => edge.stop())

const { newest, register, verify, resend, login } = mailsOf(() => edge)
const { count, settle, reset, forgot } = accountsOf(() => edge)
const OTHER = 'another horse, another battery'
const usersOf = (email: string) => count('SELECT count(*) AS n FROM users WHERE email = ?', email)

describe('the link of a registration', () => {
  test('leads to the configured origin, whatever host the request names', async () => {
    const email = 'host@example.net'
    const body = JSON.stringify({ email, password: PASSWORD })
    const headers = {
      'content-type': 'application/json',
      'x-forwarded-host': 'evil.example',
      'x-forwarded-proto': 'http',
      forwarded: 'host=evil.example',
      'x-original-url': 'https://evil.example/',
    }
    await edge.request('/v1/auth/register', { method: 'POST', headers, body })
    const mail = await edge.mailbox.mailTo(email)
    expect((await newest(email)).link).toMatch(new RegExp(`^${ORIGIN}/register/confirm#[\\w-]{43}$`))
    expect(`${mail.text}${mail.html}`).not.toContain('evil.example')
  })

  test('of a French registration leads to the French page', async () => {
    await register('lien@example.net', { locale: 'fr' })
    expect((await newest('lien@example.net')).link).toMatch(/\/register\/confirm\?lang=fr#/)
  })

  test('finishes with the client that registered, under the password given there', async () => {
    const email = 'same@example.net'
    const { registrationId } = (await register(email)).body
    const { token } = await newest(email)
    expect((await verify({ registrationId, token })).status).toBe(204)
    expect((await verify({ registrationId, token })).status).toBe(204)
    expect((await login(email)).status).toBe(200)
  })

  test('alone never takes the password of the registration: a stranger may have begun it', async () => {
    const email = 'hijack@example.net'
    const attacker = (await register(email, { password: 'the password of an attacker' })).body
    const { token, code } = await newest(email)
    expect(await verify({ token })).toMatchObject({ status: 400, slug: 'invalid-request' })
    expect(await usersOf(email)).toBe(0)
    expect((await verify({ token, password: OTHER })).status).toBe(204)
    expect((await login(email, 'the password of an attacker')).status).toBe(401)
    expect((await login(email, OTHER)).status).toBe(200)
    // The attacker's own call answers as any repeated one and changes nothing.
    await verify({ registrationId: attacker['registrationId'], code })
    expect((await login(email, 'the password of an attacker')).status).toBe(401)
  })

  test('ends what others began at the same address', async () => {
    const email = 'crowd@example.net'
    const stranger = (await register(email, { password: 'the password of an attacker' })).body
    const strangers = await newest(email, 1)
    const { registrationId } = (await register(email)).body
    expect((await verify({ registrationId, code: (await newest(email, 2)).code })).status).toBe(204)
    expect(await verify({ registrationId: stranger['registrationId'], token: strangers.token })).toMatchObject({ slug: 'code-invalid' })
    expect(await verify({ token: strangers.token, password: OTHER })).toMatchObject({ slug: 'code-invalid' })
    expect((await login(email)).status).toBe(200)
  })

  test('of one registration does not open another, and a forged one opens none', async () => {
    const mine = (await register('mine@example.net')).body
    await register('yours@example.net')
    const { token } = await newest('yours@example.net')
    expect(await verify({ registrationId: mine['registrationId'], token })).toMatchObject({ slug: 'code-invalid' })
    expect(await verify({ token: FORGED_TOKEN, password: OTHER })).toMatchObject({ slug: 'code-invalid' })
    expect(await verify({ registrationId: mine['registrationId'], token: FORGED_TOKEN })).toMatchObject({ slug: 'code-invalid' })
  })

  test('makes one account of twenty parallel calls, and the password of one', async () => {
    const email = 'parallel@example.net'
    await register(email)
    const { token } = await newest(email)
    const wishes = Array.from({ length: 20 }, (_, at) => `correct horse number ${at} of them`)
    const answers = await Promise.all(wishes.map((password) => verify({ token, password })))
    expect(tally(answers, 204)).toBe(1)
    const winner = wishes[answers.findIndex((a) => a.status === 204)]
    expect((await login(email, winner)).status).toBe(200)
    expect(await usersOf(email)).toBe(1)
  })

  test('holds a chosen password to the policy, and is not spent by a refusal', async () => {
    const email = 'picky@example.net'
    await register(email)
    const { token } = await newest(email)
    expect(await verify({ token, password: 'short' })).toMatchObject({
      status: 400,
      body: { errors: [{ pointer: '#/body/password' }] },
    })
    expect(await verify({ token, password: 'passwordpassword' })).toMatchObject({ status: 400 })
    expect((await verify({ token, password: OTHER })).status).toBe(204)
  })

  test('expires with its code, and lives on when that has been guessed at five times', async () => {
    await register('old@example.net')
    const { token } = await newest('old@example.net')
    await edge.db.prepare('UPDATE registrations SET expires_at = 1 WHERE email = ?').bind('old@example.net').run()
    expect(await verify({ token, password: OTHER })).toMatchObject({ slug: 'code-invalid' })
    await register('burnt@example.net')
    const burnt = await newest('burnt@example.net')
    await edge.db.prepare('UPDATE registrations SET tries = 5 WHERE email = ?').bind('burnt@example.net').run()
    expect((await verify({ token: burnt.token, password: OTHER })).status).toBe(204)
  })

  test('and the code exclude each other, and nothing else passes as a proof', async () => {
    const { registrationId } = (await register('forms@example.net')).body
    const { code, token } = await newest('forms@example.net')
    for (const body of [
      {},
      { registrationId },
      { code },
      { code, token, registrationId },
      { code, password: OTHER },
      { registrationId, token, password: OTHER },
    ]) {
      expect(await verify(body)).toMatchObject({ status: 400, slug: 'invalid-request' })
    }
    expect((await verify({ registrationId, code })).status).toBe(204)
  })
})

describe('a mail that is asked for again', () => {
  test('is the very same: one code and one link while they live', async () => {
    const email = 'again@example.net'
    const { registrationId } = (await register(email)).body
    const first = await newest(email)
    expect((await resend(registrationId)).status).toBe(204)
    expect(await newest(email, 2)).toEqual(first)
    expect((await verify({ registrationId, code: first.code })).status).toBe(204)
  })

  test('counts as one of the five an hour, in parallel too', async () => {
    const email = 'greedy@example.net'
    const { registrationId } = (await register(email)).body
    await newest(email)
    const answers = await Promise.all(Array.from({ length: 20 }, () => resend(registrationId)))
    expect(tally(answers, 204)).toBe(20)
    await edge.mailbox.mailTo(email, 5)
    await settle()
    expect(edge.mailbox.to(email)).toHaveLength(5)
    await register(email)
    await settle()
    expect(edge.mailbox.to(email)).toHaveLength(5)
  })

  test('is answered alike for a free, a taken, a proven, an expired and an unknown one', async () => {
    const taken = await signUp(edge, 'taken')
    const free = (await register('free@example.net')).body['registrationId']
    const other = (await register(taken)).body['registrationId']
    const proven = (await register('proven@example.net')).body['registrationId']
    await verify({ registrationId: proven, code: (await newest('proven@example.net')).code })
    await edge.mailbox.mailTo('free@example.net')
    const late = (await register('late@example.net')).body['registrationId']
    await newest('late@example.net')
    await edge.db.prepare('UPDATE registrations SET expires_at = 1 WHERE email = ?').bind('late@example.net').run()
    const asked = [free, other, proven, late, 'reg_01k3ahrz6dmv29gqy5ckt18fp1']
    const answers: Awaited<ReturnType<typeof resend>>[] = []
    for (const id of asked) answers.push(await resend(id))
    expect(new Set(answers.map((a) => JSON.stringify([shapeOf(a), a.body]))).size).toBe(1)
    await settle()
    expect(edge.mailbox.to('free@example.net')).toHaveLength(2)
    expect(edge.mailbox.to('proven@example.net')).toHaveLength(1)
    expect(edge.mailbox.to('late@example.net')).toHaveLength(1)
  })

  test('after the codes are burnt brings nothing', async () => {
    const { registrationId } = (await register('spent@example.net')).body
    await newest('spent@example.net')
    await edge.db.prepare('UPDATE registrations SET tries = 5 WHERE email = ?').bind('spent@example.net').run()
    await resend(registrationId)
    await settle()
    expect(edge.mailbox.to('spent@example.net')).toHaveLength(1)
  })
})

describe('the link of a reset', () => {
  test('replaces the password once, and its code is spent with it', async () => {
    const email = await signUp(edge, 'reset')
    const { resetId } = (await forgot(email)).body
    const { token, code, link } = await newest(email, 2)
    expect(link).toMatch(new RegExp(`^${ORIGIN}/password/reset#`))
    const use = (body: object) =>
      edge.request('/v1/auth/password/reset', {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(body),
      })
    expect((await use({ token, resetId, newPassword: OTHER })).status).toBe(400)
    expect((await use({ token: FORGED_TOKEN, newPassword: OTHER })).status).toBe(400)
    const answers = await Promise.all(Array.from({ length: 20 }, () => use({ token, newPassword: OTHER })))
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1)
    expect(await reset(resetId, code, PASSWORD)).toMatchObject({ slug: 'code-invalid' })
    expect((await login(email, OTHER)).status).toBe(200)
  })

  test('lives on when whoever asked has guessed at its code five times', async () => {
    const email = await signUp(edge, 'guessed')
    const { resetId } = (await forgot(email)).body
    const { token, code } = await newest(email, 2)
    const wrong = code === '000000' ? '000001' : '000000'
    for (let tries = 0; tries < 5; tries++) await reset(resetId, wrong, OTHER)
    expect(await reset(resetId, code, OTHER)).toMatchObject({ slug: 'code-invalid' })
    const body = JSON.stringify({ token, newPassword: OTHER })
    const answer = await edge.request('/v1/auth/password/reset', { method: 'POST', headers: { 'content-type': 'application/json' }, body })
    expect(answer.status).toBe(200)
    expect((await login(email, OTHER)).status).toBe(200)
  })
})

test('neither database nor log holds a token or a code of a mail in the clear', async () => {
  const email = 'canary@example.net'
  await register(email)
  const { token, code } = await newest(email)
  await until(async () => (await count('SELECT count(*) AS n FROM outbox_events WHERE done_at IS NULL')) === 0)
  const rows = (await edge.db.prepare('SELECT * FROM registrations WHERE email = ?').bind(email).all()).results
  const everything = `${JSON.stringify(rows)}${JSON.stringify(edge.server.getLogs())}`
  expect(rows).toHaveLength(1)
  for (const secret of [token, `"${code}"`, `:${code}`]) expect(everything).not.toContain(secret)
})
