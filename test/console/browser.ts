import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { type Browser, type BrowserContext, type BrowserContextOptions, chromium, type Page } from 'playwright-core'

const FLAGS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]

/** A real Chromium with a profile of its own that is thrown away. */
export const openBrowser = (executablePath: string): Promise<Browser> => chromium.launch({ executablePath, args: FLAGS })

/** What a page did that a finished page never does. */
export interface Complaints {
  readonly all: string[]
}

/** A browser profile of one visitor. Whatever its pages log as an error, throw, or ask of another origin is a complaint. */
export async function openVisitor(
  browser: Browser,
  origin: string,
  options: BrowserContextOptions = {},
): Promise<{ page: Page; context: BrowserContext; complaints: Complaints }> {
  const context = await browser.newContext({ baseURL: origin, ...options })
  // Shorter than a test may take, so that what was waited for is named.
  context.setDefaultTimeout(10_000)
  const complaints: Complaints = { all: [] }
  await context.addInitScript(() => {
    addEventListener('securitypolicyviolation', (event) => {
      // biome-ignore lint/suspicious/noConsole: the console is what the test listens to.
      console.error(`policy ${event.effectiveDirective} broken by ${event.blockedURI || event.sample}`)
    })
  })
  const page = await context.newPage()
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) complaints.all.push(`${message.type()}: ${message.text()}`)
  })
  page.on('pageerror', (error) => complaints.all.push(`thrown: ${error.message}`))
  const judge = (url: string) => {
    if (new URL(url).host !== new URL(origin).host && !url.startsWith('data:')) complaints.all.push(`leaves the origin: ${url}`)
  }
  page.on('request', (request) => judge(request.url()))
  page.on('websocket', (socket) => judge(socket.url()))
  return { page, context, complaints }
}

/** A TCP door whose address is known before what stands behind it, and that can be shut under open connections. */
export async function openDoor() {
  let behind: { readonly host: string; readonly port: number } | undefined
  let isShut = false
  const sockets = new Set<Socket>()
  const keep = (socket: Socket) => {
    sockets.add(socket)
    socket.on('error', () => socket.destroy())
    socket.on('close', () => sockets.delete(socket))
    return socket
  }
  const server = createServer((visitor) => {
    if (!behind || isShut) return void visitor.destroy()
    const inner = keep(connect(behind))
    keep(visitor).pipe(inner).pipe(visitor)
    visitor.on('close', () => inner.destroy())
    inner.on('close', () => visitor.destroy())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const cut = () => {
    for (const socket of sockets) socket.destroy()
  }
  return {
    /** `localhost`, because browsers keep Secure cookies of it without TLS. */
    origin: `http://localhost:${(server.address() as AddressInfo).port}`,
    leadTo(url: string) {
      const { hostname: host, port } = new URL(url)
      behind = { host, port: Number(port) }
    },
    /** Cuts every connection and lets none in. */
    shut() {
      isShut = true
      cut()
    },
    open() {
      isShut = false
    },
    async close() {
      server.close()
      cut()
      await once(server, 'close')
    },
  }
}

/** Runs in a page: what a reader of screens would meet without a name, or twice under the same id. */
export function namelessParts(): string[] {
  const faults: string[] = []
  if (!['en', 'fr'].includes(document.documentElement.lang) || !document.title) faults.push('the document has no language or title')
  if (document.querySelectorAll('h1').length !== 1) faults.push('not one h1')
  const ids = [...document.querySelectorAll('[id]')].map(({ id }) => id)
  faults.push(...ids.filter((id, at) => ids.indexOf(id) !== at).map((id) => `#${id} is there twice`))
  for (const input of document.querySelectorAll<HTMLInputElement>('input, select, textarea')) {
    if (!input.labels?.length && !input.getAttribute('aria-label')) faults.push(`#${input.id} has no label`)
  }
  for (const part of document.querySelectorAll('a, button')) {
    if (!part.textContent?.trim() && !part.getAttribute('aria-label')) faults.push(`${part.outerHTML} has no name`)
  }
  for (const part of document.querySelectorAll('[aria-describedby], [aria-labelledby]')) {
    const named = [part.getAttribute('aria-describedby'), part.getAttribute('aria-labelledby')].join(' ').split(/\s+/).filter(Boolean)
    faults.push(...named.filter((id) => !document.getElementById(id)).map((id) => `#${id} is named and not there`))
  }
  return faults
}
