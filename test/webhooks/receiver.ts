import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer, type IncomingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'

type Verify = (headers: IncomingHttpHeaders, rawBody: string, secret: string, nowSeconds?: number) => boolean

/** The receiver's code as the documentation prints it. */
export async function printedVerify(): Promise<Verify> {
  const [, code] = /```js\n([\s\S]+?)```/.exec(readFileSync('docs/webhooks.md', 'utf8')) ?? []
  if (code === undefined) throw new Error('docs/webhooks.md prints no code')
  const module = (await import(`data:text/javascript,${encodeURIComponent(code)}`)) as { readonly verify: Verify }
  return module.verify
}

/** One delivery as it came. */
export interface Received {
  readonly path: string
  readonly headers: IncomingHttpHeaders
  readonly raw: string
  readonly body: { readonly type: string; readonly timestamp: string; readonly data: Record<string, unknown> }
}

/** How to answer: a status, a place to go on to, a decision (perhaps after something) or any other text, or not at all. */
export type Reply =
  | number
  | { readonly location: string }
  | { readonly json: unknown; readonly after?: Promise<unknown> }
  | { readonly text: string }
  | 'silence'

/** An HTTP receiver on loopback that answers what it is told to, then 204. */
export async function startReceiver() {
  const received: Received[] = []
  const replies = new Map<string, Reply[]>()
  const server = createServer(async (request, response) => {
    const parts: Buffer[] = []
    for await (const part of request) parts.push(part as Buffer)
    const raw = Buffer.concat(parts).toString()
    const path = request.url ?? ''
    received.push({ path, headers: request.headers, raw, body: JSON.parse(raw) as Received['body'] })
    const queue = replies.get(path) ?? []
    const reply = (queue.length > 1 ? queue.shift() : queue[0]) ?? 204
    if (reply === 'silence') return
    if (typeof reply === 'number') response.writeHead(reply).end('a body that nobody reads')
    else if ('location' in reply) response.writeHead(302, reply).end()
    else if ('json' in reply && reply.after) void reply.after.then(() => response.writeHead(200).end(JSON.stringify(reply.json)))
    else response.writeHead(200).end('text' in reply ? reply.text : JSON.stringify(reply.json))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return {
    origin,
    received,
    at: (path: string) => received.filter((delivery) => delivery.path === path),
    /** The next answers at a path, in order; the last one goes on. */
    answer: (path: string, ...next: Reply[]) => void replies.set(path, next),
    async stop() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

/** A DNS-over-HTTPS resolver on loopback that knows what it is told. */
export async function startDns() {
  const records = new Map<string, string[]>()
  const server = createServer((request, response) => {
    const { searchParams } = new URL(request.url ?? '', 'http://dns')
    const [name, type] = [searchParams.get('name') ?? '', searchParams.get('type')]
    const addresses = (records.get(name) ?? []).filter((address) => address.includes(':') === (type === 'AAAA'))
    const Answer = addresses.map((data) => ({ name, type: type === 'A' ? 1 : 28, TTL: 0, data }))
    response.writeHead(200, { 'content-type': 'application/dns-json' }).end(JSON.stringify({ Status: 0, Answer }))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/dns-query`,
    records,
    async stop() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}
