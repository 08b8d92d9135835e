import PostalMime from 'postal-mime'
import type { SMTPServerOptions } from 'smtp-server'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import type { MailConfig } from '../../src/edge/platform/mail/mail.ts'
import type { Message } from '../../src/edge/platform/mail/transport.ts'
import { createAuthority } from './authority.ts'
import { CODE, type MailEdge, mailTo, SENDER, startMailEdge, via } from './edge.ts'
import { LOGIN, type Peer, startScriptedPeer, startSmtpServer, startTcpPeer } from './smtp-peer.ts'

const trusted = createAuthority(['localhost'])
const stranger = createAuthority(['localhost'])
const misnamed = createAuthority(['mail.example'])
const IMPATIENT = { replyTimeoutMs: 300, totalTimeoutMs: 2_000 }

let edge: MailEdge

beforeAll(async () => {
  edge = await startMailEdge({ authority: trusted.authority + misnamed.authority })
}, 60_000)
afterAll(() => edge.close())

async function stopAfter<T extends Peer>(peer: Promise<T>): Promise<T> {
  const started = await peer
  onTestFinished(() => started.close())
  return started
}

const serve = (options: SMTPServerOptions) => stopAfter(startSmtpServer({ key: trusted.key, cert: trusted.cert, ...options }))
const script = (greeting: string, lines: Record<string, string | undefined> = {}, heard: string[] = []) =>
  stopAfter(startScriptedPeer(greeting, lines, heard))

type Smtp = Extract<MailConfig['transport'], { kind: 'smtp' }>
const at = ({ port }: Peer, changes: Partial<Smtp> = {}) =>
  via({ kind: 'smtp', host: 'localhost', port, tls: 'implicit', ...LOGIN, ...changes })
const bare = (peer: Peer) => at(peer, { tls: 'none', username: undefined, password: undefined })

const send = (config: MailConfig, changes: Partial<Message> = {}) => edge.ask({ config, message: mailTo(changes), timeouts: IMPATIENT })

/** A server that accepts everything, in plain text, but for `lines`. */
const agreeable = (lines: Record<string, string | undefined> = {}, heard: string[] = []) =>
  script(
    '220 hello\r\n',
    { EHLO: '250 hello\r\n', MAIL: '250 ok\r\n', RCPT: '250 ok\r\n', DATA: '354 go\r\n', '.': '250 ok\r\n', QUIT: '221 bye\r\n', ...lines },
    heard,
  )

const secrets = [CODE, LOGIN.password, LOGIN.username, 'ada@example.org', btoa(`\0${LOGIN.username}\0${LOGIN.password}`)]

