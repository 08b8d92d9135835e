import { EventEmitter, once } from 'node:events'
import { PassThrough } from 'node:stream'
import type { Client, ClientChannel, Connection, ServerChannel } from 'ssh2'
import { afterEach, describe, expect, onTestFinished, test, vi } from 'vitest'
import { DATA_BYTES_MAX } from '../../src/contract/krp-frame.ts'
import type { RelayCredential } from '../../src/contract/krp-secret.ts'
import { openTunnel, type SshConnection } from '../../src/relay/ssh.ts'
import { createProgramChannel } from '../../src/relay/ssh-channel.ts'
import { checkSsh2, guardProtocol } from '../../src/relay/ssh-internals.ts'
import { protocolOf, socketOf, startFakeHost } from './fake-host.ts'
import { execRequest, shellRequest, startTestRelay, type Target } from './harness.ts'

const password: RelayCredential = { kind: 'password', password: 'canary-password' }

const onShell = (client: Connection, take: (channel: ServerChannel) => void): void =>
  void client.on('session', (accept) => {
    const session = accept()
    session.on('pty', (yes) => yes?.())
    session.on('shell', (open) => take(open()))
    session.on('exec', (open) => take(open()))
  })

async function linkTo(...targets: readonly Target[]) {
  const relay = await startTestRelay(targets.map(({ port }) => port))
  onTestFinished(() => relay.relay.close())
  return { relay, link: await relay.link() }
}

describe('an SSH server that means harm', () => {
  test.each([0, 1, 1023])('is left when it wants packets of %i bytes', async (bytes) => {
    const host = await startFakeHost((client) => {
      const protocol = protocolOf(client)
      const confirm = protocol.channelOpenConfirm.bind(protocol)
      protocol.channelOpenConfirm = (remote, local, window) => confirm(remote, local, window, bytes)
      onShell(client, (channel) => channel.resume())
    })
    const { relay, link } = await linkTo(host)
    expect(await (await link.open(execRequest(host, 'cat'), password)).failed()).toBe('request-refused')
    const file = { op: 'list' as const, path: '/', roots: ['/'], bytesMax: 1, detachSeconds: 0 as const, timeoutSeconds: 60 }
    const {
      command: _,
      timeoutSeconds: __,
      detachSeconds: ___,
      ...login
    } = execRequest(host, 'x') as Extract<ReturnType<typeof execRequest>, { kind: 'exec' }>
    expect(await (await link.open({ ...login, ...file, kind: 'file' }, password)).failed()).toMatch(/^file-/)
    expect(relay.events('bug')).toEqual([])
  })

  test('is asked for nothing more while it does not finish a key exchange, and goes on when it does', async () => {
    let stall = async (): Promise<void> => undefined
    let resume = (): void => undefined
    let received = 0
    const host = await startFakeHost((client) =>
      onShell(client, (channel) => {
        channel.on('data', (data: Buffer) => (received += data.length))
        stall = async () => {
          protocolOf(client).rekey()
          // What the host would say next stays with it; the relay's answer says that the exchange has begun.
          socketOf(client).cork()
          await once(socketOf(client), 'data')
        }
        resume = () => socketOf(client).uncork()
        channel.write('ready')
      }),
    )
    const { link } = await linkTo(host)
    const stream = await link.open(shellRequest(host), password)
    const { creditBytes } = await stream.opened()
    await stream.untilOutput('ready')
    await stall()
    const given = () => link.wire.seen.filter(({ name, stream: id }) => name === 'CREDIT' && id === stream.id).length
    for (let left = creditBytes; left > 0; left -= DATA_BYTES_MAX) stream.send(Buffer.alloc(Math.min(DATA_BYTES_MAX, left), 'x'))
    await link.wire.until(() => link.wire.seen.some(({ name }) => name === 'ACK'))
    link.wire.control('PING', 0, { id: 1 })
    await link.wire.untilFrame('PONG', 0)
    expect(given()).toBe(0)
    resume()
    await link.wire.until(() => given() > 0)
    stream.send('y')
    await vi.waitUntil(() => received === creditBytes + 1, 10_000)
  })

  test('as a jump host is cut when it pushes more through a tunnel than its window', async () => {
    const channel = Object.assign(new PassThrough({ highWaterMark: 8 * 1024 * 1024 }), { stderr: new PassThrough() })
    const sock = new PassThrough()
    const client = Object.assign(new EventEmitter(), {
      forwardOut: (...args: unknown[]) => (args.at(-1) as (error: undefined, opened: unknown) => void)(undefined, channel),
    })
    const hold = vi.fn()
    const connection = { client, guard: { sock }, wiretap: { hold }, isAlive: () => true } as unknown as SshConnection
    await openTunnel(connection, { host: 'a.example', port: 22 })
    expect(hold).toHaveBeenCalledWith(channel)
    channel.write(Buffer.alloc(5 * 1024 * 1024))
    sock.write('x')
    await vi.waitUntil(() => sock.readableFlowing && sock.readableLength === 0)
    expect(sock.destroyed).toBe(false)
    channel.write(Buffer.alloc(1))
    sock.write('x')
    await vi.waitUntil(() => sock.destroyed)
  })
})

