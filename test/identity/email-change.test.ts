import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { UserId } from '../../src/contract/identity.ts'
import { eraseIdentity, exportIdentity } from '../../src/edge/identity/service.ts'
import { type Edge, ORIGIN, PASSWORD, startEdge } from '../harness.ts'
import { accountsOf, type Device, shapeOf, tally, wrong } from './account.ts'
import { codeOf, factorsOf } from './authenticator.ts'
import { FORGED_TOKEN, mailsOf } from './mailed.ts'
import { post, read, register } from './raw.ts'
import { scopeOf } from './scope.ts'

let edge: Edge
beforeAll(async () => {
  edge = await startEdge()
})
afterAll(() => edge.stop())

const { about, askMagic, login, newest, restore, useMagic, register: ask, verify } = mailsOf(() => edge)
const { call, finish, protect, totp, wait } = factorsOf(() => edge)
const { count, entries, forgot, look, mailsTo, refresh, settle, signIn } = accountsOf(() => edge)
const OTHER = 'another horse, another battery'
const bearer = ({ accessToken }: Device) => ({ authorization: `Bearer ${accessToken}` })
const wish = (device: Device, email: string) => post(edge, '/v1/me/email', { email }, bearer(device))
const confirm = (device: Device, body: object) => post(edge, '/v1/me/email/confirm', body, bearer(device))
const addressOf = async (device: Device) => (await read(await edge.request('/v1/me', { headers: bearer(device) }))).body['email']

async function enrol(device: Device) {
  const { secret } = (await call(device, 'POST', '/v1/auth/totp')).body as { secret: string }
  return call(device, 'POST', '/v1/auth/totp/confirm', { code: codeOf(secret) })
}

let addresses = 0
const fresh = (name: string) => `${name}-new-${++addresses}@example.net`

/** A signed-in user. */
async function person(name: string) {
  const email = await register(edge, name)
  return { email, device: await signIn(email) }
}

/** A user whose address was changed, with the way back that the old one was mailed. */
async function moved(name: string) {
  const { email, device } = await person(name)
  const next = fresh(name)
  await wish(device, next)
  expect((await confirm(device, { token: (await newest(next)).token })).status).toBe(204)
  const { token: back, link } = await about(email, /^The address of your/)
  return { email, device, next, back, link }
}

