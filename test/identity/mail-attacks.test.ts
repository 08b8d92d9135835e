import { once } from 'node:events'
import { request } from 'node:http'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { type Edge, ORIGIN, PASSWORD, startEdge } from '../harness.ts'
import { accountsOf, shapeOf } from './account.ts'
import { FORGED_TOKEN, mailsOf, proofIn } from './mailed.ts'
import { type Answer, post, read, register } from './raw.ts'

let edge: Edge
beforeAll(async () => {
  edge = await startEdge()
})
afterAll(() => edge.stop())

const { askMagic, newest, useMagic, verify, register: ask, resend, restore } = mailsOf(() => edge)
const { forgot, settle, signIn } = accountsOf(() => edge)
const OTHER = 'another horse, another battery'
const bearer = ({ accessToken }: { readonly accessToken: string }) => ({ authorization: `Bearer ${accessToken}` })

/** The status of a request whose Host header is ours to choose. */
async function postAs(
  target: Edge,
  host: string,
  { path, body }: { readonly path: string; readonly body: object },
): Promise<number | undefined> {
  const { hostname, port } = new URL(target.origin)
  const headers = {
    host,
    'content-type': 'application/json',
    'x-forwarded-host': host,
    'x-forwarded-proto': 'http',
    'x-host': host,
    forwarded: `host=${host};proto=http`,
  }
  const call = request({ hostname, port, path, method: 'POST', headers }).end(JSON.stringify(body))
  const [response] = await once(call, 'response')
  response.resume()
  return response.statusCode
}

