import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { PASSWORD } from '../harness.ts'
import { describeWith } from '../requires.ts'
import { type Rig, screenOf, startRig, until } from '../shell/rig.ts'
import { namelessParts, openBrowser, openDoor, openVisitor } from './browser.ts'

describeWith('chromium', 'records in a browser', (executablePath) => {
  describeWith('sshd', 'of a real host', () => {
    let rig: Rig
    let browser: Browser
    let door: Awaited<ReturnType<typeof openDoor>>
    let owner: Awaited<ReturnType<typeof openVisitor>>
    let shellId: string

    beforeAll(async () => {
      await promisify(execFile)(process.execPath, ['src/dev/assets.ts'])
      door = await openDoor()
      rig = await startRig({ vars: { PUBLIC_ORIGIN: door.origin } })
      door.leadTo(rig.edge.origin)
      browser = await openBrowser(executablePath)
      shellId = await record()
      owner = await openVisitor(browser, door.origin)
      await owner.page.goto('/login')
      await owner.page.getByLabel('Email').fill(rig.owner.email)
      await owner.page.getByLabel('Password').fill(PASSWORD)
      await owner.page.getByRole('button', { name: 'Sign in' }).click()
      await owner.page.waitForURL('/app')
    })
    afterAll(async () => {
      await browser?.close()
      await rig?.stop()
      await door?.close()
    })

    /** A terminal in which something was shown, and a command that failed. */
    async function record(): Promise<string> {
      const { client } = rig.owner
      const screen = screenOf()
      const view = await client.shells.open({ body: { hostId: rig.host.id } }, { output: screen.output })
      await screen.until('$ ')
      view.write("printf '\\033[32mgre''en harbour\\033[0m\\n'\r")
      await screen.until('green harbour')
      view.write('exit\r')
      await view.finished()
      await client.execCommand({ params: { hostId: rig.host.id }, body: { command: 'cat /no/such/chart; exit 4' } })
      await until(async () => (await client.getRecording({ params: { shellId: view.id } })).endedAt)
      return view.id
    }
    const look = async (name: string) => {
      const folder = process.env['SCREENSHOTS']
      if (!folder) return
      for (const [width, height] of [
        [1280, 800],
        [390, 800],
      ] as const) {
        await owner.page.setViewportSize({ width, height })
        // Whatever follows the size of the window has two frames to do so.
        await owner.page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))))
        await owner.page.screenshot({ path: `${folder}/${name}-${width}.png` })
      }
      await owner.page.setViewportSize({ width: 1280, height: 800 })
    }

    test('the records of an organisation list what was recorded and what ran, and find what was shown', async () => {
      const { page } = owner
      await page.locator('details', { hasText: 'Harbour' }).getByRole('link', { name: 'Records' }).click()
      await page.getByRole('heading', { name: 'Records of Harbour' }).waitFor()
      await page.locator('#recordings-list').getByRole('link', { name: 'web-1' }).first().waitFor()
      const commands = page.locator('#commands-list')
      await commands.getByText('cat /no/such/chart; exit 4').waitFor()
      await commands.getByText('exit 4', { exact: true }).waitFor()
      await look('records')
      expect(await page.evaluate(namelessParts)).toEqual([])
      await page.getByLabel('From').selectOption('commands')
      await page.getByRole('button', { name: 'Filter' }).click()
      await page.waitForFunction(() => document.querySelectorAll('#commands-list > li').length === 1)
      await page.getByLabel('Find what was shown').fill('GREEN harbour')
      await page.getByRole('button', { name: 'Find' }).click()
      await page.locator('#recordings-list').getByText('green harbour').last().click()
      await page.waitForURL(new RegExp(`/app/recordings/${shellId}`))
    })

    test('the player plays a recording, from the moment that was found, and says that it is intact', async () => {
      const { page } = owner
      await page.goto(`/app/recordings/${shellId}`)
      const player = page.locator('.ap-player')
      await player.waitFor()
      await page.getByRole('button', { name: 'Verify' }).click()
      await page.getByText('Intact and signed').waitFor()
      await player.click()
      await page.waitForFunction(() => document.querySelector('.ap-time-elapsed')?.textContent !== '--:--')
      await page.waitForFunction(() => document.querySelector('.ap-term')?.textContent?.includes('green harbour'))
      await look('recording')
      expect(await page.evaluate(namelessParts)).toEqual([])
      const saved = page.waitForEvent('download')
      await page.getByRole('button', { name: 'Save text' }).click()
      expect((await saved).suggestedFilename()).toBe(`${shellId}.txt`)
    })

    test('a long recording is loaded in stretches: the bar over all of it leads to any moment at once', async () => {
      const { page } = owner
      const { client } = rig.owner
      const screen = screenOf()
      const view = await client.shells.open({ body: { hostId: rig.host.id } }, { output: screen.output })
      await screen.until('$ ')
      view.write("stty -echo; seq 1 500000; printf '\\033[2J\\033[3;3Hanch''ored'; sleep 3; seq 1 100000; exit\r")
      await view.finished()
      const { durationMs } = await until(async () => {
        const recording = await client.getRecording({ params: { shellId: view.id } })
        return recording.endedAt !== undefined && recording
      })
      await page.goto(`/app/recordings/${view.id}`)
      const bar = page.getByLabel('Moment')
      await bar.waitFor()
      const paths: string[] = []
      page.on('request', (request) => paths.push(request.url()))
      // A line is found at the moment when the next one begins.
      const { items } = await client.searchRecordings({ params: { orgId: rig.org.id }, query: { text: 'anchored', shellId: view.id } })
      await bar.fill(String((items[0]?.atMs ?? 0) - 1500))
      await page.waitForFunction(() => /^\s*anchored\s*$/.test(document.querySelector('.ap-term-text')?.textContent ?? ''))
      expect(paths.some((path) => path.includes('/recording/file?') && /fromMs=[1-9]/.test(path))).toBe(true)
      await look('recording-long')
      await bar.fill(String(durationMs))
      await page.waitForFunction(() => document.querySelector('.ap-term-text')?.textContent?.includes('100000'))
      expect(await page.evaluate(namelessParts)).toEqual([])
    }, 90_000)

    test('one command runs on many hosts while one looks, and says what each of them said', async () => {
      const { page } = owner
      await page.goto('/app')
      await page.locator('details', { hasText: 'Harbour' }).getByRole('link', { name: 'Runs' }).click()
      await page.getByRole('heading', { name: 'Runs of Harbour' }).waitFor()
      await page.getByLabel('On', { exact: true }).selectOption({ label: 'web-1' })
      await page.getByLabel('Command', { exact: true }).fill('echo all well; echo but the tide >&2; exit 3')
      await page.getByRole('button', { name: 'Run', exact: true }).click()
      const run = page.locator('#runs-list > li').first()
      await run.getByText('0 of 1 good, 1 failed').waitFor()
      await run.getByText('all well', { exact: true }).waitFor()
      await run.getByText('but the tide', { exact: true }).waitFor()
      await run.getByText('exit 3', { exact: true }).waitFor()
      await look('runs')
      expect(await page.evaluate(namelessParts)).toEqual([])
    })

    test('a run that goes on is followed: each host shows how it stands as it changes, and nothing is asked for meanwhile', async () => {
      const { page } = owner
      const { client } = rig.owner
      const asked: string[] = []
      page.on('request', (request) => asked.push(new URL(request.url()).pathname))
      const command = 'echo cast off; while [ ! -e tide ]; do sleep 0.1; done; echo high water'
      const { id } = await client.startRun({ params: { orgId: rig.org.id }, body: { on: { hostIds: [rig.host.id] }, command } })
      await page.reload()
      const run = page.locator('#runs-list > li').first()
      await run.locator('summary').click()
      await run.getByText('running', { exact: true }).last().waitFor()
      await until(() => asked.some((path) => path === `/v1/runs/${id}/events`))
      const before = asked.length
      await client.execCommand({ params: { hostId: rig.host.id }, body: { command: 'touch tide' } })
      await run.locator('[data-slot="stdout"]').getByText('high water').waitFor()
      await run.getByText('1 of 1 good').waitFor()
      await run.getByText('done', { exact: true }).waitFor()
      expect(asked.slice(before).filter((path) => path !== `/v1/runs/${id}/events`)).toEqual([])
      await client.execCommand({ params: { hostId: rig.host.id }, body: { command: 'rm tide' } })
    })

    test('an owner registers a console that knows no SSH, having said that they accept what that means', async () => {
      const { page } = owner
      await page.goto('/app')
      const org = page.locator('details', { hasText: 'Harbour' })
      await org.getByRole('button', { name: 'Add a host' }).click()
      const dialog = page.getByRole('dialog', { name: 'Add a host' })
      await dialog.getByLabel('Reached by').selectOption('Telnet, without encryption')
      const form = dialog.locator('#create-telnet')
      await form.getByLabel('Name').fill('switch 1')
      await form.getByLabel('Address').fill('10.0.7.2')
      await form.getByLabel('Reached').selectOption('through web-1')
      await form.getByRole('button', { name: 'Add host' }).click()
      await form.getByText('Say that you accept it').waitFor()
      await look('telnet')
      await form.getByText('I accept that nothing is encrypted').click()
      await form.getByRole('button', { name: 'Add host' }).click()
      await dialog.waitFor({ state: 'hidden' })
      const row = org.getByRole('listitem').filter({ hasText: 'switch 1' })
      await row.getByText('telnet 10.0.7.2:23').waitFor()
      expect(await row.getByRole('button', { name: 'Open shell' }).isVisible()).toBe(true)
      expect(await row.getByRole('button', { name: 'Run command' }).isVisible()).toBe(false)
      const { items } = await rig.owner.client.listHosts({ params: { orgId: rig.org.id } })
      expect(items.find(({ name }) => name === 'switch 1')).toMatchObject({ kind: 'telnet', jumpHostId: rig.host.id, port: 23 })
    })

    test('an owner points hooks at a webhook and at a module, changes them and takes them away', async () => {
      const { page } = owner
      const { client } = rig.owner
      const hooks = async () => (await client.listHooks({ params: { orgId: rig.org.id } })).items
      await page.locator('details', { hasText: 'Harbour' }).getByRole('link', { name: 'Hooks' }).click()
      await page.getByRole('heading', { name: 'Hooks of Harbour' }).waitFor()
      await page.getByLabel('URL that is sent to').fill('https://gate.example.org/parvis')
      await page.getByRole('button', { name: 'Add', exact: true }).click()
      const secret = page.getByRole('dialog', { name: 'The webhook’s secret' })
      expect(await secret.locator('code').textContent()).toMatch(/^whsec_/)
      await look('hooks-secret')
      await secret.getByRole('button', { name: 'I have kept it' }).click()
      await page.waitForFunction(() => document.querySelector('#secret-text')?.textContent === '')
      const row = (point: string) => page.locator('#hooks-list > li').filter({ has: page.getByText(point, { exact: true }) })
      await row('before-exec').getByRole('button', { name: 'Point' }).click()
      const dialog = page.getByRole('dialog', { name: 'before-exec' })
      await dialog.getByLabel('Milliseconds to decide').fill('1500')
      await dialog.getByLabel('When it does not decide').selectOption('go on')
      await look('hooks-point')
      await dialog.getByRole('button', { name: 'Save' }).click()
      await row('before-exec').getByText('1500 ms to decide, else it goes on').waitFor()
      await row('on-close').getByRole('button', { name: 'Point' }).click()
      const told = page.getByRole('dialog', { name: 'on-close' })
      expect(await told.getByLabel('Milliseconds to decide').isVisible()).toBe(false)
      await told.getByLabel('Whom', { exact: true }).selectOption('module log-lines')
      await told.getByRole('button', { name: 'Save' }).click()
      await row('on-close').getByText('module log-lines').waitFor()
      expect(await hooks()).toMatchObject([
        { point: 'before-exec', target: { kind: 'webhook' }, deadlineMs: 1500, failMode: 'open' },
        { point: 'on-close', target: { kind: 'module', module: 'log-lines' }, deadlineMs: null },
      ])
      await look('hooks')
      expect(await page.evaluate(namelessParts)).toEqual([])
      const remove = row('before-exec').getByRole('button', { name: /remove/i })
      await remove.click()
      await remove.click()
      await row('before-exec').getByText('nobody').waitFor()
      await page.locator('#webhooks-list').getByRole('button', { name: 'Stop' }).click()
      await page.locator('#webhooks-list').getByText('stopped').waitFor()
      expect((await hooks()).map(({ point }) => point)).toEqual(['on-close'])
      await client.deleteHook({ params: { orgId: rig.org.id, point: 'on-close' } })
    })

    test('names and commands are text: none becomes markup, and what a terminal would obey is written out', async () => {
      const { client } = rig.owner
      const { page } = owner
      const markup = '<img src=x onerror="document.title=1">'
      const host = await client.updateHost({ params: { hostId: rig.host.id }, body: { name: markup } })
      await client.execCommand({ params: { hostId: host.id }, body: { command: `: '\u001b]0;pawned\u0007${markup}'` } })
      const operator = await rig.member('operator')
      await operator.client.updateMe({ ifMatch: (await operator.client.getMe()).etag, body: { displayName: markup } })
      await operator.client.execCommand({ params: { hostId: host.id }, body: { command: 'true' } })
      for (const path of ['records', 'runs']) {
        await page.goto(`/app/${path}/${rig.org.id}`)
        await page.getByText(markup).first().waitFor({ state: 'attached' })
        expect(await page.locator('main img').count()).toBe(0)
        expect(await page.title()).not.toBe('1')
      }
      await page.goto(`/app/records/${rig.org.id}`)
      await page.locator('#commands-list').getByText('pawned').waitFor()
      // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what must not be there.
      expect(await page.locator('main').textContent()).not.toMatch(/[\u0000-\u0008\u000e-\u001f\u007f]/)
      await client.updateHost({ params: { hostId: host.id }, body: { name: 'web-1' } })
    })

    test('who may not reach a host asks, and an owner says yes or no', async () => {
      const operator = await rig.member('operator')
      const { client } = rig.owner
      const { etag, ...policy } = await client.getShellPolicy({ params: { orgId: rig.org.id } })
      await client.putShellPolicy({ params: { orgId: rig.org.id }, body: { ...policy, reach: [] }, ifMatch: etag })
      await operator.client.requestAccess({ params: { hostId: rig.host.id }, body: { reason: 'the tide is out' } })
      const { page } = owner
      await page.goto(`/app/runs/${rig.org.id}`)
      const request = page.locator('#requests-list > li').first()
      await request.getByText('the tide is out').waitFor()
      await look('requests')
      await request.getByRole('button', { name: 'Approve' }).click()
      await request.getByText('approved', { exact: true }).waitFor()
      expect((await operator.client.execCommand({ params: { hostId: rig.host.id }, body: { command: 'true' } })).exitCode).toBe(0)
    })

    test('no page logged an error, broke the policy or left the origin', () => {
      expect(owner.complaints.all).toEqual([])
    })
  })
})
