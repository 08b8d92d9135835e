import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { accountCharge } from '../../src/edge/identity/attempt.ts'
import { sweepIdentity } from '../../src/edge/identity/sweep.ts'
import { type Edge, ORIGIN, PASSWORD, ROOMY_LIMITS, startEdge } from '../harness.ts'
import { accountsOf, type Device, shapeOf, tally, wrong } from './account.ts'
import { factorsOf } from './authenticator.ts'
import { post, register } from './raw.ts'
import { scopeOf } from './scope.ts'

const OTHER = 'seven otters juggle lanterns'
const MAILS_MAX = 5
let edge: Edge
beforeAll(async () => {
  edge = await startEdge({
    vars: {
      SESSIONS_PER_USER: '100',
      LIMITS: ROOMY_LIMITS,
    },
  })
})
afterAll(() => edge.stop())

const { ask, change, count, entries, forgot, login, look, mailsTo, refresh, reset, settle, signIn } = accountsOf(() => edge)
const { call, protect } = factorsOf(() => edge)

describe('asking for a reset', () => {
  test('is answered the same for a known, an unknown and a disabled address; only the first gets mail', async () => {
    const [known, disabled] = [await register(edge, 'known'), await register(edge, 'disabled')]
    await edge.db.prepare('UPDATE users SET disabled_at = 1 WHERE email = ?').bind(disabled).run()
    const answers = [await forgot(known), await forgot('nobody-here@example.net'), await forgot(disabled)]
    expect(answers[0]).toMatchObject({ status: 202, body: { resetId: expect.stringMatching(/^rst_/) as string } })
    for (const answer of answers) expect(shapeOf(answer)).toEqual(shapeOf(answers[0]!))
    expect((await edge.mailbox.mailTo(known, 2)).subject).toBe('Reset your Parvis password')
    await settle()
    expect(edge.mailbox.to('nobody-here@example.net')).toEqual([])
    expect(mailsTo(disabled, /Reset/)).toEqual([])
  })

  test('writes as many rows for either', async () => {
    const email = await register(edge, 'equal')
    const sizes = async () => [
      await count('SELECT count(*) AS n FROM password_resets'),
      await count("SELECT count(*) AS n FROM audit_entries WHERE action = 'password.forget'"),
    ]
    const start = await sizes()
    await forgot(email)
    const afterKnown = await sizes()
    await forgot('nobody-either@example.net')
    expect((await sizes()).map((n, i) => n! - afterKnown[i]!)).toEqual(afterKnown.map((n, i) => n! - start[i]!))
  })

  test('takes the same time for either', async () => {
    const emails = [await register(edge, 'timed'), 'timed-nobody@example.net'] as const
    const times: [number[], number[]] = [[], []]
    for (let i = 0; i < 120; i++) {
      const which = i % 2 === Math.floor(i / 2) % 2 ? 0 : 1
      // As if each were the first of its hour, so that mail goes out every time.
      await edge.db.prepare('UPDATE password_resets SET created_at = 0 WHERE email = ?').bind(emails[which]).run()
      const startedAt = performance.now()
      await forgot(emails[which])
      times[which].push(performance.now() - startedAt)
    }
    expect(mailsTo(emails[0], /^Reset/).length).toBeGreaterThan(MAILS_MAX)
    const [known, unknown] = times
    const slower = known.flatMap((a) => unknown.map((b): number => (a > b ? 1 : 0))).reduce((sum, n) => sum + n, 0)
    const share = slower / (known.length * unknown.length)
    expect(share, 'how often a known address takes longer than an unknown one').toBeGreaterThan(0.25)
    expect(share).toBeLessThan(0.75)
  }, 120_000)

  test('mails one address five codes an hour at most, twenty at once too, and the answer does not tell', async () => {
    const email = await register(edge, 'flooded')
    const answers = await Promise.all(Array.from({ length: 20 }, () => forgot(email)))
    for (const answer of answers) expect(shapeOf(answer)).toEqual(shapeOf(answers[0]!))
    await settle()
    expect(mailsTo(email, /Reset/)).toHaveLength(MAILS_MAX)
    expect(await count('SELECT count(*) AS n FROM password_resets WHERE email = ? AND code_mac IS NOT NULL', email)).toBe(MAILS_MAX)
    await edge.db.prepare('UPDATE password_resets SET created_at = created_at - 3600001 WHERE email = ?').bind(email).run()
    await forgot(email)
    await settle()
    expect(mailsTo(email, /Reset/)).toHaveLength(MAILS_MAX + 1)
  })

  test('letter case of the address does not matter, and a French user is written to in French', async () => {
    const email = 'oubli@example.net'
    const { body } = await post(edge, '/v1/auth/register', { email, password: PASSWORD, locale: 'fr' })
    await post(edge, '/v1/auth/verify', { registrationId: body['registrationId'], code: await edge.mailbox.codeTo(email) })
    await forgot('OUBLI@example.net')
    expect((await edge.mailbox.mailTo(email, 2)).subject).toBe('Réinitialisez votre mot de passe Parvis')
  })
})

