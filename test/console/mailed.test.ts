import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Edge, PASSWORD, startEdge, type TestUser } from '../harness.ts'
import { codeOf } from '../identity/authenticator.ts'
import { describeWith } from '../requires.ts'
import { namelessParts, openBrowser, openDoor, openVisitor } from './browser.ts'

const OTHER = 'another horse, another battery'
const PAGES = ['/register/confirm', '/login/mail', '/password/reset', '/app/email', '/account/restore', '/app/invitation']

describeWith('chromium', 'the pages that mails lead to', (executablePath) => {
  let edge: Edge
  let browser: Browser
  let door: Awaited<ReturnType<typeof openDoor>>
  const visitors: Awaited<ReturnType<typeof openVisitor>>[] = []

  beforeAll(async () => {
    await promisify(execFile)(process.execPath, ['src/dev/assets.ts'])
    door = await openDoor()
    edge = await startEdge({ vars: { PUBLIC_ORIGIN: door.origin } })
    door.leadTo(edge.origin)
    browser = await openBrowser(executablePath)
  })
  afterAll(async () => {
    await browser?.close()
    await edge?.stop()
    await door?.close()
  })

  async function visit() {
    const visitor = await openVisitor(browser, door.origin)
    visitors.push(visitor)
    return visitor
  }

  async function linkTo(email: string, count = 1): Promise<string> {
    const mail = await edge.mailbox.mailTo(email, count)
    return mail.text?.split('\n').find((line) => line.startsWith(door.origin)) ?? ''
  }

  async function begin(email: string) {
    const visitor = await visit()
    await visitor.page.goto('/register')
    await visitor.page.getByLabel('Email').fill(email)
    await visitor.page.getByLabel('Password').fill(PASSWORD)
    await visitor.page.getByRole('button', { name: 'Create account' }).click()
    return { ...visitor, link: await linkTo(email) }
  }

  describe.each(PAGES)('%s', (path) => {
    test('is not kept, tells nobody where it was, and loads our own files alone', async () => {
      for (const method of ['GET', 'HEAD']) {
        const answer = await edge.request(path, { method })
        expect(answer.status).toBe(200)
        expect(answer.headers.get('cache-control')).toBe('no-store')
        expect(answer.headers.get('referrer-policy')).toBe('no-referrer')
        expect(answer.headers.get('content-security-policy')).toContain("default-src 'none'; script-src 'self'")
      }
    })

    test('speaks the language of the mail', async () => {
      const [english, french] = await Promise.all([path, `${path}?lang=fr`].map(async (p) => (await edge.request(p)).text()))
      expect(english).toContain('<html lang="en">')
      expect(french).toContain('<html lang="fr">')
      expect(french).not.toMatch(/Sign in|New password|needs scripts/)
      expect((await edge.request(`${path}?lang=%3Cscript%3E`)).status).toBe(200)
    })
  })

  test('opening a link, or asking for its head, uses nothing', async () => {
    const email = 'scanner@example.org'
    const { link } = await begin(email)
    const scanner = await visit()
    await scanner.page.goto(link)
    await scanner.page.getByRole('button').first().waitFor()
    await edge.request(link.replace(door.origin, '').replace('#', '?token='), { method: 'HEAD' })
    expect(await edge.db.prepare('SELECT user_id FROM registrations WHERE email = ?').bind(email).first()).toEqual({ user_id: null })
    expect(scanner.page.url()).not.toContain('#')
    const logged = JSON.stringify(edge.server.getLogs())
    expect(logged).toContain('/register/confirm')
    expect(logged).not.toContain(link.split('#')[1])
  })

  test('a mail that did not come is sent again, and is the same', async () => {
    const { page, link } = await begin('again@example.org')
    await page.getByRole('button', { name: 'have it sent again' }).click()
    expect(await linkTo('again@example.org', 2)).toBe(link)
    await page.getByRole('button', { name: 'sent again' }).waitFor()
  })

  test('a registration ends by its link where it began, in another tab', async () => {
    const { context, link } = await begin('tab@example.org')
    const tab = await context.newPage()
    await tab.goto(link)
    await tab.getByRole('button', { name: 'Confirm address' }).click()
    await tab.waitForURL('/login')
    await tab.getByText('Your address is confirmed.').waitFor()
    await tab.getByLabel('Password').fill(PASSWORD)
    await tab.getByRole('button', { name: 'Sign in' }).click()
    await tab.waitForURL('/app')
  })

  test('on another browser it asks for a password of one’s own, and the first one opens nothing', async () => {
    const email = 'elsewhere@example.org'
    const { link } = await begin(email)
    const { page } = await visit()
    await page.goto(link)
    expect(await page.evaluate(namelessParts)).toEqual([])
    await page.getByLabel('New password').fill(OTHER)
    await page.reload()
    await page.getByLabel('New password').fill(OTHER)
    await page.getByRole('button', { name: 'Create account' }).click()
    await page.waitForURL('/login')
    const client = edge.client()
    await expect(client.login({ body: { email, password: PASSWORD } })).rejects.toMatchObject({ slug: 'credentials-invalid' })
    await client.login({ body: { email, password: OTHER } })
  })

  test('a mail signs in by its code where it was asked for, and by its link with a warning elsewhere', async () => {
    const { email } = await edge.signUp('mailed')
    const asking = await visit()
    await asking.page.goto('/login')
    await asking.page.getByRole('link', { name: 'Mail me a link instead' }).click()
    await asking.page.getByLabel('Email').fill(email)
    await asking.page.getByRole('button', { name: 'Mail me a link' }).click()
    await asking.page.getByLabel('Code').fill(await edge.mailbox.codeTo(email, 2))
    await asking.page.getByRole('button', { name: 'Sign in' }).click()
    await asking.page.waitForURL('/app')
    await edge.client().askMagicLink({ body: { email } })
    const foreign = await visit()
    // The new device was told in between.
    await foreign.page.goto((await linkTo(email, 3)) || (await linkTo(email, 4)))
    await foreign.page.getByText('This browser did not ask for this link.').waitFor()
    await foreign.page.getByRole('button', { name: 'Sign in' }).click()
    await foreign.page.waitForURL('/app')
  })

  test('a second factor is asked for after the password and after the mail, and its code signs in', async () => {
    const { client, email, id } = await edge.signUp('twofold')
    const { secret } = await client.startTotp()
    const { recoveryCodes } = await client.confirmTotp({ body: { code: codeOf(secret, -1) } })
    const { page } = await visit()
    await page.goto('/login')
    await page.getByLabel('Email').fill(email)
    await page.getByLabel('Password').fill(PASSWORD)
    await page.getByRole('button', { name: 'Sign in' }).click()
    await page.waitForURL('/login/factor')
    expect(await page.evaluate(namelessParts)).toEqual([])
    await page.getByLabel('Code').fill(codeOf(secret))
    await page.getByRole('button', { name: 'Sign in' }).click()
    await page.waitForURL('/app')
    const byMail = await visit()
    const before = edge.mailbox.to(email).length
    await edge.client().askMagicLink({ body: { email } })
    const link = async (nth: number): Promise<string> =>
      (await linkTo(email, nth)).includes('/login/mail') ? linkTo(email, nth) : link(nth + 1)
    await byMail.page.goto(await link(before + 1))
    await byMail.page.getByRole('button', { name: 'Sign in' }).click()
    await byMail.page.waitForURL('/login/factor')
    await byMail.page.getByLabel('Code').fill(recoveryCodes?.[0] ?? '')
    await byMail.page.getByRole('button', { name: 'Sign in' }).click()
    await byMail.page.waitForURL('/app')
    await byMail.page.getByText(id).first().waitFor()
  })

  test('a forgotten password is replaced by the link, in French', async () => {
    const { email } = await edge.signUp('oubli')
    await edge.db.prepare("UPDATE users SET locale = 'fr' WHERE email = ?").bind(email).run()
    await edge.client().forgotPassword({ body: { email } })
    const { page } = await visit()
    const link = await linkTo(email, 2)
    expect(link).toContain('?lang=fr#')
    await page.goto(link)
    await page.locator('#link-newPassword').fill(OTHER)
    await page.getByRole('button', { name: 'Enregistrer le mot de passe' }).click()
    await page.waitForURL('/login')
    await page.goto(link)
    await page.locator('#link-newPassword').fill(OTHER)
    await page.getByRole('button', { name: 'Enregistrer le mot de passe' }).click()
    await page.getByText('Ce code ou ce lien est faux, déjà utilisé ou expiré.').waitFor()
    await edge.client().login({ body: { email, password: OTHER } })
  })

  test('the address is changed by a link that a sign-in comes before, and taken back by the other', async () => {
    const { email } = await edge.signUp('mover')
    const next = 'moved@example.org'
    const client = edge.client()
    await client.login({ body: { email, password: PASSWORD } })
    await client.changeEmail({ body: { email: next } })
    const { page } = await visit()
    await page.goto(await linkTo(next))
    await page.waitForURL('/login?next=%2Fapp%2Femail')
    await page.getByLabel('Email').fill(email)
    await page.getByLabel('Password').fill(PASSWORD)
    await page.getByRole('button', { name: 'Sign in' }).click()
    await page.getByRole('button', { name: 'Confirm new address' }).click()
    await page.getByText('Your address is changed.').waitFor()
    // A confirmed address ends the other sessions.
    await expect(client.getMe()).rejects.toMatchObject({ slug: 'session-ended' })
    await expect(edge.client().login({ body: { email: next, password: PASSWORD } })).resolves.toMatchObject({ userId: expect.any(String) })
    const back = async (count = 2): Promise<string> =>
      (await linkTo(email, count)).includes('/account/restore') ? linkTo(email, count) : back(count + 1)
    await page.goto(await back())
    await page.getByRole('button', { name: 'Take the account back' }).click()
    await page.waitForURL('/password/reset')
    await expect(edge.client().login({ body: { email: next, password: PASSWORD } })).rejects.toMatchObject({ slug: 'credentials-invalid' })
  })

  test('a change of address asks for a fresh proof where the last is old, and goes on with it', async () => {
    const { email } = await edge.signUp('stale')
    const { page } = await visit()
    await page.goto('/login?next=/app/email')
    await signIn({ page }, email)
    await page.getByLabel('New address').waitFor()
    await edge.db.prepare('UPDATE sessions SET authenticated_at = 1').run()
    await page.getByLabel('New address').fill('fresh@example.org')
    await page.getByRole('button', { name: 'Mail me a code' }).click()
    expect(await page.evaluate(namelessParts)).toEqual([])
    await page.getByRole('dialog').getByRole('button', { name: 'Close' }).click()
    expect(edge.mailbox.to('fresh@example.org')).toEqual([])
    await page.getByRole('button', { name: 'Mail me a code' }).click()
    await page.getByLabel('Your password').fill(PASSWORD)
    await page.getByRole('button', { name: 'Continue' }).click()
    await page.getByLabel('Code').fill(await edge.mailbox.codeTo('fresh@example.org'))
    await page.getByRole('button', { name: 'Confirm new address' }).click()
    await page.getByText('Your address is changed.').waitFor()
  })

  async function inviteTo(email: string, by: TestUser) {
    const org = await by.client.createOrg({ body: { name: 'Harbour' } })
    const count = edge.mailbox.to(email).length + 1
    await by.client.inviteOrgMember({ params: { orgId: org.id }, body: { email, role: 'operator', locale: 'en' } })
    const membersOf = async () => (await by.client.listOrgMembers({ params: { orgId: org.id } })).items.length
    return { org, count, membersOf }
  }

  async function signIn({ page }: Pick<Awaited<ReturnType<typeof visit>>, 'page'>, email: string) {
    await page.getByLabel('Email').fill(email)
    await page.getByLabel('Password').fill(PASSWORD)
    await page.getByRole('button', { name: 'Sign in' }).click()
  }

  test('an invitation opens after a sign-in, says what it is to, and is used by its button alone', async () => {
    const [owner, guest] = [await edge.signUp('owner'), await edge.signUp('guest')]
    const { count, membersOf } = await inviteTo(guest.email, owner)
    const visitor = await visit()
    await visitor.page.goto(await linkTo(guest.email, count))
    await visitor.page.waitForURL('/login?next=%2Fapp%2Finvitation')
    await signIn(visitor, guest.email)
    await visitor.page.getByText('You are invited to join Harbour').waitFor()
    await visitor.page.getByText('operator: opens shells').waitFor()
    expect(await visitor.page.evaluate(namelessParts)).toEqual([])
    await visitor.page.reload()
    expect(await membersOf()).toBe(1)
    await visitor.page.getByRole('button', { name: 'Join' }).click()
    await visitor.page.waitForURL('/app')
    await visitor.page.getByText('Harbour').waitFor()
    expect(await membersOf()).toBe(2)
  })

  test('an invitation shows nothing to another account, which can make way for the right one, who may decline', async () => {
    const [owner, guest, other] = [await edge.signUp('owner'), await edge.signUp('guest'), await edge.signUp('other')]
    const { count, membersOf } = await inviteTo(guest.email, owner)
    const visitor = await visit()
    const { page } = visitor
    await page.goto('/login')
    await signIn(visitor, other.email)
    await page.waitForURL('/app')
    await page.goto(await linkTo(guest.email, count))
    await page.getByText('This invitation is not for the account that is signed in here').waitFor()
    expect(await page.locator('body').textContent()).not.toContain('Harbour')
    await page.getByRole('button', { name: 'Use another account' }).click()
    await page.waitForURL('/login?next=%2Fapp%2Finvitation')
    await signIn(visitor, guest.email)
    await page.getByRole('button', { name: 'Decline' }).click()
    await page.getByText('You have declined.').waitFor()
    expect(await membersOf()).toBe(1)
    await page.goto('/app/invitation')
    await page.getByText('This link is not complete.').waitFor()
  })

  test('no page logs an error of its own, breaks its policy or asks another origin for anything', () => {
    const expected = /status of 40[0134]/
    expect(visitors.flatMap(({ complaints }) => complaints.all).filter((complaint) => !expected.test(complaint))).toEqual([])
  })
})
