import { once } from 'node:events'
import { appendFileSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { type CaughtMail, type MailCatcherOptions, startMailCatcher } from '../../src/dev/mail-catcher.ts'
import { CODE, type MailEdge, mailTo, startMailEdge, via } from './edge.ts'

async function start(options: Partial<MailCatcherOptions> = {}) {
  const catcher = await startMailCatcher({ port: 0, ...options })
  onTestFinished(() => catcher.close())
  return catcher
}

const mail = (changes: object = {}) => ({
  messageId: '<1@parvis.example>',
  from: 'Parvis <hello@parvis.example>',
  to: 'ada@example.org',
  subject: 'Hello',
  text: 'text',
  html: '<p>html',
  ...changes,
})

function post(url: string, body: unknown, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(`${url}/messages`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  })
}

const list = async (url: string, to = '') => (await (await fetch(`${url}/messages?to=${encodeURIComponent(to)}`)).json()) as CaughtMail[]

/** The status of a request whose Host header is ours to choose. */
async function statusFor(port: number, headers: Record<string, string>): Promise<number | undefined> {
  const call = request({ port, host: '127.0.0.1', path: '/messages', headers }).end()
  const [response] = await once(call, 'response')
  response.resume()
  return response.statusCode
}

describe('mail of the Worker', () => {
  let edge: MailEdge
  beforeAll(async () => {
    edge = await startMailEdge()
  }, 60_000)
  afterAll(() => edge.close())

  test('is there to read, newest first, for one address or for all', async () => {
    const { url } = await start()
    const config = via({ kind: 'catcher', url })
    const sent = await edge.ask({ config, message: mailTo({ subject: 'Premier été 🌊' }) })
    await edge.ask({ config, message: mailTo({ to: 'bob@example.org', idempotencyKey: 'evt_2' }) })
    const all = await list(url)
    expect(all.map(({ to }) => to)).toEqual(['bob@example.org', 'ada@example.org'])
    expect(sent).toEqual({ id: all[1]?.messageId })
    const [{ subject, text, html, from }] = (await list(url, 'ADA@example.org')) as [CaughtMail]
    expect({ subject, text, html, from }).toEqual({
      ...mailTo({ subject: 'Premier été 🌊' }),
      to: undefined,
      idempotencyKey: undefined,
      from: 'Parvis <hello@parvis.example>',
    })
  })

  test('is tried again when no catcher runs, and the error tells nothing of it', async () => {
    const { url, close } = await startMailCatcher({ port: 0 })
    const config = via({ kind: 'catcher', url })
    expect(await edge.ask({ config })).toEqual({ id: 'catcher' })
    await close()
    const outcome = await edge.ask({ config, message: mailTo() })
    expect(outcome).toMatchObject({ kind: 'retry' })
    expect(JSON.stringify(outcome)).not.toContain(CODE)
    expect(await edge.ask({ config })).toMatchObject({ kind: 'retry' })
  })
})

describe('a web page that calls loopback', () => {
  test('reads nothing under a name of its own', async () => {
    const { port } = await start()
    expect(await statusFor(port, { host: `127.0.0.1:${port}` })).toBe(200)
    expect(await statusFor(port, { host: `localhost:${port}` })).toBe(200)
    expect(await statusFor(port, { host: `evil.example:${port}` })).toBe(403)
    expect(await statusFor(port, { host: `127.0.0.1.evil.example:${port}` })).toBe(403)
    expect(await statusFor(port, { host: `127.0.0.1:${port}`, origin: 'https://evil.example' })).toBe(403)
    expect(await statusFor(port, { host: `127.0.0.1:${port}`, origin: 'null' })).toBe(403)
  })

  test('writes nothing with what a form can send', async () => {
    const { url } = await start()
    expect((await post(url, mail(), { 'content-type': 'text/plain' })).status).toBe(415)
    expect((await post(url, mail(), { origin: 'https://evil.example' })).status).toBe(403)
    expect(await list(url)).toEqual([])
  })
})

