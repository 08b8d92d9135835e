import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Edge, PASSWORD, startEdge } from '../harness.ts'
import { codeOf, factorsOf } from '../identity/authenticator.ts'
import { post, register } from '../identity/raw.ts'
import { describeWith } from '../requires.ts'
import { namelessParts, openBrowser, openDoor, openVisitor } from './browser.ts'

const OTHER = 'seven otters juggle lanterns'

describeWith('chromium', 'the account page', (path) => {
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

  async function signIn(page: Page, email: string, at = '/login'): Promise<void> {
    await page.goto(at)
    await page.getByLabel('Email').fill(email)
    await page.getByLabel('Password').fill(PASSWORD)
    await page.getByRole('button', { name: 'Sign in', exact: true }).click()
  }

  async function open(email: string) {
    const visitor = await openVisitor(browser, door.origin)
    await signIn(visitor.page, email, '/login?next=/app/account')
    await visitor.page.locator('#devices-list .badge:not([hidden])').waitFor()
    return visitor
  }

  async function withAuthenticator(page: Page): Promise<void> {
    const session = await page.context().newCDPSession(page)
    await session.send('WebAuthn.enable')
    await session.send('WebAuthn.addVirtualAuthenticator', {
      options: {
        protocol: 'ctap2',
        transport: 'internal',
        hasResidentKey: true,
        hasUserVerification: true,
        isUserVerified: true,
        automaticPresenceSimulation: true,
      },
    })
  }

  const { protect } = factorsOf(() => edge)
  const close = (page: Page) => page.getByRole('button', { name: 'I have kept them' }).click()
  /** What can be read without an error of the page, and what the picture must hold. */
  const picture = (page: Page) => page.locator('#totp-picture path')
  const secretOf = async (page: Page) => ((await page.locator('#totp-secret').textContent()) ?? '').replaceAll(' ', '')
  const stale = (email: string) =>
    edge.db.prepare('UPDATE sessions SET authenticated_at = 0 WHERE user_id = (SELECT id FROM users WHERE email = ?)').bind(email).run()

  const signOut = async (page: Page) => {
    await page.locator('#sign-out').click()
    await page.waitForURL('/')
  }
  const addPasskey = async (page: Page, name: string) => {
    await page.getByRole('button', { name: 'Add a passkey' }).click()
    await page.getByRole('textbox', { name: 'Name' }).fill(name)
    await page.getByRole('button', { name: 'Save', exact: true }).click()
  }

  test('sets up an app and shows its key and the recovery codes once', async () => {
    const email = await register(edge, 'app')
    const { page, complaints } = await open(email)
    await page.getByRole('button', { name: 'Set up' }).click()
    await picture(page).waitFor({ state: 'attached' })
    const secret = await secretOf(page)
    expect(await page.evaluate(namelessParts)).toEqual([])
    await page.getByLabel('Code that the app shows').fill(codeOf(secret))
    await page.getByRole('button', { name: 'Confirm' }).click()
    await page.locator('#recovery-codes', { hasText: '-' }).waitFor()
    const codes = ((await page.locator('#recovery-codes').textContent()) ?? '').split('\n')
    expect(codes).toHaveLength(10)
    await close(page)
    for (const emptied of ['#recovery-codes:empty', '#totp-secret:empty']) await page.locator(emptied).waitFor({ state: 'attached' })
    await page.getByText('10 left').waitFor()
    expect(complaints.all).toEqual([])

    await stale(email)
    await page.getByRole('button', { name: 'Make new ones' }).click()
    await page.getByLabel('Your second factor').fill(codes[0]!)
    await page.getByRole('button', { name: 'Continue' }).click()
    await page.locator('#recovery-codes', { hasText: '-' }).waitFor()
    await close(page)
  })

  test('lists a browser that was trusted at its second factor, and the next sign-in there asks for none', async () => {
    const { email, secret } = await protect('trust')
    const { page } = await openVisitor(browser, door.origin)
    await signIn(page, email)
    await page.getByLabel('Code').fill(codeOf(secret))
    await page.getByLabel(/Trust this browser/).check()
    await page.getByRole('button', { name: 'Sign in', exact: true }).click()
    await page.waitForURL('/app')
    await signOut(page)
    await signIn(page, email)
    await page.waitForURL('/app')
    await page.goto('/app/account')
    await page.locator('#trusted-list').getByRole('button', { name: 'Revoke' }).click()
    await page.getByRole('button', { name: 'Really revoke?' }).click()
    await page.getByText('None. Trust one').waitFor()
  })

  test('adds a passkey and names it, after a proof when the last one is old', async () => {
    const email = await register(edge, 'passkey')
    const { page } = await open(email)
    await withAuthenticator(page)
    await stale(email)
    await addPasskey(page, 'Laptop')
    await page.getByLabel('Your password').fill(PASSWORD)
    await page.getByRole('button', { name: 'Continue' }).click()
    await page.locator('#recovery-codes', { hasText: '-' }).waitFor()
    await close(page)
    await page.locator('#passkeys-list').getByText('Laptop').waitFor()
    await page.locator('#passkeys-list').getByRole('button', { name: 'Rename' }).click()
    await page.getByRole('textbox', { name: 'Name' }).fill('Desk')
    await page.getByRole('button', { name: 'Save', exact: true }).click()
    await page.locator('#passkeys-list').getByText('Desk').waitFor()
  })

  test('a passkey signs in, steps up, and may be the only way in, which then stays', async () => {
    const email = await register(edge, 'only')
    const { page } = await open(email)
    await withAuthenticator(page)
    await addPasskey(page, 'Laptop')
    await page.locator('#recovery-codes', { hasText: '-' }).waitFor()
    await close(page)
    await signOut(page)
    // The authenticator would else pick below the address before anybody presses a button.
    await page.addInitScript(() => {
      PublicKeyCredential.isConditionalMediationAvailable = async () => false
    })
    await page.goto('/login?next=/app/account')
    await page.getByRole('button', { name: 'Use a passkey' }).click()
    await page.locator('#passkeys-list').getByText('Laptop').waitFor()
    await stale(email)
    await page.getByRole('button', { name: 'Remove the password' }).click()
    await page.getByRole('button', { name: /Really remove/ }).click()
    await page.locator('#step-up').getByRole('button', { name: 'Use a passkey' }).click()
    await page.locator('#password-current-part').waitFor({ state: 'hidden' })
    await page.locator('#passkeys-list').getByRole('button', { name: 'Remove' }).click()
    await page
      .locator('#passkeys-list')
      .getByRole('button', { name: /Really/ })
      .click()
    await page.getByText('It is the last way to sign in.').waitFor()
  })

  test('a passkey that is picked below the address signs in as well', async () => {
    const email = await register(edge, 'picked')
    const { page } = await open(email)
    await withAuthenticator(page)
    await addPasskey(page, 'Laptop')
    await page.locator('#recovery-codes', { hasText: '-' }).waitFor()
    await close(page)
    await signOut(page)
    // The authenticator picks for its user as soon as it is asked.
    await page.goto('/login?next=/app/account')
    await page.locator('#passkeys-list').getByText('Laptop').waitFor()
  })

  test('names a device and signs another out', async () => {
    const email = await register(edge, 'devices')
    const { accessToken } = (await post(edge, '/v1/auth/login', { email, password: PASSWORD })).body
    const { page } = await open(email)
    const devices = page.locator('#devices-list .row')
    expect(await devices.count()).toBe(2)
    const here = page.locator('.badge:not([hidden])')
    await devices.filter({ has: here }).getByRole('button', { name: 'Rename' }).click()
    await page.getByRole('textbox', { name: 'Name' }).fill('Desk')
    await page.getByRole('button', { name: 'Save', exact: true }).click()
    await page.locator('#devices-list').getByText('Desk').waitFor()
    await devices.filter({ hasNot: here }).getByRole('button', { name: 'Sign out' }).click()
    await page.getByRole('button', { name: 'Really sign out?' }).click()
    await page.waitForFunction(() => document.querySelectorAll('#devices-list .row').length === 1)
    expect((await edge.request('/v1/auth/session', { headers: { authorization: `Bearer ${accessToken}` } })).status).toBe(401)
  })

  test('changes the password', async () => {
    const email = await register(edge, 'change')
    const { page } = await open(email)
    await page.getByLabel('Current password').fill(PASSWORD)
    await page.getByLabel('New password').fill(OTHER)
    await page.getByRole('button', { name: 'Save password' }).click()
    await page.getByText('Your password is changed.').waitFor()
    expect((await post(edge, '/v1/auth/login', { email, password: OTHER })).status).toBe(200)
  })
})
