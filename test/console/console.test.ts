import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Edge, PASSWORD, startEdge } from '../harness.ts'
import { describeWith } from '../requires.ts'
import { namelessParts, openBrowser, openDoor, openVisitor } from './browser.ts'

type Visitor = Awaited<ReturnType<typeof openVisitor>>

describeWith('chromium', 'the console in a browser', (executablePath) => {
  let edge: Edge
  let browser: Browser
  let door: Awaited<ReturnType<typeof openDoor>>
  const visitors: Visitor[] = []

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

  async function visit(): Promise<Visitor> {
    const visitor = await openVisitor(browser, door.origin)
    visitors.push(visitor)
    return visitor
  }

  /** A visitor who registers through the pages. */
  async function register(email: string): Promise<Visitor & { readonly userId: string }> {
    const visitor = await visit()
    const { page } = visitor
    await page.goto('/')
    await page.getByRole('link', { name: 'Create an account' }).click()
    await page.getByLabel('Email').fill(email)
    await page.getByLabel('Password').fill(PASSWORD)
    await page.getByRole('button', { name: 'Create account' }).click()
    await page.getByLabel('Code').fill(await edge.mailbox.codeTo(email))
    await page.getByRole('button', { name: 'Confirm address' }).click()
    await page.waitForURL('/app')
    const id = page.locator('#own-id', { hasText: 'usr_' })
    return { ...visitor, userId: (await id.textContent()) ?? '' }
  }

  async function createRoom(page: Page, name: string): Promise<void> {
    await page.getByLabel('New room').fill(name)
    await page.locator('#create-room').getByRole('button', { name: 'Create' }).click()
    await page.getByRole('link', { name }).waitFor()
  }

  async function giveSeat(page: Page, seat: { readonly room: string; readonly userId: string; readonly role: string }): Promise<void> {
    await page.getByRole('button', { name: `Share: ${seat.room}` }).click()
    const dialog = page.getByRole('dialog', { name: `Seats in ${seat.room}` })
    await dialog.getByLabel('User id').fill(seat.userId)
    await dialog.getByLabel('Role').selectOption(seat.role)
    await dialog.getByRole('button', { name: 'Add' }).click()
    await dialog.getByText(seat.userId).waitFor()
    await dialog.getByRole('button', { name: 'Close' }).click()
  }

  /** Opens a room in another tab and gives somebody a seat in it. */
  async function createRoomFor(page: Page, name: string, userId: string): Promise<void> {
    const tab = await page.context().newPage()
    await tab.goto('/app')
    await createRoom(tab, name)
    await giveSeat(tab, { room: name, userId, role: 'editor' })
    await tab.close()
  }

  const textOf = (page: Page) => page.getByLabel('Shared text')
  const shows = (page: Page, text: string) =>
    page.waitForFunction((expected) => document.querySelector<HTMLTextAreaElement>('#text')?.value === expected, text)

  async function enterRoom(page: Page, name: string): Promise<void> {
    await page.goto('/app')
    await page.getByRole('link', { name }).click()
    await page.getByText('Live', { exact: true }).waitFor()
  }

  describe('for a stranger', () => {
    test.for(['/', '/login', '/register', '/app', '/app/nothing'])('%s loads nothing but our own files, by policy', async (path) => {
      const answer = await edge.request(path)
      const policy = answer.headers.get('content-security-policy')
      expect(answer.status).toBe(path === '/app/nothing' ? 404 : 200)
      expect(policy).toContain("default-src 'none'; script-src 'self'; style-src 'self';")
      expect(policy).toContain("form-action 'none'")
      expect(await answer.text()).not.toMatch(/<script(?![^>]*src="\/assets\/)|<style| on[a-z]+=| style=/)
    })

    test.for(['/app/rooms/nonsense', '/app/shells/rm_01k3ahrz6dmv29gqy5ckt18fp1'])('%s names nothing', async (path) => {
      const answer = await edge.request(path)
      expect(answer.status).toBe(404)
      expect(await answer.text()).toContain('Nothing is here.')
    })

    test('the dashboard asks to sign in, and comes back to where one wanted to go', async () => {
      const { page } = await openVisitor(browser, door.origin)
      await page.goto('/app/rooms/rm_01k3ahrz6dmv29gqy5ckt18fp1')
      await page.waitForURL('/login?next=%2Fapp%2Frooms%2Frm_01k3ahrz6dmv29gqy5ckt18fp1')
      expect(await page.getByRole('heading', { level: 1 }).textContent()).toBe('Sign in')
      await page.getByLabel('Email').fill('nobody@example.org')
      await page.getByLabel('Password').fill(PASSWORD)
      await page.getByRole('button', { name: 'Sign in' }).click()
      const alert = page.getByRole('alert')
      await alert.getByText('The address or the password is wrong.').waitFor()
      expect(await alert.textContent()).toMatch(/Trace [0-9a-f]{32}$/)
      await page.getByLabel('Email').fill((await edge.signUp('guest')).email)
      await page.getByRole('button', { name: 'Sign in' }).click()
      await page.waitForURL('/app/rooms/rm_01k3ahrz6dmv29gqy5ckt18fp1')
      await page.getByText('Nothing is here for you.').waitFor()
    })

    test('a wrong code is told in place, and the form says what it lacks beside each field', async () => {
      const { page } = await openVisitor(browser, door.origin)
      await page.goto('/register')
      await page.getByRole('button', { name: 'Create account' }).click()
      expect(await page.locator('[aria-invalid=true]').count()).toBe(2)
      expect(await page.evaluate(() => document.activeElement?.id)).toBe('register-email')
      await page.getByLabel('Email').fill('zoe@example.org')
      await page.getByLabel('Password').fill(PASSWORD)
      await page.getByRole('button', { name: 'Create account' }).click()
      const code = await edge.mailbox.codeTo('zoe@example.org')
      await page.getByLabel('Code').fill(code === '000000' ? '000001' : '000000')
      await page.getByRole('button', { name: 'Confirm address' }).click()
      await page.getByText('This code is wrong, used or expired.').waitFor()
    })

    test('a reload between mail and code loses nothing but the password, which is asked again', async () => {
      const { page } = await openVisitor(browser, door.origin)
      await page.goto('/register')
      await page.getByLabel('Email').fill('yan@example.org')
      await page.getByLabel('Password').fill(PASSWORD)
      await page.getByRole('button', { name: 'Create account' }).click()
      const code = await edge.mailbox.codeTo('yan@example.org')
      await page.reload()
      await page.getByLabel('Code').fill(code)
      await page.getByRole('button', { name: 'Confirm address' }).click()
      await page.getByText('Your address is confirmed.').waitFor()
      expect(await page.getByLabel('Email').inputValue()).toBe('yan@example.org')
      await page.getByLabel('Password').fill(PASSWORD)
      await page.getByRole('button', { name: 'Sign in' }).click()
      await page.waitForURL('/app')
    })
  })

  describe('for people who meet in a room', () => {
    let ada: Awaited<ReturnType<typeof register>>
    let bob: Awaited<ReturnType<typeof register>>
    let eve: Awaited<ReturnType<typeof register>>

    beforeAll(async () => {
      ada = await register('ada@example.org')
      bob = await register('bob@example.org')
      eve = await register('eve@example.org')
      await createRoom(ada.page, 'Minutes')
      await giveSeat(ada.page, { room: 'Minutes', userId: bob.userId, role: 'editor' })
      await giveSeat(ada.page, { room: 'Minutes', userId: eve.userId, role: 'viewer' })
    })

    test('no script can read the tokens', async () => {
      const readable = await ada.page.evaluate(() => JSON.stringify([document.cookie, { ...localStorage }, { ...sessionStorage }]))
      expect(readable).not.toMatch(/eyJ|refreshToken|accessToken/)
      const cookies = await ada.context.cookies()
      expect(cookies.map(({ name }) => name).toSorted()).toEqual(['__Host-parvis-access', '__Host-parvis-device', '__Host-parvis-refresh'])
      expect(cookies.every(({ httpOnly, secure }) => httpOnly && secure)).toBe(true)
    })

    test('every page names its parts for those who do not see them', async () => {
      for (const path of ['/', '/login', '/register', '/app']) {
        await ada.page.goto(path)
        expect([path, ...(await ada.page.evaluate(namelessParts))]).toEqual([path])
      }
    })

    test('two write in one text, and each sees the other', async () => {
      await enterRoom(ada.page, 'Minutes')
      await enterRoom(bob.page, 'Minutes')
      await textOf(ada.page).pressSequentially('Present: Ada.')
      await shows(bob.page, 'Present: Ada.')
      await textOf(bob.page).press('End')
      await textOf(bob.page).press('ArrowLeft')
      await textOf(bob.page).pressSequentially(', Bob')
      await shows(ada.page, 'Present: Ada, Bob.')
      await ada.page.getByText('All changes saved').waitFor()
      expect(await ada.page.locator('#present li').count()).toBe(2)
    })

    test('a name is chosen and seen by the others', async () => {
      await bob.page.getByRole('button', { name: 'Change your name' }).click()
      await bob.page.getByRole('textbox', { name: 'Name' }).fill('Bob <b>')
      await bob.page.getByRole('button', { name: 'Use this name' }).click()
      await ada.page.locator('#present').getByText('Bob <b>', { exact: true }).waitFor()
    })

    test('a viewer reads along and cannot write', async () => {
      await enterRoom(eve.page, 'Minutes')
      await shows(eve.page, 'Present: Ada, Bob.')
      expect(await textOf(eve.page).getAttribute('readonly')).not.toBeNull()
      await eve.page.getByText('viewer: read-only').waitFor()
      await textOf(ada.page).press('End')
      await textOf(ada.page).pressSequentially('\nAgenda')
      await shows(eve.page, 'Present: Ada, Bob.\nAgenda')
    })

    test('two talk: they reply, react, edit, take back, see who writes and who has read', async () => {
      const messages = (page: Page) => page.locator('#messages > li')
      const say = async (page: Page, text: string) => {
        await page.getByLabel('Message', { exact: true }).fill(text)
        await page.keyboard.press('Enter')
      }
      const act = async (page: Page, text: string, name: string) => {
        const row = messages(page).filter({ hasText: text })
        await row.hover()
        await row.getByRole('button', { name }).click()
      }
      await say(ada.page, 'Shall we <b>begin</b>?')
      await messages(bob.page).filter({ hasText: 'Shall we <b>begin</b>?' }).waitFor()
      await ada.page.locator('#messages-read').getByText('Bob <b>').waitFor()
      await bob.page.getByLabel('Message', { exact: true }).pressSequentially('One mom')
      await ada.page.getByText('Bob <b> is writing…').waitFor()
      await bob.page.getByLabel('Message', { exact: true }).fill('')
      await act(bob.page, 'begin', 'Reply')
      await say(bob.page, 'In a minut')
      await ada.page.locator('blockquote', { hasText: 'Shall we <b>begin</b>?' }).waitFor()
      await act(bob.page, 'In a minut', 'Edit')
      await say(bob.page, 'In a minute')
      await messages(ada.page).filter({ hasText: 'edited' }).getByText('In a minute', { exact: true }).waitFor()
      await act(ada.page, 'In a minute', 'React with 👍')
      await bob.page.getByRole('button', { name: '👍 1' }).waitFor()
      await say(bob.page, 'a slip')
      await act(bob.page, 'a slip', 'Delete')
      await act(bob.page, 'a slip', 'Really delete?')
      await ada.page.getByText('This message was deleted.').waitFor()
      expect(await messages(ada.page).count()).toBe(3)
      await eve.page.getByText('Viewers read along.').waitFor()
      expect(await eve.page.getByRole('button', { name: 'Reply' }).count()).toBe(0)
    })

    test('who is away keeps their name, and what was said before comes when it is asked for', async () => {
      const messages = ada.page.locator('#messages > li')
      await bob.page.goto('/app')
      await ada.page.evaluate(async () => {
        const url = `/v1/rooms/${document.getElementById('room')?.dataset['roomId']}/messages`
        const post = (n: number) =>
          fetch(url, {
            method: 'POST',
            headers: { 'content-type': 'application/json' },
            body: JSON.stringify({ cid: `older-messages-${n}`, action: { kind: 'post', text: `Note ${n}` } }),
          })
        await Promise.all(Array.from({ length: 48 }, (_, n) => post(n)))
      })
      await ada.page.reload()
      await messages.nth(47).waitFor()
      expect(await messages.filter({ hasText: 'begin' }).count()).toBe(0)
      await ada.page.getByRole('button', { name: 'Older messages' }).click()
      await messages.filter({ hasText: 'Shall we <b>begin</b>?' }).first().waitFor()
      await ada.page.getByRole('button', { name: 'Older messages' }).waitFor({ state: 'hidden' })
      await messages.getByText('Bob <b>', { exact: true }).first().waitFor()
      await enterRoom(bob.page, 'Minutes')
    })

    test('the bell counts what one was told, live, says it, and is silent once it is read', async () => {
      await createRoomFor(ada.page, 'Ledger', bob.userId)
      const bell = bob.page.getByRole('button', { name: 'Notifications' })
      const count = bob.page.locator('#bell-count')
      const before = Number(await count.textContent())
      await createRoomFor(ada.page, 'Atlas', bob.userId)
      await expect.poll(async () => Number(await count.textContent())).toBe(before + 1)
      await bell.click()
      await bob.page.locator('#notices-list').getByText('You have a seat in a room: editor.').first().waitFor()
      await bob.page.getByRole('button', { name: 'Mark all as read' }).click()
      await count.waitFor({ state: 'hidden' })
      await bob.page.keyboard.press('Escape')
      await bob.page.locator('#notices').waitFor({ state: 'hidden' })
    })

    test('no page logs an error, breaks its policy or asks another origin for anything', () => {
      expect(visitors.flatMap(({ complaints }) => complaints.all)).toEqual([])
    })

    test('what is written while the connection is away arrives when it is back', async () => {
      door.shut()
      await ada.page.getByText('Offline.').waitFor()
      await textOf(ada.page).press('Control+End')
      await textOf(ada.page).pressSequentially(': all')
      await ada.page.getByText('Not saved yet').waitFor()
      door.open()
      await shows(bob.page, 'Present: Ada, Bob.\nAgenda: all')
      await ada.page.getByText('All changes saved').waitFor()
    })

    test('signing out in one tab leaves the others too', async () => {
      const other = await bob.context.newPage()
      await other.goto('/app')
      await other.getByRole('button', { name: 'Sign out' }).click()
      await other.waitForURL('/')
      await bob.page.waitForURL(/\/login\?next=/)
      // What tells this browser from others outlives signing out.
      expect((await bob.context.cookies()).map(({ name }) => name)).toEqual(['__Host-parvis-device'])
    })
  })
})
