import { afterAll, beforeAll, expect, test } from 'vitest'
import { INVITATION_MAILS_MAX } from '../../src/contract/invitations.ts'
import type { OrgRole } from '../../src/contract/orgs.ts'
import { type Edge, PASSWORD, startEdge, type TestUser } from '../harness.ts'
import { FORGED_TOKEN, mailsOf } from '../identity/mailed.ts'
import { until } from '../until.ts'
import { join } from './join.ts'

let edge: Edge
let ada: TestUser
let bob: TestUser
let eve: TestUser
beforeAll(async () => {
  edge = await startEdge({ vars: { ORG_INVITATIONS: '3', ORG_MEMBERS: '4', ORGS_PER_OWNER: '50' } })
  ada = await edge.signUp('ada')
  bob = await edge.signUp('bob')
  eve = await edge.signUp('eve')
})
afterAll(() => edge.stop())

const mails = mailsOf(() => edge)
const slugOf = (call: Promise<unknown>): Promise<string> =>
  call.then(
    () => 'ok',
    (error: { slug: string }) => error.slug,
  )
const found = (user = ada) => user.client.createOrg({ body: { name: 'Harbour' } })
const invite = (by: TestUser, orgId: string, email: string, role: OrgRole = 'reader') =>
  by.client.inviteOrgMember({ params: { orgId }, body: { email, role } })
const accept = (user: TestUser, token: string) => user.client.acceptInvitation({ body: { token } })
const newest = async (email: string) => {
  const known = edge.mailbox.to(email).filter((mail) => /invited/.test(mail.subject ?? '')).length
  return async () => {
    const all = await until(async () => {
      const sent = edge.mailbox.to(email).filter((mail) => /invited/.test(mail.subject ?? ''))
      return sent.length > known && sent
    })
    return /#([\w-]{43})/.exec(all.at(-1)?.text ?? '')?.[1] ?? ''
  }
}
/** Invites and reads the link in the mail. */
async function invited(user: TestUser, role: OrgRole = 'reader') {
  const org = await found()
  const mailed = await newest(user.email)
  const invitation = await invite(ada, org.id, user.email, role)
  return { org, invitation, token: await mailed() }
}
const membersOf = async (orgId: string) =>
  (await edge.db.prepare('SELECT user_id, role FROM org_members WHERE org_id = ? ORDER BY added_at, user_id').bind(orgId).all()).results

test('whoever owns the invited address sees what it is to, joins with the role, and is on record', async () => {
  const { org, invitation, token } = await invited(bob, 'operator')
  expect(await bob.client.showInvitation({ body: { token } })).toEqual({
    orgName: 'Harbour',
    role: 'operator',
    expiresAt: invitation.expiresAt,
  })
  expect(await accept(bob, token)).toMatchObject({ id: org.id, role: 'operator' })
  expect(await slugOf(accept(bob, token))).toBe('not-found')
  expect((await ada.client.listOrgInvitations({ params: { orgId: org.id } })).items).toEqual([])
  const { results } = await edge.db.prepare('SELECT action, actor_id FROM audit_entries WHERE org_id = ? ORDER BY id').bind(org.id).all()
  expect(results).toEqual([
    { action: 'org.create', actor_id: ada.id },
    { action: 'org.invite', actor_id: ada.id },
    { action: 'org.join', actor_id: bob.id },
  ])
})

test('a signed-in user with another address gets nothing from a link, however they came by it', async () => {
  const { org, token } = await invited(bob)
  const refused = await Promise.all(
    [
      eve.client.showInvitation({ body: { token } }),
      accept(eve, token),
      eve.client.declineInvitation({ body: { token } }),
      accept(bob, FORGED_TOKEN),
    ].map(slugOf),
  )
  expect(new Set(refused)).toEqual(new Set(['not-found']))
  expect(await slugOf(edge.client().acceptInvitation({ body: { token } }))).toBe('unauthenticated')
  expect(await membersOf(org.id)).toEqual([{ user_id: ada.id, role: 'owner' }])
  expect(await accept(bob, token)).toMatchObject({ role: 'reader' })
})