describe('changing the address', () => {
  test('needs the new mailbox: until its code comes back everything stays with the old one', async () => {
    const { email, device } = await person('move')
    const next = fresh('move')
    const asked = await wish(device, next)
    expect(asked).toMatchObject({ status: 202, body: { changeId: expect.stringMatching(/^emc_/) } })
    const { code, link } = await newest(next)
    expect(link).toMatch(new RegExp(`^${ORIGIN}/app/email#`))
    expect(await addressOf(device)).toBe(email)
    expect((await login(next)).status).toBe(401)
    expect((await confirm(device, { changeId: asked.body['changeId'], code })).status).toBe(204)
    expect(await addressOf(device)).toBe(next)
    expect((await login(next)).status).toBe(200)
    expect((await login(email)).status).toBe(401)
    expect(await entries(device.userId, 'email.ask')).toHaveLength(1)
    expect(await entries(device.userId, 'email.change')).toHaveLength(1)
    await settle()
    expect(edge.mailbox.to(email).map((m) => m.subject)).toContain('The address of your Parvis account was changed')
  })

  test('is confirmed only by who asked: a stranger who follows the link gives them nothing', async () => {
    const { device } = await person('asker')
    const stranger = await person('stranger')
    const next = fresh('stranger')
    const { changeId } = (await wish(device, next)).body
    const { code, token } = await newest(next)
    expect(await confirm(stranger.device, { token })).toMatchObject({ slug: 'code-invalid' })
    expect(await confirm(stranger.device, { changeId, code })).toMatchObject({ slug: 'code-invalid' })
    expect(await post(edge, '/v1/me/email/confirm', { token })).toMatchObject({ status: 401 })
    expect(await addressOf(device)).not.toBe(next)
    expect(await addressOf(stranger.device)).toBe(stranger.email)
  })

  test('of two accounts that race for one address, one gets it and the other is told', async () => {
    const [a, b] = [await person('racer'), await person('racer')]
    const next = fresh('raced')
    await wish(a.device, next)
    const first = await newest(next, 1)
    await wish(b.device, next)
    const second = await newest(next, 2)
    const answers = await Promise.all([
      ...Array.from({ length: 5 }, () => confirm(a.device, { token: first.token })),
      ...Array.from({ length: 5 }, () => confirm(b.device, { token: second.token })),
    ])
    expect(tally(answers, 204)).toBe(1)
    expect(answers.filter(({ slug }) => slug === 'conflict').length).toBeLessThanOrEqual(1)
    expect(await count('SELECT count(*) AS n FROM users WHERE email = ?', next)).toBe(1)
  })

  test('a registration that was faster keeps the address', async () => {
    const { device } = await person('slow')
    const next = fresh('fast')
    await wish(device, next)
    const { token } = await newest(next)
    const { registrationId } = (await ask(next)).body
    await verify({ registrationId, code: (await newest(next, 2)).code })
    expect(await confirm(device, { token })).toMatchObject({ status: 409, slug: 'conflict' })
  })

  test('ends registrations that others began at the new address', async () => {
    const next = fresh('begun')
    const begun = (await ask(next, { password: 'the password of an attacker' })).body
    const { code } = await newest(next)
    const { device } = await person('late')
    await wish(device, next)
    expect((await confirm(device, { token: (await newest(next, 2)).token })).status).toBe(204)
    expect(await verify({ registrationId: begun['registrationId'], code })).toMatchObject({ slug: 'code-invalid' })
  })

  test('ends all other sessions and all trust in devices; the session that confirmed goes on', async () => {
    const { email, secret, device } = await protect('ends')
    const trusted = await finish(await wait(email), totp(codeOf(secret)), { trustDevice: true })
    const next = fresh('ends')
    await wish(device, next)
    expect((await confirm(device, { token: (await newest(next)).token })).status).toBe(204)
    expect((await look(device)).status).toBe(200)
    expect((await look(trusted.body as unknown as Device)).slug).toBe('session-ended')
    expect(await refresh(trusted.body as unknown as Device)).toMatchObject({ slug: 'session-ended' })
    const { trustToken } = trusted.body
    expect(Object.keys((await post(edge, '/v1/auth/login', { email: next, password: PASSWORD, trustToken })).body)).toEqual([
      'factorRequired',
    ])
    expect(await entries(device.userId, 'session.end-others')).toContainEqual({ cause: 'email-changed', actor_id: device.userId })
  })

  test('to a taken address is answered alike; its owner is told and holds no proof', async () => {
    const { device } = await person('curious')
    const owner = await person('owner')
    const [taken, free] = [await wish(device, owner.email), await wish(device, fresh('free'))]
    expect(shapeOf(taken)).toEqual(shapeOf(free))
    const mail = await about(owner.email, /^This address already has/)
    expect(mail).toEqual({ code: '', link: '', token: '' })
    expect(await confirm(device, { changeId: taken.body['changeId'], code: '000000' })).toMatchObject({ slug: 'code-invalid' })
  })

  test('to the own address is refused with the reason', async () => {
    const { email, device } = await person('same')
    expect(await wish(device, email.toUpperCase())).toMatchObject({ status: 400, body: { errors: [{ pointer: '#/body/email' }] } })
  })

  test('nothing that was mailed to the old address opens the account after', async () => {
    const { email, device } = await person('left')
    await askMagic(email)
    const magic = await newest(email, 2)
    const { resetId } = (await forgot(email)).body
    const forReset = await newest(email, 3)
    const next = fresh('left')
    await wish(device, next)
    expect((await confirm(device, { token: (await newest(next)).token })).status).toBe(204)
    expect(await useMagic({ token: magic.token })).toMatchObject({ slug: 'code-invalid' })
    expect(await post(edge, '/v1/auth/password/reset', { resetId, code: forReset.code, newPassword: OTHER })).toMatchObject({
      slug: 'code-invalid',
    })
  })

  test('five wrong codes burn it, and five mails an hour are all that an address gets', async () => {
    const { device } = await person('burner')
    const next = fresh('burner')
    const { changeId } = (await wish(device, next)).body
    const { code } = await newest(next)
    await Promise.all(Array.from({ length: 20 }, () => confirm(device, { changeId, code: wrong(code) })))
    expect(await confirm(device, { changeId, code })).toMatchObject({ slug: 'code-invalid' })
    const answers = await Promise.all(Array.from({ length: 10 }, () => wish(device, next)))
    expect(tally(answers, 202)).toBe(10)
    await edge.mailbox.mailTo(next, 5)
    await settle()
    expect(edge.mailbox.to(next)).toHaveLength(5)
  })

  test('is for the signed-in alone', async () => {
    expect(await post(edge, '/v1/me/email', { email: fresh('nobody') })).toMatchObject({ status: 401 })
  })
})

