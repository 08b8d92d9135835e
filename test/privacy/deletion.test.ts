import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Edge, PASSWORD, startEdge, type TestUser } from '../harness.ts'
import { mailsOf } from '../identity/mailed.ts'
import { join } from '../orgs/join.ts'
import { until } from '../until.ts'
import { databaseOf } from './person.ts'

let edge: Edge
let database: ReturnType<typeof databaseOf>
beforeAll(async () => {
  edge = await startEdge()
  database = databaseOf(edge)
  await makeAdmin(await edge.signUp('root'))
})
afterAll(() => edge.stop())

const mails = mailsOf(() => edge)
const slugOf = (call: Promise<unknown>): Promise<string> =>
  call.then(
    () => 'ok',
    (error: { slug: string }) => error.slug,
  )
const makeAdmin = ({ id }: TestUser) =>
  edge.db.prepare("INSERT INTO platform_roles (user_id, role, granted_by, granted_at) VALUES (?, 'admin', 'operator', 0)").bind(id).run()
const cron = () => edge.worker.scheduled({ cron: '* * * * *' })
const userRow = (id: string) => edge.db.prepare('SELECT id, disabled_at FROM users WHERE id = ?').bind(id).first()
const erasureOf = (id: string) => edge.db.prepare('SELECT id FROM erasures WHERE user_id = ?').bind(id).first()
/** As if a minute had passed: no token of the account is believed any more. */
const makeDue = () => edge.db.prepare('UPDATE erasures SET next_attempt_at = 0').run()
const goneAtOnce = ({ id }: TestUser) => until(async () => (await userRow(id)) === null)
const forgotten = async (user: TestUser) => {
  await makeDue()
  await cron()
  expect(await erasureOf(user.id)).toBeNull()
}

/** Somebody who has used everything, in every table that can name a user. */
async function settle(name: string): Promise<TestUser> {
  const [user, friend] = [await edge.signUp(name), await edge.signUp('friend')]
  const room = await user.client.createRoom({ body: { name: 'plans' } })
  await user.client.putRoomMember({ params: { roomId: room.id, userId: friend.id as never }, body: { role: 'editor' } })
  const org = await user.client.createOrg({ body: { name: 'Harbour' } })
  await user.client.inviteOrgMember({ params: { orgId: org.id }, body: { email: `guest-of-${name}@example.org`, role: 'reader' } })
  await join(edge, user, { orgId: org.id, user: friend, role: 'owner' })
  const theirs = await friend.client.createOrg({ body: { name: 'Lighthouse' } })
  await friend.client.inviteOrgMember({ params: { orgId: theirs.id }, body: { email: user.email, role: 'reader' } })
  await user.client.updateMe({ ifMatch: '*', body: { displayName: `The one called ${name}` } })
  await edge.client().forgotPassword({ body: { email: user.email } })
  await edge.client().askMagicLink({ body: { email: user.email } })
  await user.client.changeEmail({ body: { email: `next-of-${name}@example.org` } })
  await edge.client().register({ body: { email: user.email, password: PASSWORD } })
  await edge.client().login({ body: { email: user.email, password: PASSWORD } })
  await database.plantEverywhere(user)
  // Of what was planted, a deletion is not begun yet, and the rest counts as a second factor.
  await edge.db.prepare('DELETE FROM erasures').run()
  await edge.db.prepare("UPDATE sessions SET amr = 'pwd otp mfa' WHERE user_id = ?").bind(user.id).run()
  return user
}

test('after a deletion no table holds anything of the user but the record, which keeps the id alone', async () => {
  const user = await settle('gone')
  const secrets = [user.id, user.email, 'The one called gone', 'next-of-gone@example.org']
  const planted = await database.traces([user.id])
  const columns = (await database.userColumns()).map(({ table, column }) => `${table}.${column}`)
  expect(columns.filter((column) => column !== 'erasures.user_id' && !planted.includes(column))).toEqual([])
  expect(await database.traces(secrets.slice(1))).toContain('users.display_name')

  await user.client.deleteMe()
  await goneAtOnce(user)
  await forgotten(user)
  expect(await database.traces(secrets)).toEqual([])
  const { results: entries } = await edge.db
    .prepare('SELECT * FROM audit_entries WHERE actor_id = ?1 OR subject = ?1 ORDER BY id')
    .bind(user.id)
    .all()
  expect(entries.map((entry) => entry['action'])).toEqual(expect.arrayContaining(['account.delete', 'account.erase']))
  for (const secret of secrets.slice(1)) expect(JSON.stringify(entries)).not.toContain(secret)
}, 120_000)

