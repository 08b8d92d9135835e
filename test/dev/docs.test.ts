import { type Browser, chromium, type Page } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Edge, startEdge } from '../harness.ts'
import { describeWith } from '../requires.ts'

/** What a page did that it should not have to. */
interface Watch {
  readonly foreign: string[]
  readonly complaints: string[]
}

function watch(page: Page, origin: string): Watch {
  const seen: Watch = { foreign: [], complaints: [] }
  page.on('request', (request) => {
    const url = new URL(request.url())
    if (url.origin !== origin && url.protocol !== 'data:') seen.foreign.push(request.url())
  })
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning') seen.complaints.push(message.text())
  })
  page.on('pageerror', (error) => seen.complaints.push(error.message))
  page.on('requestfailed', (request) => seen.complaints.push(`${request.url()} ${request.failure()?.errorText}`))
  return seen
}

describeWith('chromium', 'the API reference', (executablePath) => {
  let edge: Edge
  let browser: Browser
  beforeAll(async () => {
    edge = await startEdge()
    browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] })
  })
  afterAll(async () => {
    await browser?.close()
    await edge?.stop()
  })

  async function openPage(): Promise<Page> {
    const page = await browser.newPage({ viewport: { width: 1280, height: 900 } })
    page.setDefaultTimeout(10_000)
    return page
  }

  test('reads every operation from us, asks nobody else, and breaks no policy', async () => {
    const page = await openPage()
    const seen = watch(page, edge.origin)
    await page.goto(`${edge.origin}/docs`)
    await page.getByRole('heading', { name: 'Parvis', exact: true }).waitFor()
    await page.getByText('/v1/auth/register').first().waitFor()
    await page.keyboard.press('Control+k')
    await page.getByRole('dialog').getByRole('combobox').fill('jwks')
    await page.getByRole('dialog').getByText('/.well-known/jwks.json').first().waitFor()
    await page.keyboard.press('Escape')
    await page.goto(`${edge.origin}/docs#tag/health`)
    await page.getByText('/health/ready').first().waitFor()
    await page.waitForLoadState('networkidle')
    expect(seen).toEqual({ foreign: [], complaints: [] })
    await page.close()
  })

  test('tries an operation without a proxy in between', async () => {
    const page = await openPage()
    const seen = watch(page, edge.origin)
    await page.goto(`${edge.origin}/docs#tag/health/GET/health/live`)
    await page.getByRole('button', { name: /Test Request.*health\/live/ }).click()
    const [answer] = await Promise.all([
      page.waitForResponse((response) => response.url() === `${edge.origin}/health/live`),
      page.getByRole('button', { name: /^Send get request/ }).click(),
    ])
    expect(answer.status()).toBe(200)
    expect(seen).toEqual({ foreign: [], complaints: [] })
    await page.close()
  })

  test('is a page that only its own origin may feed', async () => {
    const answer = await edge.request('/docs')
    const policy = answer.headers.get('content-security-policy') ?? ''
    expect(policy).toContain("default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'")
    expect(policy).not.toMatch(/https?:|\*|unsafe-eval/)
    for (const path of ['/assets/reference.js', '/assets/docs.js', '/assets/console.css', '/assets/icon.svg'])
      expect((await edge.request(path)).status, path).toBe(200)
  })
})
