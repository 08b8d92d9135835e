import { composeMime } from './mime.ts'
import { domainOf, fingerprintOf, handOver, MailError, type MailFailure, type MailTransport, type Sender, within } from './transport.ts'

/** A submission server (RFC 6409). */
export interface SmtpSettings {
  readonly host: string
  readonly port: number
  /** `implicit` from the first byte (RFC 8314, port 465); `starttls` demanded, never optional; `none` for loopback. */
  readonly tls: 'implicit' | 'starttls' | 'none'
  readonly username?: string | undefined
  readonly password?: string | undefined
}

/** How long we listen. The total stays under the 30 s that `waitUntil` grants, so a hanging server ends as our error. */
export interface SmtpTimeouts {
  readonly replyTimeoutMs: number
  readonly totalTimeoutMs: number
}

export const SMTP_TIMEOUTS: SmtpTimeouts = { replyTimeoutMs: 10_000, totalTimeoutMs: 20_000 }

/** A farewell is manners, not delivery: neither it nor a socket that never closes may hold the caller. */
const FAREWELL_TIMEOUT_MS = 1_000
/** RFC 5321 §4.5.3.1.5 gives a reply line 512 octets; real greetings are longer, an endless one is an attack. */
const REPLY_CHARS_MAX = 16 * 1024

/** What a failure in each step is about. Only a step that judges the sender or the mail can refuse for good. */
const STEPS = {
  greeting: { reason: 'server', judges: false },
  EHLO: { reason: 'server', judges: false },
  STARTTLS: { reason: 'tls', judges: false },
  AUTH: { reason: 'auth', judges: true },
  'MAIL FROM': { reason: 'sender', judges: true },
  'RCPT TO': { reason: 'recipient', judges: true },
  DATA: { reason: 'content', judges: true },
  'end of data': { reason: 'content', judges: true },
  QUIT: { reason: 'server', judges: false },
} as const satisfies Record<string, { reason: MailFailure; judges: boolean }>

type Step = keyof typeof STEPS

interface Reply {
  readonly code: number
  readonly lines: readonly string[]
}

/** The bytes of one connection, as commands and replies. */
interface Wire {
  command(step: Step, line: string): Promise<Reply>
  reply(step: Step): Promise<Reply>
  write(step: Step, bytes: Uint8Array): Promise<void>
  opened(): Promise<void>
  upgrade(): Promise<void>
  close(): Promise<void>
}

/** Mail by SMTP submission over a Workers TCP socket: one connection per mail, closed on every path. */
export function createSmtpTransport(settings: SmtpSettings, sender: Sender, timeouts: SmtpTimeouts = SMTP_TIMEOUTS): MailTransport {
  const name = domainOf(sender.address)
  return {
    name: 'smtp',
    async send(message) {
      const fingerprint = await fingerprintOf(message.idempotencyKey)
      const mime = await composeMime({ message, sender, fingerprint, sentAt: new Date() })
      await converse(settings, timeouts, async (wire) => {
        await introduce(wire, settings, name)
        expect(2, 'MAIL FROM', await wire.command('MAIL FROM', `MAIL FROM:<${sender.address}>`))
        expect(2, 'RCPT TO', await wire.command('RCPT TO', `RCPT TO:<${message.to}>`))
        expect(3, 'DATA', await wire.command('DATA', 'DATA'))
        await handOver(async () => {
          await wire.write('end of data', stuffDots(mime))
          expect(2, 'end of data', await wire.reply('end of data'))
        })
      })
      return { id: `<${fingerprint}@${name}>` }
    },
    probe: () => converse(settings, timeouts, (wire) => introduce(wire, settings, name)),
  }
}

async function converse(settings: SmtpSettings, timeouts: SmtpTimeouts, talk: (wire: Wire) => Promise<void>): Promise<void> {
  const wire = await openWire(settings, timeouts)
  try {
    await within(timeouts.totalTimeoutMs, 'the whole conversation', talk(wire))
    // The mail is accepted by now; a server that says goodbye badly does not change that.
    await within(FAREWELL_TIMEOUT_MS, 'QUIT', wire.command('QUIT', 'QUIT')).catch(() => undefined)
  } finally {
    await within(FAREWELL_TIMEOUT_MS, 'closing', wire.close()).catch(() => undefined)
  }
}