test('an account that has not proven the invited address cannot accept: it has no session', async () => {
  const org = await found()
  const email = 'unproven@example.org'
  const mailed = await newest(email)
  await invite(ada, org.id, email)
  const token = await mailed()
  const other = edge.client()
  const { registrationId } = await other.register({ body: { email, password: PASSWORD } })
  expect(await slugOf(other.login({ body: { email, password: PASSWORD } }))).toBe('credentials-invalid')
  const { code } = await mails.about(email, /Confirm/)
  await other.verifyEmail({ body: { registrationId, code } })
  await other.login({ body: { email, password: PASSWORD } })
  expect(await other.acceptInvitation({ body: { token } })).toMatchObject({ id: org.id })
})

test('the answer of inviting is the same for an address with an account and for one without', async () => {
  const org = await found()
  const mailed = await newest(eve.email)
  const [known, unknown] = [await invite(ada, org.id, eve.email), await invite(ada, org.id, 'nobody-at-all@example.org')]
  expect(Object.keys(known).sort()).toEqual(Object.keys(unknown).sort())
  expect(JSON.stringify(known)).not.toContain(eve.id)
  await mailed()
  const again = await found()
  await join(edge, ada, { orgId: again.id, user: eve, role: 'reader' })
  expect(Object.keys(await invite(ada, again.id, eve.email)).sort()).toEqual(Object.keys(unknown).sort())
})

test('only owners invite, list, resend and withdraw; to strangers nothing exists', async () => {
  const { org, invitation, token } = await invited(bob, 'operator')
  await accept(bob, token)
  const open = await invite(ada, org.id, 'someone@example.org')
  const acts = (user: TestUser) => [
    invite(user, org.id, 'x@example.org'),
    user.client.listOrgInvitations({ params: { orgId: org.id } }),
    user.client.resendOrgInvitation({ params: { orgId: org.id, invitationId: open.id } }),
    user.client.withdrawOrgInvitation({ params: { orgId: org.id, invitationId: open.id } }),
    user.client.renameOrg({ params: { orgId: org.id }, body: { name: 'Mine' } }),
    user.client.deleteOrg({ params: { orgId: org.id } }),
    user.client.transferOrg({ params: { orgId: org.id }, body: { userId: user.id as never } }),
  ]
  for (const slug of await Promise.all(acts(bob).map(slugOf))) expect(slug).toBe('forbidden')
  for (const slug of await Promise.all(acts(eve).map(slugOf))) expect(slug).toBe('not-found')
  const other = await found(eve)
  const crossed = { params: { orgId: other.id, invitationId: open.id } }
  expect(await slugOf(eve.client.withdrawOrgInvitation(crossed))).toBe('not-found')
  expect(await slugOf(eve.client.resendOrgInvitation(crossed))).toBe('not-found')
  expect((await ada.client.listOrgInvitations({ params: { orgId: org.id } })).items).toEqual([open])
  expect(invitation.id).not.toBe(open.id)
})

test('an address is invited once at a time, and no more are open than allowed', async () => {
  const org = await found()
  const race = await Promise.all(Array.from({ length: 5 }, () => slugOf(invite(ada, org.id, 'once@example.org'))))
  expect(race.sort()).toEqual(['conflict', 'conflict', 'conflict', 'conflict', 'ok'])
  const many = await Promise.all(Array.from({ length: 6 }, (_, n) => slugOf(invite(ada, org.id, `many-${n}@example.org`))))
  expect(many.filter((slug) => slug === 'ok')).toHaveLength(2)
  expect(new Set(many)).toEqual(new Set(['ok', 'limit-reached']))
})