test('what is not a mail is refused and not kept', async () => {
  const { url } = await start()
  expect((await post(url, { ...mail(), to: undefined })).status).toBe(400)
  expect((await post(url, mail({ extra: 1 }))).status).toBe(400)
  expect((await post(url, 'mail')).status).toBe(400)
  expect((await post(url, mail({ html: 'x'.repeat(4 * 1024 * 1024) }))).status).toBe(413)
  expect((await fetch(`${url}/nothing`)).status).toBe(404)
  expect(await list(url)).toEqual([])
})

test('a mail is shown with no script, no request and no way out of its frame', async () => {
  const { url } = await start()
  const { id } = (await (await post(url, mail({ html: '<script>fetch("/messages")</script>' }))).json()) as { id: string }
  const shown = await fetch(`${url}/messages/${id}/html`)
  expect(shown.headers.get('content-security-policy')).toMatch(/^sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:;/)
  expect(await shown.text()).toBe('<script>fetch("/messages")</script>')
  expect((await fetch(`${url}/messages/${id}/html`, { method: 'POST' })).status).toBe(404)
})

test('the page runs its own script only, under a nonce of its own', async () => {
  const { url } = await start()
  const pages = await Promise.all([fetch(url), fetch(url)])
  const nonces = pages.map((page) => /script-src 'nonce-([^']+)'/.exec(page.headers.get('content-security-policy') ?? '')?.[1])
  expect(nonces[0]).not.toBe(nonces[1])
  expect(await pages[0]?.text()).toContain(`<script nonce="${nonces[0]}">`)
})

test('an open page hears of every change', async () => {
  const { url } = await start()
  const reader = (await fetch(`${url}/events`)).body!.pipeThrough(new TextDecoderStream()).getReader()
  await reader.read()
  await post(url, mail())
  expect((await reader.read()).value).toContain('event: changed')
  await fetch(`${url}/messages`, { method: 'DELETE' })
  expect((await reader.read()).value).toContain('event: changed')
  expect(await list(url)).toEqual([])
})

describe('with a file', () => {
  function newFile(): string {
    const folder = mkdtempSync(join(tmpdir(), 'mail-catcher-'))
    onTestFinished(() => rmSync(folder, { recursive: true }))
    return join(folder, 'mail.jsonl')
  }

  test('a second start keeps the mail, even after a line that a crash cut short', async () => {
    const file = newFile()
    const first = await startMailCatcher({ port: 0, file })
    await post(first.url, mail({ subject: 'one' }))
    await post(first.url, mail({ subject: 'two' }))
    await first.close()
    appendFileSync(file, '{"id":"0000')
    const second = await start({ file })
    await post(second.url, mail({ subject: 'three' }))
    expect((await list(second.url)).map(({ subject }) => subject)).toEqual(['three', 'two', 'one'])
    expect(
      readFileSync(file, 'utf8')
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line).subject),
    ).toEqual(['one', 'two', 'three'])
    expect(statSync(file).mode & 0o077).toBe(0)
  })

  test('deleted mail stays deleted', async () => {
    const file = newFile()
    const first = await startMailCatcher({ port: 0, file })
    await post(first.url, mail())
    await fetch(`${first.url}/messages`, { method: 'DELETE' })
    await first.close()
    expect(await list((await start({ file })).url)).toEqual([])
  })

  test('the oldest mail leaves when there are more than 500, and the file stays bounded', { timeout: 30_000 }, async () => {
    const file = newFile()
    const { url } = await start({ file })
    for (let n = 0; n < 1005; n += 1) await post(url, mail({ subject: `${n}` }))
    const kept = await list(url)
    expect([kept.length, kept[0]?.subject, kept.at(-1)?.subject]).toEqual([500, '1004', '505'])
    expect(readFileSync(file, 'utf8').trimEnd().split('\n').length).toBeLessThanOrEqual(1000)
  })
})

test('a port in use is an error that says so', async () => {
  const { port } = await start()
  await expect(startMailCatcher({ port })).rejects.toMatchObject({ code: 'EADDRINUSE' })
})
