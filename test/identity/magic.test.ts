import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Edge, ORIGIN, PASSWORD, startEdge } from '../harness.ts'
import { accountsOf, shapeOf, tally, wrong } from './account.ts'
import { FORGED_TOKEN, mailsOf } from './mailed.ts'
import { register } from './raw.ts'

let edge: Edge
beforeAll(async () => {
  edge = await startEdge()
})
afterAll(() => edge.stop())

const { about, askMagic, login, newest, useMagic, register: ask } = mailsOf(() => edge)
const { change, count, entries, forgot, reset, settle, signIn } = accountsOf(() => edge)
const OTHER = 'another horse, another battery'

/** Asks for a link as a known user and reads it. */
async function askAs(email: string, nth = 2) {
  const { magicId } = (await askMagic(email)).body
  return { magicId, ...(await newest(email, nth)) }
}

describe('signing in by mail', () => {
  test('works with the code where it was asked for, once', async () => {
    const email = await register(edge, 'code')
    const { magicId, code } = await askAs(email)
    const first = await useMagic({ magicId, code, deviceName: 'Kitchen tablet' })
    expect(first).toMatchObject({ status: 200, body: { tokenType: 'Bearer' } })
    expect(await useMagic({ magicId, code })).toMatchObject({ status: 400, slug: 'code-invalid' })
    const session = await edge.db.prepare('SELECT name, amr FROM sessions WHERE id = ?').bind(first.body['sessionId']).first()
    expect(session).toEqual({ name: 'Kitchen tablet', amr: 'email' })
    expect(await entries(String(first.body['sessionId']), 'session.start')).toHaveLength(1)
  })

  test('works with the link anywhere, once; the code is spent with it', async () => {
    const email = await register(edge, 'link')
    const { magicId, code, token, link } = await askAs(email)
    expect(link).toMatch(new RegExp(`^${ORIGIN}/login/mail#[\\w-]{43}$`))
    expect((await useMagic({ token })).status).toBe(200)
    expect(await useMagic({ token })).toMatchObject({ slug: 'code-invalid' })
    expect(await useMagic({ magicId, code })).toMatchObject({ slug: 'code-invalid' })
  })

  test('gives cookies to whom it gives no tokens', async () => {
    const { token } = await askAs(await register(edge, 'cookie'))
    const { body, headers } = await useMagic({ token, mode: 'cookie' }, { origin: ORIGIN })
    expect(body['accessToken']).toBeUndefined()
    expect(headers.getSetCookie().map((cookie) => cookie.split('=')[0])).toEqual([
      '__Host-parvis-device',
      '__Host-parvis-access',
      '__Host-parvis-refresh',
    ])
  })

  test('twenty parallel uses of one proof start one session', async () => {
    const email = await register(edge, 'race')
    const { token, magicId, code } = await askAs(email)
    const uses = Array.from({ length: 20 }, (_, i) => useMagic(i % 2 ? { token } : { magicId, code }))
    expect(tally(await Promise.all(uses), 200)).toBe(1)
    expect(await count('SELECT count(*) AS n FROM sessions JOIN users ON users.id = user_id WHERE email = ?', email)).toBe(1)
  })

  test('five wrong codes burn the code, in parallel too, and leave the link to whoever reads the mail', async () => {
    const { magicId, code, token } = await askAs(await register(edge, 'burnt'))
    await Promise.all(Array.from({ length: 20 }, () => useMagic({ magicId, code: wrong(code) })))
    expect(await useMagic({ magicId, code })).toMatchObject({ slug: 'code-invalid' })
    const used = await useMagic({ token })
    expect(used.status).toBe(200)
    expect(await entries(String(used.body['userId']), 'session.refuse')).toHaveLength(5)
  })

  test('an expired, forged or foreign proof opens nothing', async () => {
    const email = await register(edge, 'late')
    const mine = await askAs(email)
    const theirs = await askAs(await register(edge, 'other'))
    expect(await useMagic({ token: FORGED_TOKEN })).toMatchObject({ slug: 'code-invalid' })
    if (mine.code !== theirs.code)
      expect(await useMagic({ magicId: mine.magicId, code: theirs.code })).toMatchObject({ slug: 'code-invalid' })
    await edge.db.prepare('UPDATE magic_links SET expires_at = 1 WHERE id = ?').bind(mine.magicId).run()
    expect(await useMagic({ magicId: mine.magicId, code: mine.code })).toMatchObject({ slug: 'code-invalid' })
    expect(await useMagic({ token: mine.token })).toMatchObject({ slug: 'code-invalid' })
  })

  test('a proof for another purpose opens nothing', async () => {
    const email = await register(edge, 'purpose')
    const { resetId } = (await forgot(email)).body
    const forReset = await newest(email, 2)
    expect(await useMagic({ token: forReset.token })).toMatchObject({ slug: 'code-invalid' })
    const { magicId, code, token } = await askAs(email, 3)
    if (code !== forReset.code) expect(await reset(resetId, code, OTHER)).toMatchObject({ slug: 'code-invalid' })
    expect((await useMagic({ magicId, code })).status).toBe(200)
    expect(await useMagic({ token })).toMatchObject({ slug: 'code-invalid' })
  })

  test('nothing mailed before a new password signs in after it', async () => {
    const email = await register(edge, 'changed')
    const { token } = await askAs(email)
    expect((await change(await signIn(email), PASSWORD, OTHER)).status).toBe(204)
    expect(await useMagic({ token })).toMatchObject({ slug: 'code-invalid' })
  })

  test('a disabled account is mailed nothing, and its earlier link opens nothing', async () => {
    const email = await register(edge, 'disabled')
    const { token } = await askAs(email)
    await edge.db.prepare('UPDATE users SET disabled_at = 1 WHERE email = ?').bind(email).run()
    expect(await useMagic({ token })).toMatchObject({ slug: 'code-invalid' })
    expect((await askMagic(email)).status).toBe(202)
    await settle()
    expect(edge.mailbox.to(email)).toHaveLength(2)
  })

  test('another site cannot sign a visitor in as somebody else', async () => {
    const { token } = await askAs(await register(edge, 'csrf'))
    const evil = { origin: 'https://evil.example', 'sec-fetch-site': 'cross-site' }
    expect(await useMagic({ token, mode: 'cookie' }, evil)).toMatchObject({ status: 403, slug: 'origin-untrusted' })
    expect((await useMagic({ token })).status).toBe(200)
  })

  test('opens the password again that outsiders had closed', async () => {
    const email = await register(edge, 'closed')
    await login(email, 'wrong but long enough')
    const { token } = await askAs(email)
    expect((await useMagic({ token })).status).toBe(200)
    expect((await login(email)).status).toBe(200)
  })
})