describe('a mail arrives', () => {
  test('over implicit TLS, with every character of subject, names and bodies, in short ASCII lines', async () => {
    const server = await serve({ secure: true })
    const text = `.\n..\n.dot first\nl'été à Orsay 🌊 \ttab \nFrom here\n${'long '.repeat(400)}\n${'y'.repeat(2000)}\n`
    const html = `<p>é<br>\n.</p><!-- ${'z'.repeat(1500)} -->`
    const subject = 'Votre code d’accès à l’été, pour l’œuvre 🌊 et pour bien d’autres choses encore, s’il vous plaît'
    const config = { ...at(server), fromName: 'Pärvis, "Équipe" <x@y>' }
    expect(await send(config, { text, html, subject })).toEqual({ id: expect.stringMatching(/^<[0-9a-f]{32}@parvis\.example>$/) })
    const [{ raw, secure, user, from, to }] = server.deliveries as [(typeof server.deliveries)[0]]
    expect({ secure, user, from, to }).toEqual({ secure: true, user: LOGIN.username, from: SENDER.from, to: ['ada@example.org'] })
    expect(raw.toString('latin1')).toMatch(/^(?:[\t\x20-\x7e]{0,78}\r\n)+$/)
    const mail = await PostalMime.parse(raw)
    expect(mail.from).toMatchObject({ address: SENDER.from, name: 'Pärvis, "Équipe" <x@y>' })
    expect(mail.to).toMatchObject([{ address: 'ada@example.org' }])
    expect({ subject: mail.subject, text: mail.text?.trimEnd(), html: mail.html?.trimEnd() }).toEqual({
      subject,
      text: text.trimEnd(),
      html,
    })
    expect(mail.headers.map(({ key }) => key).sort()).toEqual([
      'auto-submitted',
      'content-type',
      'date',
      'from',
      'message-id',
      'mime-version',
      'subject',
      'to',
    ])
    await server.deserted()
  })

  test('over STARTTLS, where the login is said only after encryption', async () => {
    const server = await serve({ secure: false })
    expect(await send(at(server, { tls: 'starttls' }))).toHaveProperty('id')
    expect(server.deliveries).toMatchObject([{ secure: true, user: LOGIN.username }])
    await server.deserted()
  })

  test('through a server that only knows AUTH LOGIN', async () => {
    const server = await serve({ secure: true, authMethods: ['LOGIN'] })
    expect(await send(at(server))).toHaveProperty('id')
    expect(server.deliveries).toMatchObject([{ user: LOGIN.username }])
  })

  test('with one Message-ID for one key, however often it is sent', async () => {
    const server = await serve({ secure: true })
    const ids = []
    for (const idempotencyKey of ['evt_1', 'evt_1', 'evt_2']) ids.push(await send(at(server), { idempotencyKey }))
    expect(ids[1]).toEqual(ids[0])
    expect(ids[2]).not.toEqual(ids[0])
    const seen = await Promise.all(server.deliveries.map(async ({ raw }) => ({ id: (await PostalMime.parse(raw)).messageId })))
    expect(seen).toEqual(ids)
  })

  test('though replies come byte by byte and over several lines', async () => {
    const peer = await stopAfter(
      startTcpPeer(async (socket) => {
        for (const byte of '220-hello\r\n220-\r\n220 there\r\n') await new Promise((resolve) => socket.write(byte, resolve))
        socket.on('data', (chunk) => {
          const answer = /^DATA/.test(String(chunk)) ? '354 go\r\n' : '250-ok\r\n250\r\n'
          for (const byte of answer) socket.write(byte)
        })
      }),
    )
    expect(await send(bare(peer))).toHaveProperty('id')
  })

  test('though the server hangs up instead of saying goodbye', async () => {
    const peer = await stopAfter(
      startTcpPeer((socket) => {
        socket.write('220 hello\r\n')
        socket.on('data', (chunk) =>
          String(chunk).startsWith('QUIT') ? socket.destroy() : socket.write(/^DATA/.test(String(chunk)) ? '354 go\r\n' : '250 ok\r\n'),
        )
      }),
    )
    expect(await send(bare(peer))).toHaveProperty('id')
  })
})

