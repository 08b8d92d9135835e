import { build } from 'esbuild'
import type { Browser, Page } from 'playwright-core'
import { createClient, memoryTokens } from '../../src/client/client.ts'
import { openBrowser, openDoor } from '../console/browser.ts'
import { type Edge, PASSWORD, startEdge, type TestUser } from '../harness.ts'

/** Other people's pages: real Chromium, the real Worker behind a door that can be shut, and scripts bundled from what they import. */
export async function openPages(executablePath: string) {
  const door = await openDoor()
  const edge: Edge = await startEdge({ vars: { PUBLIC_ORIGIN: door.origin } })
  door.leadTo(edge.origin)
  const browser: Browser = await openBrowser(executablePath)

  /** Opens a page that runs a module, with a user signed in. It can be loaded however shut the door is. */
  async function open(user: TestUser, module: string, globals: Record<string, unknown> = {}): Promise<{ page: Page; said: string[] }> {
    const script = await bundle(module)
    const tokens = await tokensOf(edge, user)
    const context = await browser.newContext({ baseURL: door.origin })
    context.setDefaultTimeout(15_000)
    // Chromium takes a page that was not loaded from the network for one of elsewhere.
    await context.grantPermissions(['local-network-access'])
    await context.addInitScript(
      ([stored, given]) => {
        localStorage.setItem('parvis.tokens', stored)
        Object.assign(globalThis, { page: globalThis }, given)
      },
      [JSON.stringify(tokens), globals] as const,
    )
    await context.route('**/page', (route) => route.fulfill({ contentType: 'text/html', body: PAGE }))
    await context.route('**/page.js', (route) => route.fulfill({ contentType: 'text/javascript', body: script }))
    const page = await context.newPage()
    const said: string[] = []
    page.on('console', (message) => message.type() !== 'info' && said.push(message.text()))
    page.on('pageerror', (error) => said.push(`thrown: ${error.message}`))
    await page.goto('/page')
    return { page, said }
  }

  return {
    door,
    edge,
    open,
    async stop() {
      await browser.close()
      await edge.stop()
      await door.close()
    },
  }
}

const PAGE = '<!doctype html><meta charset="utf-8"><title>page</title><div id="editor"></div><script type="module" src="/page.js"></script>'

async function tokensOf(edge: Edge, { email }: TestUser) {
  const store = memoryTokens()
  await createClient({ origin: edge.origin, tokens: store }).login({ body: { email, password: PASSWORD } })
  return store.read()
}

/** Bundles a module that imports the package by its names. */
async function bundle(contents: string): Promise<string> {
  const { outputFiles } = await build({
    stdin: { contents, resolveDir: process.cwd(), loader: 'ts' },
    bundle: true,
    format: 'esm',
    platform: 'browser',
    define: { 'process.env.NODE_ENV': '"development"' },
    alias: {
      'parvis/client': './src/client/client.ts',
      'parvis/react': './src/react/react.ts',
      'parvis/offline': './src/offline/offline.ts',
    },
    write: false,
  })
  return outputFiles[0]?.text ?? ''
}