test('a resent invitation has a new link, the old one is dead, and mails are counted', async () => {
  const often = await edge.signUp('often')
  const { org, invitation, token } = await invited(often)
  const params = { orgId: org.id, invitationId: invitation.id }
  const mailed = await newest(often.email)
  await ada.client.resendOrgInvitation({ params })
  const fresh = await mailed()
  expect(fresh).not.toBe(token)
  expect(await slugOf(accept(often, token))).toBe('not-found')
  for (let n = 2; n < INVITATION_MAILS_MAX; n++) await ada.client.resendOrgInvitation({ params })
  expect(await slugOf(ada.client.resendOrgInvitation({ params }))).toBe('limit-reached')
})

test('declined, withdrawn and expired invitations lead nowhere, and the address can be invited again', async () => {
  const guest = await edge.signUp('guest')
  const declined = await invited(guest)
  await guest.client.declineInvitation({ body: { token: declined.token } })
  const withdrawn = await invited(guest)
  await ada.client.withdrawOrgInvitation({ params: { orgId: withdrawn.org.id, invitationId: withdrawn.invitation.id } })
  const expired = await invited(guest)
  await edge.db.prepare('UPDATE org_invitations SET expires_at = 1 WHERE id = ?').bind(expired.invitation.id).run()
  for (const { org, token } of [declined, withdrawn, expired]) {
    expect(await slugOf(accept(guest, token))).toBe('not-found')
    expect(await slugOf(invite(ada, org.id, guest.email))).toBe('ok')
  }
})

test('twenty who accept one invitation at once join once', async () => {
  const guest = await edge.signUp('guest')
  const { org, token } = await invited(guest)
  const race = await Promise.all(Array.from({ length: 20 }, () => slugOf(accept(guest, token))))
  expect(race.filter((slug) => slug === 'ok')).toHaveLength(1)
  expect(new Set(race)).toEqual(new Set(['ok', 'not-found']))
  expect(await membersOf(org.id)).toHaveLength(2)
  const joins = await edge.db
    .prepare("SELECT count(*) AS n FROM audit_entries WHERE org_id = ? AND action = 'org.join'")
    .bind(org.id)
    .first()
  expect(joins).toEqual({ n: 1 })
})

test('of accepting and withdrawing at once one wins, and both answers agree with what is', async () => {
  for (let round = 0; round < 5; round++) {
    const user = await edge.signUp('racer')
    const { org, invitation, token } = await invited(user)
    const [joined, gone] = await Promise.all([
      slugOf(accept(user, token)),
      slugOf(ada.client.withdrawOrgInvitation({ params: { orgId: org.id, invitationId: invitation.id } })),
    ])
    expect([joined, gone].sort()).toEqual(['not-found', 'ok'])
    expect(await membersOf(org.id)).toHaveLength(joined === 'ok' ? 2 : 1)
  }
})

test('a full organisation keeps the invitation for later', async () => {
  const guest = await edge.signUp('guest')
  const { org, token } = await invited(guest)
  const extra = await Promise.all(['a', 'b', 'c'].map((name) => edge.signUp(name)))
  for (const user of extra) await join(edge, ada, { orgId: org.id, user, role: 'reader' })
  expect(await slugOf(accept(guest, token))).toBe('limit-reached')
  await ada.client.removeOrgMember({ params: { orgId: org.id, userId: extra[0]!.id as never } })
  expect(await slugOf(accept(guest, token))).toBe('ok')
})

test('an invitation never changes the role of who belongs already', async () => {
  const guest = await edge.signUp('guest')
  const { org, token } = await invited(guest, 'owner')
  await edge.db.prepare("INSERT INTO org_members (org_id, user_id, role, added_at) VALUES (?, ?, 'reader', 1)").bind(org.id, guest.id).run()
  expect(await accept(guest, token)).toMatchObject({ role: 'reader' })
})

test('the link is nowhere in the database', async () => {
  const guest = await edge.signUp('guest')
  const { token } = await invited(guest)
  const { results } = await edge.db.prepare('SELECT * FROM org_invitations').all()
  expect(JSON.stringify(results)).not.toContain(token)
})