describe('links', () => {
  test('lead to the configured origin though the very first request names another host', async () => {
    const young = await startEdge()
    onTestFinished(() => young.stop())
    const email = 'first@example.net'
    expect(await postAs(young, 'evil.example', { path: '/v1/auth/register', body: { email, password: PASSWORD } })).toBe(202)
    const { text, html } = await young.mailbox.mailTo(email)
    expect(text).toContain(`${ORIGIN}/register/confirm#`)
    expect(`${text}${html}`).not.toContain('evil')
  })

  test('of resets, sign-ins and changes of address do so too', async () => {
    const email = await register(edge, 'hosts')
    const device = await signIn(email)
    await postAs(edge, 'evil.example', { path: '/v1/auth/password/forgot', body: { email } })
    await postAs(edge, 'evil.example', { path: '/v1/auth/magic', body: { email } })
    await post(edge, '/v1/me/email', { email: 'hosts-new@example.net' }, { ...bearer(device), 'x-forwarded-host': 'evil.example' })
    const mails = [
      await edge.mailbox.mailTo(email, 2),
      await edge.mailbox.mailTo(email, 3),
      await edge.mailbox.mailTo('hosts-new@example.net'),
    ]
    for (const { text, html } of mails) {
      expect(text).toContain(`${ORIGIN}/`)
      expect(`${text}${html}`.match(/https?:\/\/[^/"\s]+/g)?.every((origin) => origin === ORIGIN)).toBe(true)
    }
  })

  test('are used by POST alone: neither GET nor HEAD nor OPTIONS of anything spends one', async () => {
    const email = await register(edge, 'scanned')
    await askMagic(email)
    const { token, code } = await newest(email, 2)
    for (const path of ['/v1/auth/magic/verify', '/v1/auth/verify', '/v1/auth/password/reset', '/login/mail', '/v1/auth/account/restore']) {
      for (const method of ['GET', 'HEAD', 'OPTIONS']) await edge.request(`${path}?token=${token}&code=${code}`, { method })
    }
    expect((await useMagic({ token })).status).toBe(200)
  })

  test('that are nearly right open nothing, and spend nothing', async () => {
    const email = await register(edge, 'near')
    await askMagic(email)
    const { token } = await newest(email, 2)
    const changed = `${token.slice(0, -1)}${token.endsWith('A') ? 'B' : 'A'}`
    const near = [
      changed,
      `${token}=`,
      `${token} `,
      ` ${token}`,
      token.slice(0, -1),
      `${token}A`,
      token.toUpperCase(),
      FORGED_TOKEN,
      '%',
      '',
    ]
    const answers = await Promise.all(near.map((guess) => useMagic({ token: guess })))
    expect(answers.every(({ status }) => status === 400)).toBe(true)
    expect((await useMagic({ token })).status).toBe(200)
  })
})

describe('addresses', () => {
  const HOSTILE = [
    'ada＠example.org',
    'ada@example.org,eve@example.org',
    'ada@example.org;eve@example.org',
    'ada@example.org eve@example.org',
    '"ada eve"@example.org',
    'ada@example.org\r\nBcc: eve@example.org',
    'ada@example.org\nRCPT TO:<eve@example.org>',
    'ada@example.org\0',
    '<ada@example.org>',
    'Ada <ada@example.org>',
    '<img src=x>@example.org',
    'ada@[127.0.0.1]',
    'аda@example.org',
    'ada@exam\u202eple.org',
    'ada\u200b@example.org',
    'mailto:ada@example.org?bcc=eve@example.org',
    ['ada@example.org', 'eve@example.org'],
    { toString: 'ada@example.org' },
  ]

  test.each(HOSTILE)('%j is refused wherever an address is taken, and nobody is mailed', async (email) => {
    const device = await signIn(known)
    await settle()
    const before = edge.mailbox.mails.length
    const answers = [
      await post(edge, '/v1/auth/register', { email, password: PASSWORD }),
      await post(edge, '/v1/auth/password/forgot', { email }),
      await post(edge, '/v1/auth/magic', { email }),
      await post(edge, '/v1/me/email', { email }, bearer(device)),
    ]
    expect(answers.map(({ slug }) => slug)).toEqual(Array(4).fill('invalid-request'))
    await settle()
    expect(edge.mailbox.mails.length).toBe(before)
  })

  let known: string
  beforeAll(async () => {
    known = await register(edge, 'known')
  })

  test('are one identity however they are written, and the mail goes to the one that is kept', async () => {
    const email = await register(edge, 'kelvin')
    const [local, domain] = email.split('@')
    for (const [nth, written] of [`  ${email.toUpperCase()}\t`, `${local?.replace('k', '\u212a')}@${domain}`].entries()) {
      expect((await askMagic(written)).status).toBe(202)
      expect((await edge.mailbox.mailTo(email, 2 + nth)).to?.map(({ address }) => address)).toEqual([email])
    }
  })
})

describe('a stranger who asks without end', () => {
  const MINUTE_MS = 60_000
  const TABLES = ['registrations', 'password_resets', 'magic_links'] as const

  /** As if everything so far had been asked for earlier. */
  const age = (email: string, ms: number) =>
    edge.db.batch(
      TABLES.map((table) =>
        edge.db.prepare(`UPDATE ${table} SET created_at = created_at - ?1, expires_at = expires_at - ?1 WHERE email = ?2`).bind(ms, email),
      ),
    )
  const linksOf = async (email: string) => {
    await settle()
    return edge.mailbox.to(email).map((mail) => proofIn(mail).token)
  }

  test('keeps nobody from registering: a mailed link lives at any time', async () => {
    const email = 'besieged@example.net'
    for (let i = 0; i < 6; i++) await ask(email)
    expect(await linksOf(email)).toHaveLength(5)
    for (let minute = 10; minute < 80; minute += 10) {
      await age(email, 10 * MINUTE_MS)
      expect((await ask(email)).status).toBe(202)
      for (let i = 0; i < 3; i++) expect((await ask(email)).status).toBe(202)
    }
    const links = await linksOf(email)
    expect(links.length, 'five, and one each ten minutes').toBeLessThan(15)
    expect(await verify({ token: links.at(-1), password: OTHER })).toMatchObject({ status: 204 })
    expect((await accountsOf(() => edge).login(email, OTHER)).status).toBe(200)
  })

  test.each([
    ['a reset', forgot, async (token: string) => (await post(edge, '/v1/auth/password/reset', { token, newPassword: OTHER })).status, 200],
    ['a sign-in', askMagic, async (token: string) => (await useMagic({ token })).status, 200],
  ] as const)('keeps nobody from %s by mail, not by spoiling its code either', async (_, door, use, done) => {
    const email = await register(edge, 'besieged')
    const asked = [await door(email), ...(await Promise.all(Array.from({ length: 9 }, () => door(email))))]
    const id = (answer: Answer) => answer.body['resetId'] ?? answer.body['magicId']
    for (let minute = 10; minute < 80; minute += 10) {
      await age(email, 10 * MINUTE_MS)
      asked.push(await door(email))
      await door(email)
    }
    const last = asked.at(-1)!
    for (let tries = 0; tries < 6; tries++) {
      if (id(last) === last.body['resetId'])
        await post(edge, '/v1/auth/password/reset', { resetId: id(last), code: '000000', newPassword: OTHER })
      else await useMagic({ magicId: id(last), code: '000000' })
    }
    const links = await linksOf(email)
    expect(links.length, 'its registration, five, and one each ten minutes').toBeLessThan(15)
    expect(await use(links.at(-1)!)).toBe(done)
  })

  test('of every kind of mail sends an address a dozen at once, and its owner still gets one of the kind they need', async () => {
    const email = await register(edge, 'every-kind')
    await age(email, 11 * MINUTE_MS)
    const before = (await linksOf(email)).length
    for (let i = 0; i < 6; i++) await Promise.all([ask(email), forgot(email)])
    expect((await linksOf(email)).length - before).toBeLessThan(13)
    for (let i = 0; i < 6; i++) await askMagic(email)
    const links = await linksOf(email)
    expect(links.length - before).toBeLessThan(13)
    expect((await useMagic({ token: links.at(-1) })).status).toBe(200)
  })
})

describe('what nobody may learn', () => {
  /** Known and unknown, in each spelling, at one door. */
  async function answersOf(door: (email: string) => Promise<Answer>): Promise<string[]> {
    const email = await register(edge, 'enumerated')
    const spellings = [email, email.toUpperCase(), ` ${email} `, 'nobody@example.net', 'NOBODY@EXAMPLE.NET']
    const shapes: string[] = []
    for (const spelling of spellings) shapes.push(JSON.stringify(shapeOf(await door(spelling))))
    return shapes
  }

  test.each<[string, (email: string) => Promise<Answer>]>([
    ['registering', (email) => ask(email)],
    ['asking to sign in by mail', (email) => askMagic(email)],
    ['asking for a reset', (email) => forgot(email)],
    ['having a registration mailed again', async (email) => resend((await ask(email)).body['registrationId'])],
    ['a wrong code at sign-in', async (email) => useMagic({ magicId: (await askMagic(email)).body['magicId'], code: '000000' })],
    [
      'a wrong code at registration',
      async (email) => verify({ registrationId: (await ask(email)).body['registrationId'], code: '000000' }),
    ],
    [
      'a wrong code at a reset',
      async (email) =>
        post(edge, '/v1/auth/password/reset', { resetId: (await forgot(email)).body['resetId'], code: '000000', newPassword: OTHER }),
    ],
  ])('%s tells by neither status nor headers nor body whether an address is known', async (_, door) => {
    expect(new Set(await answersOf(door)).size).toBe(1)
  })

  test('a token that is wrong is refused alike wherever it is given', async () => {
    const answers = [
      await useMagic({ token: FORGED_TOKEN }),
      await verify({ token: FORGED_TOKEN, password: OTHER }),
      await restore(FORGED_TOKEN),
      await post(edge, '/v1/auth/password/reset', { token: FORGED_TOKEN, newPassword: OTHER }),
    ]
    expect(new Set(answers.map((a) => JSON.stringify([shapeOf(a), { ...a.body, traceId: '' }]))).size).toBe(1)
  })
})

describe('what nobody may set', () => {
  test.each([
    ['/v1/auth/register', { email: 'mass@example.net', password: PASSWORD }],
    ['/v1/auth/magic', { email: 'mass@example.net' }],
    ['/v1/auth/password/forgot', { email: 'mass@example.net' }],
    ['/v1/auth/verify/resend', { registrationId: 'reg_01k3ahrz6dmv29gqy5ckt18fp1' }],
    ['/v1/auth/account/restore', { token: FORGED_TOKEN }],
  ])('%s takes no field but its own', async (path, body) => {
    for (const extra of [
      { emailVerified: true },
      { userId: 'usr_01k3ahrz6dmv29gqy5ckt18fp1' },
      { roles: ['admin'] },
      { to: 'eve@example.net' },
    ]) {
      expect(await post(edge, path, { ...body, ...extra })).toMatchObject({ status: 400, slug: 'invalid-request' })
    }
  })

  test('a header of the mail, by any text of theirs', async () => {
    const email = await register(edge, 'header')
    await askMagic(email)
    const { token } = await newest(email, 2)
    expect(await useMagic({ token, deviceName: 'Tablet\r\nBcc: eve@example.net' })).toMatchObject({ slug: 'invalid-request' })
    await edge.request('/v1/auth/magic/verify', {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'user-agent': 'Mozilla/5.0 Bcc: eve@example.net' },
      body: JSON.stringify({ token }),
    })
    await settle()
    for (const mail of edge.mailbox.to(email)) {
      expect(mail.to).toHaveLength(1)
      expect(mail.bcc ?? mail.cc).toBeUndefined()
      expect(mail.headers.map(({ key }) => key).toSorted()).toEqual(
        ['auto-submitted', 'content-type', 'date', 'from', 'message-id', 'mime-version', 'subject', 'to'].toSorted(),
      )
    }
  })
})

test('no setting lets an address change before its new mailbox has answered', async () => {
  const lax = await startEdge({
    vars: {
      BREACH_CHECK: 'off',
      SESSIONS_PER_USER: '1',
      REFRESH_RACE_SECONDS: '0',
      CORS_ORIGINS: 'https://app.example.net',
      PRODUCT_NAME: 'Other',
      MAIL_QUOTAS: 'smtp=1000',
      ACCESS_TTL_SECONDS: '60',
      LIMITS: 'register=100000/60 mail=100000/60 code=100000/60 login-place=100000/60 write=100000/60',
    },
  })
  onTestFinished(() => lax.stop())
  for (const target of [lax, edge]) {
    const email = await register(target, 'strict')
    const device = await accountsOf(() => target).signIn(email)
    const asked = await post(target, '/v1/me/email', { email: `next-${email}` }, bearer(device))
    expect(asked.status).toBe(202)
    const me = await read(await target.request('/v1/me', { headers: bearer(device) }))
    expect(me.body['email']).toBe(email)
    expect(await post(target, '/v1/me/email/confirm', { changeId: asked.body['changeId'] }, bearer(device))).toMatchObject({ status: 400 })
    expect((await accountsOf(() => target).login(`next-${email}`)).status).toBe(401)
  }
})