describe('resetting a password', () => {
  test('replaces it, ends every session, signs nobody in, tells the owner and is on record', async () => {
    const email = await register(edge, 'reset')
    const devices = [await signIn(email), await signIn(email)]
    await Promise.all(devices.map(look))
    const { resetId, code } = await ask(email)
    const answer = await reset(resetId, code, OTHER)
    expect(answer).toMatchObject({ status: 200, body: { apiKeys: 0, passkeys: 0, hasTotp: false } })
    expect(answer.headers.getSetCookie()).toEqual([])
    for (const device of devices) {
      expect(await look(device)).toMatchObject({ slug: 'session-ended' })
      expect(await refresh(device)).toMatchObject({ slug: 'session-ended' })
    }
    expect(await login(email)).toMatchObject({ status: 401, slug: 'credentials-invalid' })
    expect((await login(email, OTHER)).status).toBe(200)
    await settle()
    expect(mailsTo(email, /^Your Parvis password was reset$/)).toHaveLength(1)
    const [{ userId }] = devices as [Device]
    expect(await entries(userId, 'password.forget')).toEqual([{ cause: null, actor_id: 'anonymous' }])
    expect(await entries(userId, 'password.reset')).toEqual([{ cause: null, actor_id: userId }])
    expect(await entries(userId, 'session.end-all')).toEqual([{ cause: 'password-reset', actor_id: userId }])
  })

  test('works once, and makes every other code that was mailed useless', async () => {
    const email = await register(edge, 'once')
    const [first, second] = [await ask(email), await ask(email)]
    expect((await reset(second.resetId, second.code, OTHER)).status).toBe(200)
    for (const { resetId, code } of [second, first])
      expect(await reset(resetId, code, 'a password of somebody else')).toMatchObject({ status: 400, slug: 'code-invalid' })
    expect((await login(email, OTHER)).status).toBe(200)
  })

  test('thirty times at once lets one win, and only its password works', async () => {
    const email = await register(edge, 'thirty')
    await signIn(email)
    const { resetId, code } = await ask(email)
    const wishes = Array.from({ length: 30 }, (_, i) => `${OTHER} number ${i}`)
    const answers = await Promise.all(wishes.map((wish) => reset(resetId, code, wish)))
    expect(tally(answers, 200)).toBe(1)
    expect(tally(answers, 400)).toBe(29)
    const works = await Promise.all(wishes.slice(0, 15).map((wish) => login(email, wish)))
    const alsoWorks = await Promise.all(wishes.slice(15).map((wish) => login(email, wish)))
    const winner = answers.findIndex((a) => a.status === 200)
    expect([...works, ...alsoWorks].flatMap((a, i) => (a.status === 200 ? [i] : []))).toEqual([winner])
    await settle()
    expect(mailsTo(email, /was reset/)).toHaveLength(1)
  })

  test.each([1, 2, 3])('outlives every sign-in with the old password that was under way (round %i)', async () => {
    const email = await register(edge, 'slow')
    const { userId } = await signIn(email)
    const { resetId, code } = await ask(email)
    const [answer] = await Promise.all([reset(resetId, code, OTHER), ...Array.from({ length: 20 }, () => login(email))])
    expect(answer.status).toBe(200)
    expect(await count('SELECT count(*) AS n FROM sessions WHERE user_id = ? AND ended_at IS NULL', userId)).toBe(0)
  })

  test('five wrong codes burn it, in parallel too; the right one is then refused in the same words', async () => {
    const email = await register(edge, 'burnt')
    const { userId } = await signIn(email)
    const { resetId, code } = await ask(email)
    const answers = await Promise.all(Array.from({ length: 20 }, () => reset(resetId, wrong(code), OTHER)))
    expect(tally(answers, 400)).toBe(20)
    const right = await reset(resetId, code, OTHER)
    expect({ ...right.body, traceId: '' }).toEqual({ ...answers[0]!.body, traceId: '' })
    expect(right.slug).toBe('code-invalid')
    expect(await edge.db.prepare('SELECT tries FROM password_resets WHERE id = ?').bind(resetId).first()).toEqual({ tries: 5 })
    expect(await entries(userId, 'password.refuse')).toEqual(Array(5).fill({ cause: 'reset-code', actor_id: 'anonymous' }))
  })

  test('four wrong codes leave the fifth try', async () => {
    const { resetId, code } = await ask(await register(edge, 'four'))
    for (let i = 0; i < 4; i++) expect((await reset(resetId, wrong(code), OTHER)).slug).toBe('code-invalid')
    expect((await reset(resetId, code, OTHER)).status).toBe(200)
  })

  test('a refused password costs no try and no code', async () => {
    const email = await register(edge, 'patient')
    const { resetId, code } = await ask(email)
    for (const weak of [
      'passwordpassword',
      `${email.split('@')[0]} is my name`,
      'qwertyuiopasdfghjkl',
      'the parvis of a church',
      'aaaaaaaaaaaaaaaaaaa',
    ])
      expect(await reset(resetId, code, weak)).toMatchObject({ status: 400, body: { errors: [{ pointer: '#/body/newPassword' }] } })
    expect((await reset(resetId, code, OTHER)).status).toBe(200)
  })

  test('a code of another request, of another person or for another purpose opens nothing', async () => {
    const [email, other] = [await register(edge, 'mine'), await register(edge, 'theirs')]
    const [mine, again, theirs] = [await ask(email), await ask(email), await ask(other)]
    const { body } = await post(edge, '/v1/auth/register', { email: 'purpose@example.net', password: PASSWORD })
    const registrationCode = await edge.mailbox.codeTo('purpose@example.net')
    const foreign = [again.code, theirs.code, registrationCode].filter((code) => code !== mine.code)
    for (const code of foreign) expect(await reset(mine.resetId, code, OTHER)).toMatchObject({ status: 400, slug: 'code-invalid' })
    const registrationId = body['registrationId']
    if (mine.code !== registrationCode)
      expect(await post(edge, '/v1/auth/verify', { registrationId, code: mine.code })).toMatchObject({ status: 400, slug: 'code-invalid' })
    for (const [path, id] of [
      ['/v1/auth/password/reset', { resetId: registrationId }],
      ['/v1/auth/verify', { registrationId: mine.resetId }],
    ] as const)
      expect(await post(edge, path, { ...id, code: mine.code, newPassword: OTHER })).toMatchObject({ status: 400, slug: 'invalid-request' })
    expect((await login(email)).status).toBe(200)
  })

  test('of an unknown address is refused like a wrong code', async () => {
    const { resetId, code } = await ask(await register(edge, 'real'))
    const unreal = await forgot('unreal@example.net')
    const [known, unknown] = [await reset(resetId, wrong(code), OTHER), await reset(unreal.body['resetId'], '123456', OTHER)]
    expect(shapeOf(unknown)).toEqual(shapeOf(known))
    expect({ ...unknown.body, traceId: '' }).toEqual({ ...known.body, traceId: '' })
  })

  test.each([
    ['an expired code', 'UPDATE password_resets SET expires_at = 1 WHERE id = ?1'],
    [
      'a code of a user who was disabled meanwhile',
      'UPDATE users SET disabled_at = 1 WHERE id = (SELECT user_id FROM password_resets WHERE id = ?1)',
    ],
    ['a request that was one too many', 'UPDATE password_resets SET code_mac = NULL WHERE id = ?1'],
  ])('%s is refused', async (_, sql) => {
    const { resetId, code } = await ask(await register(edge, 'late'))
    await edge.db.prepare(sql).bind(resetId).run()
    expect(await reset(resetId, code, OTHER)).toMatchObject({ status: 400, slug: 'code-invalid' })
  })

  test('opens the password again where too many failures had closed it', async () => {
    const email = await register(edge, 'closed')
    const { key } = await accountCharge(scopeOf(edge), email)
    const close = 'INSERT INTO limits (key, count, blocked_until, forget_at, charged_at) VALUES (?, 100, 9e15, 9e15, 0)'
    await edge.db.prepare(close).bind(key).run()
    const { resetId, code } = await ask(email)
    expect(await reset(resetId, wrong(code), OTHER)).toMatchObject({ slug: 'code-invalid' })
    expect(await count('SELECT count(*) AS n FROM limits WHERE key = ?', key)).toBe(1)
    expect((await reset(resetId, code, OTHER)).status).toBe(200)
    expect(await count('SELECT count(*) AS n FROM limits WHERE key = ?', key)).toBe(0)
  })
})

