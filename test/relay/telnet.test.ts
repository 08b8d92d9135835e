import { afterEach, describe, expect, test } from 'vitest'
import type { GrantRequest } from '../../src/contract/krp.ts'
import { createTelnet, TelnetFlood } from '../../src/relay/telnet.ts'
import { startTestRelay } from './harness.ts'
import { DO, DONT, ECHO, IAC, NAWS, SB, SE, SGA, startLineHost, startTelnetHost, TTYPE, WILL, WONT } from './telnet-host.ts'

const pty = { term: 'xterm-256color', cols: 80, rows: 24 }

/** A terminal's side, what it sent, and what it showed. */
function terminal(now = () => 0) {
  const sent: number[][] = []
  const shown: number[] = []
  const telnet = createTelnet({ pty, send: (bytes) => sent.push([...bytes]), now })
  return {
    ...telnet,
    sent,
    shown,
    hear(...bytes: number[]) {
      shown.push(...telnet.receive(Uint8Array.from(bytes)))
    },
    text: () => Buffer.from(shown).toString('latin1'),
  }
}
/** Numbers that are the same in every run. */
const seeded = (seed: number) => () => {
  seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0
  return seed >>> 8
}
const bytesOf = (text: string) => [...Buffer.from(text, 'latin1')]

describe('the terminal’s side of Telnet', () => {
  test('takes part in echo, go-ahead, type and size, refuses the rest, and answers a change once', () => {
    const line = terminal()
    for (let round = 0; round < 2; round += 1) {
      line.hear(IAC, WILL, ECHO, IAC, WILL, SGA, IAC, DO, SGA, IAC, DO, TTYPE, IAC, DO, NAWS)
      line.hear(IAC, DO, TTYPE)
    }
    expect(line.sent).toEqual([
      [IAC, DO, ECHO],
      [IAC, DO, SGA],
      [IAC, WILL, SGA],
      [IAC, WILL, TTYPE],
      [IAC, WILL, NAWS],
      [IAC, SB, NAWS, 0, 80, 0, 24, IAC, SE],
    ])
    line.sent.length = 0
    line.hear(IAC, DO, ECHO, IAC, WILL, NAWS, IAC, DO, 39, IAC, WILL, 38, IAC, DONT, 5, IAC, WONT, 6)
    expect(line.sent).toEqual([
      [IAC, WONT, ECHO],
      [IAC, DONT, NAWS],
      [IAC, WONT, 39],
      [IAC, DONT, 38],
    ])
    line.sent.length = 0
    line.hear(IAC, WONT, ECHO, IAC, DONT, NAWS)
    line.resize({ cols: 100, rows: 30 })
    expect(line.sent).toEqual([
      [IAC, DONT, ECHO],
      [IAC, WONT, NAWS],
    ])
  })

  test('tells its type when it is asked, and every size with the byte 255 escaped', () => {
    const line = terminal()
    line.hear(IAC, SB, TTYPE, 1, IAC, SE)
    expect(line.sent).toEqual([])
    line.hear(IAC, DO, TTYPE, IAC, SB, TTYPE, 1, IAC, SE, IAC, DO, NAWS)
    expect(line.sent).toContainEqual([IAC, SB, TTYPE, 0, ...bytesOf('xterm-256color'), IAC, SE])
    line.resize({ cols: 255, rows: 511 })
    expect(line.sent.at(-1)).toEqual([IAC, SB, NAWS, 0, IAC, IAC, 1, IAC, IAC, IAC, SE])
  })

  test('escapes 255 both ways, and a carriage return travels with NUL', () => {
    const line = terminal()
    line.hear(IAC, WILL, ECHO)
    line.hear(...bytesOf('a'), IAC, IAC, ...bytesOf('b\r\0c\r\nd'))
    expect(line.text()).toBe('a\u00ffb\rc\r\nd')
    expect([...line.encode(Uint8Array.of(1, IAC, 2))]).toEqual([1, IAC, IAC, 2])
    expect([...line.encode(Buffer.from('ls\rx\r\n'))]).toEqual(bytesOf('ls\r\0x\r\n'))
    expect(Buffer.from(line.encode(Buffer.alloc(100_000, IAC))).equals(Buffer.alloc(200_000, IAC))).toBe(true)
    line.interrupt()
    line.nudge()
    expect(line.sent.slice(-2)).toEqual([
      [IAC, 244],
      [IAC, 241],
    ])
  })

  test('reads the same however the bytes are cut', () => {
    const stream = [
      ...bytesOf('login\r\0: '),
      ...[IAC, WILL, ECHO, IAC, DO, TTYPE, IAC, SB, TTYPE, 1, IAC, SE, IAC, IAC],
      ...bytesOf('x\r\0y\r\nz'),
      ...[IAC, 241, IAC, SB, 99, IAC, IAC, 7, IAC, SE],
      ...bytesOf('end'),
    ]
    const whole = terminal()
    whole.hear(...stream)
    for (const size of [1, 2, 3, 5]) {
      const cut = terminal()
      for (let at = 0; at < stream.length; at += size) cut.hear(...stream.slice(at, at + size))
      expect({ shown: cut.shown, sent: cut.sent }).toEqual({ shown: whole.shown, sent: whole.sent })
    }
    expect(whole.text()).toBe('login\r\0: \u00ffx\ry\r\nzend')
  })

  test('is a bare line, byte for byte both ways, until the host says a command', () => {
    const line = terminal()
    const every = Array.from({ length: 250 }, (_, byte) => byte)
    line.hear(...every, IAC, 7, IAC, IAC)
    line.hear(7)
    expect(line.shown).toEqual([...every, IAC, 7, IAC, IAC, 7])
    expect([...line.encode(Uint8Array.of(13, IAC))]).toEqual([13, IAC])
    line.resize({ cols: 10, rows: 10 })
    line.interrupt()
    line.nudge()
    expect(line.sent).toEqual([])
  })

  test('survives a megabyte of anything, however it is cut, and shows no more than came', () => {
    const random = seeded(7)
    for (let round = 0; round < 64; round += 1) {
      let clock = 0
      const line = terminal(() => clock)
      let came = 0
      try {
        while (came < 16 * 1024) {
          clock += 1_000
          // Half of the bytes are of the commands' range.
          const chunk = Array.from({ length: 1 + (random() % 64) }, () => (random() % 2 ? 240 + (random() % 16) : random() % 256))
          line.hear(...chunk)
          came += chunk.length
        }
      } catch (error) {
        expect(error).toBeInstanceOf(TelnetFlood)
      }
      expect(line.shown.length).toBeLessThanOrEqual(came + 64)
    }
  })

  test('leaves a host that says commands, or one command, without end', () => {
    const flood = terminal()
    expect(() => {
      for (let i = 0; i < 10_000; i += 1) flood.hear(IAC, DO, 100 + (i % 100))
    }).toThrow(TelnetFlood)
    expect(flood.sent.length).toBeLessThanOrEqual(1_000)
    const sub = terminal()
    sub.hear(IAC, SB, TTYPE)
    expect(() => sub.hear(...Array.from({ length: 2_000 }, () => 1))).toThrow(TelnetFlood)
    // At an honest pace they may come for ever.
    let clock = 0
    const honest = terminal(() => clock)
    for (let i = 0; i < 5_000; i += 1) {
      clock += 100
      honest.hear(IAC, 241)
    }
    expect(honest.sent).toEqual([])
  })
})

