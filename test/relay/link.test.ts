import { once } from 'node:events'
import { connect } from 'node:net'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { encodeControl } from '../../src/contract/krp.ts'
import { encodeData, encodeFrame, FRAME } from '../../src/contract/krp-frame.ts'
import { generateDemoHostKey, startDemoHost } from '../../src/dev/demo-host.ts'
import { execRequest, startTestRelay, type Target, type TestRelay } from './harness.ts'
import { greet, openWire, type TestLink, type TestStream } from './krp-client.ts'

const password = { kind: 'password', password: 'a-demo-password' } as const

describe('a link', () => {
  let demo: Awaited<ReturnType<typeof startDemoHost>>
  let relay: TestRelay
  let target: Target
  beforeAll(async () => {
    demo = await startDemoHost({ port: 0, password: password.password, hostKey: generateDemoHostKey() })
    relay = await startTestRelay([demo.port])
    target = {
      host: '127.0.0.1',
      port: demo.port,
      user: 'demo',
      privateKey: '',
      hostKeys: [{ type: 'ssh-ed25519', fingerprint: demo.hostKeyFingerprint }],
    }
  })
  afterAll(async () => {
    await relay.relay.close()
    await demo.close()
  })
  let objects = 0
  const fresh = (more: Parameters<TestRelay['link']>[0] = {}) => {
    objects += 1
    return relay.link({ sub: `object-${objects}`, ...more })
  }
  const live = async (): Promise<{ link: TestLink; stream: TestStream }> => {
    const link = await fresh()
    const stream = await link.open(execRequest(target, 'sleep 20', { detachSeconds: 0 }), password)
    await stream.opened()
    return { link, stream }
  }
  const data = (stream: number, offset: number, bytes: number) => encodeData('DATA', stream, { offset, bytes: new Uint8Array(bytes) })
  const text = (value: unknown) => new TextEncoder().encode(JSON.stringify(value))

  test.each<[string, string, (wire: TestLink['wire'], id: number) => void]>([
    ['a frame longer than allowed', 'frame-oversize', (wire) => wire.raw(Uint8Array.of(0xff, 0xff, 0xff, 0xff, FRAME.DATA, 0, 0, 0, 1))],
    ['an unknown type', 'frame-type', (wire) => wire.raw(Uint8Array.of(0, 0, 0, 5, 0x7f, 0, 0, 0, 1))],
    ['data on stream 0', 'stream-range', (wire) => wire.raw(Uint8Array.of(0, 0, 0, 5, FRAME.DATA, 0, 0, 0, 0))],
    ['a payload that is no JSON', 'frame-payload', (wire, id) => wire.raw(encodeFrame('RESIZE', id, Uint8Array.of(1, 2, 3)))],
    ['data without an offset', 'frame-payload', (wire, id) => wire.raw(encodeFrame('DATA', id, Uint8Array.of(1)))],
    ['a stream id used twice', 'stream-reused', (wire, id) => wire.control('ATTACH', id, { shell: 's', fromOffset: 0, creditBytes: 1 })],
    ['a stream that was never opened', 'stream-unknown', (wire) => wire.raw(data(77, 0, 1))],
    ['credit of less than nothing', 'frame-payload', (wire, id) => wire.odd('CREDIT', id, { bytes: -5 })],
    ['credit beyond its maximum', 'credit-overflow', (wire, id) => wire.control('CREDIT', id, { bytes: 4 * 1024 * 1024 })],
    ['an acknowledgement of what was never sent', 'offset-range', (wire, id) => wire.control('ACK', id, { offset: 1_000_000 })],
    ['input with a hole', 'offset-range', (wire, id) => wire.raw(data(id, 10, 1))],
    [
      'input after its end',
      'frame-order',
      (wire, id) => wire.raw(Buffer.concat([encodeControl('EOF', id, { offset: 0 }), data(id, 0, 1)])),
    ],
    ['an end that skips input', 'offset-range', (wire, id) => wire.control('EOF', id, { offset: 5 })],
    ['a terminal of impossible size', 'frame-payload', (wire, id) => wire.odd('RESIZE', id, { cols: 100_000, rows: 1 })],
    ['an unknown signal', 'frame-payload', (wire, id) => wire.odd('SIGNAL', id, { signal: 'SEGV' })],
    [
      'data after CLOSE',
      'frame-order',
      (wire, id) => wire.raw(Buffer.concat([encodeControl('CLOSE', id, { reason: 'dialer' }), data(id, 0, 1)])),
    ],
    [
      'CLOSE twice',
      'frame-order',
      (wire, id) => wire.raw(Buffer.concat([1, 2].map(() => encodeControl('CLOSE', id, { reason: 'dialer' })))),
    ],
    ['a frame that only relays send', 'frame-order', (wire, id) => wire.raw(encodeFrame('OPENED', id, text({})))],
    ['a second handshake', 'frame-order', (wire) => wire.control('HELLO', 0, { version: 1, nonce: 'n'.repeat(43) })],
    ['a farewell that only relays say', 'frame-order', (wire) => wire.control('GOAWAY', 0, { drainSeconds: 1 })],
  ])('%s ends it with a code', async (_, code, send) => {
    const { link, stream } = await live()
    send(link.wire, stream.id)
    expect(await link.wire.untilClosed()).toBe(code)
  })

  test('more input than was granted ends it', async () => {
    const { link, stream } = await live()
    // The target takes one SSH window and then reads no more; a dialer that goes on regardless of credit is cut.
    for (let offset = 0; offset < 8_000_000; offset += 200_000) link.wire.raw(data(stream.id, offset, 200_000))
    expect(await link.wire.untilClosed()).toBe('credit-exceeded')
  })

  test('input or a signal before OPENED ends it; a size waits', async () => {
    const early = await fresh()
    const stream = await early.open(execRequest(target, 'whoami'), password)
    early.wire.raw(data(stream.id, 0, 1))
    expect(await early.wire.untilClosed()).toBe('frame-order')
    const sized = await fresh()
    const shell = await sized.open(execRequest(target, 'whoami'), password)
    sized.wire.control('RESIZE', shell.id, { cols: 10, rows: 10 })
    await shell.opened()
    await shell.exit()
    sized.wire.cut()
  })

  test('a stream closed while it is being opened is given up', async () => {
    const link = await fresh()
    const stream = await link.open(execRequest(target, 'sleep 20'), password)
    stream.close()
    await link.wire.until(() =>
      link.wire.seen.find(({ name, stream: id }) => id === stream.id && (name === 'OPEN_FAIL' || name === 'CLOSE')),
    )
    const next = await link.open(execRequest(target, 'whoami'), password)
    await next.opened()
    await next.exit()
    link.wire.cut()
  })

  test('a link that dies while a shell is being opened leaves no shell', async () => {
    const link = await fresh()
    await link.open(execRequest(target, 'sleep 20'), password, { shell: 'shl_orphan' })
    link.wire.cut()
    await expect
      .poll(() => relay.lines.filter((line) => line.includes('shl_orphan') && /shell-(refused|closed)/.test(line)).length, {
        timeout: 8_000,
      })
      .toBe(1)
  })

  test('works byte by byte', async () => {
    const link = await fresh({ chunkBytes: 1 })
    const stream = await link.open(execRequest(target, 'echo slowly'), password)
    await stream.opened()
    await stream.exit()
    expect(stream.stdout()).toBe('slowly\n')
    link.wire.cut()
  })

  test('random frames and bytes end it, and the relay goes on', async () => {
    const streamBytes = fc.array(
      fc.oneof(
        fc.uint8Array({ minLength: 1, maxLength: 60 }),
        fc
          .tuple(
            fc.constantFrom(...Object.values(FRAME)),
            fc.nat({ max: 3 }),
            fc.oneof(
              fc.json().map((value) => new TextEncoder().encode(value)),
              fc.uint8Array({ maxLength: 40 }),
            ),
          )
          .map(([type, stream, payload]) => {
            const frame = new Uint8Array(9 + payload.length)
            new DataView(frame.buffer).setUint32(0, 5 + payload.length)
            frame[4] = type
            frame[8] = stream
            frame.set(payload, 9)
            return frame
          }),
      ),
      { minLength: 1, maxLength: 12 },
    )
    await fc.assert(
      fc.asyncProperty(streamBytes, fc.boolean(), async (chunks, isAuthenticated) => {
        const wire = isAuthenticated ? (await fresh()).wire : await openWire(relay.options())
        for (const chunk of chunks) wire.raw(chunk)
        wire.socket.end()
        await wire.untilClosed()
      }),
      { numRuns: 150 },
    )
    expect(relay.events('bug')).toEqual([])
    const link = await fresh()
    link.wire.control('PING', 0, { id: 3 })
    expect(await link.wire.untilFrame('PONG', 0)).toEqual({ id: 3 })
    link.wire.cut()
  })

  test('a reset in mid-frame costs nothing but the link', async () => {
    const { link, stream } = await live()
    link.wire.raw(data(stream.id, 0, 1_000).subarray(0, 100))
    link.wire.socket.resetAndDestroy()
    const next = await fresh()
    next.wire.cut()
    expect(relay.events('bug')).toEqual([])
  })
})

