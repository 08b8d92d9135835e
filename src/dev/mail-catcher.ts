import { randomBytes, randomUUID } from 'node:crypto'
import { appendFileSync, existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import * as z from 'zod'

/** The oldest mail leaves when one more arrives. */
const MESSAGES_MAX = 500
/** Twice the largest mail that a transport lets pass, with room for JSON escapes. */
const BODY_BYTES_MAX = 4 * 1024 * 1024
/** A silent stream is cut by proxies and by sleeping laptops; a comment keeps it open. */
const HEARTBEAT_MS = 25_000

const Posted = z.strictObject({
  messageId: z.string().min(1),
  from: z.string().min(1),
  to: z.string().min(1),
  subject: z.string(),
  text: z.string(),
  html: z.string(),
})

const CaughtMail = Posted.extend({ id: z.string().regex(/^[0-9a-f-]{36}$/), receivedAt: z.iso.datetime() })

/** A mail as the catcher keeps it. */
export type CaughtMail = z.infer<typeof CaughtMail>

/** A running catcher. */
export interface MailCatcher {
  readonly port: number
  readonly url: string
  close(): Promise<void>
}

/** Where it listens (0 = any free port) and, to keep mail over a restart, the JSON-lines file it writes. */
export interface MailCatcherOptions {
  readonly port: number
  readonly file?: string | undefined
}

/** Starts the catcher of local mail on loopback. */
export async function startMailCatcher({ port, file }: MailCatcherOptions): Promise<MailCatcher> {
  const mailbox = openMailbox(file)
  const watchers = new Set<ServerResponse>()
  const announce = () => {
    for (const watcher of watchers) watcher.write('event: changed\ndata:\n\n')
  }
  const server = createServer((request, response) => {
    respond({ request, response, mailbox, watchers, announce, port: bound() }).catch(() => response.destroy())
  })
  const bound = () => (server.address() as AddressInfo).port
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(port, '127.0.0.1', resolve))
  const heartbeat = setInterval(() => {
    for (const watcher of watchers) watcher.write(':\n\n')
  }, HEARTBEAT_MS).unref()
  return {
    port: bound(),
    url: `http://127.0.0.1:${bound()}`,
    close: () =>
      new Promise((resolve) => {
        clearInterval(heartbeat)
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

interface Mailbox {
  /** Newest first. */
  list(to?: string | null): readonly CaughtMail[]
  find(id: string): CaughtMail | undefined
  add(mail: CaughtMail): void
  clear(): void
}

function openMailbox(file: string | undefined): Mailbox {
  let mails = file === undefined ? [] : readMails(file)
  let lines = mails.length
  const rewrite = () => {
    if (file === undefined) return
    // Renamed into place, so that a catcher killed here leaves the old file or the new one, never a half.
    writeFileSync(`${file}.new`, mails.map((mail) => `${JSON.stringify(mail)}\n`).join(''), { mode: 0o600 })
    renameSync(`${file}.new`, file)
    lines = mails.length
  }
  rewrite()
  return {
    list: (to) => mails.filter((mail) => !to || mail.to.toLowerCase() === to.toLowerCase()).toReversed(),
    find: (id) => mails.find((mail) => mail.id === id),
    add: (mail) => {
      mails = [...mails, mail].slice(-MESSAGES_MAX)
      if (file === undefined) return
      lines += 1
      if (lines > 2 * MESSAGES_MAX) rewrite()
      else appendFileSync(file, `${JSON.stringify(mail)}\n`, { mode: 0o600 })
    },
    clear: () => {
      mails = []
      rewrite()
    },
  }
}

/** A line that a crash cut short is skipped; the mails around it are whole. */
function readMails(file: string): CaughtMail[] {
  if (!existsSync(file)) return []
  return readFileSync(file, 'utf8').split('\n').flatMap(readMail).slice(-MESSAGES_MAX)
}

function readMail(line: string): CaughtMail[] {
  try {
    return [CaughtMail.parse(JSON.parse(line))]
  } catch {
    return []
  }
}

interface Exchange {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly mailbox: Mailbox
  readonly watchers: Set<ServerResponse>
  readonly announce: () => void
  readonly port: number
}

/** What to say, unless the exchange stays open. */
interface Answer {
  readonly status: number
  readonly type: string
  readonly body: string
  readonly policy?: string
}

const say = (status: number, body: string): Answer => ({ status, type: 'text/plain; charset=utf-8', body })
const sayJson = (status: number, body: unknown): Answer => ({ status, type: 'application/json', body: JSON.stringify(body) })
const sayHtml = (body: string, policy: string): Answer => ({ status: 200, type: 'text/html; charset=utf-8', body, policy })

async function respond(exchange: Exchange): Promise<void> {
  const { request, response, port } = exchange
  const answer = isOurs(request, port) ? await route(exchange) : say(403, 'This page answers to its own address only.')
  if (answer === undefined) return
  response.writeHead(answer.status, {
    'content-type': answer.type,
    'x-content-type-options': 'nosniff',
    'referrer-policy': 'no-referrer',
    'cross-origin-resource-policy': 'same-origin',
    'cache-control': 'no-store',
    ...(answer.policy !== undefined && { 'content-security-policy': answer.policy }),
  })
  response.end(answer.body)
}

async function route(exchange: Exchange): Promise<Answer | undefined> {
  const { request, mailbox, announce } = exchange
  const url = new URL(request.url ?? '/', 'http://catcher.invalid')
  switch (`${request.method} ${url.pathname}`) {
    case 'GET /':
      return showPage()
    case 'GET /health':
      return sayJson(200, { status: 'ok' })
    case 'GET /events':
      watch(exchange)
      return undefined
    case 'GET /messages':
      return sayJson(200, mailbox.list(url.searchParams.get('to')))
    case 'POST /messages':
      return catchMail(exchange)
    case 'DELETE /messages':
      mailbox.clear()
      announce()
      return { status: 204, type: 'text/plain', body: '' }
    default:
      return showMailHtml(exchange, url.pathname)
  }
}

/**
 * A page on the web can make a browser call loopback: under a name of its own that resolves here, which the Host
 * header shows, or across origins, which the Origin header shows. Codes and links must not be read by either.
 */
function isOurs({ headers }: IncomingMessage, port: number): boolean {
  const hosts = [`127.0.0.1:${port}`, `localhost:${port}`]
  if (!hosts.includes(headers.host ?? '')) return false
  return headers.origin === undefined || hosts.some((host) => headers.origin === `http://${host}`)
}

async function catchMail({ request, mailbox, announce }: Exchange): Promise<Answer> {
  if (request.headers['content-type']?.split(';')[0] !== 'application/json') return say(415, 'Send application/json.')
  const body = await readBody(request)
  if (body === undefined) return say(413, 'This mail is too large.')
  const posted = Posted.safeParse(parseJson(body))
  if (!posted.success) return say(400, 'This is not a mail.')
  const mail = { ...posted.data, id: randomUUID(), receivedAt: new Date().toISOString() }
  mailbox.add(mail)
  announce()
  return sayJson(201, { id: mail.id })
}

async function readBody(request: IncomingMessage): Promise<string | undefined> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of request) {
    bytes += chunk.length
    // Read to the end all the same: an answer to a client that is still sending gets lost.
    if (bytes <= BODY_BYTES_MAX) chunks.push(chunk)
  }
  return bytes > BODY_BYTES_MAX ? undefined : Buffer.concat(chunks).toString('utf8')
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function watch({ response, watchers }: Exchange): void {
  response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' })
  response.write(':\n\n')
  watchers.add(response)
  response.once('close', () => watchers.delete(response))
}

function showPage(): Answer {
  const nonce = randomBytes(16).toString('base64')
  const page = readFileSync(new URL('./mail-catcher.html', import.meta.url), 'utf8').replaceAll('%NONCE%', nonce)
  const own = `script-src 'nonce-${nonce}'; style-src 'nonce-${nonce}'; connect-src 'self'; frame-src 'self'; img-src data:`
  return sayHtml(page, `default-src 'none'; ${own}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`)
}

/** The mail's own HTML may be anything: no script, no request, an origin of its own, and only inside our page. */
const MAIL_POLICY =
  "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"

function showMailHtml({ request, mailbox }: Exchange, path: string): Answer {
  const id = /^\/messages\/([0-9a-f-]{36})\/html$/.exec(path)?.[1]
  const mail = id === undefined || request.method !== 'GET' ? undefined : mailbox.find(id)
  return mail === undefined ? say(404, 'Nothing is here.') : sayHtml(mail.html, MAIL_POLICY)
}
