import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Edge, PASSWORD, startEdge } from '../harness.ts'
import { until } from '../until.ts'
import { accountsOf, tally } from './account.ts'
import { post, register } from './raw.ts'

const OTHER = 'seven otters juggle lanterns'
let edge: Edge
beforeAll(async () => {
  edge = await startEdge({
    vars: {
      SESSIONS_PER_USER: '100',
      LIMITS: 'register=100000/60 mail=100000/60 code=100000/60 login-place=100000/60 login=25/60 login-account=100000/60 write=100000/60',
    },
  })
})
afterAll(() => edge.stop())

const { ask, change, entries, login, look, mailsTo, refresh, reset, settle, signIn } = accountsOf(() => edge)

describe('changing a password', () => {
  test('replaces it, ends every other session, keeps this one, tells the owner and is on record', async () => {
    const email = await register(edge, 'change')
    const [mine, other] = [await signIn(email), await signIn(email)]
    await look(other)
    expect(await change(mine, PASSWORD, OTHER)).toMatchObject({ status: 204, body: {} })
    expect(await login(email)).toMatchObject({ status: 401, slug: 'credentials-invalid' })
    expect((await login(email, OTHER)).status).toBe(200)
    expect(await look(other)).toMatchObject({ slug: 'session-ended' })
    expect(await refresh(other)).toMatchObject({ slug: 'session-ended' })
    expect((await refresh(mine)).status).toBe(200)
    await settle()
    expect(mailsTo(email, /^Your Parvis password was changed$/)).toHaveLength(1)
    expect(await entries(mine.userId, 'password.change')).toEqual([{ cause: null, actor_id: mine.userId }])
    expect(await entries(mine.userId, 'session.end-others')).toEqual([{ cause: 'password-changed', actor_id: mine.userId }])
  })

  test('again in the same words is refused: that password is no longer the current one', async () => {
    const mine = await signIn(await register(edge, 'replay'))
    expect((await change(mine, PASSWORD, OTHER)).status).toBe(204)
    expect(await change(mine, PASSWORD, OTHER)).toMatchObject({ status: 401, slug: 'credentials-invalid' })
    expect(await entries(mine.userId, 'password.change')).toHaveLength(1)
  })

  test('needs the current password and a session', async () => {
    const email = await register(edge, 'needs')
    const mine = await signIn(email)
    expect(await change(mine, 'not the password at all', OTHER)).toMatchObject({ status: 401, slug: 'credentials-invalid' })
    expect(await post(edge, '/v1/auth/password/change', { currentPassword: PASSWORD, newPassword: OTHER })).toMatchObject({
      status: 401,
      slug: 'unauthenticated',
    })
    expect(await entries(mine.userId, 'password.refuse')).toEqual([{ cause: 'current-password', actor_id: mine.userId }])
    expect((await login(email)).status).toBe(200)
    expect((await look(mine)).status).toBe(200)
  })

  test.each([
    ['short', 'fourteen chars', /15 characters/],
    ['common', 'passwordpassword', /most common/],
    ['the one in use', PASSWORD, /already have/],
    ['about the service', 'a house on the parvis', /name of this service/],
  ])('to a password that is %s is refused with the reason, and changes nothing', async (_, newPassword, reason) => {
    const email = await register(edge, 'weak')
    const mine = await signIn(email)
    expect(await change(mine, PASSWORD, newPassword)).toMatchObject({
      status: 400,
      slug: 'invalid-request',
      body: { errors: [{ pointer: '#/body/newPassword', detail: expect.stringMatching(reason) as string }] },
    })
    expect((await login(email)).status).toBe(200)
  })

  test('twenty times at once lets one win; to the others their password is no longer the current one', async () => {
    const email = await register(edge, 'race')
    const mine = await signIn(email)
    const wishes = Array.from({ length: 20 }, (_, i) => `${OTHER} number ${i}`)
    const answers = await Promise.all(wishes.map((wish) => change(mine, PASSWORD, wish)))
    expect(tally(answers, 204)).toBe(1)
    expect(tally(answers, 401)).toBe(19)
    const winner = wishes[answers.findIndex((a) => a.status === 204)]!
    expect((await login(email, winner)).status).toBe(200)
    expect((await look(mine)).status).toBe(200)
    await settle()
    expect(mailsTo(email, /was changed/)).toHaveLength(1)
    expect(await entries(mine.userId, 'password.change')).toHaveLength(1)
  })

  test('by guessing the current one comes to an end; sessions live on', async () => {
    const email = await register(edge, 'guess')
    const mine = await signIn(email)
    const answers = await Promise.all(Array.from({ length: 28 }, (_, i) => change(mine, `not the password, guess ${i}`, OTHER)))
    expect(tally(answers, 401)).toBe(25)
    expect(tally(answers, 429)).toBe(3)
    expect(await change(mine, PASSWORD, OTHER)).toMatchObject({ status: 429, slug: 'rate-limited' })
    expect((await look(mine)).status).toBe(200)
    expect((await login(email)).status).toBe(200)
  })

  test('makes a code that was mailed before useless', async () => {
    const email = await register(edge, 'overtaken')
    const mine = await signIn(email)
    const { resetId, code } = await ask(email)
    expect((await change(mine, PASSWORD, OTHER)).status).toBe(204)
    expect(await reset(resetId, code, 'a password of a mail reader')).toMatchObject({ status: 400, slug: 'code-invalid' })
    expect((await login(email, OTHER)).status).toBe(200)
  })
})