describe('a login of which the password was only half', () => {
  const answered: string[][] = []
  const startCoded = () =>
    startFakeHost((client) => {
      client.on('authentication', (attempt) => {
        if (attempt.method === 'password') return attempt.reject(['keyboard-interactive'], true)
        if (attempt.method !== 'keyboard-interactive') return attempt.reject(['password'])
        attempt.prompt([{ prompt: 'Code: ', echo: false }], (answers) => {
          answered.push(answers)
          if (answers[0] === '123456') attempt.accept()
          else attempt.reject()
        })
      })
      onShell(client, (channel) => channel.write('welcome'))
    })

  test('never gives it to who asks for the other half: a person answers that, and where none can there is no login', async () => {
    const host = await startCoded()
    const { link } = await linkTo(host)
    expect(await (await link.open(execRequest(host, 'true'), password)).failed()).toBe('login-refused')
    expect(answered).toEqual([])
    const stream = await link.open(shellRequest(host), password)
    const prompt = await link.wire.untilFrame('PROMPT', stream.id)
    expect(prompt).toEqual({ id: 1, name: '', instruction: '', prompts: [{ text: 'Code: ', isEchoed: false }] })
    expect(answered).toEqual([])
  })
})

describe('the end of a program', () => {
  afterEach(() => void vi.useRealTimers())
  const start = () => {
    let closed = (_isTold: boolean): void => undefined
    const channel = Object.assign(new PassThrough(), { stderr: new PassThrough() })
    const onClosed = (_: unknown, listener: (isTold: boolean) => void) => {
      closed = listener
    }
    const wiretap = { hold: () => undefined, onClosed }
    const connection = { client: new EventEmitter(), guard: { sock: new PassThrough() }, wiretap, isAlive: () => false }
    const lease = { connection: connection as unknown as SshConnection, leave: () => undefined }
    const program = createProgramChannel(lease, channel as unknown as ClientChannel, 'TERM')
    return { program, channel, close: (isTold: boolean) => closed(isTold) }
  }

  test('is confirmed when the host closes its channel: what it has begun may outlive its own exit', async () => {
    vi.useFakeTimers()
    const left = start()
    const killed = left.program.stop()
    left.channel.emit('exit', 0)
    await vi.advanceTimersByTimeAsync(4_000)
    expect([await killed, left.program.exit()]).toEqual(['unconfirmed', { code: 0, signal: null }])
    const whole = start()
    const ended = whole.program.stop()
    whole.channel.emit('exit', 0)
    whole.close(true)
    expect(await ended).toBe('confirmed')
    const lost = start()
    const gone = lost.program.stop()
    lost.channel.emit('exit', 0)
    lost.close(false)
    expect(await gone).toBe('unconfirmed')
  })
})