async function introduce(wire: Wire, settings: SmtpSettings, name: string): Promise<void> {
  await wire.opened()
  expect(2, 'greeting', await wire.reply('greeting'))
  let extensions = expect(2, 'EHLO', await wire.command('EHLO', `EHLO ${name}`)).lines.slice(1)
  if (settings.tls === 'starttls') {
    // RFC 3207 §6: whoever strips the offer must not get the password in clear, so no offer means no mail.
    if (!extensions.some((line) => line.toUpperCase() === 'STARTTLS'))
      throw new MailError('retry', 'tls', 'the server does not offer STARTTLS')
    expect(2, 'STARTTLS', await wire.command('STARTTLS', 'STARTTLS'))
    await wire.upgrade()
    // What was said in clear is forgotten (RFC 3207 §4.2).
    extensions = expect(2, 'EHLO', await wire.command('EHLO', `EHLO ${name}`)).lines.slice(1)
  }
  if (settings.username !== undefined && settings.password !== undefined) {
    await authenticate(wire, extensions, { username: settings.username, password: settings.password })
  }
}

async function authenticate(wire: Wire, extensions: readonly string[], login: { username: string; password: string }): Promise<void> {
  const mechanisms =
    extensions
      .find((line) => /^AUTH[ =]/i.test(line))
      ?.toUpperCase()
      .split(/[ =]/) ?? []
  if (mechanisms.includes('PLAIN')) {
    expect(2, 'AUTH', await wire.command('AUTH', `AUTH PLAIN ${encodeBase64(`\0${login.username}\0${login.password}`)}`))
  } else if (mechanisms.includes('LOGIN')) {
    expect(3, 'AUTH', await wire.command('AUTH', 'AUTH LOGIN'))
    expect(3, 'AUTH', await wire.command('AUTH', encodeBase64(login.username)))
    expect(2, 'AUTH', await wire.command('AUTH', encodeBase64(login.password)))
  } else {
    throw new MailError('refused', 'auth', 'the server offers neither AUTH PLAIN nor AUTH LOGIN')
  }
}

/** The reply, if its first digit is the one that lets us go on. */
function expect(digit: 2 | 3, step: Step, reply: Reply): Reply {
  if (Math.floor(reply.code / 100) === digit) return reply
  if (reply.code < 400) throw new MailError('retry', 'protocol', `the server answered ${reply.code} at ${step}`)
  const enhanced = /^[45]\.\d{1,3}\.\d{1,3}(?= |$)/.exec(reply.lines[0] ?? '')?.[0]
  const detail = `the server answered ${reply.code}${enhanced === undefined ? '' : ` ${enhanced}`} at ${step}`
  // RFC 3463 §3.5: x.4.5 is congestion. Large providers say "5.4.5" for a sending limit that ends tomorrow.
  if (enhanced?.slice(1) === '.4.5') throw new MailError('retry', 'quota', detail)
  if (reply.code === 530) throw new MailError('refused', 'auth', detail)
  throw new MailError(reply.code >= 500 && STEPS[step].judges ? 'refused' : 'retry', STEPS[step].reason, detail)
}

