import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { promisify } from 'node:util'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { asIntruder } from '../audit/record.ts'
import { type Edge, PASSWORD, startEdge, type TestUser } from '../harness.ts'
import { describeWith } from '../requires.ts'
import { until } from '../until.ts'
import { namelessParts, openBrowser, openDoor, openVisitor } from './browser.ts'

describeWith('chromium', 'the page of those who look after the platform', (path) => {
  let edge: Edge
  let browser: Browser
  let door: Awaited<ReturnType<typeof openDoor>>
  let root: TestUser

  beforeAll(async () => {
    await promisify(execFile)(process.execPath, ['src/dev/assets.ts'])
    door = await openDoor()
    edge = await startEdge({ vars: { PUBLIC_ORIGIN: door.origin } })
    door.leadTo(edge.origin)
    browser = await openBrowser(path)
    root = await edge.signUp('root')
    await grant(root, 'admin')
  })
  afterAll(async () => {
    await browser?.close()
    await edge?.stop()
    await door?.close()
  })

  const grant = ({ id }: TestUser, role: string) =>
    edge.db.prepare("INSERT INTO platform_roles VALUES (?, ?, 'operator', 1)").bind(id, role).run()
  const press = (page: Page, name: string) => page.getByRole('button', { name, exact: true }).click()
  const stale = () => edge.db.prepare('UPDATE sessions SET authenticated_at = 1').run()
  const sealed = () =>
    until(async () => {
      const { seq, pending } = await root.client.verifyPlatformAudit()
      return seq > 0 && pending === 0
    })

  async function open({ email }: TestUser, options: Parameters<typeof openVisitor>[2] = {}) {
    const visitor = await openVisitor(browser, door.origin, options)
    await visitor.page.goto('/login?next=/app/admin')
    await visitor.page.getByLabel('Email').fill(email)
    await visitor.page.getByLabel('Password').fill(PASSWORD)
    await press(visitor.page, 'Sign in')
    return visitor
  }

  test('an admin finds a user, shuts them out with a reason, gives a role after a fresh proof and lets them in again', async () => {
    const bob = await edge.signUp('bob')
    const { page, complaints } = await open(root)
    await page.getByRole('heading', { name: 'Administration' }).waitFor()
    await page.locator('#record-list tr').first().waitFor()
    expect(await page.evaluate(namelessParts)).toEqual([])
    await page.getByLabel('Address').fill('bob-')
    await press(page, 'Search')
    await until(async () => (await page.locator('#users-list li').count()) === 1)
    await press(page, bob.email)
    const dialog = page.locator('#user')
    await dialog.locator('#sessions-list li').first().waitFor()
    await dialog.locator('#deeds-list li', { hasText: 'Signed in' }).first().waitFor()
    await press(page, 'Disable')
    await dialog.getByText('Fill this in.').waitFor()
    await dialog.getByLabel('Reason').fill('Sends spam')
    await press(page, 'Disable')
    await dialog.getByText('Signed in nowhere.').waitFor()
    await expect(bob.client.getMe()).rejects.toMatchObject({ slug: 'session-ended' })
    await stale()
    await dialog.getByLabel('moderator').check()
    await press(page, 'Save roles')
    await page.getByLabel('Your password').fill(PASSWORD)
    await press(page, 'Continue')
    await dialog.locator('#user-badges .badge', { hasText: 'moderator' }).waitFor()
    await dialog.getByLabel('Reason').fill('A mistake')
    await press(page, 'Enable')
    await page.getByRole('button', { name: 'Disable', exact: true }).waitFor()
    await edge.client().login({ body: { email: bob.email, password: PASSWORD } })
    await dialog.getByRole('button', { name: 'Close' }).click()
    await page.locator('#record-list tr', { hasText: 'Sends spam' }).first().waitFor()
    expect(complaints.all.filter((complaint) => !/status of 403/.test(complaint))).toEqual([])
  })

  test('the last admin is not shut out, and the page says why', async () => {
    const { page } = await open(root)
    await press(page, root.email)
    await page.getByLabel('Reason').fill('A try')
    await press(page, 'Disable')
    await page.getByText('Somebody else must be an admin first.').waitFor()
  })

  test('the record is filtered, verified to its first broken link, and taken along', async () => {
    await sealed()
    const { page } = await open(root)
    await page.getByLabel('Action').fill('user.disable')
    await page.getByLabel('Until').fill('2100-01-01')
    await press(page, 'Show')
    await until(async () => (await page.locator('#record-list tr').count()) === 1)
    const [csv] = await Promise.all([page.waitForEvent('download'), press(page, 'CSV')])
    const text = await readFile(await csv.path(), 'utf8')
    expect(text.split('\r\n')[0]).toContain('"seq","at","actorId","action"')
    expect(text).toContain('Sends spam')
    expect(text).not.toContain('session.start')
    await press(page, 'Verify')
    await page.getByText(/^Intact: \d+ links/).waitFor()
    await asIntruder(edge, "UPDATE audit_entries SET cause = 'nothing at all' WHERE action = 'user.disable'")
    await press(page, 'Verify')
    const [{ seq }] = (
      await edge.db
        .prepare("SELECT seq FROM audit_links JOIN audit_entries ON id = entry_id WHERE action = 'user.disable'")
        .all<{ seq: number }>()
    ).results as [{ seq: number }]
    await page.getByText(new RegExp(`^Broken at link ${seq} \\(entry \\d+\\): entry changed`)).waitFor()
  })

  test('a moderator looks at users and sees nothing they may not do; anybody else sees nothing', async () => {
    const moderator = await edge.signUp('moderator')
    await grant(moderator, 'moderator')
    const { page } = await open(moderator)
    await page.locator('#users-list li').first().waitFor()
    expect(await page.locator('#record').isVisible()).toBe(false)
    expect(await page.getByRole('button', { name: 'Sign everybody out' }).isVisible()).toBe(false)
    await press(page, root.email)
    await page.locator('#sessions-list li').first().waitFor()
    expect(await page.getByRole('button', { name: 'Disable' }).isVisible()).toBe(false)
    const eve = await open(await edge.signUp('eve'))
    await eve.page.getByText('Your role does not allow this.').waitFor()
    expect(await eve.page.locator('#users-list li').count()).toBe(0)
    expect(await eve.page.getByRole('link', { name: 'Admin' }).isVisible()).toBe(false)
  })

  test('after a break-in everybody is signed out, the admin too', async () => {
    const ada = await edge.signUp('ada')
    const { page } = await open(root)
    await press(page, 'Sign everybody out')
    await press(page, 'Really sign everybody out?')
    await page.waitForURL('/login?next=%2Fapp%2Fadmin')
    await expect(ada.client.getFactors()).rejects.toMatchObject({ slug: 'session-ended' })
  })
})