describe('what opens the account besides the password', () => {
  /** Somebody with an app and two API keys, as a thief of their password may have made them. */
  async function withKeys(name: string) {
    const { email, device } = await protect(name)
    const keys: string[] = []
    for (const each of ['Backup', 'Report']) {
      const made = await call(device, 'POST', '/v1/auth/keys', { name: each, scopes: ['account:read'] })
      keys.push(String(made.body['token']))
    }
    const opens = () => Promise.all(keys.map(async (accessToken) => (await call({ accessToken }, 'GET', '/v1/me')).status))
    expect(await opens()).toEqual([200, 200])
    return { email, userId: device.userId, opens }
  }
  const noticeTo = async (email: string) => {
    await settle()
    return mailsTo(email, /was reset$/).at(-1)?.text ?? ''
  }

  test('stays where nothing else is asked for, and is named in the answer and the mail, with a link to it', async () => {
    const { email, opens } = await withKeys('keeps')
    const { resetId, code } = await ask(email)
    expect(await reset(resetId, code, OTHER)).toMatchObject({ status: 200, body: { apiKeys: 2, passkeys: 0, hasTotp: true } })
    expect(await opens()).toEqual([200, 200])
    const text = await noticeTo(email)
    for (const line of ['API keys: 2', 'Passkeys: 0', 'Authenticator app: yes', `${ORIGIN}/app/account#factors-title`])
      expect(text).toContain(line)
  })

  test('goes as far as it is API keys, where that is asked for, and is on record', async () => {
    const { email, userId, opens } = await withKeys('ends')
    const { resetId, code } = await ask(email)
    const wish = { resetId, newPassword: OTHER, endApiKeys: true }
    expect(await post(edge, '/v1/auth/password/reset', { ...wish, code: wrong(code) })).toMatchObject({ slug: 'code-invalid' })
    expect(await opens()).toEqual([200, 200])
    expect(await post(edge, '/v1/auth/password/reset', { ...wish, code })).toMatchObject({
      status: 200,
      body: { apiKeys: 0, passkeys: 0, hasTotp: true },
    })
    expect(await opens()).toEqual([401, 401])
    expect(await entries(userId, 'api-key.end-all')).toEqual([{ cause: 'password-reset', actor_id: userId }])
    expect(await noticeTo(email)).toContain('API keys: 0')
  })
})