describe('what the server says decides whether another attempt makes sense', () => {
  test('a wrong password is refused, and no word of the error tells it', async () => {
    const server = await serve({ secure: true })
    const outcome = await send(at(server, { password: 'wrong-but-still-secret' }))
    expect(outcome).toMatchObject({ kind: 'refused', reason: 'auth' })
    for (const secret of [...secrets, 'wrong-but-still-secret']) expect(JSON.stringify(outcome)).not.toContain(secret)
    expect(server.deliveries).toEqual([])
    await server.deserted()
  })

  test('a server without a login we can do is refused before the password is said', async () => {
    const heard: string[] = []
    const peer = await script('220 hello\r\n', { EHLO: '250-hello\r\n250 AUTH XOAUTH2 CRAM-MD5\r\n' }, heard)
    expect(await send(at(peer, { tls: 'none' }))).toMatchObject({ kind: 'refused', reason: 'auth' })
    expect(heard).toEqual(['EHLO parvis.example'])
    await peer.deserted()
  })

  test.each<{ what: string; lines: Record<string, string>; verdict: [kind: string, reason: string] }>([
    {
      what: 'a recipient that does not exist is refused',
      lines: { RCPT: '550 5.1.1 no such user ada@example.org\r\n' },
      verdict: ['refused', 'recipient'],
    },
    { what: 'a full mailbox is tried again', lines: { RCPT: '452 4.2.2 mailbox full\r\n' }, verdict: ['retry', 'recipient'] },
    { what: 'greylisting is tried again', lines: { RCPT: '451 4.7.1 greylisted\r\n' }, verdict: ['retry', 'recipient'] },
    { what: 'a sender that may not send is refused', lines: { MAIL: '550 5.7.1 not yours\r\n' }, verdict: ['refused', 'sender'] },
    { what: 'a missing login is refused', lines: { MAIL: '530 5.7.0 log in first\r\n' }, verdict: ['refused', 'auth'] },
    {
      what: 'a spent quota is tried again, though it is called permanent',
      lines: { MAIL: '550 5.4.5 daily limit\r\n' },
      verdict: ['retry', 'quota'],
    },
    { what: 'content that the server condemns is refused', lines: { '.': `554 5.6.0 spam: ${CODE}\r\n` }, verdict: ['refused', 'content'] },
    { what: 'a server that is going down is tried again', lines: { DATA: '421 4.3.2 shutting down\r\n' }, verdict: ['retry', 'content'] },
    { what: 'a server that knows no EHLO is tried again', lines: { EHLO: '502 no\r\n' }, verdict: ['retry', 'server'] },
    { what: 'an answer of the wrong class is tried again', lines: { DATA: '250 what?\r\n' }, verdict: ['retry', 'protocol'] },
    { what: 'words that are not SMTP are tried again', lines: { EHLO: 'HTTP/1.1 400 Bad Request\r\n' }, verdict: ['retry', 'protocol'] },
  ])('$what', async ({ lines, verdict: [kind, reason] }) => {
    const peer = await agreeable(lines)
    const outcome = await send(bare(peer))
    expect(outcome).toMatchObject({ kind, reason })
    for (const secret of secrets) expect(JSON.stringify(outcome)).not.toContain(secret)
    await peer.deserted()
  })

  test('a login that fails for now is tried again', async () => {
    const peer = await script('220 hello\r\n', { EHLO: '250-hello\r\n250 AUTH PLAIN\r\n', AUTH: '454 4.7.0 later\r\n' })
    expect(await send(at(peer, { tls: 'none' }))).toMatchObject({ kind: 'retry', reason: 'auth' })
  })

  test('a greeting that refuses is tried again', async () => {
    const peer = await script('554 no service\r\n')
    expect(await send(bare(peer))).toMatchObject({ kind: 'retry', reason: 'server' })
    await peer.deserted()
  })
})

describe('a server that misbehaves holds nobody and leaves no connection behind', () => {
  test.each([
    ['the greeting', undefined, {}],
    ['the reply to EHLO', '220 hello\r\n', { EHLO: undefined }],
    ['the reply to the mail', '220 hello\r\n', { '.': undefined }],
  ] as const)('%s never comes', async (_, greeting, lines) => {
    const peer = greeting === undefined ? await stopAfter(startTcpPeer(() => undefined)) : await agreeable(lines)
    expect(await send(bare(peer))).toMatchObject({ kind: 'retry', reason: 'timeout' })
    await peer.deserted()
  })

  test('TLS never begins', async () => {
    const peer = await stopAfter(startTcpPeer(() => undefined))
    expect(await send(at(peer))).toMatchObject({ kind: 'retry', reason: 'timeout' })
    await peer.deserted()
  })

  test('a reply goes on for ever, a line at a time', async () => {
    const peer = await stopAfter(
      startTcpPeer((socket) => {
        const timer = setInterval(() => socket.write('220-and\r\n'), 50)
        socket.once('close', () => clearInterval(timer))
      }),
    )
    expect(await send(bare(peer))).toMatchObject({ kind: 'retry', reason: 'timeout' })
    await peer.deserted()
  })

  test('each reply comes in time, but all of them together do not', async () => {
    const peer = await stopAfter(
      startTcpPeer((socket) => {
        socket.write('220 hello\r\n')
        socket.on('data', () => setTimeout(() => socket.write('250 ok\r\n'), 200))
      }),
    )
    const outcome = await edge.ask({ config: bare(peer), message: mailTo(), timeouts: { replyTimeoutMs: 2_000, totalTimeoutMs: 500 } })
    expect(outcome).toMatchObject({ kind: 'retry', reason: 'timeout' })
    await peer.deserted()
  })

  test('it hangs up in the middle', async () => {
    const peer = await stopAfter(
      startTcpPeer((socket) => {
        socket.write('220 hello\r\n')
        socket.once('data', () => socket.end())
      }),
    )
    expect(await send(bare(peer))).toMatchObject({ kind: 'retry', reason: 'connection' })
    await peer.deserted()
  })

  test('it resets the connection in the middle of the mail', async () => {
    const peer = await stopAfter(
      startTcpPeer((socket) => {
        socket.write('220 hello\r\n')
        socket.on('data', (chunk) => (String(chunk).startsWith('DATA') ? socket.resetAndDestroy() : socket.write('250 ok\r\n')))
      }),
    )
    expect(await send(bare(peer))).toMatchObject({ kind: 'retry', reason: 'connection' })
    await peer.deserted()
  })

  test.each([
    ['a line without end', 'x'.repeat(100_000)],
    ['a reply without end', '220-hello\r\n'.repeat(10_000)],
  ])('it says %s', async (_, greeting) => {
    const peer = await script(greeting)
    expect(await send(bare(peer))).toMatchObject({ kind: 'retry', reason: 'protocol' })
    await peer.deserted()
  })

  test('its connection is gone before the same invocation opens the next', async () => {
    const silent = await stopAfter(startTcpPeer(() => undefined))
    const refusing = await agreeable({ RCPT: '550 no\r\n', QUIT: undefined })
    const witness = await stopAfter(
      startTcpPeer(async (socket) => {
        await Promise.all([silent.deserted(), refusing.deserted()])
        socket.write('220 all have left\r\n')
        socket.on('data', (chunk) => socket.write(/^DATA/.test(String(chunk)) ? '354 go\r\n' : '250 ok\r\n'))
      }),
    )
    const orders = [bare(silent), bare(refusing), bare(witness)].map((config) => ({
      config,
      message: mailTo(),
      timeouts: IMPATIENT,
    }))
    expect(await edge.askAll(orders)).toMatchObject([{ reason: 'timeout' }, { reason: 'recipient' }, { id: expect.any(String) }])
  })

  test('nobody listens', async () => {
    const peer = await startTcpPeer(() => undefined)
    await peer.close()
    expect(await send(bare(peer))).toMatchObject({ kind: 'retry', reason: 'connection' })
  })
})

