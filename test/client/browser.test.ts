import { build } from 'esbuild'
import { type BrowserContext, chromium, type Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import type * as Parvis from '../../src/client/client.ts'
import { describeWith } from '../requires.ts'
import { type RoomPeer, startRoom } from './room-peer.ts'
import { type Arrival, ROOM_ID, type Service, soon, startService, type Trouble } from './service.ts'

/** What the page of these tests holds. */
interface PageGlobals {
  readonly parvis: typeof Parvis
  client: Parvis.Client
  room: Parvis.Room
  readonly told: string[]
}
const page = globalThis as unknown as PageGlobals

const PAGE = '<!doctype html><meta charset="utf-8"><script type="module" src="/page.js"></script>'
const SCRIPT = `
import * as parvis from './src/client/client.ts'
const client = parvis.createClient({ origin: location.origin, tokens: parvis.localStorageTokens() })
const told = []
client.on('signedIn', () => told.push('in'))
client.on('signedOut', ({ cause }) => told.push('out: ' + cause))
Object.assign(globalThis, { page: globalThis, parvis, client, told })
`

describeWith('chromium', 'in a browser', (executablePath) => {
  let browser: Awaited<ReturnType<typeof chromium.launch>>
  let script: string
  let service: Service
  let peer: RoomPeer
  let context: BrowserContext
  beforeAll(async () => {
    browser = await chromium.launch({ executablePath, args: ['--headless', '--no-sandbox', '--disable-gpu'] })
    const { outputFiles } = await build({
      stdin: { contents: SCRIPT, resolveDir: process.cwd(), loader: 'ts' },
      bundle: true,
      format: 'esm',
      platform: 'browser',
      write: false,
    })
    script = outputFiles[0]?.text ?? ''
  })
  afterAll(() => browser.close())

  beforeEach(async () => {
    service = await startService()
    peer = startRoom(service)
    service.state.trouble = pages
    context = await browser.newContext({ baseURL: service.origin })
  })
  afterEach(async () => {
    await context.close()
    peer.stop()
    await service.stop()
  })

  function pages({ path }: Arrival): Trouble | undefined {
    if (path === '/') return { status: 200, headers: { 'content-type': 'text/html' }, body: PAGE }
    return path === '/page.js' ? { status: 200, headers: { 'content-type': 'text/javascript' }, body: script } : undefined
  }
  async function openTab(): Promise<Page> {
    const tab = await context.newPage()
    await tab.goto('/')
    await tab.waitForFunction(() => 'client' in globalThis)
    return tab
  }
  const told = (tab: Page) => tab.evaluate(() => page.told)
  const login = (tab: Page) =>
    tab.evaluate(() => page.client.login({ body: { email: 'ada@example.org', password: 'correct horse battery staple' } }))
  const callMany = (tab: Page) =>
    tab.evaluate(async () => (await Promise.all(Array.from({ length: 25 }, () => page.client.getMe()))).length)

  test('one tab refreshes for all, and all notice who signs in and out', async () => {
    const tabs = [await openTab(), await openTab(), await openTab()] as const
    await login(tabs[0])
    for (const tab of tabs) await soon(() => told(tab)).toEqual(['in'])
    service.expireTokens()
    const refreshes = () => service.to('/v1/auth/refresh')
    const answer = Promise.withResolvers<undefined>()
    service.state.trouble = (arrival) => (arrival.path === '/v1/auth/refresh' ? answer.promise : pages(arrival))
    const calls = Promise.all(tabs.map(callMany))
    await soon(() => service.to('/v1/me').length).toBe(75)
    await soon(() => refreshes().length).toBe(1)
    answer.resolve(undefined)
    expect(await calls).toEqual([25, 25, 25])
    // A tab may read the store before the other's write has crossed from its process; then the service gives it the same pair.
    expect(new Set(refreshes().map(({ body }) => JSON.stringify(body))).size).toBe(1)
    await tabs[1].evaluate(() => page.client.logout())
    await soon(() => told(tabs[0])).toEqual(['in', 'out: elsewhere'])
    await soon(() => told(tabs[2])).toEqual(['in', 'out: elsewhere'])
    expect(await told(tabs[1])).toEqual(['in', 'out: logout'])
  })

  test('the session is there again after a reload, and damaged tokens are none', async () => {
    const tab = await openTab()
    await login(tab)
    await tab.reload()
    await tab.waitForFunction(() => 'client' in globalThis)
    await soon(() => told(tab)).toEqual(['in'])
    await tab.evaluate(() => localStorage.setItem('parvis.tokens', '{"sessionId":'))
    expect(await tab.evaluate(() => page.client.session())).toBeUndefined()
  })

  test('a room that waits for its next try returns at once when the network does', async () => {
    const tab = await openTab()
    await login(tab)
    await tab.evaluate(async (id) => {
      page.room = await page.client.rooms.join(id)
      await page.room.whenSynced()
    }, ROOM_ID)
    peer.state.refuse = 503
    peer.cut()
    // The fourth pause is long enough that only an event can have cut it short.
    await expect.poll(() => peer.offers.length, { timeout: 30_000, interval: 20 }).toBeGreaterThanOrEqual(5)
    await soon(() => tab.evaluate(() => page.room.status)).toBe('waiting')
    peer.state.refuse = undefined
    const tries = peer.offers.length
    await tab.evaluate(() => dispatchEvent(new Event('online')))
    await expect.poll(() => tab.evaluate(() => page.room.isSynced), { timeout: 2_000, interval: 20 }).toBe(true)
    expect(peer.offers).toHaveLength(tries + 1)
  })
})