test('a request is forgotten a day after it expired', async () => {
  const [old, young] = [await ask(await register(edge, 'swept')), await ask(await register(edge, 'kept'))]
  const age = 'UPDATE password_resets SET expires_at = ? WHERE id = ?'
  await edge.db
    .prepare(age)
    .bind(Date.now() - 86_400_001, old.resetId)
    .run()
  await edge.db
    .prepare(age)
    .bind(Date.now() - 80_000_000, young.resetId)
    .run()
  await sweepIdentity(scopeOf(edge))
  const left = 'SELECT count(*) AS n FROM password_resets WHERE id = ?'
  expect([await count(left, old.resetId), await count(left, young.resetId)]).toEqual([0, 1])
})

test('neither the database nor the log holds a password or a code of a change or a reset in the clear', async () => {
  const email = await register(edge, 'canary')
  const [changed, wished] = ['canary wings over the quarry', 'canary song of the evening']
  const mine = await signIn(email)
  expect((await change(mine, PASSWORD, changed)).status).toBe(204)
  const { resetId, code } = await ask(email)
  expect((await reset(resetId, code, wished)).status).toBe(200)
  await settle()
  const { results: tables } = await edge.db
    .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE '\\_cf%' ESCAPE '\\'")
    .all<{ name: string }>()
  const dumps = await Promise.all(
    tables.map(async ({ name }) => JSON.stringify((await edge.db.prepare(`SELECT * FROM "${name}"`).all()).results)),
  )
  const everything = [...dumps, JSON.stringify(edge.server.getLogs())].join('\n')
  expect(everything).toContain(resetId)
  for (const secret of [changed, wished, `"${code}"`, `${resetId}|${code}`]) expect(everything).not.toContain(secret)
})
