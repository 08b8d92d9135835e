import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { PASSWORD, type TestUser } from '../harness.ts'
import { startFakeHost } from '../relay/fake-host.ts'
import { freePort } from '../relay/sshd.ts'
import { describeWith } from '../requires.ts'
import { type Rig, startRig } from '../shell/rig.ts'
import { openBrowser, openDoor, openVisitor } from './browser.ts'

describeWith('chromium', 'a shell in a browser', (executablePath) => {
  describeWith('sshd', 'on a real host', () => {
    let rig: Rig
    let browser: Browser
    let door: Awaited<ReturnType<typeof openDoor>>
    let owner: Awaited<ReturnType<typeof openVisitor>>
    let askerPort: number

    beforeAll(async () => {
      await promisify(execFile)(process.execPath, ['src/dev/assets.ts'])
      door = await openDoor()
      askerPort = await freePort()
      rig = await startRig({ vars: { PUBLIC_ORIGIN: door.origin }, relayEnv: { RELAY_ALLOW_TARGETS: `127.0.0.1:${askerPort}` } })
      door.leadTo(rig.edge.origin)
      browser = await openBrowser(executablePath)
      owner = await signIn(rig.owner)
    })
    afterAll(async () => {
      await browser?.close()
      await rig?.stop()
      await door?.close()
    })

    async function signIn(user: TestUser) {
      const visitor = await openVisitor(browser, door.origin)
      await visitor.page.goto('/login')
      await visitor.page.getByLabel('Email').fill(user.email)
      await visitor.page.getByLabel('Password').fill(PASSWORD)
      await visitor.page.getByRole('button', { name: 'Sign in' }).click()
      await visitor.page.waitForURL('/app')
      return visitor
    }

    const screen = (page: Page) => page.locator('.xterm-rows')
    const sees = (page: Page, text: string | RegExp) => screen(page).getByText(text).first().waitFor()
    const status = (page: Page, text: string) => page.locator('#shell-status').getByText(text).waitFor()

    async function type(page: Page, line: string): Promise<void> {
      await page.locator('.xterm-helper-textarea').pressSequentially(`${line}\n`)
    }

    async function open(page: Page): Promise<void> {
      await page.goto('/app')
      const org = page.locator('details', { hasText: 'Harbour' })
      await org.evaluate((details) => details.setAttribute('open', ''))
      await org.getByRole('button', { name: 'Open shell' }).click()
      await page.waitForURL(/\/app\/shells\/shl_/)
      await status(page, 'Connected')
    }

    test('an owner compares a host’s key, registers it and runs a command', async () => {
      const { page } = owner
      await page.getByLabel('New organisation').fill('Quay')
      await page.locator('#create-org').getByRole('button', { name: 'Create' }).click()
      const org = page.locator('details', { hasText: 'Quay' })
      await org.getByRole('button', { name: 'Add a host' }).click()
      const dialog = page.getByRole('dialog', { name: 'Add a host' })
      await dialog.getByRole('textbox', { name: 'Address' }).fill(rig.sshd.host)
      await dialog.getByRole('spinbutton', { name: 'Port' }).fill(String(rig.sshd.port))
      await dialog.getByRole('button', { name: 'Ask for its key' }).click()
      await dialog.getByRole('button', { name: 'Accept the chosen keys' }).click()
      await dialog.getByText('Choose at least one key that you have compared.').waitFor()
      for (const { fingerprint } of rig.sshd.hostKeys) await dialog.getByText(fingerprint).click()
      await dialog.getByRole('button', { name: 'Accept the chosen keys' }).click()
      await dialog.getByRole('textbox', { name: 'Name' }).fill('berth 1')
      await dialog.getByLabel('User').fill(rig.sshd.user)
      await dialog.getByLabel('Credential').selectOption('Private key')
      await dialog.getByRole('textbox', { name: 'Private key' }).fill(rig.sshd.privateKey)
      await dialog.getByRole('button', { name: 'Add host' }).click()
      await dialog.waitFor({ state: 'hidden' })

      await org.getByRole('button', { name: 'Run command' }).click()
      await page.getByRole('textbox', { name: 'Command' }).fill('echo out; echo err >&2; exit 3')
      await page.keyboard.press('Control+Enter')
      await page.getByText('Exit status 3 after').waitFor()
      expect(await page.locator('#result-stdout').textContent()).toBe('out\n')
      expect(await page.locator('#result-stderr').textContent()).toBe('err\n')
    })

    test('a host is registered that trusts the organisation’s authority, and one that asks its questions live', async () => {
      const { page } = owner
      await page.keyboard.press('Escape')
      const org = page.locator('details', { hasText: 'Quay' })
      const dialog = page.getByRole('dialog', { name: 'Add a host' })
      const { items } = await rig.owner.client.listOrgs({})
      const params = { orgId: items.find(({ name }) => name === 'Quay')!.id }
      const add = async (name: string, credential: string, look: () => Promise<void>) => {
        await org.getByRole('button', { name: 'Add a host' }).click()
        await dialog.getByRole('textbox', { name: 'Address' }).fill(rig.sshd.host)
        await dialog.getByRole('spinbutton', { name: 'Port' }).fill(String(rig.sshd.port))
        await dialog.getByRole('button', { name: 'Ask for its key' }).click()
        for (const { fingerprint } of rig.sshd.hostKeys) await dialog.getByText(fingerprint).click()
        await dialog.getByRole('button', { name: 'Accept the chosen keys' }).click()
        await dialog.getByRole('textbox', { name: 'Name' }).fill(name)
        await dialog.getByLabel('User').fill(rig.sshd.user)
        await dialog.getByLabel('Credential').selectOption(credential)
        await look()
        await dialog.getByRole('button', { name: 'Add host' }).click()
        await dialog.waitFor({ state: 'hidden' })
      }
      await add('berth 2', 'Certificate of the organisation’s authority', async () => {
        await dialog.getByRole('button', { name: 'Make the authority’s key' }).click()
        await dialog.locator('#authority-keys').getByText('ssh-ed25519').waitFor()
        const { keys } = await rig.owner.client.getSshCa({ params })
        expect(await dialog.locator('#authority-keys').textContent()).toBe(keys[0]?.publicKey)
        const folder = process.env['SCREENSHOTS']
        if (folder) await page.screenshot({ path: `${folder}/host-certificate.png` })
      })
      await add('berth 3', 'Questions, answered live', () => dialog.getByText('answers what the host asks').waitFor())
      const { items: hosts } = await rig.owner.client.listHosts({ params })
      expect(hosts.map(({ name, credentialKind }) => [name, credentialKind])).toEqual(
        expect.arrayContaining([
          ['berth 2', 'certificate'],
          ['berth 3', 'keyboard-interactive'],
        ]),
      )
    })

    test('the opener types, and the remote side follows the size of the window', async () => {
      const { page } = owner
      await page.setViewportSize({ width: 1000, height: 600 })
      await open(page)
      await type(page, 'echo $((40+2))-first')
      await sees(page, '42-first')
      const drawnRows = () => screen(page).locator('> div').count()
      await type(page, 'echo size-$(stty size | tr " " x)-one')
      await sees(page, /^size-\d+x\d+-one$/)
      const wide = await drawnRows()
      await sees(page, `size-${wide}x`)
      await page.setViewportSize({ width: 700, height: 400 })
      await page.waitForFunction((rows) => document.querySelectorAll('.xterm-rows > div').length < rows, wide)
      await type(page, 'echo size-$(stty size | tr " " x)-two')
      await sees(page, new RegExp(`^size-${await drawnRows()}x\\d+-two$`))
    })

    test('a watcher sees all of it and types nothing', async () => {
      const { page } = await signIn(await rig.member('reader'))
      await page.goto(new URL(owner.page.url()).pathname)
      await status(page, 'Connected, watching only')
      await page.getByText('read-only', { exact: true }).waitFor()
      await sees(page, '42-first')
      expect(await page.getByRole('button', { name: 'End shell' }).isVisible()).toBe(false)
      await page.locator('.xterm-helper-textarea').pressSequentially('echo intruder\n')
      await type(owner.page, 'echo still-$((1+1))-alone')
      await sees(page, 'still-2-alone')
      expect(await screen(page).textContent()).not.toContain('intruder')
      await page.close()
    })

    test('nothing is lost while the connection is away', async () => {
      const { page } = owner
      await type(page, 'echo gone-$((3+4)); (sleep 1; echo meanwhile-$((5+6))) &')
      await sees(page, 'gone-7')
      door.shut()
      await status(page, 'Connection lost.')
      await page.locator('.xterm-helper-textarea').pressSequentially('echo typed-$((7+8))-away\n')
      door.open()
      await status(page, 'Resumed, nothing lost')
      await sees(page, 'meanwhile-11')
      await sees(page, 'typed-15-away')
    })

    test('a reload shows what was there, and the terminal answers nothing twice', async () => {
      const { page } = owner
      await type(page, "clear; printf '\\033[6n\\033[c'; read -rsn 20 -t 1 answer; echo asked-$((20+1))")
      await sees(page, 'asked-21')
      await page.reload()
      await sees(page, 'asked-21')
      await type(page, 'echo after-$((9+9))')
      await sees(page, 'after-18')
      expect(await screen(page).textContent()).not.toMatch(/\[\d+;\d+R|\[\?1;2c|\dR|;2c/)
    })

    test('what a hostile host writes sets no clipboard and no title, types nothing, and does not stop the page', async () => {
      const { page, context } = owner
      await context.grantPermissions(['clipboard-read', 'clipboard-write'])
      await page.evaluate(() => navigator.clipboard.writeText('mine'))
      const title = await page.title()
      await type(page, "printf '\\033]52;c;cGF3bmVk\\007\\033]0;pawned\\007\\033]2;pawned\\033\\\\'; echo wrote-$((30+1))")
      await sees(page, 'wrote-31')
      expect(await page.evaluate(() => navigator.clipboard.readText())).toBe('mine')
      expect(await page.title()).toBe(title)
      // Title and settings asked back, where a terminal that echoes them would type the words of the host.
      await type(
        page,
        'printf \'\\033[21t\\033[20t\\033P$q;pawned\\033\\\\\\033P+q706177\\033\\\\\\005\'; read -rsn 80 -t 1 answer; echo said-$(tr -cd a-z <<<"$answer" | grep -c pawned)-$((31+1))',
      )
      await sees(page, 'said-0-32')
      await type(
        page,
        "printf '\\033['; head -c 1000000 /dev/zero | tr '\\0' ';'; printf 'm\\033]'; head -c 100000 /dev/zero | tr '\\0' x; printf '\\007\\033[999999999b\\033[999999999L\\n'; echo alive-$((32+1))",
      )
      await sees(page, 'alive-33')
      expect(await page.title()).toBe(title)
    })

    test('the keyboard can leave the terminal', async () => {
      const { page } = owner
      await page.locator('.xterm-helper-textarea').focus()
      await page.keyboard.press('Shift+Escape')
      expect(await page.evaluate(() => document.activeElement?.id)).toBe('end')
    })

    test('the end of the program is told with its exit status', async () => {
      const { page } = owner
      await type(page, 'exit 3')
      await status(page, 'Ended with exit status 3')
      expect(await page.getByRole('button', { name: 'End shell' }).isVisible()).toBe(false)
    })

    test('a shell is ended by its button, which asks first', async () => {
      const { page } = owner
      await open(page)
      await page.getByRole('button', { name: 'End shell' }).click()
      await page.getByRole('button', { name: 'Really end shell?' }).click()
      await status(page, 'Ended')
    })

    test('a host that asks something says which it is, and goes on with the answer', async () => {
      const { page } = owner
      const asker = await startFakeHost(
        (client) => {
          client.on('authentication', (attempt) => {
            if (attempt.method !== 'keyboard-interactive') return attempt.reject(['keyboard-interactive'])
            attempt.prompt([{ prompt: 'Code: ', echo: false }], 'Vault', ([code]) =>
              code === '123456' ? attempt.accept() : attempt.reject(),
            )
          })
          client.on('session', (accept) => {
            const session = accept()
            session.on('pty', (yes) => yes?.())
            session.on('shell', (opened) => opened().write('let in\r\n'))
          })
        },
        { at: askerPort },
      )
      const org = await rig.owner.client.createOrg({ body: { name: 'Vaults' } })
      const { host: address, port, hostKeys } = asker
      const keys = hostKeys.map(({ type, key }) => ({ type, key }))
      const credential = { kind: 'keyboard-interactive' } as const
      const body = { name: 'vault-7', address, port, user: 'u', keys, credential }
      const host = await rig.owner.client.createHost({ params: { orgId: org.id }, body })
      const shell = await rig.owner.client.openShell({ body: { hostId: host.id } })
      await page.goto(`/app/shells/${shell.id}`)
      const dialog = page.getByRole('dialog', { name: 'vault-7 asks' })
      await dialog.getByText('Vault').last().waitFor()
      await dialog.getByLabel('Code:').fill('123456')
      await dialog.getByRole('button', { name: 'Answer' }).click()
      await sees(page, 'let in')
      expect(await dialog.isVisible()).toBe(false)
    })

    test('no page logged an error but for the connection that was cut', () => {
      const complaints = owner.complaints.all.filter((complaint) => !/net::ERR_|WebSocket connection/.test(complaint))
      expect(complaints).toEqual([])
    })
  })
})