describe('links that do nothing', () => {
  test('strangers are cut at the deadline, few per address, and those who are in notice nothing', async () => {
    const relay = await startTestRelay([22], { RELAY_HANDSHAKE_SECONDS: '1', RELAY_UNAUTHENTICATED_PER_ADDRESS_MAX: '20' })
    const link = await relay.link()
    const sockets = Array.from({ length: 200 }, () => connect(relay.relay.port, '127.0.0.1').on('error', () => undefined))
    const closed = Promise.all(sockets.map((socket) => once(socket.resume(), 'close')))
    link.wire.control('PING', 0, { id: 1 })
    await link.wire.untilFrame('PONG', 0)
    await closed
    expect(relay.events('link-refused').filter(({ reason }) => reason === 'auth-timeout').length).toBe(20)
    const half = await openWire(relay.options())
    await greet(half)
    expect(await half.untilClosed()).toBe('auth-timeout')
    link.wire.cut()
    await relay.relay.close()
  })

  test('a peer that answers no heartbeat is given up, and its shells wait for it', async () => {
    const relay = await startTestRelay([22], { RELAY_HEARTBEAT_SECONDS: '1' })
    const link = await relay.link()
    link.wire.socket.pause()
    await expect.poll(() => relay.events('link-closed').map(({ reason }) => reason), { timeout: 8_000 }).toEqual(['heartbeat-timeout'])
    link.wire.cut()
    await relay.relay.close()
  })

  test('a peer that asks and never reads is cut before it fills memory', async () => {
    const relay = await startTestRelay([22])
    const link = await relay.link()
    link.wire.socket.pause()
    const pings = Buffer.concat(Array.from({ length: 10_000 }, (_, id) => encodeControl('PING', 0, { id })))
    const flood = (): void => {
      while (!link.wire.socket.destroyed && link.wire.socket.write(pings));
    }
    link.wire.socket.on('drain', flood)
    flood()
    await expect.poll(() => relay.events('link-closed').map(({ reason }) => reason), { timeout: 25_000 }).toEqual(['slow-peer'])
    link.wire.cut()
    await relay.relay.close()
  })
})