describe('the way back', () => {
  test('takes back factors and keys made since the change or just before it, and leaves the older ones', async () => {
    const taken = await moved('taken')
    expect((await enrol(taken.device)).status).toBe(200)
    expect((await restore(taken.back)).status).toBe(204)
    expect(await count('SELECT count(*) AS n FROM totp_factors WHERE user_id = ?', taken.device.userId)).toBe(0)
    expect(await count('SELECT count(*) AS n FROM recovery_codes WHERE user_id = ?', taken.device.userId)).toBe(0)

    const prepared = await person('prepared')
    expect((await enrol(prepared.device)).status).toBe(200)
    const key = { name: 'Door', scopes: ['rooms:read'] }
    expect((await call(prepared.device, 'POST', '/v1/auth/keys', key)).status).toBe(201)
    const away = fresh('prepared')
    await wish(prepared.device, away)
    expect((await confirm(prepared.device, { token: (await newest(away)).token })).status).toBe(204)
    expect((await restore((await about(prepared.email, /^The address of your/)).token)).status).toBe(204)
    expect(await count('SELECT count(*) AS n FROM totp_factors WHERE user_id = ?', prepared.device.userId)).toBe(0)
    expect(await count('SELECT count(*) AS n FROM api_keys WHERE user_id = ? AND ended_at IS NULL', prepared.device.userId)).toBe(0)

    const { email, secret, device } = await protect('older')
    for (const table of ['totp_factors', 'recovery_codes'])
      await edge.db.prepare(`UPDATE ${table} SET created_at = created_at - 8 * 86400000 WHERE user_id = ?`).bind(device.userId).run()
    expect((await finish(await wait(email), totp(codeOf(secret)), { trustDevice: true })).status).toBe(200)
    const next = fresh('older')
    await wish(device, next)
    expect((await confirm(device, { token: (await newest(next)).token })).status).toBe(204)
    expect((await restore((await about(email, /^The address of your/)).token)).status).toBe(204)
    expect(await count('SELECT count(*) AS n FROM totp_factors WHERE user_id = ?', device.userId)).toBe(1)
    expect(await count('SELECT count(*) AS n FROM trusted_devices WHERE user_id = ?', device.userId)).toBe(0)
  })

  test('restores the old address, signs everybody out and asks for a new password', async () => {
    const { email, device, next, back, link } = await moved('back')
    expect(link).toMatch(new RegExp(`^${ORIGIN}/account/restore#`))
    const attacker = await signIn(next)
    expect((await restore(back)).status).toBe(204)
    for (const signedIn of [device, attacker]) {
      expect((await refresh(signedIn)).status).toBe(401)
      expect((await look(signedIn)).slug).toBe('session-ended')
    }
    for (const address of [email, next]) expect((await login(address)).status).toBe(401)
    const { resetId } = (await forgot(email)).body
    const { code } = await about(email, /^Reset your/)
    expect((await post(edge, '/v1/auth/password/reset', { resetId, code, newPassword: OTHER })).status).toBe(200)
    expect((await login(email, OTHER)).status).toBe(200)
    expect(await entries(device.userId, 'account.restore')).toHaveLength(1)
    await settle()
    for (const address of [email, next])
      expect(edge.mailbox.to(address).map((m) => m.subject)).toContain('Your Parvis account was taken back')
  })

  test('from a first factor, which a thief has added, gives the account back to who reads its mail', async () => {
    const owner = await person('robbed')
    const thief = await signIn(owner.email)
    expect((await enrol(thief)).status).toBe(200)
    expect((await look(owner.device)).slug).toBe('session-ended')
    expect(Object.keys((await login(owner.email)).body)).toEqual(['factorRequired'])
    const { link, token, code } = await about(owner.email, /sign-in method was added/)
    expect([link, code]).toEqual([expect.stringMatching(new RegExp(`^${ORIGIN}/account/restore#`)), ''])
    await wish(thief, fresh('robbed'))
    const answers = await Promise.all(Array.from({ length: 10 }, () => restore(token)))
    expect(tally(answers, 204)).toBe(1)
    expect((await look(thief)).slug).toBe('session-ended')
    expect(await refresh(thief)).toMatchObject({ slug: 'session-ended' })
    expect((await login(owner.email)).status).toBe(401)
    const { resetId } = (await forgot(owner.email)).body
    const mailed = await about(owner.email, /^Reset your/)
    expect((await post(edge, '/v1/auth/password/reset', { resetId, code: mailed.code, newPassword: OTHER })).status).toBe(200)
    expect((await login(owner.email, OTHER)).body).toHaveProperty('accessToken')
    expect(await entries(owner.device.userId, 'account.restore')).toHaveLength(1)
    await settle()
    expect(mailsTo(owner.email, /account was taken back$/)).toHaveLength(1)
  })

  test('comes with the only factor, not with those after it, and lasts seven days', async () => {
    const { email, device } = await person('second')
    expect((await enrol(device)).status).toBe(200)
    const { token } = await about(email, /sign-in method was added/)
    expect((await call(device, 'POST', '/v1/auth/recovery-codes')).status).toBe(200)
    await settle()
    const links = mailsTo(email, /sign-in method was added/).map((mail) => (mail.text ?? '').includes('/account/restore#'))
    expect(links.sort()).toEqual([false, true])
    await edge.db.prepare('UPDATE factor_ways_back SET expires_at = 1 WHERE user_id = ?').bind(device.userId).run()
    expect(await restore(token)).toMatchObject({ slug: 'code-invalid' })
    await edge.worker.scheduled({ cron: '* * * * *' })
    expect(await count('SELECT count(*) AS n FROM factor_ways_back WHERE user_id = ?', device.userId)).toBe(0)
  })

  test('that a thief was mailed, for a factor after the address, ends as the owner takes the account back', async () => {
    const { email, device, next, back } = await moved('doubled')
    expect((await enrol(device)).status).toBe(200)
    const { token } = await about(next, /sign-in method was added/)
    expect((await restore(back)).status).toBe(204)
    expect(await restore(token)).toMatchObject({ slug: 'code-invalid' })
    expect(await count('SELECT count(*) AS n FROM users WHERE email = ?', email)).toBe(1)
  })

  test('works once, of twenty parallel calls too', async () => {
    const { back, device } = await moved('once')
    expect(tally(await Promise.all(Array.from({ length: 20 }, () => restore(back))), 204)).toBe(1)
    expect(await restore(back)).toMatchObject({ slug: 'code-invalid' })
    expect(await entries(device.userId, 'account.restore')).toHaveLength(1)
  })

  test('works for seven days and no longer, and survives the sweep for as long', async () => {
    const { back, next } = await moved('week')
    await edge.db.prepare('UPDATE email_changes SET restore_expires_at = 1 WHERE email = ?').bind(next).run()
    expect(await restore(back)).toMatchObject({ slug: 'code-invalid' })
    expect(await restore(FORGED_TOKEN)).toMatchObject({ slug: 'code-invalid' })
    const open = await moved('open')
    await edge.db.prepare('UPDATE email_changes SET expires_at = 1').run()
    await edge.worker.scheduled({ cron: '* * * * *' })
    expect(await count('SELECT count(*) AS n FROM email_changes WHERE email = ?', next)).toBe(0)
    expect((await restore(open.back)).status).toBe(204)
  })

  test('outlives further changes, whose own ways back it closes', async () => {
    const { email, device, next, back } = await moved('chain')
    const third = fresh('chain')
    await wish(device, third)
    expect((await confirm(device, { token: (await newest(third)).token })).status).toBe(204)
    const later = await about(next, /^The address of your/)
    expect((await restore(back)).status).toBe(204)
    expect(await restore(later.token)).toMatchObject({ slug: 'code-invalid' })
    expect(await count('SELECT count(*) AS n FROM users WHERE email = ?', email)).toBe(1)
  })

  test('is shut while another account has the old address', async () => {
    const { email, back } = await moved('refilled')
    await settle()
    const { registrationId } = (await ask(email, { password: OTHER })).body
    const { code } = await newest(email, edge.mailbox.to(email).length + 1)
    expect((await verify({ registrationId, code })).status).toBe(204)
    expect(await restore(back)).toMatchObject({ status: 409, slug: 'conflict' })
  })
})