describe('a console through the relay', () => {
  const closers: (() => unknown)[] = []
  afterEach(async () => {
    for (const close of closers.splice(0).toReversed()) await close()
  })
  const consoleOn = (port: number, more: Partial<GrantRequest & { kind: 'console' }> = {}): GrantRequest => ({
    kind: 'console',
    protocol: 'telnet',
    host: '127.0.0.1',
    port,
    pty,
    detachSeconds: 60,
    ...more,
  })
  async function relayTo(host: { readonly port: number; stop(): void }, overrides: Record<string, string> = {}) {
    const relay = await startTestRelay([host.port], overrides)
    closers.push(host.stop, () => relay.relay.close())
    return { relay, link: await relay.link() }
  }

  test('carries a terminal: what is shown, what is typed, its size and its end', async () => {
    const host = await startTelnetHost()
    const { relay, link } = await relayTo(host)
    const stream = await link.open(consoleOn(host.port))
    expect(await stream.opened()).not.toHaveProperty('hostKey')
    await stream.untilOutput('[size 0.80.0.24]')
    link.wire.control('RESIZE', stream.id, { cols: 132, rows: 50 })
    await stream.untilOutput('[size 0.132.0.50]')
    stream.send(Uint8Array.of(...bytesOf('caf'), 0xff))
    stream.send('\r')
    await stream.untilOutput('you said 4')
    expect(stream.outBytes().includes(Buffer.of(0x66, 0xff, 0x0d))).toBe(true)
    stream.send('type\r')
    await stream.untilOutput('[type xterm-256color]')
    stream.send('exit\r')
    expect(await stream.exit()).toMatchObject({ code: null, signal: null })
    expect(stream.stdout()).toMatch(/^login: /)
    expect(host.said.slice(0, 6)).toEqual([IAC, DO, ECHO, IAC, DO, SGA])
    expect(relay.events('shell-opened')).toMatchObject([{ protocol: 'telnet', isEncrypted: false }])
  })

  test('outlives its link, and nothing is lost or doubled', async () => {
    const host = await startTelnetHost()
    const { relay, link } = await relayTo(host)
    const first = await link.open(consoleOn(host.port))
    await first.untilOutput('[size')
    const kept = first.outOffset()
    link.wire.cut()
    const again = (await relay.link()).attach(first.shell, kept)
    const { inOffset } = await again.attached()
    again.setInOffset(inOffset)
    again.send('exit\r')
    await again.exit()
    expect(again.stdout()).toBe('exit\r\nbye\r\n')
  })

  test('stands still when nobody acknowledges, and goes on without a byte lost', async () => {
    const block = Buffer.alloc(64 * 1024, 'x')
    const total = 8 * 1024 * 1024
    let sent = 0
    const host = await startLineHost((socket) => {
      const pour = () => {
        while (sent < total) {
          sent += block.length
          if (!socket.write(block)) return void socket.once('drain', pour)
        }
        socket.end()
      }
      pour()
    })
    const { link } = await relayTo(host)
    const stream = await link.open(consoleOn(host.port), undefined, { isSilent: true, creditBytes: 1024 })
    await link.wire.until(() => stream.outOffset() === 1024)
    expect(sent).toBeLessThan(total)
    while (stream.outOffset() < total) {
      const before = stream.outOffset()
      stream.acknowledge()
      stream.credit(512 * 1024)
      await link.wire.until(() => stream.outOffset() > before && stream.outOffset() >= Math.min(total, before + 512 * 1024))
    }
    expect(await stream.exit()).toMatchObject({ offset: total })
  })

  test('is ended by closing the line, and told so', async () => {
    const host = await startTelnetHost()
    const { link } = await relayTo(host)
    const stream = await link.open(consoleOn(host.port))
    await stream.untilOutput('login: ')
    stream.close()
    await link.wire.untilFrame('CLOSE', stream.id)
    await link.wire.until(() => host.sockets.size === 0)
  })

  test('ends with the target that floods it with commands', async () => {
    const flood = Buffer.from(Array.from({ length: 3 * 4_000 }, (_, i) => [IAC, DO, 100 + (i % 100)][i % 3] ?? 0))
    const host = await startLineHost((socket) => void socket.write(flood))
    const { link } = await relayTo(host)
    const stream = await link.open(consoleOn(host.port))
    const { reason } = await link.wire.untilFrame('CLOSE', stream.id)
    expect(reason).toBe('gone')
    stream.close()
  })

  test('goes where the egress policy lets it, and nowhere else', async () => {
    const host = await startTelnetHost()
    const { link } = await relayTo(host, { RELAY_ALLOW_CIDRS: '' })
    expect(await (await link.open(consoleOn(host.port))).failed()).toBe('target-forbidden')
    expect(host.sockets.size).toBe(0)
  })
})
