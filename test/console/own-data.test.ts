import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { promisify } from 'node:util'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Edge, PASSWORD, startEdge } from '../harness.ts'
import { join } from '../orgs/join.ts'
import { describeWith } from '../requires.ts'
import { until } from '../until.ts'
import { namelessParts, openBrowser, openDoor, openVisitor } from './browser.ts'

describeWith('chromium', 'a user’s own data, and what an owner does with an organisation', (path) => {
  let edge: Edge
  let browser: Browser
  let door: Awaited<ReturnType<typeof openDoor>>

  beforeAll(async () => {
    await promisify(execFile)(process.execPath, ['src/dev/assets.ts'])
    door = await openDoor()
    edge = await startEdge({ vars: { PUBLIC_ORIGIN: door.origin } })
    door.leadTo(edge.origin)
    browser = await openBrowser(path)
  })
  afterAll(async () => {
    await browser?.close()
    await edge?.stop()
    await door?.close()
  })

  async function open(email: string, next = '/app') {
    const visitor = await openVisitor(browser, door.origin)
    const { page } = visitor
    await page.goto(`/login?next=${next}`)
    await page.getByLabel('Email').fill(email)
    await page.getByLabel('Password').fill(PASSWORD)
    await page.getByRole('button', { name: 'Sign in', exact: true }).click()
    await page.waitForURL(next)
    return visitor
  }

  const press = (page: Page, name: string) => page.getByRole('button', { name, exact: true }).click()
  const save = (page: Page) => press(page, 'Save profile')

  test('the profile is saved, and shows what another device saved first instead of overwriting it', async () => {
    const user = await edge.signUp('profile')
    const { page } = await open(user.email, '/app/account')
    const name = page.getByLabel('What you are called')
    await page.locator('#activity-list li').first().waitFor()
    expect(await page.evaluate(namelessParts)).toEqual([])
    await name.fill('Ada')
    await page.getByLabel('Language of your mails').selectOption('fr')
    await save(page)
    await page.getByText('Your profile is saved.').waitFor()
    expect(await user.client.getMe()).toMatchObject({ displayName: 'Ada', locale: 'fr' })
    await user.client.updateMe({ ifMatch: '*', body: { displayName: 'Ada, elsewhere' } })
    await name.fill('Ada, here')
    await save(page)
    await page.getByText('This has changed since you read it').waitFor()
    expect(await name.inputValue()).toBe('Ada, elsewhere')
    await name.fill('')
    await save(page)
    await page.getByText('Your profile is saved.').waitFor()
    expect((await user.client.getMe()).displayName).toBeNull()
  })

  test('everything is downloaded, then the account is deleted after a fresh proof', async () => {
    const user = await edge.signUp('leaving')
    const { page } = await open(user.email, '/app/account')
    const [download] = await Promise.all([page.waitForEvent('download'), press(page, 'Download')])
    const file = JSON.parse(await readFile(await download.path(), 'utf8')) as { data: { identity: { user: { id: string } } } }
    expect(file.data.identity.user.id).toBe(user.id)
    await edge.db.prepare('UPDATE sessions SET authenticated_at = 0 WHERE user_id = ?').bind(user.id).run()
    await press(page, 'Delete my account')
    await press(page, 'Really delete my account?')
    await page.getByLabel('Your password').fill(PASSWORD)
    await press(page, 'Continue')
    await page.waitForURL('/')
    await until(async () => (await edge.db.prepare('SELECT id FROM users WHERE id = ?').bind(user.id).first()) === null)
    await page.goto('/app')
    await page.waitForURL('/login?next=%2Fapp')
  })

  test('an owner invites, sends again, withdraws, renames, transfers, and deletes', async () => {
    const [owner, heir] = [await edge.signUp('owner'), await edge.signUp('heir')]
    const org = await owner.client.createOrg({ body: { name: 'Harbour' } })
    await join(edge, owner, { orgId: org.id, user: heir, role: 'operator' })
    const { page, complaints } = await open(owner.email)
    const manage = () => press(page, 'Invite and manage')
    await manage()
    const dialog = page.getByRole('dialog')
    expect(await page.evaluate(namelessParts)).toEqual([])
    await dialog.getByText('No open invitations.').waitFor()
    await dialog.getByLabel('Mail address').fill('guest@example.org')
    await dialog.getByLabel('Role').selectOption('operator')
    await press(page, 'Invite')
    await dialog.getByText('guest@example.org').waitFor()
    await edge.mailbox.mailTo('guest@example.org')
    await press(page, 'Send again')
    await press(page, 'Sent')
    await edge.mailbox.mailTo('guest@example.org', 2)
    await press(page, 'Withdraw')
    await press(page, 'Really withdraw?')
    await dialog.getByText('No open invitations.').waitFor()
    await dialog.getByRole('textbox', { name: 'Name', exact: true }).fill('Haven')
    await press(page, 'Rename')
    await page.getByText('Haven').first().waitFor()
    await manage()
    await dialog.getByLabel('Make a member owner').fill(heir.id)
    await press(page, 'Transfer')
    await page.locator('#orgs-list .badge', { hasText: 'operator' }).waitFor()
    expect(complaints.all).toEqual([])
    const theirs = await open(heir.email)
    await press(theirs.page, 'Invite and manage')
    await press(theirs.page, 'Delete the organisation')
    await press(theirs.page, 'Really delete the organisation?')
    await theirs.page.getByText('No organisations yet.').waitFor()
  })
})