test('the account is closed with the answer: no session, no sign-in, no refresh; the address is told and can be used anew', async () => {
  const user = await edge.signUp('closed')
  const other = edge.client()
  await other.login({ body: { email: user.email, password: PASSWORD } })
  await user.client.deleteMe()
  expect(await slugOf(user.client.listSessions())).toMatch(/session-ended|unauthenticated/)
  expect(await slugOf(other.refresh())).toMatch(/session-ended|unauthenticated/)
  expect(await slugOf(edge.client().login({ body: { email: user.email, password: PASSWORD } }))).toBe('credentials-invalid')
  await mails.about(user.email, /deleted/)
  await goneAtOnce(user)
  const again = edge.client()
  const known = edge.mailbox.to(user.email).length
  const { registrationId } = await again.register({ body: { email: user.email, password: PASSWORD } })
  await again.verifyEmail({ body: { registrationId, code: await edge.mailbox.codeTo(user.email, known + 1) } })
  await again.login({ body: { email: user.email, password: PASSWORD } })
  await forgotten(user)
  expect((await again.getMe()).id).not.toBe(user.id)
})

test('against sign-ins and refreshes at the same moment it leaves no session that lives, and then no row', async () => {
  const user = await edge.signUp('raced')
  const others = [edge.client(), edge.client(), edge.client()]
  for (const other of others) await other.login({ body: { email: user.email, password: PASSWORD } })
  const late = [edge.client(), edge.client(), edge.client()]
  const [deleted] = await Promise.all([
    slugOf(user.client.deleteMe()),
    ...others.map((other) => slugOf(other.refresh())),
    ...late.map((each) => slugOf(each.login({ body: { email: user.email, password: PASSWORD } }))),
  ])
  expect(deleted).toBe('ok')
  for (const each of [user.client, ...others, ...late]) expect(await slugOf(each.listSessions())).toMatch(/session-ended|unauthenticated/)
  await goneAtOnce(user)
  await forgotten(user)
  expect(await database.traces([user.email])).toEqual([])
  const { results } = await edge.db.prepare('SELECT id FROM sessions WHERE user_id = ?').bind(user.id).all()
  expect(results).toEqual([])
}, 120_000)

test('what one alone owns must go to others first; the answer names it and nothing has changed', async () => {
  const [user, heir] = [await edge.signUp('sole'), await edge.signUp('heir')]
  const org = await user.client.createOrg({ body: { name: 'Alone & Co' } })
  await join(edge, user, { orgId: org.id, user: heir, role: 'operator' })
  await expect(user.client.deleteMe()).rejects.toMatchObject({
    slug: 'conflict',
    extras: { detail: expect.stringContaining('Alone & Co') },
  })
  expect(await userRow(user.id)).toEqual({ id: user.id, disabled_at: null })
  expect(await erasureOf(user.id)).toBeNull()
  expect((await user.client.listSessions()).items).toHaveLength(1)
  expect(edge.mailbox.to(user.email).filter((mail) => /deleted/.test(mail.subject ?? ''))).toEqual([])
  await user.client.transferOrg({ params: { orgId: org.id }, body: { userId: heir.id as never } })
  await user.client.deleteMe()
  await goneAtOnce(user)
  expect((await heir.client.listOrgMembers({ params: { orgId: org.id } })).items.map(({ userId }) => userId)).toEqual([heir.id])
})

test('the last admin who can act stays; of two, one may go', async () => {
  const [user, other] = [await edge.signUp('admin'), await edge.signUp('admin')]
  await edge.db.prepare('DELETE FROM platform_roles').run()
  await makeAdmin(user)
  expect(await slugOf(user.client.deleteMe())).toBe('last-admin')
  expect(await userRow(user.id)).toEqual({ id: user.id, disabled_at: null })
  await makeAdmin(other)
  const both = await Promise.all([user, other].map(({ client }) => slugOf(client.deleteMe())))
  expect(both.sort()).toEqual(['last-admin', 'ok'])
})

