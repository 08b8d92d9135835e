import { afterAll, beforeAll, expect, test } from 'vitest'
import type { MailConfig } from '../../src/edge/platform/mail/mail.ts'
import type { Message } from '../../src/edge/platform/mail/transport.ts'
import { CODE, type MailEdge, mailTo, startMailEdge, via } from './edge.ts'
import { startTcpPeer } from './smtp-peer.ts'

let edge: MailEdge

beforeAll(async () => {
  edge = await startMailEdge()
}, 60_000)
afterAll(() => edge.close())

const smtp = { kind: 'smtp', host: 'mail.example', port: 465, tls: 'implicit' } as const

test.each<[string, MailConfig, string]>([
  ['plain SMTP across a network', via({ ...smtp, tls: 'none' }), 'mail: smtp without TLS may only go to loopback'],
  [
    'plain SMTP to a name that only looks like loopback',
    via({ ...smtp, tls: 'none', host: '127.0.0.1.evil.example' }),
    'mail: smtp without TLS may only go to loopback',
  ],
  ['a username without a password', via({ ...smtp, username: 'u' }), 'mail: smtp needs both username and password, or neither'],
  ['a password with a NUL', via({ ...smtp, username: 'u', password: 'sec\0ret' }), 'mail: smtp credentials are unusable'],
  ['a catcher across a network', via({ kind: 'catcher', url: 'http://catcher.example:8025' }), 'mail: the catcher may only be on loopback'],
  [
    'a catcher behind a user name',
    via({ kind: 'catcher', url: 'http://127.0.0.1@catcher.example/' }),
    'mail: the catcher may only be on loopback',
  ],
  ['a catcher that is no URL', via({ kind: 'catcher', url: 'catcher' }), 'mail: the catcher may only be on loopback'],
  ['a sender that is a list', { ...via(smtp), from: 'a@example.org, b@example.org' }, 'mail: from is not one plain address'],
  ['a sender name with a line break', { ...via(smtp), fromName: 'Parvis\r\nBcc: eve@example.org' }, 'mail: fromName is not one line'],
])('%s is a configuration that does not start', async (_, config, words) => {
  const outcome = await edge.ask({ config, message: mailTo() })
  expect(outcome).toMatchObject({ kind: 'config', reason: words })
  expect(JSON.stringify(outcome)).not.toContain('sec')
})

test.each<[string, Partial<Message>, string]>([
  ['a second header in the subject', { subject: 'Hello\r\nBcc: eve@example.org' }, 'content'],
  ['a bare line feed in the subject', { subject: 'Hello\nBcc: eve@example.org' }, 'content'],
  ['a line separator in the subject', { subject: 'Hello\u2028Bcc: eve@example.org' }, 'content'],
  ['a lone surrogate in the subject', { subject: 'Hello \ud800' }, 'content'],
  ['an endless subject', { subject: 'x'.repeat(201) }, 'content'],
  ['a command in the address', { to: 'ada@example.org>\r\nRCPT TO:<eve@example.org' }, 'recipient'],
  ['two addresses', { to: 'ada@example.org,eve@example.org' }, 'recipient'],
  ['an address with a name', { to: 'Ada <ada@example.org>' }, 'recipient'],
  ['a quoted local part', { to: '"ada eve"@example.org' }, 'recipient'],
  ['a full-width at sign', { to: 'ada＠example.org' }, 'recipient'],
  ['a second at sign', { to: 'ada@eve@example.org' }, 'recipient'],
  ['a route', { to: '@relay.example:ada@example.org' }, 'recipient'],
  ['an address with a NUL', { to: 'ada@example.org\0' }, 'recipient'],
  ['a host by number', { to: 'ada@[127.0.0.1]' }, 'recipient'],
  ['an address longer than a path', { to: `ada@${'x.'.repeat(130)}org` }, 'recipient'],
  ['an empty body', { text: '' }, 'content'],
  ['a body with a NUL', { html: 'a\0b' }, 'content'],
  ['a huge body', { html: 'x'.repeat(256 * 1024 + 1) }, 'content'],
])('%s is refused before anybody is called', async (_, changes, reason) => {
  let calls = 0
  const peer = await startTcpPeer(() => {
    calls += 1
  })
  const config = via({ kind: 'smtp', host: '127.0.0.1', port: peer.port, tls: 'none' })
  const outcome = await edge.ask({ config, message: mailTo(changes), timeouts: { replyTimeoutMs: 200, totalTimeoutMs: 200 } })
  expect(outcome).toMatchObject({ kind: 'refused', reason })
  expect(JSON.stringify(outcome)).not.toContain(CODE)
  expect(calls).toBe(0)
  await peer.close()
})

test('an apostrophe, a plus sign and a country domain are an ordinary address', async () => {
  const outcome = await edge.ask({ config: via({ kind: 'cloudflare' }), message: mailTo({ to: "o'brien+parvis@xn--bcher-kva.example" }) })
  expect(outcome).toHaveProperty('id')
})