describe('what a host says', () => {
  afterEach(() => void vi.useRealTimers())

  /** A client of ssh2 in as far as the guard sees it. */
  function fakeClient(protocol: Record<string, unknown> = {}) {
    const taken: Buffer[] = []
    const replies: string[] = []
    const nothing = () => undefined
    const write = { alloc: nothing, finalize: nothing, allocStart: 5 }
    const parts = {
      ...{ _authenticated: true, _kex: {}, _authsQueue: [], _packetRW: { write }, authPK: nothing, signal: nothing },
      _kexinit: undefined as Buffer | undefined,
      _onPayload: (payload: Buffer): unknown => taken.push(payload),
      requestFailure: () => replies.push('failure'),
      ...protocol,
    }
    const client = Object.assign(new EventEmitter(), { _protocol: parts }) as unknown as Client
    const cut = vi.fn()
    const exchange = guardProtocol(client, cut)
    return { parts, taken, replies, cut, exchange, client }
  }
  const lengthed = (text: string) => Buffer.concat([Buffer.from([0, 0, 0, text.length]), Buffer.from(text)])
  const globalRequest = (name: string, wantsReply: boolean) =>
    Buffer.concat([Buffer.from([80]), lengthed(name), Buffer.from([wantsReply ? 1 : 0]), lengthed('a key')])

  test('of its keys, however often, is neither read nor remembered; who wants an answer gets a no', () => {
    const { parts, taken, replies, cut } = fakeClient()
    for (let i = 0; i < 1_000; i += 1) parts._onPayload(globalRequest('hostkeys-00@openssh.com', false))
    parts._onPayload(globalRequest('keepalive@openssh.com', true))
    parts._onPayload(Buffer.from([80, 255, 255, 255, 255, 1]))
    parts._onPayload(Buffer.from([80]))
    expect([taken.length, replies, cut.mock.calls.length]).toEqual([0, ['failure'], 0])
  })

  test('of the end of a channel is heard whether or not its output is read', () => {
    const { parts, exchange, client } = fakeClient()
    const heard = vi.fn()
    exchange.onClosed(Object.assign(new PassThrough(), { incoming: { id: 7 } }), heard)
    parts._onPayload(Buffer.from([97, 0, 0, 0, 6]))
    expect(heard).not.toHaveBeenCalled()
    for (let i = 0; i < 2; i += 1) parts._onPayload(Buffer.from([97, 0, 0, 0, 7]))
    expect(heard.mock.calls).toEqual([[true]])
    exchange.onClosed(Object.assign(new PassThrough(), { incoming: { id: 8 } }), heard)
    client.emit('close')
    expect(heard.mock.calls).toEqual([[true], [false]])
  })

  test('of logins after it has let us in ends the connection, and nothing after that is heard', () => {
    const { parts, taken, cut } = fakeClient()
    parts._onPayload(Buffer.from([94]))
    for (const type of [60, 94, 52]) parts._onPayload(Buffer.from([type]))
    expect([taken.length, cut.mock.calls.length]).toEqual([1, 1])
    const stranger = fakeClient({ _authenticated: false })
    stranger.parts._onPayload(Buffer.from([60]))
    expect([stranger.taken.length, stranger.cut.mock.calls.length]).toEqual([1, 0])
  })

  test('of new keys holds input back until it is done, and ends the connection when it takes half a minute', async () => {
    const { parts, exchange, cut } = fakeClient()
    const channel = new PassThrough()
    exchange.hold(channel)
    parts._kexinit = Buffer.from('x')
    channel.write('held')
    expect(channel.read()).toBe(null)
    parts._kexinit = undefined
    await vi.waitUntil(() => channel.readableLength > 0)
    expect(String(channel.read())).toBe('held')
    vi.useFakeTimers()
    parts._kexinit = Buffer.from('x')
    const late = new PassThrough()
    exchange.hold(late)
    expect(late.writableCorked).toBe(1)
    vi.advanceTimersByTime(29_999)
    expect(cut.mock.calls.length).toBe(0)
    vi.advanceTimersByTime(1)
    expect(cut.mock.calls.length).toBe(1)
  })

  test('is in no hands but those of the ssh2 that the relay knows', () => {
    expect(() => checkSsh2()).not.toThrow()
    expect(() => checkSsh2('1.17.1')).toThrow('The relay knows ssh2 1.17.0, not 1.17.1')
    expect(() => guardProtocol(Object.assign(new EventEmitter(), { _protocol: {} }) as unknown as Client, () => undefined)).toThrow(
      'not as the relay',
    )
  })
})