describe('encryption is demanded, never hoped for', () => {
  test('a server that hides STARTTLS hears no login and no mail', async () => {
    const heard: string[] = []
    const peer = await script('220 hello\r\n', { EHLO: '250-hello\r\n250 AUTH PLAIN LOGIN\r\n' }, heard)
    expect(await send(at(peer, { tls: 'starttls' }))).toMatchObject({ kind: 'retry', reason: 'tls' })
    expect(heard).toEqual(['EHLO parvis.example'])
    await peer.deserted()
  })

  test('words put in before encryption are not believed after it', async () => {
    const peer = await script('220 hello\r\n', {
      EHLO: '250-hello\r\n250 STARTTLS\r\n',
      STARTTLS: '220 go\r\n250-evil\r\n250 AUTH PLAIN\r\n',
    })
    expect(await send(at(peer, { tls: 'starttls' }))).toMatchObject({ kind: 'retry', reason: 'protocol' })
    await peer.deserted()
  })

  test.each([
    ['of an unknown authority', stranger],
    ['for another name', misnamed],
  ])('a certificate %s ends the attempt before the login', async (_, { key, cert }) => {
    const logins: string[] = []
    const onAuth: NonNullable<SMTPServerOptions['onAuth']> = ({ username }, _session, callback) => {
      logins.push(username ?? '')
      callback(null, { user: username })
    }
    const implicit = await serve({ secure: true, key, cert, onAuth })
    const upgraded = await serve({ secure: false, key, cert, onAuth })
    expect(await send(at(implicit))).toMatchObject({ kind: 'retry', reason: 'connection' })
    expect(await send(at(upgraded, { tls: 'starttls' }))).toMatchObject({ kind: 'retry', reason: 'tls' })
    expect(logins).toEqual([])
    await Promise.all([implicit.deserted(), upgraded.deserted()])
  })
})

describe('the health probe', () => {
  test('logs in and sends nothing', async () => {
    const server = await serve({ secure: true })
    expect(await edge.ask({ config: at(server) })).toEqual({ id: 'smtp' })
    expect(server.deliveries).toEqual([])
    await server.deserted()
  })

  test('tells a wrong password', async () => {
    const server = await serve({ secure: true })
    expect(await edge.ask({ config: at(server, { password: 'old' }) })).toMatchObject({ kind: 'refused', reason: 'auth' })
  })
})