async function openWire(settings: SmtpSettings, timeouts: SmtpTimeouts): Promise<Wire> {
  let socket = await dial(settings)
  let reader: ReadableStreamDefaultReader<Uint8Array> = socket.readable.getReader()
  let writer: WritableStreamDefaultWriter<Uint8Array> = socket.writable.getWriter()
  let decoder = new TextDecoder()
  let heard = ''

  async function hearLine(step: Step): Promise<string> {
    for (;;) {
      const end = heard.indexOf('\n')
      if (end >= 0) {
        const line = heard.slice(0, end)
        heard = heard.slice(end + 1)
        return line.endsWith('\r') ? line.slice(0, -1) : line
      }
      if (heard.length > REPLY_CHARS_MAX) throw new MailError('retry', 'protocol', `the server does not speak SMTP at ${step}`)
      const { value, done } = await guard(step, reader.read())
      if (done) throw new MailError('retry', 'connection', `the server hung up at ${step}`)
      heard += decoder.decode(value, { stream: true })
    }
  }

  async function hearReply(step: Step): Promise<Reply> {
    const lines: string[] = []
    for (let chars = 0; chars <= REPLY_CHARS_MAX; ) {
      const line = await hearLine(step)
      const [, code, mark, text] = /^([2-5]\d\d)(?:([ -])(.*))?$/.exec(line) ?? []
      if (code === undefined) break
      lines.push(text ?? '')
      if (mark !== '-') return { code: Number(code), lines }
      chars += line.length + 1
    }
    throw new MailError('retry', 'protocol', `the server does not speak SMTP at ${step}`)
  }

  const wire: Wire = {
    opened: async () => {
      await within(timeouts.replyTimeoutMs, 'connecting', guard('greeting', socket.opened))
    },
    reply: (step) => within(timeouts.replyTimeoutMs, step, hearReply(step)),
    write: (step, bytes) => within(timeouts.replyTimeoutMs, step, guard(step, writer.write(bytes))),
    command: async (step, line) => {
      await wire.write(step, new TextEncoder().encode(`${line}\r\n`))
      return wire.reply(step)
    },
    upgrade: async () => {
      // Bytes already here were injected before encryption and would be believed after it.
      if (heard !== '') throw new MailError('retry', 'protocol', 'the server spoke before TLS began')
      reader.releaseLock()
      writer.releaseLock()
      socket = listenQuietly(socket.startTls({ expectedServerHostname: settings.host }))
      reader = socket.readable.getReader()
      writer = socket.writable.getWriter()
      decoder = new TextDecoder()
      await within(
        timeouts.replyTimeoutMs,
        'STARTTLS',
        socket.opened.then(() => undefined),
      ).catch((error: unknown) => {
        throw error instanceof MailError ? error : new MailError('retry', 'tls', 'the TLS handshake failed')
      })
    },
    // A TLS handshake that never ends cannot be cut from here: that socket goes when the invocation does.
    close: () => socket.close(),
  }
  return wire
}

async function dial({ host, port, tls }: SmtpSettings): Promise<Socket> {
  // Asked for when it is needed, so that what stands above mail can be read where no Worker runs.
  const { connect } = await import('cloudflare:sockets')
  const secureTransport = { implicit: 'on', starttls: 'starttls', none: 'off' }[tls]
  try {
    return listenQuietly(connect({ hostname: host, port }, { secureTransport, allowHalfOpen: false }))
  } catch {
    throw new MailError('retry', 'connection', 'the address of the server is unusable')
  }
}

/** Its failures reach us through the reads and writes; the same failure must not also count as unhandled. */
function listenQuietly(socket: Socket): Socket {
  socket.opened.catch(() => undefined)
  socket.closed.catch(() => undefined)
  return socket
}

/** Whatever the runtime says about a socket, without its words. */
async function guard<T>(step: Step, work: Promise<T>): Promise<T> {
  try {
    return await work
  } catch {
    throw new MailError('retry', 'connection', `the connection failed at ${step}`)
  }
}

function encodeBase64(text: string): string {
  return btoa(String.fromCharCode(...new TextEncoder().encode(text)))
}

/** RFC 5321 §4.5.2: a line that begins with a dot gets a second one; a dot alone ends the mail. */
function stuffDots(mime: Uint8Array): Uint8Array {
  const stuffed = new TextDecoder().decode(mime).replace(/^\./gm, '..')
  return new TextEncoder().encode(`${stuffed}${stuffed.endsWith('\r\n') ? '' : '\r\n'}.\r\n`)
}