test('a session that has proven nothing for a while must do so first, for the export too', async () => {
  const user = await edge.signUp('stale')
  await edge.db.prepare('UPDATE sessions SET authenticated_at = 0 WHERE user_id = ?').bind(user.id).run()
  expect(await slugOf(user.client.deleteMe())).toBe('step-up-required')
  expect(await slugOf(user.client.exportMe())).toBe('step-up-required')
  expect(await slugOf(edge.client().deleteMe())).toBe('unauthenticated')
  await user.client.stepUp({ body: { method: 'password', password: PASSWORD } })
  expect(await slugOf(user.client.exportMe())).toBe('ok')
  expect(await slugOf(user.client.deleteMe())).toBe('ok')
})

test('of ten who delete one account at once one begins it, and one mail leaves', async () => {
  const user = await edge.signUp('race')
  const race = await Promise.all(Array.from({ length: 10 }, () => slugOf(user.client.deleteMe())))
  expect(race.filter((slug) => slug === 'ok')).toHaveLength(1)
  expect(race.filter((slug) => slug !== 'ok' && !/session-ended|unauthenticated/.test(slug))).toEqual([])
  await goneAtOnce(user)
  await forgotten(user)
  expect(edge.mailbox.to(user.email).filter((mail) => /deleted/.test(mail.subject ?? ''))).toHaveLength(1)
})

test('an erasure that breaks off between two features goes on until everything is gone', async () => {
  const user = await settle('broken')
  const wall = `CREATE TRIGGER wall BEFORE DELETE ON room_members WHEN OLD.user_id = '${user.id}' BEGIN SELECT RAISE(ABORT, 'wall'); END`
  await edge.db.prepare(wall).run()
  await user.client.deleteMe()
  await until(
    async () =>
      (await edge.db.prepare("SELECT id FROM outbox_events WHERE topic = 'account.erase' AND last_error IS NOT NULL").first()) !== null,
  )
  expect(await userRow(user.id)).toMatchObject({ id: user.id, disabled_at: expect.any(Number) })
  // The event is lost for good, as when its attempts are used up: the sweep alone is left.
  await edge.db.prepare("DELETE FROM outbox_events WHERE topic = 'account.erase'").run()
  await makeDue()
  await cron()
  expect(await erasureOf(user.id)).not.toBeNull()
  await edge.db.prepare('DROP TRIGGER wall').run()
  await forgotten(user)
  expect(await database.traces([user.id, user.email])).toEqual([])
}, 120_000)

test('what still comes in with a token that was believed a moment longer is erased by the last pass', async () => {
  const user = await edge.signUp('late')
  await user.client.deleteMe()
  await goneAtOnce(user)
  await edge.db
    .prepare(
      'INSERT INTO registrations (id, email, password_hash, locale, code_mac, created_at, expires_at, user_id) VALUES (?, ?, ?, ?, ?, 0, 9e15, ?)',
    )
    .bind('reg_late', 'someone@example.org', 'x', 'en', 'x', user.id)
    .run()
  await cron()
  expect(await erasureOf(user.id)).not.toBeNull()
  await forgotten(user)
  expect(await database.traces([user.id])).toEqual([])
})

test('an export is everything of every feature, without a secret', async () => {
  const user = await settle('told')
  const { data, exportedAt } = await user.client.exportMe()
  expect(Date.parse(exportedAt)).toBeGreaterThan(0)
  expect(Object.keys(data)).toEqual(expect.arrayContaining(['audit', 'identity', 'orgs', 'rooms', 'shell']))
  expect(data['identity']).toMatchObject({ user: { id: user.id, email: user.email, displayName: 'The one called told' } })
  const text = JSON.stringify(data)
  for (const part of ['Harbour', 'plans', 'guest-of-told@example.org', 'next-of-told@example.org']) expect(text).toContain(part)
  const hidden = await edge.db
    .prepare(
      'SELECT password_hash FROM users WHERE id = ?1 UNION ALL SELECT token_hash FROM org_invitations WHERE inviter_id = ?1 UNION ALL SELECT secret FROM totp_factors WHERE user_id = ?1',
    )
    .bind(user.id)
    .raw<[string]>()
  for (const [secret] of hidden) expect(text).not.toContain(secret)
})