test('every operation on devices and passwords works through the typed client', async () => {
  const { client, email } = await edge.signUp('typed')
  const phone = edge.client()
  await phone.login({ body: { email, password: PASSWORD, deviceName: 'Phone' } })
  const { items } = await client.listSessions()
  const [there, here] = [items.find((s) => s.name === 'Phone')!, items.find((s) => s.isCurrent)!]
  expect(await client.renameSession({ params: { sessionId: here.id }, body: { name: 'Desk' } })).toMatchObject({
    name: 'Desk',
    isCurrent: true,
  })
  await client.revokeSession({ params: { sessionId: there.id } })
  await expect(phone.getMe()).rejects.toMatchObject({ slug: 'session-ended' })
  expect(await client.revokeOtherSessions()).toEqual({ ended: 0 })
  await expect(client.changePassword({ body: { currentPassword: 'wrong', newPassword: OTHER } })).rejects.toMatchObject({
    slug: 'credentials-invalid',
  })
  await client.changePassword({ body: { currentPassword: PASSWORD, newPassword: OTHER } })
  expect(await client.getMe()).toMatchObject({ email })
  const { resetId } = await phone.forgotPassword({ body: { email } })
  const mail = await until(async () => mailsTo(email, /^Reset/)[0])
  const code = /\b\d{6}\b/.exec(mail.text ?? '')?.[0] ?? ''
  await phone.resetPassword({ body: { resetId, code, newPassword: 'a third and better phrase' } })
  await expect(client.getMe()).rejects.toMatchObject({ slug: 'session-ended' })
  await phone.login({ body: { email, password: 'a third and better phrase' } })
  expect(await phone.getMe()).toMatchObject({ email })
})

describe('registering', () => {
  test.each([
    ['a common password', 'iloveyouforever', /most common/],
    ['two common words and a year', 'elephant-mountain-2026', /made of common/],
    ['a run of keys', 'qwertyuiopasdfghjkl', /made of common/],
    ['one character again and again', 'xxxxxxxxxxxxxxxxxxxx', /repeats/],
    ['the name of the service', 'welcome to the parvis', /name of this service/],
    ['the own address', 'grace-hopper was here', /your address/],
  ])('with %s is refused with the reason, for a taken address too', async (_, password, reason) => {
    const taken = await register(edge, 'grace-hopper')
    const answers = [
      await post(edge, '/v1/auth/register', { email: taken, password: password.replace('grace-hopper', taken.split('@')[0]!) }),
      await post(edge, '/v1/auth/register', { email: 'grace-hopper@example.org', password }),
    ]
    for (const answer of answers)
      expect(answer).toMatchObject({
        status: 400,
        slug: 'invalid-request',
        body: { errors: [{ pointer: '#/body/password', detail: expect.stringMatching(reason) as string }] },
      })
  })
})