test('the typed client changes the address', async () => {
  const email = await register(edge, 'typed')
  const client = edge.client()
  await client.login({ body: { email, password: PASSWORD } })
  const next = fresh('typed')
  const { changeId } = await client.changeEmail({ body: { email: next } })
  await client.confirmEmailChange({ body: { changeId, code: (await newest(next)).code } })
  expect((await client.getMe()).email).toBe(next)
  await edge.client().restoreAccount({ body: { token: (await about(email, /^The address of your/)).token } })
})

test('what was asked for by mail is exported with its user, without proofs, and erased with them', async () => {
  const { email, device, next } = await moved('leaver')
  await askMagic(next)
  await forgot(next)
  const userId = device.userId as UserId
  const told = JSON.stringify(await exportIdentity(scopeOf(edge), userId))
  for (const known of [email, next, 'magicLinks', 'factorWaysBack', 'passwordResets', 'mgc_', 'rst_', 'emc_']) expect(told).toContain(known)
  expect(told).not.toMatch(/[Hh]ash|[Mm]ac\b/)
  await eraseIdentity(scopeOf(edge), userId)
  for (const table of ['magic_links', 'password_resets', 'email_changes', 'factor_ways_back']) {
    expect(await count(`SELECT count(*) AS n FROM ${table} WHERE user_id = ?`, userId)).toBe(0)
  }
})
