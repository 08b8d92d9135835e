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

    test('who may not reach a host asks, and an owner says yes or no', async () => {
      const operator = await rig.member('operator')
      const { client } = rig.owner
      const { etag, ...policy } = await client.getShellPolicy({ params: { orgId: rig.org.id } })
      await client.putShellPolicy({ params: { orgId: rig.org.id }, body: { ...policy, reach: [] }, ifMatch: etag })
      await operator.client.requestAccess({ params: { hostId: rig.host.id }, body: { reason: 'the tide is out' } })
      const { page } = owner
      await page.reload()
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