describe('what asking tells', () => {
  test('is the same for a known, an unknown and a registering address', async () => {
    const known = await register(edge, 'known')
    await ask('registering@example.net')
    const answers = [await askMagic(known), await askMagic('nobody@example.net'), await askMagic('registering@example.net')]
    expect(new Set(answers.map((a) => JSON.stringify(shapeOf(a)))).size).toBe(1)
    expect(answers[0]?.status).toBe(202)
    await settle()
    expect(edge.mailbox.to('nobody@example.net')).toEqual([])
    expect(edge.mailbox.to('registering@example.net')).toHaveLength(1)
  })

  test('does not change when an address has had its five mails', async () => {
    const email = await register(edge, 'flooded')
    const answers = await Promise.all(Array.from({ length: 20 }, () => askMagic(email)))
    expect(tally(answers, 202)).toBe(20)
    await edge.mailbox.mailTo(email, 6)
    await settle()
    expect(edge.mailbox.to(email)).toHaveLength(6)
  })

  test('a wrong code is refused alike for a known and an unknown address', async () => {
    const known = await askMagic(await register(edge, 'shape'))
    const unknown = await askMagic('shapeless@example.net')
    const [a, b] = await Promise.all([known, unknown].map(({ body }) => useMagic({ magicId: body['magicId'], code: '000000' })))
    if (a && b) {
      expect(shapeOf(a)).toEqual(shapeOf(b))
      expect({ ...a.body, traceId: '' }).toEqual({ ...b.body, traceId: '' })
    }
    expect(a?.slug).toBe('code-invalid')
  })
})

test('who registered a stranger first gets nothing by the stranger’s own way in', async () => {
  const email = 'prehijack@example.net'
  const attacker = (await ask(email, { password: 'the password of an attacker' })).body
  const theirs = await newest(email, 1)
  // The owner asks to sign in by mail; there is no account, so nothing is sent that could make the attacker's one.
  await askMagic(email)
  await settle()
  expect(edge.mailbox.to(email)).toHaveLength(1)
  await ask(email)
  const mine = await newest(email, 2)
  const { verify } = mailsOf(() => edge)
  expect((await verify({ token: mine.token, password: OTHER })).status).toBe(204)
  expect((await login(email, 'the password of an attacker')).status).toBe(401)
  expect(await verify({ registrationId: attacker['registrationId'], code: theirs.code })).toMatchObject({ slug: 'code-invalid' })
  await askMagic(email)
  expect((await useMagic({ token: (await about(email, /^Sign in/)).token })).status).toBe(200)
})

test('the typed client signs in by mail and keeps the session', async () => {
  const email = await register(edge, 'typed')
  const client = edge.client()
  const { magicId } = await client.askMagicLink({ body: { email } })
  const { userId } = await client.useMagicLink({ body: { magicId, code: (await newest(email, 2)).code } })
  expect((await client.getMe()).id).toBe(userId)
})
